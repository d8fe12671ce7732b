# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A changed key that meets a delete, or another change of it, fires no trigger where it arrives. It is recorded all the same."""

from __future__ import annotations

import typing as t

import pytest
from conflicts import Mesh
from servers import Pair
from test_conflict_stress import stream_early

SHAPES = {
    "a number": "CREATE TABLE t (id int PRIMARY KEY, v text)",
    "two columns and generated ones": (
        'CREATE TABLE t (id int, "k ""x" text DEFAULT \'k\', v text, g int GENERATED ALWAYS AS (id + 1) STORED,'
        ' PRIMARY KEY ("k ""x", id))'
    ),
    "a replica identity": (
        "CREATE TABLE t (id int NOT NULL, v text); CREATE UNIQUE INDEX i ON t (id); ALTER TABLE t REPLICA IDENTITY USING INDEX i"
    ),
}


@pytest.fixture(params=SHAPES)
def ready(pair: Pair, run_module: t.Callable[..., t.Any], request: pytest.FixtureRequest) -> Mesh:
    """Ten rows with the policy, replicating both ways."""
    return deploy(pair, run_module, SHAPES[request.param])


def deploy(pair: Pair, run_module: t.Callable[..., t.Any], table: str) -> Mesh:
    mesh = Mesh(pair, run_module)
    mesh.pair.both(table)
    mesh.publish()
    mesh.policies(history_owner="subscription_owner", history_readers=["replicator"])
    mesh.subscribe()
    mesh.a.query("INSERT INTO t (id, v) SELECT g, 'first' FROM generate_series(1, 10) g", db=mesh.db)
    mesh.meet()
    return mesh


def undecided(mesh: Mesh, node: t.Any) -> list[tuple[t.Any, ...]]:
    rows = mesh.history(node, "kind, winner, key ->> 'id', local_row, remote_row ->> 'id', remote_row ->> 'v', subscription")
    return [row for row in rows if row[0] != "key_change"]


def test_a_key_that_meets_a_delete_is_recorded_on_both(ready: Mesh, run_module: t.Callable[..., t.Any]) -> None:
    ready.pause()
    ready.a.query("UPDATE t SET id = 1003, v = 'moved' WHERE id = 3", db=ready.db)
    ready.b.query("DELETE FROM t WHERE id = 3", db=ready.db)
    ready.go_on()
    ready.meet()
    subscription = ready.subscription(ready.a)
    assert undecided(ready, ready.b) == [("update_key", "undecided", "3", None, "1003", "moved", subscription)]
    note = ready.history(ready.a, "node, kind, winner, key ->> 'id', local_row ->> 'id'")
    assert note == [(1, "key_change", "local", "3", "1003")]
    assert ready.apply_errors() == 0
    # It is counted where it may need somebody, and a changed key alone is no conflict.
    for node, expected in ((ready.a, []), (ready.b, [("t", "update_key", "undecided", 1)])):
        counted = run_module("pg_multimaster_info", ready.pair.login(node))["conflicts"]
        assert [(each["table"], each["kind"], each["winner"], each["count"]) for each in counted] == expected
    ready.a.query("INSERT INTO t (id, v) VALUES (99, 'goes on')", db=ready.db)
    ready.meet()
    assert ready.rows(ready.b, "SELECT v FROM t WHERE id = 99") == [("goes on",)]


@pytest.mark.parametrize("other", [1003, 2003])
def test_a_key_that_both_change_is_recorded_on_both(ready: Mesh, other: int) -> None:
    ready.pause()
    ready.a.query("UPDATE t SET id = 1003, v = 'of a' WHERE id = 3", db=ready.db)
    ready.b.query("UPDATE t SET id = %s, v = 'of b' WHERE id = 3", [other], ready.db)
    ready.go_on()
    ready.meet()
    ready.meet()
    assert undecided(ready, ready.b) == [("update_key", "undecided", "3", None, "1003", "of a", ready.subscription(ready.a))]
    assert undecided(ready, ready.a) == [("update_key", "undecided", "3", None, str(other), "of b", ready.subscription(ready.b))]
    assert ready.apply_errors() == 0


@pytest.mark.parametrize("streaming", ["off", "parallel"])
def test_keys_that_meet_nothing_leave_no_conflict(pair: Pair, run_module: t.Callable[..., t.Any], streaming: str) -> None:
    ready = deploy(pair, run_module, SHAPES["a number"])
    ready.a.query("INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(11, 1500) g", db=ready.db)
    ready.meet()
    if streaming == "parallel":
        for node in ready.nodes:
            stream_early(node, True)
            ready.other(node).query(f"ALTER SUBSCRIPTION {ready.subscription(node)} SET (streaming = parallel)", db=ready.db)
    try:
        ready.a.query("UPDATE t SET id = id + 10000 WHERE id < 1000", db=ready.db)
        ready.b.query("UPDATE t SET id = id + 30000 WHERE id BETWEEN 1000 AND 1500", db=ready.db)
        ready.a.query("UPDATE t SET id = 5 WHERE id = 10005; UPDATE t SET id = 6, v = 'six' WHERE id = 5", db=ready.db)
        ready.same()
        ready.same()
    finally:
        for node in ready.nodes:
            stream_early(node, False)
    for node in ready.nodes:
        assert undecided(ready, node) == []
    assert len(ready.history(ready.a)) == 1001
    assert ready.apply_errors() == 0


def test_a_copy_brings_no_notes(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    mesh = Mesh(pair, run_module)
    mesh.pair.both(SHAPES["a number"])
    mesh.publish()
    mesh.policies()
    mesh.a.query("INSERT INTO t VALUES (1, 'x'); UPDATE t SET id = 2", db=mesh.db)
    mesh.subscribe(copy_data=True)
    mesh.meet()
    ready = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
    for node in mesh.nodes:
        mesh.pair.wait_for(node, ready, True, 60)
    assert len(mesh.same()) == 1
    assert mesh.history(mesh.b) == []


def test_who_is_no_trigger_writes_no_note(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    mesh = deploy(pair, run_module, SHAPES["a number"])
    for call in ("record_key(0, '{}', '{}', 1)", "key_arrived(1)"):
        with pytest.raises(Exception, match="is for the triggers"):
            mesh.a.query(f"SELECT multimaster.{call}", db=mesh.db)


def test_who_changes_keys_needs_no_rights_on_the_history(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    mesh = deploy(pair, run_module, SHAPES["a number"])
    mesh.a.query("GRANT SELECT, UPDATE ON t TO replicator; SET ROLE replicator", db=mesh.db)
    mesh.a.query("UPDATE t SET id = 77 WHERE id = 7; RESET ROLE", db=mesh.db)
    assert (77,) in [row[:1] for row in mesh.same()]
    assert [row[0] for row in mesh.history(mesh.a, "kind")] == ["key_change"]
