# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has of another is read from its WAL, and looked up in the other's."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from psycopg2 import sql
from servers import ROOT, Pair, Server, binaries, wait_until
from subscriptions import NAME, Mesh

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options

RunModule = t.Callable[..., t.Any]


def read(server: Server, script: str, *arguments: str, stdin: str = "", data: Path | None = None) -> dict[str, str]:
    """Positions and times of commits, as the scripts print them."""
    done = subprocess.run(
        ["sh", str(ROOT / "roles/postgresql/files" / script), str(binaries()), str(data or server.data), "1", *arguments],
        env={**os.environ, "PGUSER": "postgres", "PGOPTIONS": options("look")},
        input=stdin, text=True, capture_output=True, check=True,
    )  # fmt: skip
    return {line.partition("\t")[0]: line.partition("\t")[2] for line in done.stdout.splitlines()}


def applied(mesh: Mesh) -> dict[str, str]:
    return read(mesh.a, "applied_commits.sh", str(mesh.a.home), str(mesh.a.port), NAME, "100")


def missing(mesh: Mesh, commits: dict[str, str]) -> dict[str, str]:
    return read(mesh.b, "missing_commits.sh", stdin=lines(commits))


def lines(commits: dict[str, str]) -> str:
    return "".join(f"{position}\t{more}\n" for position, more in commits.items())


def sent(mesh: Mesh) -> dict[str, str]:
    """What a has confirmed of b's own."""
    slot = mesh.slot(mesh.a)
    return read(mesh.b, "own_inserts.sh", str(mesh.b.home), str(mesh.b.port), "100", slot, mesh.db, "pub")


def unapplied(mesh: Mesh, commits: dict[str, str]) -> dict[str, str]:
    where = (str(mesh.a.home), str(mesh.a.port), mesh.slot(mesh.a), mesh.db)
    return read(mesh.a, "unapplied_commits.sh", *where, stdin=lines(commits))


def test_transactions_are_found_again_where_they_were_made(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.insert(mesh.b, 1, 2, 3)
    mesh.wait_for_ids(mesh.a, [1, 2, 3])
    # Apply workers commit asynchronously: the WAL of it follows.
    wait_until(lambda: len(applied(mesh)) == 3, what="WAL of three transactions")
    commits = applied(mesh)
    assert mesh.a.value("SELECT %s::pg_lsn[] @> ARRAY[max(remote_lsn)] FROM pg_replication_origin_status", [list(commits)])
    assert set(missing(mesh, commits)) == {"first"}
    # One that the publisher has not made: a copy of it would have.
    strange = {next(iter(commits)): "2026-01-01 00:00:00.000001"}
    assert set(missing(mesh, strange)) == {"first", *strange}
    # What an earlier subscription has brought is not this one's, though it has the number of its origin.
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent"))
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert applied(mesh) == {}
    mesh.insert(mesh.b, 4)
    mesh.wait_for_ids(mesh.a, [1, 2, 3, 4])
    wait_until(lambda: len(applied(mesh)) == 1, what="WAL of the fourth transaction")


def test_transactions_that_were_sent_are_found_where_they_were_applied(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    slot = mesh.slot(mesh.a)
    mesh.insert(mesh.b, 1, 2, 3)
    mesh.wait_for_ids(mesh.a, [1, 2, 3])
    wait_until(lambda: len(sent(mesh)) == 4, 60, "confirmation of three transactions")
    commits = {at: more for at, more in sent(mesh).items() if not at.startswith("from:")}
    assert {more.partition("\t")[0] for more in commits.values()} == {slot}
    assert set(unapplied(mesh, commits)) == {f"first:{slot}"}
    # One that the subscriber has not applied, though it has one from before: a copy of it has been sent that.
    time, table = next(iter(commits.values())).split("\t")[1:]
    strange = {"F/1": f"{slot}\t2026-01-01 00:00:00.000001\t{table}", "F/2": f"another\t{time}\t{table}"}
    assert set(unapplied(mesh, strange)) == {f"first:{slot}", "F/1"}
    # Of a table that is not subscribed to yet, nothing is left when it was sent.
    mesh.create_table("later")
    mesh.insert(mesh.b, 1, table="later")
    mesh.insert(mesh.b, 4)
    mesh.wait_for_ids(mesh.a, [1, 2, 3, 4])
    wait_until(lambda: len(sent(mesh)) == 6, 60, "confirmation of five transactions")
    assert set(unapplied(mesh, sent(mesh))) == {f"first:{slot}"}
    # As where a trigger may have turned it away.
    mesh.a.query(
        "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER away BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION away(); ALTER TABLE t ENABLE ALWAYS TRIGGER away",
        db=mesh.db,
    )
    assert set(unapplied(mesh, strange)) == {f"first:{slot}"}


NAMES = ["=", "host=nowhere.invalid", "Käse-Shop=1 'x'", 'back\\slash "and" |pipe']


@pytest.mark.parametrize("name", NAMES)
def test_a_database_of_any_name_in_any_folder(pair: Pair, tmp_path: Path, name: str) -> None:
    server, slot, database = pair.a, "slot_of_a_name", sql.Identifier(name)
    # Another test can have had a database of this name.
    server.forget_sessions(name)
    server.query(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
    try:
        server.query("CREATE TABLE t (id int); CREATE PUBLICATION pub FOR TABLE t", db=name)
        server.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot], name)
        # What its owner may do to it
        server.query(
            "CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''hijacked''; END';"
            "INSERT INTO t VALUES (1)",
            db=name,
        )
        server.query(sql.SQL("ALTER DATABASE {} SET search_path = public, pg_catalog").format(database))
        end = server.value("SELECT pg_logical_emit_message(true, 'end', '')::text", db=name)
        server.query("SELECT pg_replication_slot_advance(%s, %s)", [slot, end], name)
        # The data directory has a space, and its pg_wal is a symlink, as the role would make it.
        data = tmp_path / "a data directory"
        data.mkdir()
        (data / "pg_wal").symlink_to(server.data / "pg_wal")
        where = (str(server.home), str(server.port))
        found = read(server, "own_inserts.sh", *where, "10", slot, name, "pub", data=data)
        assert f"from:{slot}" in found
        assert [more.split("\t")[0] for at, more in found.items() if not at.startswith("from:")] == [slot]
        assert "first" in read(server, "missing_commits.sh", stdin="\n", data=data)
        assert read(server, "unapplied_commits.sh", *where, slot, name, stdin="\n", data=data) == {}
        assert read(server, "applied_commits.sh", *where, "none", "10", data=data) == {}
    finally:
        server.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot])
        server.forget_sessions(name)
        server.query(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
