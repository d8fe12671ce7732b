# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_multimaster_info on real servers, healthy and not."""

from __future__ import annotations

import typing as t

import pytest
from cryptography import x509
from servers import wait_until
from subscriptions import NAME, SECRETS, Mesh, frozen, open_transaction

RunModule = t.Callable[..., t.Any]


@pytest.fixture
def both(run_module: RunModule, mesh: Mesh) -> Mesh:
    for server in (mesh.b, mesh.a):
        run_module("pg_subscription_mm", mesh.arguments(server))
    mesh.assert_flows_both_ways()
    return mesh


def look(run_module: RunModule, mesh: Mesh, **options: t.Any) -> t.Any:
    result = run_module("pg_multimaster_info", {**mesh.pair.login(mesh.a), **options})
    assert not result["changed"]
    for secret in SECRETS:
        assert secret not in result.output
    return result


def test_a_healthy_mesh(run_module: RunModule, both: Mesh) -> None:
    info = look(run_module, both, max_retained_wal="1G", max_lag_bytes="64M", max_lag_seconds=20)
    assert info["problems"] == []
    assert info["incomplete"] == []
    assert info["databases"] == [both.db]

    (slot,) = info["slots"]
    assert slot["slot_name"] == both.slot(both.b)
    assert slot["active"]
    assert slot["wal_status"] == "reserved"
    assert slot["subscriber"]["application_name"] == NAME
    assert slot["subscriber"]["state"] == "streaming"
    assert slot["lag_seconds"] is not None
    assert 0 <= slot["lag_bytes"] <= slot["retained_bytes"]

    (subscription,) = info["subscriptions"]
    assert (subscription["name"], subscription["slot_name"]) == (NAME, both.slot(both.a))
    assert subscription["conninfo"]["port"] == str(both.b.port)
    assert subscription["worker_running"]
    assert subscription["applied_lsn"]
    assert subscription["tables"] == 2
    assert subscription["tables_not_ready"] == []
    assert (subscription["apply_error_count"], subscription["sync_error_count"]) == (0, 0)
    assert subscription["lag_bytes"] is not None

    assert [(worker["type"], worker["subscription"]) for worker in info["workers"]] == [("apply", NAME)]
    assert [(each["name"], each["all_tables"], each["tables"]) for each in info["publications"]] == [("pub", True, 2)]
    assert f"pg_{both.subscription(both.a)['oid']}" in [origin["name"] for origin in info["origins"]]
    node = info["node"]
    assert node["version_num"] == both.a.value("SELECT current_setting('server_version_num')::int")
    assert node["version"] == node["settings"]["server_version"].split()[0]
    assert node["timeline"] == 1
    assert node["system_identifier"] == both.a.value("SELECT system_identifier::text FROM pg_control_system()")
    assert node["settings"]["wal_level"] == "logical"


def test_certificates_that_end(run_module: RunModule, mesh: Mesh) -> None:
    info = look(run_module, mesh)
    found = {each["setting"]: each for each in info["certificates"]}
    assert set(found) == {"ssl_cert_file", "ssl_ca_file"}
    days = found["ssl_cert_file"]["days_left"]
    file = mesh.a.value("SELECT pg_read_file(current_setting('ssl_cert_file'))")
    assert found["ssl_cert_file"]["ends"] == x509.load_pem_x509_certificate(file.encode()).not_valid_after_utc.isoformat()
    assert not any("certificate" in problem for problem in info["problems"])
    problems = look(run_module, mesh, min_certificate_days=days + 1)["problems"]
    assert any(f"(ssl_cert_file) ends in {days} days" in problem for problem in problems)


def test_all_databases(run_module: RunModule, both: Mesh) -> None:
    info = look(run_module, both, login_db="postgres", all_databases=True)
    assert {"postgres", both.db} <= set(info["databases"])
    assert [each["database"] for each in info["subscriptions"]] == [both.db]
    assert info["subscriptions"][0]["tables"] == 2
    info = look(run_module, both, login_db="postgres")
    assert (info["databases"], info["subscriptions"], info["slots"]) == (["postgres"], [], [])
    info = look(run_module, both, login_db="postgres", databases=[both.db])
    assert [each["name"] for each in info["publications"]] == ["pub"]
    failed = run_module("pg_multimaster_info", {**both.pair.login(both.a), "databases": ["nowhere"]}, fails=True)
    assert "nowhere" in failed["msg"]


def test_a_member_of_pg_monitor_sees_nearly_all(run_module: RunModule, both: Mesh) -> None:
    both.a.query(
        "DO $$ BEGIN IF to_regrole('watcher') IS NULL THEN CREATE ROLE watcher LOGIN PASSWORD 'x';"
        "GRANT pg_monitor TO watcher; END IF; END $$"
    )
    watcher = {"login_user": "watcher", "login_password": "x"}
    info = look(run_module, both, **watcher)
    assert info["problems"] == []
    assert len(info["incomplete"]) == 2
    (subscription,) = info["subscriptions"]
    assert subscription["conninfo"] is None
    assert subscription["worker_running"]
    assert info["slots"][0]["subscriber"]["state"] == "streaming"

    both.a.query("GRANT EXECUTE ON FUNCTION pg_show_replication_origin_status() TO watcher", db=both.db)
    assert look(run_module, both, **watcher)["subscriptions"][0]["applied_lsn"]

    both.a.query("GRANT pg_read_all_data TO watcher")
    try:
        assert look(run_module, both, **watcher)["subscriptions"][0]["conninfo"]["user"] == "replicator"
    finally:
        both.a.query("REVOKE pg_read_all_data FROM watcher")
        both.a.query("REVOKE pg_monitor FROM watcher")
    info = look(run_module, both, **watcher)
    assert any("pg_monitor" in sentence for sentence in info["incomplete"])
    both.a.query("GRANT pg_monitor TO watcher")


def test_a_peer_that_is_gone(run_module: RunModule, both: Mesh) -> None:
    both.alter(both.b, "DISABLE")
    both.wait_for_slot(both.a, active=False)
    both.insert(both.a, 1)
    info = look(run_module, both, max_lag_bytes="10")
    assert any("in use by no subscriber" in problem for problem in info["problems"])
    assert any("behind, more than 10 bytes" in problem for problem in info["problems"])
    assert info["slots"][0]["lag_seconds"] is None
    both.b.stop()
    wait_until(
        lambda: any("cannot be reached" in problem for problem in look(run_module, both)["problems"]),
        what="a peer that is not reached",
    )


def test_a_copy_that_takes_its_time(run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.b, 1)
    holder = mesh.a.session(mesh.db)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN SHARE MODE")
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True, wait=False))

    def copying() -> t.Any:
        info = look(run_module, mesh)
        copied_now = [each["table"] for each in info["workers"] if each["type"] == "sync"]
        waiting = [each["table"] for each in info["subscriptions"][0]["tables_not_ready"]]
        return info if copied_now == waiting == ["public.t"] else None

    # The other table is ready soon.
    info = wait_until(copying, what="a worker that copies t, and only t")
    assert any("1 of 2 tables that are not ready: public.t" in problem for problem in info["problems"])
    holder.close()
    mesh.wait_for_ids(mesh.a, [1])


def test_an_apply_error(run_module: RunModule, both: Mesh) -> None:
    both.insert(both.a, 1, table="u")
    both.wait_for_ids(both.b, [1], table="u")
    both.b.query("ALTER TABLE u DISABLE TRIGGER ALL", db=both.db)
    both.alter(both.a, "SET (disable_on_error = true)")
    both.a.query("ALTER TABLE u ADD CHECK (id < 100)", db=both.db)
    both.insert(both.b, 200, table="u")
    both.pair.wait_for(both.a, f"SELECT subenabled FROM pg_subscription WHERE subname = '{NAME}'", False)
    info = look(run_module, both)
    assert info["subscriptions"][0]["apply_error_count"] > 0
    assert any("is disabled" in problem for problem in info["problems"])


def test_the_mark_of_an_interrupted_run(run_module: RunModule, mesh: Mesh) -> None:
    blocker = open_transaction(mesh.b, mesh.db)
    mark = f"multimaster_slot_of_{NAME}_in_{mesh.db}"
    mesh.a.query("SELECT pg_replication_origin_create(%s)", [mark], mesh.db)
    assert any("ended half way" in problem for problem in look(run_module, mesh)["problems"])
    blocker.close()
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert look(run_module, mesh)["problems"] == []


def test_a_worker_that_has_heard_nothing_yet(run_module: RunModule, both: Mesh) -> None:
    both.alter(both.a, "DISABLE")
    both.wait_for_slot(both.b, active=False)
    with frozen(both.b):
        both.alter(both.a, "ENABLE")
        workers = wait_until(lambda: look(run_module, both)["workers"], what="a worker")
        assert workers[0]["received_lsn"] is None
        assert workers[0]["last_message_age_seconds"] is None
        failed = run_module("pg_subscription_mm", both.arguments(both.a, peer_unreachable="fail"), fails=True)
        assert "does not answer in time" in failed["msg"]


def test_a_locked_table_is_told_and_not_waited_for(run_module: RunModule, both: Mesh) -> None:
    session = both.a.session(both.db)
    session.autocommit = False
    try:
        with session.cursor() as cursor:
            cursor.execute("LOCK t")
        failed = run_module("pg_multimaster_info", both.pair.login(both.a), fails=True)
        assert "lock timeout" in failed["msg"]
    finally:
        session.close()
