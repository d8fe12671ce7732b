# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_node_equal waits for both directions, and finds every row that differs."""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t
from functools import partial
from pathlib import Path

import pytest
from servers import REPLICATOR_PASSWORD, Server, wait_until
from subscriptions import NAME, Mesh, open_transaction

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    Connection,
    login_parameters,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.equal import Direction

SPEC = {name: option.get("default") for name, option in CONNECTION_SPEC.items()}
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


def unsent(server: Server, db: str, command: str) -> None:
    """As a change whose way to the other node was lost: one of another origin, which the subscription does not ask for."""
    with contextlib.closing(server.session(db)) as session, session.cursor() as cursor:
        cursor.execute("SELECT pg_replication_origin_create('lost')")
        cursor.execute("SELECT pg_replication_origin_session_setup('lost')")
        cursor.execute(command)
        cursor.execute("RESET ROLE; SELECT pg_replication_origin_session_reset(); SELECT pg_replication_origin_drop('lost')")


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
    unsent(both.a, both.db, change)
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


def test_an_idle_node_has_caught_up_after_every_end_of_its_wal(run_module: RunModule, both: Mesh) -> None:
    """Behind a switch the next record's place is a page's header further than anything that can be confirmed, and what nobody has
    committed need never be flushed."""
    flushed = "SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"
    with contextlib.closing(both.a.session(both.db)) as session, session.cursor() as cursor:
        for command in ("SELECT pg_switch_wal()", "BEGIN; INSERT INTO t VALUES (77, 'open')"):
            cursor.execute(command)
            here, there = (Connection(login_parameters({**SPEC, **both.pair.login(server)})) for server in (both.a, both.b))
            direction = Direction(here, there, both.slot(both.b))
            direction.begin()
            assert both.a.value(flushed, [direction.position])

            def has_confirmed(direction: Direction = direction) -> bool:
                return direction.look().left == 0

            wait_until(has_confirmed, 60, "confirmation")
            assert compare(run_module, both, catch_up_seconds=60)["caught_up"]
            here.close()
            there.close()
        cursor.execute("ROLLBACK")


def test_settings_of_a_database_do_not_keep_it_from_telling(run_module: RunModule, both: Mesh) -> None:
    for node in (both.a, both.b):
        node.query(f"ALTER DATABASE {both.db} SET default_transaction_read_only = on")
    assert compare(run_module, both)["equal"]


# Functions of the table's owner that would tell as whom they run, if they did: all that a query of the table would call.
OWNERS_CODE = """
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE FUNCTION tell(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'app' THEN RAISE EXCEPTION 'run by %', current_user; END IF;
    RETURN $1;
END $$;
CREATE TABLE guarded (id int PRIMARY KEY, v text CHECK (tell('c') = 'c'), g text GENERATED ALWAYS AS (tell('g')) STORED);
CREATE POLICY mine ON guarded USING (tell('p') = 'p' AND current_user = 'app');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
INSERT INTO guarded VALUES (1, 'seen by its owner alone');
CREATE INDEX ON guarded ((tell('i')), id) WHERE tell('w') = 'w';
CREATE STATISTICS guarded_statistics ON (tell('s')), id FROM guarded;
GRANT SELECT ON guarded TO PUBLIC
"""


@pytest.mark.parametrize("change", ["ENABLE", "FORCE"])
def test_no_code_of_a_tables_owner_runs(run_module: RunModule, both: Mesh, change: str) -> None:
    for node in (both.a, both.b):
        unsent(node, both.db, OWNERS_CODE)
        node.query(f"ALTER TABLE guarded {change} ROW LEVEL SECURITY", db=both.db)
    try:
        for node in (both.a, both.b):
            node.query("ALTER ROLE replicator BYPASSRLS")
        result = compare(run_module, both)
        assert (result["equal"], result["tables"], result["rows"], result["unread"]) == (True, 3, 3, [])
    finally:
        for node in (both.a, both.b):
            node.query("ALTER ROLE replicator NOBYPASSRLS")
    # Whoever sees no rows does not say that they are missing.
    result = compare(run_module, both, compare_seconds=0)
    assert (result["equal"], result["tables"], result["differing"]) == (False, 2, [])
    (unread,) = result["unread"]
    assert unread["table"] == "public.guarded"
    assert "row-level security" in unread["why"]


def test_a_partitioned_table_is_compared_by_its_rows(run_module: RunModule, both: Mesh) -> None:
    """However they are distributed."""
    both.pair.both('CREATE TABLE "p %s" ("a ""x" int PRIMARY KEY, v text) PARTITION BY RANGE ("a ""x"); CREATE TABLE nothing ()')
    for node, ranges in ((both.a, [(0, 10)]), (both.b, [(0, 5), (5, 10)])):
        for low, high in ranges:
            node.query(f'CREATE TABLE p{low} PARTITION OF "p %s" FOR VALUES FROM ({low}) TO ({high})', db=both.db)
        unsent(node, both.db, """INSERT INTO "p %s" SELECT g, 'x' FROM generate_series(0, 9) g""")
    one = {"publications": ["rooted"], "compare_seconds": 0}
    both.pair.both('CREATE PUBLICATION rooted FOR TABLE "p %s", nothing WITH (publish_via_partition_root = true)')
    result = compare(run_module, both, **one)
    assert (result["equal"], result["tables"], result["rows"]) == (True, 2, 10)
    unsent(both.b, both.db, 'DELETE FROM p5 WHERE "a ""x" = 7')
    (found,) = compare(run_module, both, **one)["differing"]
    assert (found["table"], found["rows_here"], found["rows_there"], found["missing_there"]) == ("public.p %s", 10, 9, 1)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e30"])
def test_seconds_are_a_number_of_seconds(run_module: RunModule, both: Mesh, value: str) -> None:
    for name in ("catch_up_seconds", "compare_seconds"):
        arguments = {**both.pair.login(both.a), "peer": both.b.as_peer(both.a), "publications": ["pub"], "slot_here": "s"}
        failed = run_module("pg_node_equal", {**arguments, "slot_there": "s", name: value}, fails=True)
        assert failed["msg"].startswith(f"{name} is ")
        assert "from 0 to 2592000" in failed["msg"]
