# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.cover import (
    EVENT,
    SEARCH_PATH,
    TAGS,
    Cover,
    body,
    plan_cover,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import Node
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.selection import Selection

SOURCE = body(Node(1, 8), Selection(["*"], []))
RIGHT = Cover(
    schema=True,
    function=True,
    source=SOURCE,
    config=[SEARCH_PATH],
    definer=False,
    language="plpgsql",
    trigger=True,
    event=EVENT,
    tags=list(reversed(TAGS)),
    enabled="O",
    calls_function=True,
)


def plan(cover: Cover, source: str | None) -> tuple[list[str], Differences]:
    differences = Differences()
    shown = [render(statement.command).split(" WHEN")[0].split(" AS ")[0] for statement in plan_cover(cover, source, differences)]
    assert bool(shown) == bool(differences)
    return shown, differences


def test_all_is_made() -> None:
    commands, differences = plan(Cover(), SOURCE)
    assert [command.split("(")[0] for command in commands] == [
        'CREATE SCHEMA "multimaster"',
        'CREATE OR REPLACE FUNCTION "multimaster"."set_new_sequences"',
        'CREATE EVENT TRIGGER "multimaster_set_new_sequences" ON "ddl_command_end"',
    ]
    assert set(differences.before.values()) == {"absent"}


def test_nothing_is_to_be_done() -> None:
    assert plan(RIGHT, SOURCE)[0] == []
    assert plan(Cover(), None)[0] == []
    assert plan(Cover(schema=True), None)[0] == [], "an empty schema may be the user's own"


@pytest.mark.parametrize(
    ("drift", "verbs"),
    [
        ({"source": "BEGIN END"}, ["CREATE OR REPLACE FUNCTION"]),
        ({"config": None}, ["CREATE OR REPLACE FUNCTION"]),
        ({"definer": True}, ["CREATE OR REPLACE FUNCTION"]),
        ({"enabled": "D"}, ["ALTER EVENT TRIGGER"]),
        ({"enabled": "A"}, ["ALTER EVENT TRIGGER"]),
        ({"tags": ["CREATE TABLE"]}, ["DROP EVENT TRIGGER", "CREATE EVENT TRIGGER"]),
        ({"event": "ddl_command_start"}, ["DROP EVENT TRIGGER", "CREATE EVENT TRIGGER"]),
        ({"calls_function": False}, ["DROP EVENT TRIGGER", "CREATE EVENT TRIGGER"]),
        ({"trigger": False, "event": None, "tags": None, "enabled": None}, ["CREATE EVENT TRIGGER"]),
    ],
)
def test_drift_is_repaired(drift: dict[str, t.Any], verbs: list[str]) -> None:
    cover = replace(RIGHT, **drift)
    commands, _differences = plan(cover, SOURCE)
    assert [command[: len(verb)] for command, verb in zip(commands, verbs)] == verbs
    assert len(commands) == len(verbs)
    assert cover.state(SOURCE) == "altered"


def test_removal_leaves_a_schema_that_others_use() -> None:
    assert len(plan(RIGHT, None)[0]) == 3
    assert len(plan(replace(RIGHT, shared=True), None)[0]) == 2
    assert len(plan(replace(RIGHT, trigger=False), None)[0]) == 2


def test_another_node_or_pattern_is_another_function() -> None:
    sources = {
        SOURCE,
        body(Node(2, 8), Selection(["*"], [])),
        body(Node(1, 16), Selection(["*"], [])),
        body(Node(1, 8), Selection(["public.*"], [])),
        body(Node(1, 8), Selection(["*"], ["public.x"])),
    }
    assert len(sources) == 5


def test_patterns_are_quoted_for_every_session_setting() -> None:
    source = body(Node(1, 8), Selection(["it's_100%"], []))
    assert r"ARRAY[E'it''s\\_100\\%']::text[]" in source
