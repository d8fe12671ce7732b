# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_conflict_policy on two servers: what it sets, repairs and removes, and what it decides."""

from __future__ import annotations

import typing as t

import pytest
from conflicts import Mesh
from servers import Pair, Server, wait_until

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, a int, b text)"


@pytest.fixture
def mesh(pair: Pair, run_module: t.Callable[..., t.Any]) -> Mesh:
    return Mesh(pair, run_module)


@pytest.fixture
def ready(mesh: Mesh) -> Mesh:
    """One table with the policy, replicating both ways."""
    mesh.pair.both(TABLE)
    mesh.publish()
    mesh.policies()
    mesh.subscribe()
    return mesh


def test_nothing_to_do_the_second_time(mesh: Mesh) -> None:
    mesh.pair.both(TABLE)
    mesh.publish()
    expected = mesh.policy(mesh.a, check=True)
    done = mesh.policy(mesh.a)
    assert done["changed"]
    assert {**expected, "diff": None} == {**done, "diff": None}
    assert done["diff"]["before"]["table public.t"] == "error"
    assert done["diff"]["after"]["table public.t"] == "last_update_wins"
    again = mesh.policy(mesh.a)
    assert not again["changed"], again["diff"]
    assert again["queries"] == []
    assert again["counts"] == {"last_update_wins": 1, "changed": 0}


def test_the_later_update_wins_on_both_and_the_other_is_recorded(ready: Mesh) -> None:
    ready.a.query("INSERT INTO t VALUES (1, 0, 'x')", db=ready.db)
    ready.meet()
    ready.pause()
    ready.a.query("UPDATE t SET a = 1", db=ready.db)
    ready.b.query("UPDATE t SET b = 'later'", db=ready.db)
    ready.go_on()
    assert [row[:3] for row in ready.same()] == [(1, 0, "later")]
    older, newer = {"id": 1, "a": 1, "b": "x"}, {"id": 1, "a": 0, "b": "later"}
    assert ready.history(ready.a) == [("update_update", "remote", {"id": 1}, older, newer)]
    assert ready.history(ready.b) == [("update_update", "local", {"id": 1}, newer, older)]
    (nodes,) = ready.history(ready.b, "node, local_node, remote_node, local_time > remote_time, subscription")
    assert nodes == (2, 2, 1, True, ready.subscription(ready.a))
    assert ready.apply_errors() == 0


def test_the_later_insert_wins_on_both(ready: Mesh) -> None:
    ready.pause()
    ready.b.query("INSERT INTO t VALUES (1, 2, 'older')", db=ready.db)
    ready.a.query("INSERT INTO t VALUES (1, 1, 'newer')", db=ready.db)
    ready.go_on()
    assert [row[:3] for row in ready.same()] == [(1, 1, "newer")]
    assert [row[:2] for row in ready.history(ready.a)] == [("insert_insert", "local")]
    assert [row[:2] for row in ready.history(ready.b)] == [("insert_insert", "remote")]
    assert ready.apply_errors() == 0


def test_an_update_wins_against_an_insert_that_is_older(ready: Mesh) -> None:
    ready.pause()
    ready.a.query("INSERT INTO t VALUES (1, 1, 'a')", db=ready.db)
    ready.b.query("INSERT INTO t VALUES (1, 2, 'b')", db=ready.db)
    ready.a.query("UPDATE t SET b = 'last'", db=ready.db)
    ready.go_on()
    assert [row[:3] for row in ready.same()] == [(1, 1, "last")]


def test_a_delete_wins_and_the_lost_update_is_recorded_where_it_was_made(ready: Mesh) -> None:
    ready.a.query("INSERT INTO t VALUES (1, 0, 'x'), (2, 0, 'y')", db=ready.db)
    ready.meet()
    ready.pause()
    ready.a.query("DELETE FROM t", db=ready.db)
    ready.b.query("UPDATE t SET a = 5 WHERE id = 1", db=ready.db)
    ready.go_on()
    assert ready.same() == []
    assert ready.history(ready.a) == []
    lost = ("update_delete", "remote", {"id": 1}, {"id": 1, "a": 5, "b": "x"}, None)
    assert ready.history(ready.b) == [lost]
    assert ready.history(ready.b, "remote_time < local_time") == [(True,)]


def test_a_delete_wins_against_the_first_update_of_a_row_from_before_the_policy(mesh: Mesh) -> None:
    mesh.pair.both(TABLE)
    mesh.pair.both("INSERT INTO t VALUES (1, 0, 'x'), (2, 0, 'y'), (3, 0, 'z')")
    mesh.publish()
    mesh.policies()
    mesh.subscribe()
    mesh.a.query("UPDATE t SET a = 1 WHERE id = 3", db=mesh.db)
    mesh.meet()
    mesh.pause()
    mesh.a.query("DELETE FROM t WHERE id < 3", db=mesh.db)
    mesh.b.query("UPDATE t SET a = 5 WHERE id = 1", db=mesh.db)
    mesh.go_on()
    assert [row[:3] for row in mesh.same()] == [(3, 1, "z")]
    assert mesh.history(mesh.a) == []
    assert mesh.history(mesh.b) == [("update_delete", "remote", {"id": 1}, {"id": 1, "a": 5, "b": "x"}, None)]


def test_a_tie_goes_to_the_higher_node(ready: Mesh) -> None:
    ready.pause()
    for node, number in ((ready.a, 1), (ready.b, 2)):
        node.query("INSERT INTO t VALUES (1, %s, 'x', (1::bigint << 40) | %s)", [number, number], ready.db)
    ready.go_on()
    assert [row[1] for row in ready.same()] == [2]


def test_a_slow_clock_never_makes_a_version_run_backwards(ready: Mesh) -> None:
    set_back_clock(ready.b, ready.db, "1 hour")
    ready.a.query("INSERT INTO t VALUES (1, 0, 'x')", db=ready.db)
    ready.meet()
    ready.b.query("UPDATE t SET b = 'from b'", db=ready.db)
    assert [row[:3] for row in ready.same()] == [(1, 0, "from b")]
    assert ready.history(ready.a) == []


def set_back_clock(node: Server, db: str, by: str) -> None:
    for name, arguments in (("stamp", ""), ("stamp_whole", ""), ("new_version", "bigint")):
        source = node.value(f"SELECT pg_get_functiondef('multimaster.{name}({arguments})'::regprocedure)", db=db)
        for clock in ("clock_timestamp()", "statement_timestamp()"):
            source = source.replace(f"pg_catalog.{clock}", f"pg_catalog.{clock} - '{by}'::pg_catalog.interval")
        node.query(source, db=db)


def test_a_retried_commit_does_not_stop_replication(ready: Mesh) -> None:
    ready.pause()
    for node in ready.nodes:
        node.query("INSERT INTO t VALUES (7, 7, 'the same')", db=ready.db)
    ready.go_on()
    ready.same()
    ready.a.query("INSERT INTO t VALUES (8, 8, 'goes on')", db=ready.db)
    ready.b.query("INSERT INTO t VALUES (9, 9, 'goes on')", db=ready.db)
    assert [row[0] for row in ready.same()] == [7, 8, 9]
    assert ready.apply_errors() == 0


def test_bulk_inserts_meet_rows_and_open_transactions(ready: Mesh) -> None:
    """The fast path of rows in ascending order, and what has to end it."""
    ready.pause()
    ready.b.query("INSERT INTO t VALUES (500, -1, 'there')", db=ready.db)
    ready.a.query("INSERT INTO t SELECT g, g, 'bulk' FROM generate_series(1, 1000) g", db=ready.db)
    open_transaction = ready.b.session(ready.db)
    open_transaction.autocommit = False
    with open_transaction.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (900, -2, 'open')")
        ready.go_on(ready.a)
        wait_until(
            lambda: ready.b.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"), what="a wait"
        )
    open_transaction.commit()
    open_transaction.close()
    ready.go_on(ready.b)
    rows = ready.same()
    assert len(rows) == 1000
    assert ready.apply_errors() == 0
    assert [row[0]["id"] for row in ready.history(ready.b, "key")] == [500, 900]


def test_a_transaction_that_ends_during_a_bulk_insert_ends_the_fast_path(ready: Mesh) -> None:
    """It has an older id than the bulk's, so that the newest id that ended stays the same."""
    ready.pair.both("CREATE TABLE other (id int PRIMARY KEY)")
    open_transaction, blocker = ready.b.session(ready.db), ready.b.session(ready.db)
    open_transaction.autocommit = blocker.autocommit = False
    with open_transaction.cursor() as cursor, blocker.cursor() as blocking:
        cursor.execute("INSERT INTO other VALUES (1)")
        ready.b.query("INSERT INTO t VALUES (500, -1, 'there')", db=ready.db)
        blocking.execute("SELECT FROM t WHERE id = 500 FOR UPDATE")
        ready.a.query("INSERT INTO t SELECT g, g, 'bulk' FROM generate_series(501, 600) g", db=ready.db)
        ready.meet()
        ready.a.query("UPDATE t SET a = 1 WHERE id = 501", db=ready.db)
        ready.meet()
        ready.pause(ready.a)
        # 700 to 799 go the fast way; then the worker waits for a row's lock; meanwhile 850 is inserted here.
        ready.a.query(
            "BEGIN; INSERT INTO t SELECT g, g, 'bulk' FROM generate_series(700, 799) g; UPDATE t SET a = 2 WHERE id = 500;"
            "INSERT INTO t SELECT g, g, 'bulk' FROM generate_series(800, 899) g; COMMIT",
            db=ready.db,
        )
        ready.go_on(ready.a)
        wait_until(
            lambda: ready.b.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"), what="a wait"
        )
        cursor.execute("INSERT INTO t VALUES (850, -2, 'first')")
        open_transaction.commit()
        blocker.rollback()
    for session in (open_transaction, blocker):
        session.close()
    assert len(ready.same()) == 301
    assert ready.apply_errors() == 0
    assert ready.history(ready.b, "kind, winner, key") == [("insert_insert", "local", {"id": 850})]


@pytest.mark.parametrize("check", [True, False])
def test_an_owner_who_is_not_there_is_told(mesh: Mesh, run_module: t.Callable[..., t.Any], check: bool) -> None:
    mesh.a.query("CREATE TABLE kept (id int PRIMARY KEY); CREATE PUBLICATION kept FOR TABLE kept", db=mesh.db)
    arguments = {**mesh.pair.login(mesh.a), "policy": "last_update_wins", "node_id": 1, "history_owner": "no Body"}
    told = run_module("pg_conflict_policy", arguments, check=check, fails=True)
    assert told["msg"] == 'history_owner is "no Body", a role that does not exist: create it first. Nothing was changed.'
    # The run that makes it makes it before.
    assert run_module("pg_conflict_policy", {**arguments, "pending_owner": True}, check=True)["changed"]


def test_the_history_belongs_to_the_stated_role_and_is_counted(ready: Mesh, run_module: t.Callable[..., t.Any]) -> None:
    roles: dict[str, t.Any] = {"history_owner": "subscription_owner", "history_readers": ["replicator"]}
    for node in ready.nodes:
        given = ready.policy(node, **roles)
        assert set(given["diff"]["after"]) == {"history_owner", "history_readers"}
        assert ready.policy(node, **roles)["queries"] == []
    ready.a.query("INSERT INTO t VALUES (1, 0, 'x')", db=ready.db)
    ready.meet()
    ready.pause()
    for node in ready.nodes:
        node.query(f"UPDATE t SET b = '{node.name}'", db=ready.db)
    ready.go_on()
    ready.same()
    assert ready.apply_errors() == 0
    for node in ready.nodes:
        assert node.value("SELECT has_table_privilege('replicator', 'multimaster.conflict', 'select')", db=ready.db)
        counted = run_module("pg_multimaster_info", ready.pair.login(node))["conflicts"]
        assert [(each["table"], each["kind"], each["count"]) for each in counted] == [("t", "update_update", 1)]


def test_setting_it_again_warns_of_no_trigger_of_its_own(ready: Mesh) -> None:
    assert ready.policy(ready.a)["warnings"] == []
