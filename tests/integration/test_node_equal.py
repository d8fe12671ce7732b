# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_node_equal waits for both directions, and finds every row that differs."""

from __future__ import annotations

import threading
import typing as t

import pytest
from subscriptions import NAME, Mesh

RunModule = t.Callable[..., t.Any]


@pytest.fixture
def both(run_module: RunModule, mesh: Mesh) -> Mesh:
    for server in (mesh.a, mesh.b):
        run_module("pg_subscription_mm", mesh.arguments(server))
    mesh.assert_flows_both_ways()
    return mesh


def compare(run_module: RunModule, mesh: Mesh, **options: t.Any) -> t.Any:
    result = run_module(
        "pg_node_equal",
        {
            **mesh.pair.login(mesh.a),
            "peer": mesh.b.as_peer(mesh.a),
            "publications": ["pub"],
            "slot_here": mesh.slot(mesh.b),
            "slot_there": mesh.slot(mesh.a),
            **options,
        },
    )
    assert not result["changed"]
    return result


def without_replicating(mesh: Mesh, command: str) -> None:
    """As a change whose way to the other node was lost: one of another origin, which the subscription does not ask for."""
    mesh.alter(mesh.b, "DISABLE")
    mesh.a.query(
        "SELECT pg_replication_origin_create('lost') WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'lost');"
        "SELECT pg_replication_origin_session_setup('lost')",
        db=mesh.db,
    )
    mesh.a.query(command, db=mesh.db)
    mesh.a.query("SELECT pg_replication_origin_session_reset(); SELECT pg_replication_origin_drop('lost')", db=mesh.db)
    mesh.alter(mesh.b, "ENABLE")


def test_equal_nodes(run_module: RunModule, both: Mesh) -> None:
    result = compare(run_module, both)
    assert (result["caught_up"], result["left_bytes"], result["equal"]) == (True, 0, True)
    assert (result["tables"], result["rows"], result["differing"]) == (2, 2, [])


@pytest.mark.parametrize(
    ("change", "rows_here"),
    [
        ("INSERT INTO t VALUES (7, 'only here')", 3),
        ("DELETE FROM t WHERE id = 1000", 1),
        ("UPDATE t SET v = 'other' WHERE id = 1000", 2),
    ],
)
def test_one_row_that_differs_is_found(run_module: RunModule, both: Mesh, change: str, rows_here: int) -> None:
    without_replicating(both, change)
    result = compare(run_module, both, compare_seconds=0.5)
    assert result["caught_up"]
    assert result["equal"] is False
    assert result["differing"] == [{"table": "public.t", "rows_here": rows_here, "rows_there": 2}]


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_side_that_does_not_receive_is_not_caught_up(run_module: RunModule, both: Mesh, side: str) -> None:
    server = getattr(both, side)
    both.alter(server, "DISABLE")
    both.insert(both.other(server), 5)
    result = compare(run_module, both, catch_up_seconds=0.5)
    assert (result["caught_up"], result["equal"]) == (False, None)
    assert result["left_bytes"] > 0
    assert result["stalled"]
    both.alter(server, "ENABLE")
    assert compare(run_module, both)["equal"]


def test_tables_that_are_written_to_are_equal_at_some_moment(run_module: RunModule, both: Mesh) -> None:
    end = threading.Event()

    def write() -> None:
        session = both.a.session(both.db)
        number = 2000
        while not end.wait(0.05):
            number += 1
            with session.cursor() as cursor:
                cursor.execute("INSERT INTO t VALUES (%s, 'x')", [number])
        session.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert compare(run_module, both, compare_seconds=20)["equal"]
    finally:
        end.set()
        writer.join()


def test_a_slot_that_is_not_there_is_named(run_module: RunModule, both: Mesh) -> None:
    arguments = {
        **both.pair.login(both.a),
        "peer": both.b.as_peer(both.a),
        "publications": ["pub"],
        "slot_here": "no_such_slot",
        "slot_there": both.slot(both.a),
    }
    assert "no slot no_such_slot" in run_module("pg_node_equal", arguments, fails=True)["msg"]
    assert both.subscription(both.a)["subname"] == NAME
