# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_multimaster_info: a mesh that is stuck is never called well, and one that works hard is never called stuck."""

from __future__ import annotations

import contextlib
import threading
import typing as t

import pytest
from servers import Server, wait_until
from subscriptions import SECRETS, Mesh

RunModule = t.Callable[..., t.Any]


@pytest.fixture
def both(run_module: RunModule, mesh: Mesh) -> Mesh:
    for server in (mesh.b, mesh.a):
        run_module("pg_subscription_mm", mesh.arguments(server))
    mesh.assert_flows_both_ways()
    return mesh


def look(run_module: RunModule, mesh: Mesh, server: Server | None = None, **options: t.Any) -> t.Any:
    result = run_module("pg_multimaster_info", {**mesh.pair.login(server or mesh.a), **options})
    for secret in SECRETS:
        assert secret not in result.output
    return result


def state(run_module: RunModule, mesh: Mesh, server: Server | None = None, **options: t.Any) -> tuple[str, int]:
    (subscription,) = look(run_module, mesh, server, **options)["subscriptions"]
    return subscription["state"], subscription["errors"]


def collide(mesh: Mesh, key: int = 7) -> None:
    """The same key on both nodes, so that neither can apply the other's row."""
    for server in (mesh.a, mesh.b):
        mesh.alter(server, "DISABLE")
    for server in (mesh.a, mesh.b):
        mesh.wait_for_slot(mesh.other(server), active=False)
    for server in (mesh.a, mesh.b):
        mesh.insert(server, key)
    for server in (mesh.a, mesh.b):
        mesh.alter(server, "ENABLE")
    for server in (mesh.a, mesh.b):
        wait_for_errors(server, mesh.db, 3)


def wait_for_errors(server: Server, db: str, number: int) -> None:
    query = (
        "SELECT apply_error_count FROM pg_stat_subscription_stats s JOIN pg_subscription p ON p.oid = s.subid "
        "JOIN pg_database d ON d.oid = p.subdbid WHERE datname = %s"
    )
    wait_until(lambda: server.value(query, [db]) >= number, 60, "errors of the apply worker")


def get_over_it(mesh: Mesh, server: Server, key: int = 7) -> None:
    """As README of role multimaster says it: what is in the way goes in a session that is not replicated."""
    server.query(
        "SELECT pg_replication_origin_create('by_hand');"
        "SELECT pg_replication_origin_session_setup('by_hand')",
        db=mesh.db,
    )
    server.query("DELETE FROM t WHERE id = %s", [key], mesh.db)
    server.query("SELECT pg_replication_origin_session_reset(); SELECT pg_replication_origin_drop('by_hand')", db=mesh.db)


def test_a_mesh_that_is_stuck_both_ways_is_not_once_called_well(run_module: RunModule, both: Mesh) -> None:
    collide(both)
    for number in range(110):
        server = (both.a, both.b)[number % 2]
        # Slots that come and go are watched for two seconds, which is not what is asked here.
        info = look(run_module, both, server, **({} if number < 10 else {"patience": 0.1}))
        (subscription,) = info["subscriptions"]
        assert subscription["state"] == "failing", f"look {number}"
        (problem,) = [each for each in info["problems"] if "fails since" in each]
        for word in ("INSERT of public.t", "t_pkey", "(id)=(7)", "SKIP (lsn = '"):
            assert word in problem
    failure = subscription["failure"]
    assert failure["since"] <= failure["time"]
    # The way out that it tells.
    both.alter(both.a, f"SKIP (lsn = '{look(run_module, both)['subscriptions'][0]['failure']['finished_at']}')")
    wait_until(lambda: state(run_module, both) == ("streaming", 0), 60, "a subscription that got over it")
    assert state(run_module, both, both.b)[0] == "failing"
    get_over_it(both, both.b)
    wait_until(lambda: state(run_module, both, both.b) == ("streaming", 0), 60, "a subscription that got over it")
    both.insert(both.a, 8)
    both.insert(both.b, 9)
    both.wait_for_ids(both.a, [7, 8, 9, 1000, 1001])
    both.wait_for_ids(both.b, [7, 8, 9, 1000, 1001])
    for _number in range(10):
        for server in (both.a, both.b):
            info = look(run_module, both, server)
            assert info["problems"] == []
            assert [(each["state"], each["errors"]) for each in info["subscriptions"]] == [("streaming", 0)]
            assert info["subscriptions"][0]["apply_error_count"] >= 3


@pytest.mark.parametrize("streaming", ["on", "parallel"])
def test_a_large_transaction_that_fails(run_module: RunModule, both: Mesh, streaming: str) -> None:
    """It is applied while it is sent, by another process where that is parallel, and fails before its end is known."""
    both.alter(both.a, f"SET (streaming = {streaming})")
    with setting(both.b, logical_decoding_work_mem="64kB"):
        both.insert(both.a, 20000)
        both.wait_for_ids(both.b, [1000, 1001, 20000])
        get_over_it(both, both.b, 20000)
        both.b.query("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(10000, 29999) g", db=both.db)
        wait_for_errors(both.a, both.db, 2)
        for _number in range(10):
            info = look(run_module, both)
            assert info["subscriptions"][0]["state"] == "failing"
            (problem,) = [each for each in info["problems"] if "fails" in each]
            assert "t_pkey" in problem
            assert "(id)=(20000)" in problem
        get_over_it(both, both.a, 20000)
        wait_until(lambda: state(run_module, both) == ("streaming", 0), 60, "a subscription that got over it")


def test_who_may_not_read_the_log_sees_it_too(run_module: RunModule, both: Mesh) -> None:
    both.a.query(
        "DO $$ BEGIN IF to_regrole('watcher') IS NULL THEN CREATE ROLE watcher LOGIN PASSWORD 'x'; END IF; END $$;"
        "GRANT pg_monitor TO watcher"
    )
    watcher: dict[str, t.Any] = {"login_user": "watcher", "login_password": "x"}
    assert state(run_module, both, **watcher) == ("streaming", 0)
    collide(both)
    for _number in range(5):
        assert state(run_module, both, **watcher)[0] == "failing"
    get_over_it(both, both.a)
    wait_until(lambda: state(run_module, both, **watcher) == ("streaming", 0), 60, "a subscription that got over it")


def test_a_worker_that_is_started_again_seldom(run_module: RunModule, both: Mesh) -> None:
    with setting(both.a, wal_retrieve_retry_interval="5s"):
        collide(both)
        for _number in range(10):
            assert state(run_module, both)[0] == "failing"


@contextlib.contextmanager
def setting(server: Server, **values: str) -> t.Iterator[None]:
    for name, value in values.items():
        server.query(f"ALTER SYSTEM SET {name} = '{value}'")
    server.query("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in values:
            server.query(f"ALTER SYSTEM RESET {name}")
        server.query("SELECT pg_reload_conf()")


def test_a_long_transaction_after_an_old_error_is_not_stuck(run_module: RunModule, both: Mesh) -> None:
    collide(both)
    get_over_it(both, both.a)
    wait_until(lambda: state(run_module, both) == ("streaming", 0), 60, "a subscription that got over it")
    holder = both.a.session(both.db)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (77)")
    both.insert(both.b, 77)
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type LIKE 'logical replication%'"
    both.pair.wait_for(both.a, query, 1, 60)
    for _number in range(5):
        assert state(run_module, both)[0] in ("streaming", "applying", "waiting")
    info = wait_until(
        lambda: (told := look(run_module, both))["subscriptions"][0]["state"] == "waiting" and told, 60, "a worker that waits"
    )
    assert any(
        "waits for a lock" in problem and f"pid {holder.info.backend_pid} (user postgres" in problem
        for problem in info["problems"]
    )
    holder.rollback()
    holder.close()
    both.wait_for_ids(both.a, [7, 77, 1000, 1001])
    assert state(run_module, both) == ("streaming", 0)


@pytest.mark.parametrize("streaming", ["off", "parallel"])
def test_a_mesh_that_works_hard_is_well(run_module: RunModule, both: Mesh, streaming: str) -> None:
    """With errors of old, which are what makes it look closer."""
    collide(both)
    for server in (both.a, both.b):
        get_over_it(both, server)
        both.alter(server, f"SET (streaming = {streaming})")
    stop = threading.Event()

    def load(server: Server, start: int) -> None:
        session = server.session(both.db)
        with session.cursor() as cursor:
            cursor.execute("SET logical_decoding_work_mem = '64kB'")
            number = start
            while not stop.is_set() and number < start + 2000 * 500:
                cursor.execute("INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(%s, %s) g", [number, number + 1999])
                cursor.execute("DELETE FROM t WHERE id BETWEEN %s AND %s", [number, number + 1999])
                number += 2000
        session.close()

    threads = [threading.Thread(target=load, args=(s, 10_000_000 * n)) for n, s in enumerate((both.a, both.b), 1)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            server = (both.a, both.b)[number % 2]
            info = look(run_module, both, server)
            assert info["subscriptions"][0]["state"] in ("streaming", "applying"), f"look {number}: {info['problems']}"
            assert info["problems"] == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_peer_that_is_started_anew(run_module: RunModule, both: Mesh) -> None:
    seen: list[str] = []
    done = threading.Event()

    def restart() -> None:
        both.b.stop()
        both.b.start()
        done.set()

    thread = threading.Thread(target=restart)
    thread.start()
    while not done.is_set():
        seen.append(state(run_module, both)[0])
    thread.join()
    wait_until(lambda: state(run_module, both) == ("streaming", 0), 60, "a subscription that has its peer again")
    assert "failing" not in seen
    assert look(run_module, both)["problems"] == []


def test_a_peer_that_is_down(run_module: RunModule, both: Mesh) -> None:
    both.insert(both.b, 5)
    both.wait_for_ids(both.a, [5, 1000, 1001])
    both.b.stop()
    try:
        wait_until(lambda: state(run_module, both)[0] == "unreachable", 60, "a worker that has noticed it")
        for _number in range(2):
            info = look(run_module, both)
            (subscription,) = info["subscriptions"]
            assert subscription["state"] == "unreachable"
            (problem,) = [each for each in info["problems"] if "cannot be reached" in each]
            assert f"port {both.b.port}" in problem
            assert f"was made at {subscription['last_applied_time']}" in problem
            assert subscription["last_applied_time"]
    finally:
        both.b.start()


def test_a_slot_that_is_gone(run_module: RunModule, both: Mesh) -> None:
    slot = both.slot(both.a)
    both.alter(both.a, "DISABLE")
    both.wait_for_slot(both.b, active=False)
    both.b.query("SELECT pg_drop_replication_slot(%s)", [slot], both.db)
    both.alter(both.a, "ENABLE")
    for _number in range(3):
        info = look(run_module, both)
        assert info["subscriptions"][0]["state"] == "failing"
        assert any(f"has no slot {slot}" in problem for problem in info["problems"])


def test_a_copy_that_fails(run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.b, 1)
    mesh.a.query("ALTER TABLE t ADD CHECK (id < 0)", db=mesh.db)
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True, wait=False))
    wait_until(lambda: state(run_module, mesh)[0] == "failing", 60, "a copy that fails")
    for _number in range(3):
        assert state(run_module, mesh)[0] == "failing"
    mesh.a.query("ALTER TABLE t DROP CONSTRAINT t_id_check", db=mesh.db)
    mesh.wait_for_ids(mesh.a, [1])
    wait_until(lambda: state(run_module, mesh) == ("streaming", 0), 60, "a copy that is done")
