# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_multimaster_info: settings, databases and tables that keep a node from working, though its replication streams."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from subscriptions import Mesh

RunModule = t.Callable[..., t.Any]


def problems(run_module: RunModule, mesh: Mesh, **options: t.Any) -> list[str]:
    return run_module(
        "pg_multimaster_info", {**mesh.pair.login(mesh.a), "login_db": "postgres", "databases": [mesh.db], **options}
    )["problems"]


@pytest.mark.parametrize(
    ("make", "undo", "told"),
    [
        (
            "ALTER DATABASE {db} SET default_transaction_read_only = on",
            'ALTER DATABASE "{db}" RESET default_transaction_read_only',
            "Nothing can be written in database {db}",
        ),
        (
            "ALTER ROLE app IN DATABASE {db} SET default_transaction_read_only = yes",
            'ALTER ROLE "app" IN DATABASE "{db}" RESET default_transaction_read_only',
            "in sessions of role app in database {db}",
        ),
        (
            "ALTER ROLE app SET default_transaction_read_only = 'true'",
            'ALTER ROLE "app" RESET default_transaction_read_only',
            "in sessions of role app:",
        ),
        ("ALTER DATABASE {db} ALLOW_CONNECTIONS false", 'ALTER DATABASE "{db}" ALLOW_CONNECTIONS true', "takes no connections"),
        (
            "ALTER DATABASE {db} CONNECTION LIMIT 0",
            'ALTER DATABASE "{db}" CONNECTION LIMIT -1',
            "takes connections of superusers only",
        ),
    ],
)
def test_a_database_that_cannot_be_used(run_module: RunModule, mesh: Mesh, make: str, undo: str, told: str) -> None:
    assert problems(run_module, mesh) == []
    mesh.a.forget_sessions(mesh.db)
    mesh.a.query(make.format(db=mesh.db))
    try:
        (problem,) = problems(run_module, mesh)
        assert told.format(db=mesh.db) in problem
        # The command that it tells is the one that helps.
        assert undo.format(db=mesh.db) in problem
    finally:
        mesh.a.query(undo.format(db=mesh.db))
    assert problems(run_module, mesh) == []


@contextlib.contextmanager
def described(mesh: Mesh, *lines: str, after: str = "") -> t.Iterator[None]:
    """A file with settings as role postgresql writes one, and a line behind the one that includes it."""
    main, file = mesh.a.data / "postgresql.conf", mesh.a.data / "described.conf"
    before = main.read_text()
    file.write_text("\n".join(lines) + "\n")
    main.write_text(f"{before}\ninclude 'described.conf'\n{after}\n")
    mesh.a._own(mesh.a.data)
    mesh.a.query("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        main.write_text(before)
        file.unlink()
        mesh.a.query("SELECT pg_reload_conf()")


def test_what_a_role_is_meant_to_have_is_no_problem(run_module: RunModule, mesh: Mesh) -> None:
    """Reports that only read, and take more memory."""
    meant = {"app": {"default_transaction_read_only": True, "work_mem": "64MB", "timezone": "CET"}}
    with described(mesh, "work_mem = '8MB'", "timezone = 'UTC'"):
        for setting in ("default_transaction_read_only = on", "work_mem = '64MB'", "timezone = 'CET'"):
            mesh.a.query(f"ALTER ROLE app SET {setting}")
        try:
            assert len(problems(run_module, mesh, settings_file="described.conf")) == 3
            assert problems(run_module, mesh, settings_file="described.conf", role_settings=meant) == []
            mesh.a.query("ALTER ROLE app SET work_mem = '65MB'")
            (problem,) = problems(run_module, mesh, settings_file="described.conf", role_settings=meant)
            assert "Sessions of role app have their own setting work_mem, '65MB'" in problem
        finally:
            mesh.a.query("ALTER ROLE app RESET ALL")


def test_a_database_that_is_nobody_s_business_may_be_closed(run_module: RunModule, mesh: Mesh) -> None:
    mesh.a.query("CREATE DATABASE elsewhere ALLOW_CONNECTIONS false")
    try:
        assert problems(run_module, mesh) == []
        assert "elsewhere takes no connections" in str(run_module(
            "pg_multimaster_info", {**mesh.pair.login(mesh.a), "login_db": "postgres", "all_databases": True}
        )["problems"])  # fmt: skip
    finally:
        mesh.a.query("DROP DATABASE elsewhere")


def test_settings_that_are_decided_elsewhere(run_module: RunModule, mesh: Mesh) -> None:
    options = {"settings_file": "described.conf"}
    with described(mesh, "max_slot_wal_keep_size = '1GB'", "work_mem = '8MB'"):
        assert problems(run_module, mesh, **options) == []
        mesh.a.query("ALTER SYSTEM SET max_slot_wal_keep_size = '-1'")
        mesh.a.query(f"ALTER DATABASE {mesh.db} SET work_mem = '1GB'")
        # One that replicates has its own, against those of databases.
        mesh.a.query("ALTER ROLE replicator SET work_mem = '4MB'")
        try:
            file, override = problems(run_module, mesh, **options)
            assert "The setting max_slot_wal_keep_size is '-1' in " in file
            assert "described as '1GB': ALTER SYSTEM RESET max_slot_wal_keep_size" in file
            assert f"Database {mesh.db} has its own setting work_mem, '1GB'" in override
            assert problems(run_module, mesh) == []
        finally:
            mesh.a.query("ALTER SYSTEM RESET max_slot_wal_keep_size")
            mesh.a.query(f"ALTER DATABASE {mesh.db} RESET work_mem; ALTER ROLE replicator RESET work_mem")
    with described(mesh, "max_slot_wal_keep_size = '1GB'", after="max_slot_wal_keep_size = '-1'"):
        (problem,) = problems(run_module, mesh, **options)
        assert "postgresql.conf line" in problem
        assert "take that line out" in problem


def test_row_security_that_stops_replication(run_module: RunModule, mesh: Mesh) -> None:
    for server in (mesh.b, mesh.a):
        run_module("pg_subscription_mm", mesh.arguments(server))
    mesh.a.query("ALTER TABLE t ENABLE ROW LEVEL SECURITY", db=mesh.db)
    assert problems(run_module, mesh) == []
    mesh.a.query("ALTER TABLE t FORCE ROW LEVEL SECURITY", db=mesh.db)
    (problem,) = problems(run_module, mesh)
    assert f"The table public.t in database {mesh.db} has row security that binds app" in problem
    mesh.a.query("ALTER ROLE app BYPASSRLS")
    try:
        assert problems(run_module, mesh) == []
    finally:
        mesh.a.query("ALTER ROLE app NOBYPASSRLS")


def test_certificates_in_a_folder(run_module: RunModule, mesh: Mesh) -> None:
    folder = str(mesh.a.certificates)
    info = run_module("pg_multimaster_info", {**mesh.pair.login(mesh.a), "certificate_folders": [folder]})
    found = {each["file"]: each["days_left"] for each in info["certificates"]}
    assert {f"{folder}/replicator.crt", f"{folder}/server.crt", f"{folder}/ca.crt"} <= set(found)
    assert found[f"{folder}/replicator.crt"] > 0
    days = found[f"{folder}/replicator.crt"] + 1
    told = problems(run_module, mesh, certificate_folders=[folder], min_certificate_days=days)
    assert any(f"{folder}/replicator.crt" in problem for problem in told)
    assert problems(run_module, mesh, certificate_folders=[folder, "/nowhere"]) == []


def test_rows_that_refer_to_none(run_module: RunModule, mesh: Mesh) -> None:
    """A child is inserted on one node while the other deletes its parent."""
    mesh.pair.both("CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES t); ALTER TABLE child OWNER TO app")
    assert problems(run_module, mesh, orphans=True) == []
    mesh.insert(mesh.a, 1)
    mesh.a.query("INSERT INTO child VALUES (1, 1), (2, NULL)", db=mesh.db)
    mesh.a.query("SET session_replication_role = replica; DELETE FROM t; RESET session_replication_role", db=mesh.db)
    assert problems(run_module, mesh) == [], "counted on request alone"
    (problem,) = problems(run_module, mesh, orphans=True)
    assert f"1 rows of public.child in database {mesh.db} refer to rows of public.t that are not there" in problem
    assert "(child_parent_fkey)" in problem


def test_a_transaction_that_holds_the_wal_of_all_slots(run_module: RunModule, mesh: Mesh, second_mesh: Mesh) -> None:
    """In another database: whoever may write there can have all slots lost."""
    slot = f"slot_{mesh.db}"
    mesh.a.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot], mesh.db)

    def told() -> list[str]:
        # What is confirmed goes on to the last point where no transaction was open.
        for _each in range(2):
            mesh.a.query("SELECT pg_log_standby_snapshot()")
            mesh.a.query("SELECT pg_logical_emit_message(true, '', repeat('x', 3000000))", db=mesh.db)
        mesh.a.query("SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", [slot], mesh.db)
        return [each for each in problems(run_module, mesh) if "of all slots" in each and slot in each]

    mesh.a.query("ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'")
    mesh.a.query("SELECT pg_reload_conf()")
    try:
        for _each in range(3):
            assert told() == []
        with contextlib.closing(second_mesh.a.session(second_mesh.db)) as session:
            session.cursor().execute("SET ROLE app; BEGIN; INSERT INTO t VALUES (1, 'open')")
            found = [told() for _each in range(4)][-1]
            assert f"in the database {second_mesh.db} has been open for" in found[0]
            assert f"pg_terminate_backend({session.info.backend_pid})" in found[0]
        for _each in range(2):
            last = told()
        assert last == []
    finally:
        mesh.a.query("ALTER SYSTEM RESET max_slot_wal_keep_size")
        mesh.a.query("SELECT pg_reload_conf()")
        mesh.a.query("SELECT pg_drop_replication_slot(%s)", [slot], mesh.db)
