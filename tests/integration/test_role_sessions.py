# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the owner of a database has put in the way of role postgresql's psql sessions, and what it gives him: nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import typing as t

import hostile
import pytest
import yaml
from jinja2 import Environment
from psycopg2 import sql
from servers import ROOT, Server, binaries

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options, psql_preamble
from ansible_collections.multimaster.postgresql.plugins.plugin_utils import _server_differences as differences
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._database_access import database_access

ROLE = ROOT / "roles/postgresql"
OWNER = "hostile owner"
DATABASE = "Käse-Shop=1 'x'"
SETTINGS = ("local_preload_libraries = 'nowhere'", "exit_on_error = on")


def as_owner(server: Server, *commands: str) -> None:
    begin = f"{hostile.APPLICATION} -c local_preload_libraries= -c exit_on_error=off"
    session = server.session(DATABASE, user=OWNER, host=str(server.home), options=begin)
    try:
        for command in commands:
            session.cursor().execute(command)
    finally:
        session.close()


@pytest.fixture
def server(servers: tuple[Server, Server]) -> t.Iterator[Server]:
    """With a database whose owner has laid all traps, and set all that he may."""
    this = servers[0]
    owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    this.query(sql.SQL("CREATE ROLE {} LOGIN").format(owner))
    this.query(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    quoted = DATABASE.replace('"', '""')
    as_owner(this, hostile.read("traps.sql"), hostile.read("settings.sql"))
    as_owner(this, *(f'ALTER DATABASE "{quoted}" SET {setting}' for setting in SETTINGS))
    try:
        yield this
    finally:
        this.query(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        this.query(sql.SQL("DROP ROLE {}").format(owner))


def psql(server: Server, text: str, *arguments: str, begin: str, user: str = "postgres") -> subprocess.CompletedProcess[str]:
    """As role postgresql runs it."""
    return subprocess.run(
        [str(binaries() / "psql"), "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align",
         "--set=ON_ERROR_STOP=1", f"--host={server.home}", f"--port={server.port}", f"--username={user}", *arguments],
        env={**os.environ, "PGOPTIONS": begin}, input=text, text=True, errors="replace", capture_output=True, check=False,
    )  # fmt: skip


def file(name: str) -> str:
    return (ROLE / "files" / name).read_text()


def look(
    server: Server, begin: str, privileges: t.Sequence[t.Mapping[str, t.Any]] = ()
) -> tuple[subprocess.CompletedProcess[str], str]:
    """The role's questions, and what the server's log has of them."""
    wanted = {
        "settings": [], "settings_file": "/nowhere", "roles": [{"name": OWNER}], "databases": [DATABASE],
        "privileges": [{"index": 0, "type": "table", "database": DATABASE, "schema": "public", "objs": ["ALL_IN_SCHEMA"],
                        "privs": ["SELECT"], "roles": ["replicator"]}, *privileges],
    }  # fmt: skip
    begun = psql_preamble()
    questions = [begun, file("server.sql"), "\\set index 0\n", file("connect.sql"), begun, file("database.sql")]
    position = len(server.log_text())
    done = psql(
        server, "".join(questions) + "\\endif\n", "--dbname=postgres", f"--set=wanted={json.dumps(wanted)}", begin=begin
    )
    return done, server.log_text()[position:]


def is_superuser(server: Server) -> bool:
    return server.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [OWNER])


def test_a_look_runs_nothing_of_the_owner_s(server: Server) -> None:
    done, log = look(server, options("look", 16))
    assert done.returncode == 0, done.stderr
    assert hostile.TRAP not in log
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["database"] == DATABASE
    assert answers[-1]["privileges"]["different"] == [0]


def test_without_the_definition_it_would(server: Server) -> None:
    """So that the test above does not pass because nothing is in the way any more."""
    done, log = look(server, "-c local_preload_libraries= -c statement_timeout=0 -c role=none")
    assert hostile.TRAP in log or done.returncode != 0


def test_a_schema_of_the_owner_s_is_not_read(server: Server) -> None:
    as_owner(
        server,
        "CREATE SCHEMA multimaster",
        "CREATE VIEW multimaster.schema_files AS SELECT 'a.sql'::text AS name, public.climb()::text AS sha256, now() AS applied",
    )
    done, log = look(server, options("look", 16))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["foreign_owners"] == {"schema multimaster": OWNER, "view multimaster.schema_files": OWNER}
    assert "schema_files" not in answer
    assert hostile.TRAP not in log
    assert not is_superuser(server)


def template(name: str, **values: t.Any) -> str:
    environment = Environment(trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string((ROLE / "templates" / name).read_text()).render(
        __postgresql_schema_role=OWNER, __postgresql_schema_own_session=True, **values
    )


def prepare(server: Server) -> subprocess.CompletedProcess[str]:
    return psql(
        server, psql_preamble() + file("schema_prepare.sql"), f"--dbname={DATABASE_CONNINFO}", f"--set=role={OWNER}", "--file=-",
        begin=options("change", 16),
    )  # fmt: skip


def apply_file(server: Server, text: str, name: str = "file.sql") -> subprocess.CompletedProcess[str]:
    """As tasks/schema_file.yml does."""
    prepared = prepare(server)
    assert prepared.returncode == 0, prepared.stderr
    described = {"__postgresql_schema_file": {"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}}
    return psql(
        server, text, f"--dbname={DATABASE_CONNINFO}", "--single-transaction",
        "--command=" + template("schema_begin.sql.j2"), "--file=-", "--command=" + template("schema_end.sql.j2", **described),
        begin=options("load", 16), user=OWNER,
    )  # fmt: skip


DATABASE_CONNINFO = "dbname='" + DATABASE.replace("'", "\\'") + "'"


def recorded(server: Server) -> list[str]:
    return [name for (name,) in server.query("SELECT name FROM multimaster.schema_files ORDER BY 1", db=DATABASE)]


def open_session(server: Server) -> None:
    """What the tests themselves ask in the database."""
    server.forget_sessions(DATABASE)
    server._sessions[DATABASE] = server.session(DATABASE, options=options("look", 16))


def test_a_schema_file_gives_its_role_nothing(server: Server) -> None:
    done = apply_file(server, "CREATE TABLE made (id int); SELECT climb(); SELECT pg_catalog.format('%s', 'x');")
    assert done.returncode == 0, done.stderr
    assert not is_superuser(server)
    open_session(server)
    assert server.value("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'made'", db=DATABASE) == f'"{OWNER}"'
    assert recorded(server) == ["file.sql"]


@pytest.mark.parametrize(
    "made",
    [
        ["CREATE SCHEMA multimaster"],
        ["CREATE SCHEMA multimaster", "CREATE VIEW multimaster.schema_files AS SELECT 1 AS name, 2 AS sha256, 3 AS applied"],
    ],
)
def test_a_schema_that_the_owner_has_made_since_the_look_is_not_used(server: Server, made: list[str]) -> None:
    as_owner(server, *made)
    done = prepare(server)
    assert done.returncode != 0
    assert f"belongs to {OWNER}" in done.stderr
    open_session(server)
    assert not server.query("SELECT FROM pg_proc WHERE proname = 'record_schema_file'", db=DATABASE)


def test_files_are_recorded_one_after_the_other_and_anew(server: Server) -> None:
    for number, name in enumerate(["a.sql", "b 'x'.sql", "a.sql"]):
        assert apply_file(server, f"CREATE TABLE t{number} ();", name).returncode == 0
    open_session(server)
    assert recorded(server) == ["a.sql", "b 'x'.sql"]


def test_nothing_stays_of_a_file_that_fails_or_commits(server: Server) -> None:
    assert apply_file(server, "CREATE TABLE half (); SELECT 1 / 0;").returncode != 0
    done = apply_file(server, "CREATE TABLE half (); COMMIT;")
    assert "ends its own transaction" in done.stderr
    open_session(server)
    assert recorded(server) == []
    assert not server.query("SELECT FROM pg_class WHERE relname = 'half'", db=DATABASE)


def test_the_tasks_run_what_is_run_here() -> None:
    """The order of files, as the role's variables have it."""
    questions = yaml.safe_load((ROLE / "vars/main/main.yml").read_text())["__postgresql_questions"]
    order = [questions.index(name) for name in ("server.sql", "\\set index", "connect.sql", "database.sql", "\\endif")]
    assert order == sorted(order)
    assert questions.count("with_session_preamble") == 2


def test_a_look_sees_privileges_on_columns(server: Server) -> None:
    as_owner(server, 'CREATE TABLE public."T ""1""" (a int, "b c" int, version int)')
    entry = {"database": DATABASE, "objs": ['T "1"'], "columns": ["a", "b c"], "privs": ["INSERT"], "roles": ["replicator"]}
    (described,) = differences.privileges_wanted([entry])
    described["index"] = 1

    def answer() -> tuple[t.Mapping[str, t.Any], list[str]]:
        done, _log = look(server, options("look", 16), [described])
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        statements = differences.column_privileges([{}, entry], {"contents": {DATABASE: found}})
        return found["privileges"], [each["statement"] for each in statements]

    found, statements = answer()
    assert found["different"] == [0, 1]
    as_owner(server, *statements, 'GRANT UPDATE ("b c") ON public."T ""1""" TO replicator')
    found, statements = answer()
    assert found["different"] == [0]
    assert statements == ['REVOKE UPDATE ("b c") ON "public"."T ""1""" FROM "replicator"']


AWKWARD = ['a "x", articles', "x,y", "dot.ted", "per % cent {{ x }}", "line\nbreak"]


def test_what_a_look_finds_is_set_whatever_names_hold(server: Server) -> None:
    """By the statements that the role then runs: rights of PUBLIC that were given by hand, names of the owner's own choice."""
    schema = 'Schéma "1".x'
    names = ", ".join(f'public."{name.replace(chr(34), chr(34) * 2)}"' for name in AWKWARD)
    as_owner(server, f'CREATE SCHEMA "{schema.replace(chr(34), chr(34) * 2)}"', 'CREATE TABLE "Schéma ""1"".x".t ()')
    for name in names.split(", public."):
        as_owner(server, f"CREATE TABLE public.{name.removeprefix('public.')} (id int)")
    stated = [
        {"database": DATABASE, "type": "schema", "objs": [schema], "privs": ["USAGE"], "roles": ["replicator"]},
        {"database": DATABASE, "schema": schema, "objs": ["ALL_IN_SCHEMA"], "privs": ["SELECT"], "roles": ["replicator"]},
        {"database": DATABASE, "schema": "public", "objs": ["ALL_IN_SCHEMA"], "privs": ["SELECT"], "roles": ["replicator"]},
        {"database": DATABASE, "type": "default_privs", "schema": schema, "objs": ["TABLES"], "privs": ["SELECT"],
         "roles": ["replicator"], "target_roles": [OWNER]},
    ]  # fmt: skip
    values: dict[str, list[t.Any]] = {name: [] for name in ("hba", "schema_files", "replication_peers", "replication_databases")}
    values["databases"] = [{"name": DATABASE}]
    wanted = database_access(stated, values)

    def due() -> list[str]:
        asked = [{**each, "index": each["index"] + 1} for each in differences.privileges_wanted(wanted)]
        done, _log = look(server, options("look", 16), asked)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        # The look's own first entry is another test's.
        found["privileges"]["different"] = [index - 1 for index in found["privileges"]["different"] if index]
        found["privileges"]["unknown"] = [index - 1 for index in found["privileges"]["unknown"] if index]
        return [each["statement"] for each in differences.privileges_due(wanted, {"contents": {DATABASE: found}})]

    def set_all() -> None:
        session = server.session(DATABASE, options=options("change", 16))
        try:
            for statement in due():
                session.cursor().execute(statement)
        finally:
            session.close()

    assert any("CONNECT, TEMPORARY ON DATABASE" in statement and "FROM PUBLIC" in statement for statement in due())
    set_all()
    assert due() == []
    # By hand, as who owns it may.
    as_owner(
        server, f'GRANT CONNECT ON DATABASE "{DATABASE}" TO PUBLIC', f"GRANT INSERT ON {names} TO replicator",
        "REVOKE USAGE ON SCHEMA " + '"Schéma ""1"".x" FROM replicator',
    )  # fmt: skip
    assert len(due()) == 3
    set_all()
    assert due() == []
    session = server.session(DATABASE, options=options("look", 16))
    cursor = session.cursor()
    cursor.execute("SELECT has_database_privilege('app', current_database(), 'CONNECT')")
    assert cursor.fetchone() == (False,)
    session.close()
