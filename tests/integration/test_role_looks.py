# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What role postgresql sees of a server, in a database whose locale is Turkish: there upper('i') is no I, and lower('I') no i."""

from __future__ import annotations

import json
import typing as t

import pytest
from psycopg2 import sql
from servers import Server
from test_role_sessions import file, psql

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options, psql_preamble

DATABASE = "İstanbul"


@pytest.fixture
def server(servers: tuple[Server, Server]) -> t.Iterator[Server]:
    this = servers[0]
    database = sql.Identifier(DATABASE)
    this.query(sql.SQL("CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'").format(database))
    try:
        assert this.value("SELECT lower('I') <> 'i' AND upper('i') <> 'I'", db=DATABASE)
        yield this
    finally:
        this.forget_sessions(DATABASE)
        this.query(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def answers(server: Server, question: str, **wanted: t.Any) -> list[dict[str, t.Any]]:
    done = psql(
        server, psql_preamble() + file(question), f"--dbname=dbname={DATABASE}", f"--set=wanted={json.dumps(wanted)}",
        begin=options("look", 16),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_settings_are_known_by_their_names(server: Server) -> None:
    names = ["intervalstyle", "timezone", "datestyle", "listen_addresses"]
    (answer,) = answers(server, "settings.sql", settings=names, settings_file="/nowhere")
    assert {name for name, setting in answer["settings"].items() if setting} == set(names)


def test_what_alter_system_says_is_named_as_the_server_spells_it(server: Server) -> None:
    """Modules that take it back compare names letter by letter."""
    server.query("ALTER SYSTEM SET timezone = 'Asia/Kathmandu'")
    try:
        (answer,) = answers(server, "settings.sql", settings=["timezone"], settings_file="/nowhere")
        assert [setting["name"] for setting in answer["overridden"]] == ["TimeZone"]
    finally:
        server.query("ALTER SYSTEM RESET timezone")


def test_privileges_are_known_by_their_names(server: Server) -> None:
    server.query("CREATE TABLE public.t (id int); GRANT INSERT ON public.t TO PUBLIC", db=DATABASE)
    entry = {"index": 0, "type": "table", "database": DATABASE, "schema": "public", "objs": ["t"], "privs": ["insert"]}
    (answer,) = answers(server, "database.sql", databases=[DATABASE], privileges=[entry | {"roles": ["public"]}])
    assert answer["privileges"]["different"] == []
    assert answer["privileges"]["unknown"] == []
    assert answer["privileges"]["surplus"] == []


def test_default_privileges_wait_for_their_schema_and_role(server: Server) -> None:
    """Granted before, they would be an error in the middle of a run."""
    entry = {"type": "default_privs", "schema": "later", "objs": ["TABLES"], "privs": ["SELECT"], "roles": ["replicator"]}
    entry |= {"database": DATABASE, "target_roles": ["postgres"]}
    of_nobody = {**entry, "schema": "public", "target_roles": ["nobody at all"]}
    wanted = [{**entry, "index": 0}, {**entry, "index": 1, "schema": "public"}, {**of_nobody, "index": 2}]
    (answer,) = answers(server, "database.sql", databases=[DATABASE], privileges=wanted)
    assert answer["privileges"]["unknown"] == [0, 2]
    assert 1 in answer["privileges"]["different"]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_told_by_its_encoding(server: Server, encoding: str) -> None:
    """In it not even the names that are asked for can be read."""
    server.query(f"CREATE DATABASE old TEMPLATE template0 ENCODING {encoding} LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        wanted = {"databases": [DATABASE, "old"], "privileges": [], "roles": [{"name": "İ 'x'"}]}
        text = psql_preamble() + file("server.sql")
        for index in (0, 1):
            text += f"\\set index {index}\n" + file("connect.sql") + psql_preamble() + file("database.sql") + "\\endif\n"
        done = psql(server, text, "--dbname=postgres", f"--set=wanted={json.dumps(wanted)}", begin=options("look", 16))
        assert done.returncode == 0, done.stderr
        answer, *others = [json.loads(line) for line in done.stdout.splitlines()]
        assert answer["databases"]["old"]["encoding"] == encoding
        assert [each["database"] for each in others if "database" in each] == [DATABASE]
    finally:
        server.query("DROP DATABASE old WITH (FORCE)")
