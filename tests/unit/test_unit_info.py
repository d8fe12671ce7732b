# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of a unit, and what of its files is newer than its start."""

from __future__ import annotations

import pytest

from ansible_collections.multimaster.postgresql.plugins.modules.unit_info import facts

RUNS = "LoadState=loaded\nActiveState=active\nActiveEnterTimestamp=@1000\n"
FILES = {"/a": 999.5, "/b": 1000.5, "/c": None}


def test_what_is_newer_than_its_start() -> None:
    found = facts(RUNS, FILES)
    assert found == {"exists": True, "active": True, "since": 1000, "newer_files": ["/b"], "missing_files": ["/c"]}


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_nothing_is_newer_than_what_does_not_run(state: str) -> None:
    found = facts(RUNS.replace("=active", f"={state}"), FILES)
    assert (found["active"], found["since"], found["newer_files"]) == (False, None, [])


def test_a_unit_that_is_not_there() -> None:
    found = facts("LoadState=not-found\nActiveState=inactive\nActiveEnterTimestamp=\n", {})
    assert not found["exists"]
    assert not found["active"]
