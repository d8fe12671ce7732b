# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_node_equal waits for both directions, and finds every row that differs."""

from __future__ import annotations

import os
import threading
import typing as t
from functools import partial
from pathlib import Path

import pytest
from servers import REPLICATOR_PASSWORD, Server, wait_until
from subscriptions import NAME, Mesh, open_transaction

RunModule = t.Callable[..., t.Any]
NO_WORKER = """
SELECT NOT EXISTS (SELECT FROM pg_stat_subscription w JOIN pg_subscription s ON s.oid = w.subid
    JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = %s AND w.pid IS NOT NULL)
"""


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
            "peer_password": REPLICATOR_PASSWORD,
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
    ("change", "rows_here", "missing_here", "missing_there"),
    [
        ("INSERT INTO t VALUES (7, 'only here')", 3, 0, 1),
        ("DELETE FROM t WHERE id = 1000", 1, 1, 0),
        ("UPDATE t SET v = 'other' WHERE id = 1000", 2, 1, 1),
    ],
)
def test_one_row_that_differs_is_found(
    run_module: RunModule, both: Mesh, change: str, rows_here: int, missing_here: int, missing_there: int
) -> None:
    without_replicating(both, change)
    result = compare(run_module, both, compare_seconds=0.5)
    assert result["caught_up"]
    assert result["equal"] is False
    (table,) = result["differing"]
    assert (table["table"], table["rows_here"], table["rows_there"]) == ("public.t", rows_here, 2)
    assert (table["missing_here"], table["missing_there"]) == (missing_here, missing_there)


def test_rows_on_their_way_are_not_missing(run_module: RunModule, both: Mesh) -> None:
    """Two rows that change all the time: they differ at nearly every moment, and none of them for good."""
    end = threading.Event()

    def write(server: Server, row: int) -> None:
        session = server.session(both.db)
        with session.cursor() as cursor:
            number = 0
            while not end.is_set():
                number += 1
                cursor.execute("UPDATE t SET v = %s WHERE id = %s", [f"{server.name}{number}", row])
        session.close()

    writers = [threading.Thread(target=write, args=pair) for pair in ((both.a, 1000), (both.b, 1001))]
    for writer in writers:
        writer.start()
    try:
        options = {"catch_up_seconds": 30, "compare_seconds": 0}
        seen = wait_until(lambda: compare(run_module, both, **options)["differing"], what="a difference")
        assert [(table["missing_here"], table["missing_there"]) for table in seen] == [(0, 0)]
    finally:
        end.set()
        for writer in writers:
            writer.join()
    assert compare(run_module, both)["equal"]


def test_rows_are_the_same_however_the_servers_write_their_values(run_module: RunModule, both: Mesh) -> None:
    both.pair.both(
        "CREATE TABLE f (id int PRIMARY KEY, at timestamptz, span interval, bytes bytea, number float8, days daterange);"
        "INSERT INTO f VALUES (1, '2024-07-01 12:00+00', '1 day -03:00', 'ab\\000c', 1.0 / 3, '[2024-02-03,2024-03-02)')"
    )
    for setting in (
        "timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'",
        "extra_float_digits = -5",
    ):
        both.a.query(f"ALTER DATABASE {both.db} SET {setting}")
    result = compare(run_module, both, compare_seconds=0)
    assert result["equal"], result["differing"]
    both.b.query("UPDATE f SET number = number + 1e-15", db=both.db)
    assert [each["table"] for each in compare(run_module, both, compare_seconds=0)["differing"]] == ["public.f"]


def slow_down(mesh: Mesh, server: Server) -> None:
    server.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.1); RETURN new; END$$;"
        "CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow(); ALTER TABLE t ENABLE REPLICA TRIGGER slow",
        db=mesh.db,
    )


@pytest.mark.parametrize("streaming", ["off", "parallel"])
def test_a_large_transaction_that_is_being_applied_is_no_stall(run_module: RunModule, mesh: Mesh, streaming: str) -> None:
    """Nothing of it is confirmed before its end."""
    for server in (mesh.a, mesh.b):
        run_module("pg_subscription_mm", mesh.arguments(server, streaming=streaming))
    slow_down(mesh, mesh.b)
    mesh.a.query("ALTER SYSTEM SET logical_decoding_work_mem = '64kB'")
    mesh.a.query("SELECT pg_reload_conf()")
    try:
        mesh.a.query("INSERT INTO t SELECT g, repeat('x', 2000) FROM generate_series(1, 80) g", db=mesh.db)
        result = compare(run_module, mesh, catch_up_seconds=3)
        assert (result["caught_up"], result["stalled"]) == (False, False)
        assert result["left_bytes"] > 0
        # As is the end of it, when all has been received.
        result = compare(run_module, mesh, catch_up_seconds=3)
        assert (result["caught_up"], result["stalled"]) == (False, False)
        assert compare(run_module, mesh, catch_up_seconds=60)["equal"]
    finally:
        mesh.a.query("ALTER SYSTEM RESET logical_decoding_work_mem")
        mesh.a.query("SELECT pg_reload_conf()")


def test_a_worker_that_waits_for_a_lock_stalls_though_more_is_written(run_module: RunModule, both: Mesh) -> None:
    session = open_transaction(both.b, both.db)
    with session.cursor() as cursor:
        cursor.execute("UPDATE t SET v = 'open' WHERE id = 1000")
    both.a.query("UPDATE t SET v = 'waits' WHERE id = 1000", db=both.db)
    wait_until(lambda: both.b.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), what="a wait")

    def stalls() -> bool:
        both.insert(both.a, both.a.value("SELECT max(id) + 1 FROM t", db=both.db))
        result = compare(run_module, both, catch_up_seconds=1)
        assert not result["caught_up"]
        return result["stalled"]

    wait_until(stalls, what="a stall")
    session.rollback()
    session.close()
    assert compare(run_module, both, catch_up_seconds=60)["equal"]


def test_a_worker_that_fails_again_and_again_stalls(run_module: RunModule, both: Mesh) -> None:
    for server in (both.a, both.b):
        both.alter(server, "DISABLE")
    for server in (both.a, both.b):
        # The worker ends some time after that.
        wait_until(partial(server.value, NO_WORKER, [both.db]), what="no worker")
    for server in (both.a, both.b):
        both.insert(server, 5)
    for server in (both.a, both.b):
        both.alter(server, "ENABLE")
    wait_until(lambda: "duplicate key" in both.b.log_text(), what="an error")

    def stalls() -> bool:
        # What else the server writes of its own accord can look like progress for a moment.
        result = compare(run_module, both, catch_up_seconds=3)
        assert not result["caught_up"]
        return result["stalled"]

    wait_until(stalls, what="a stall")


@pytest.mark.parametrize(("holds", "is_fresh"), [("mine", True), ("another's", False)])
def test_the_callers_mark_is_kept_fresh(run_module: RunModule, both: Mesh, tmp_path: Path, holds: str, is_fresh: bool) -> None:
    mark = tmp_path / "mark"
    mark.write_text(holds)
    os.utime(mark, (1, 1))
    assert compare(run_module, both, mark_file=str(mark), mark_text="mine")["equal"]
    assert (mark.stat().st_mtime > 1) is is_fresh
    assert compare(run_module, both, mark_file=str(tmp_path / "none"), mark_text="mine")["equal"]
    assert not (tmp_path / "none").exists()


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
        "peer_password": REPLICATOR_PASSWORD,
        "publications": ["pub"],
        "slot_here": "no_such_slot",
        "slot_there": both.slot(both.a),
    }
    assert "no slot no_such_slot" in run_module("pg_node_equal", arguments, fails=True)["msg"]
    assert both.subscription(both.a)["subname"] == NAME
