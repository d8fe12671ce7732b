# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's plan() and what it reports, without a server."""

from __future__ import annotations

import typing as t

import pytest
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence import manager as manager_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.cover import Cover
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.manager import SequenceManager, State
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import Column, Sequence
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.reader import in_parts

PARAMETERS: dict[str, t.Any] = {
    "state": "present",
    "node_id": 2,
    "max_nodes": 8,
    "include": ["*"],
    "exclude": [],
    "cover_new_tables": False,
    "headroom": 0,
    "warn_below_percent": 10.0,
    "unindexed_limit_mb": 64,
    "lock_timeout": 30.0,
}


def manager(**changes: t.Any) -> SequenceManager:
    unused: t.Any = None
    return SequenceManager({**PARAMETERS, **changes}, unused)


def many(count: int, **properties: t.Any) -> list[Sequence]:
    return [Sequence("public", f"s{number:04}", oid=number, **properties) for number in range(count)]


IN_STEP: dict[str, t.Any] = {"increment": 8, "start": 2, "last_value": 2}


def test_nothing_to_do() -> None:
    plan = manager().plan(State(Cover(), many(5, **IN_STEP)))
    assert not plan.differences
    assert plan.statements == []
    assert plan.warnings == []
    assert plan.results["counts"] == {"sequences": 5, "changed": 0, "skipped": 0}


def test_statements_and_diff_of_one_sequence() -> None:
    plan = manager().plan(State(Cover(), [Sequence('A"b', "ñ.s", maximum=2**31 - 1, last_value=7, is_called=True)]))
    assert [render(statement.command) for statement in plan.statements] == [
        'ALTER SEQUENCE "A""b"."ñ.s" INCREMENT BY 8',
        'ALTER SEQUENCE "A""b"."ñ.s" START WITH 2 RESTART WITH 10',
    ]
    name = 'sequence A"b.ñ.s'
    assert plan.differences.as_diff() == {
        "before": {name: "increment 1, start 1, min_value 1, max_value 2147483647, next_value 8"},
        "after": {name: "increment 8, start 2, min_value 1, max_value 2147483647, next_value 10"},
    }


def test_the_diff_of_thousands_stays_readable_and_the_result_is_whole() -> None:
    plan = manager().plan(State(Cover(), many(2500)))
    assert len(plan.differences.names) == 51
    assert plan.differences.after["2450 more sequences"] == "set"
    assert len(plan.results["sequences"]) == 2500
    assert plan.results["sequences"][2499]["after"]["next_value"] == 2


def test_sequences_that_run_short_are_named() -> None:
    short = Sequence("public", "small", maximum=32767, increment=8, start=2, last_value=32002, is_called=True)
    column = Column("public", "t", "id", -(2**31), 2**31 - 1)
    narrow = Sequence("public", "n", increment=8, start=2, last_value=2**31 - 80 + 2, is_called=True, columns=(column,))
    cycling = Sequence("public", "c", cycle=True, minimum=2, maximum=20, increment=8, start=2, last_value=18)
    plan = manager().plan(State(Cover(), [short, narrow, cycling]))
    assert [(each["name"], each["left"], each["limit"]) for each in plan.results["running_short"]] == [
        ("public.small", 95, 32767),
        ("public.n", 9, 2**31 - 1),
    ]
    (warning,) = plan.warnings
    assert "2 sequences run short" in warning
    assert "public.small (95 left up to 32767)" in warning
    assert not manager(warn_below_percent=0.0).plan(State(Cover(), [short, narrow])).warnings


def test_warnings_are_bounded_and_say_what_to_do() -> None:
    (warning,) = manager().plan(State(Cover(), many(40, increment=50))).warnings
    assert "public.s0009 (50) and 30 more" in warning
    assert "allocationSize" in warning
    assert manager(max_nodes=16).plan(State(Cover(), many(2, increment=8))).warnings == []


def test_a_row_at_the_end_of_the_range_is_named() -> None:
    (warning,) = manager().plan(State(Cover(), [Sequence("public", "s", data=2**63 - 1)])).warnings
    assert "public.s (data: 9223372036854775807)" in warning


def test_unread_columns_are_results_always_and_a_warning_once() -> None:
    column = Column("public", "log", "id", scanned_bytes=10**12)
    sequence = Sequence("public", "log_id_seq", columns=(column,))
    plan = manager().plan(State(Cover(), [sequence], unread=[(sequence, column)]))
    assert plan.results["data_not_read"] == [{"name": "public.log_id_seq", "column": "public.log.id"}]
    assert "public.log_id_seq (public.log.id)" in plan.warnings[0]
    sequence = Sequence("public", "log_id_seq", columns=(column,), **IN_STEP)
    plan = manager().plan(State(Cover(), [sequence], unread=[(sequence, column)]))
    assert plan.results["data_not_read"]
    assert plan.warnings == []


def test_no_value_left_names_all_before_anything_changes() -> None:
    with pytest.raises(MultimasterError, match=r"node 5 of 8: public.s0000 \(1 to 3, at 1\), .* and 2 more") as raised:
        manager(node_id=5).plan(State(Cover(), [*many(12, maximum=3), Sequence("public", "good")]))
    assert len(raised.value.details["sequences"]) == 12


def test_names_that_do_not_exist() -> None:
    state = State(Cover(), many(1), skipped=[("public.x", "excluded")])
    with pytest.raises(MultimasterError, match=r"include names .*: public.y"):
        manager(include=["public.y", "public.s*"]).plan(state)
    plan = manager(exclude=["public.x", "public.z", "other.*"]).plan(state)
    assert plan.warnings == ["exclude names sequences that do not exist: public.z."]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"node_id": 9}, r"node_id is 9: .* between 1 and max_nodes \(8\)"),
        ({"node_id": None}, "node_id is missing"),
        ({"node_id": 0}, "node_id is 0"),
        ({"node_id": -1}, "node_id is -1"),
        ({"max_nodes": 1}, "max_nodes is 1"),
        ({"max_nodes": 40000}, "max_nodes is 40000"),
        ({"include": []}, "include is empty"),
        ({"headroom": -1}, "headroom is -1"),
        ({"lock_timeout": -0.5}, "lock_timeout is -0.5"),
    ],
)
def test_bad_parameters(parameters: dict[str, t.Any], message: str) -> None:
    with pytest.raises(MultimasterError, match=message):
        manager(**parameters)


def test_only_a_superuser_can_make_the_cover() -> None:
    with pytest.raises(MultimasterError, match="superuser"):
        manager(cover_new_tables=True).plan(State(Cover(superuser=False)))
    assert not manager().plan(State(Cover(superuser=False))).statements


def test_parts_hold_few_locks() -> None:
    column = Column("public", "t", "id", relations=49)
    parts = list(in_parts(many(250, columns=(column,)), 1000, 100))
    assert [len(part) for part in parts] == [20] * 12 + [10]
    assert [len(part) for part in in_parts(many(250), 1000, 100)] == [100, 100, 50]
    wide = Column("public", "t", "id", relations=5000)
    assert [len(part) for part in in_parts(many(3, columns=(wide,)), 1000)] == [1, 1, 1]
    assert manager_module.MEGABYTE == 2**20
