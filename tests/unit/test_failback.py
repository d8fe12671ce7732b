# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is back is taken back only when it is the node that left."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._failback import applied_positions, failback_problems, lsn


def info(name: str, peer: str, *, end: str = "1/500", applied: str | None = "1/400", **changes: t.Any) -> dict[str, t.Any]:
    return {
        "node": {"current_lsn": end},
        "slots": [{"slot_name": f"slot_{name}_to_{peer}", "wal_status": "reserved"}],
        "subscriptions": [
            {"name": f"sub_from_{peer}", "database": "imdb", "slot_name": f"slot_{peer}_to_{name}", "applied_lsn": applied}
        ],
        **changes,
    }


def test_a_node_that_only_was_away_is_taken_back() -> None:
    assert failback_problems("a", {"a": info("a", "b"), "b": info("b", "a")}) == []
    assert failback_problems("a", {"a": info("a", "b", applied=None), "b": info("b", "a", applied=None)}) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"end": "1/3FF"}, {}, "a is an older copy of itself: b has its changes of database imdb up to 1/400"),
        ({"end": "0/FFFFFFFF"}, {}, "a is an older copy of itself"),
        ({"slots": []}, {}, "a has no slot slot_a_to_b"),
        ({"slots": [{"slot_name": "slot_a_to_b", "wal_status": "lost"}]}, {}, "has lost WAL that b needs"),
        ({}, {"slots": []}, "b has no slot slot_b_to_a any more"),
        ({}, {"slots": [{"slot_name": "slot_b_to_a", "wal_status": "lost"}]}, "has lost WAL that a needs"),
        ({}, {"end": "1/3FF"}, "b is an older copy of itself, and a is the one that has everything"),
        ({"subscriptions": []}, {}, "a does not subscribe to b"),
        ({}, {"subscriptions": []}, "b does not subscribe to a"),
    ],
)
def test_what_is_refused(a: dict[str, t.Any], b: dict[str, t.Any], expected: str) -> None:
    (problem,) = failback_problems("a", {"a": info("a", "b", **a), "b": info("b", "a", **b)})
    assert expected in problem


@pytest.mark.parametrize(
    ("position", "record", "is_the_node"),
    [
        ("1/400", "1/00000400 Transaction COMMIT", True),
        ("1/400", "1/00000400 Heap INSERT", False),
        ("1/400", "1/00000420 Transaction COMMIT", False),
        ("1/400", "1/00000418 Transaction COMMIT", False),
        ("1/2000", "1/00002018 Transaction COMMIT", True),
        ("1/2000", "1/00002020 Transaction COMMIT", False),
    ],
)
def test_the_wal_tells_a_copy_that_has_been_written_to(position: str, record: str, is_the_node: bool) -> None:
    infos = {"a": info("a", "b", end="2/0"), "b": info("b", "a", applied=position)}
    infos["a"]["subscriptions"][0]["applied_lsn"] = None
    problems = failback_problems("a", infos, {position: record})
    assert (problems == []) is is_the_node
    assert is_the_node or "where no transaction of a ends" in problems[0]
    assert applied_positions("a", infos) == [position]


def test_a_node_that_does_not_answer() -> None:
    assert "a does not answer" in failback_problems("a", {"b": info("b", "a")})[0]


def test_the_last_good_node() -> None:
    assert "the last good node" in failback_problems("a", {"a": info("a", "b")})[0]


def test_positions_are_numbers_and_not_text() -> None:
    assert lsn("0/FFFFFFFF") < lsn("1/0") < lsn("A/1") < lsn("10/0")
