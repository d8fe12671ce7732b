# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tracker of differences: changed and diff can never contradict each other."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences

values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
rows = st.lists(st.tuples(st.text(), values, values, st.booleans()), unique_by=lambda row: row[0])


def test_nothing_tracked() -> None:
    differences = Differences()
    assert not differences
    assert differences.as_diff() == {"before": {}, "after": {}}


def test_only_what_differs_is_kept() -> None:
    differences = Differences()
    assert not differences.add("owner", "alice", "alice")
    assert differences.add("comment", "new", "old")
    assert differences
    assert differences.names == ["comment"]
    assert differences.as_diff() == {"before": {"comment": "old"}, "after": {"comment": "new"}}


def test_false_values_count() -> None:
    differences = Differences()
    assert differences.add("comment", "", None)
    assert differences.add("enabled", False, None)
    assert differences.before == {"comment": None, "enabled": None}
    assert differences.after == {"comment": "", "enabled": False}


def test_a_secret_shows_that_it_differs_and_neither_side() -> None:
    differences = Differences()
    assert not differences.add("password", "s3cret", "s3cret", secret=True)
    assert not differences
    assert differences.add("password", "s3cret", "0ld", secret=True)
    text = json.dumps(differences.as_diff())
    assert "s3cret" not in text
    assert "0ld" not in text
    assert differences.before != differences.after


@given(rows)
def test_changed_and_diff_agree(tracked: list[tuple[str, object, object, bool]]) -> None:
    differences = Differences()
    differing = [name for name, wanted, current, secret in tracked if differences.add(name, wanted, current, secret=secret)]
    assert differing == differences.names == list(differences.before) == list(differences.after)
    assert differing == [name for name, wanted, current, _secret in tracked if wanted != current]
    assert bool(differences) == bool(differing) == (differences.before != differences.after)
