# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_publication on real servers: what it says is what the server holds, and what subscribers receive."""

from __future__ import annotations

import random
import threading
import time
import typing as t

import psycopg2
import pytest
from psycopg2 import sql
from servers import Authority, Pair, Server

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import qualified, shown

ALL = ["insert", "update", "delete", "truncate"]

SCHEMA = """
CREATE TABLE films (id int PRIMARY KEY, title text, year int, slug text GENERATED ALWAYS AS (lower(title)) STORED);
CREATE TABLE people (id int PRIMARY KEY, name varchar(40), born date);
CREATE TABLE "Ta ble" ("Id" int PRIMARY KEY, "it's" text, "a""b" int);
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Films" (id int PRIMARY KEY, note text);
CREATE SCHEMA archive;
CREATE TABLE archive.old (id int PRIMARY KEY);
CREATE TABLE archive.older (id int PRIMARY KEY);
CREATE TABLE log_lines (at timestamptz, line text);
CREATE TABLE measures (id int, day int, value int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM (0) TO (10);
CREATE TABLE measures_2 PARTITION OF measures FOR VALUES FROM (10) TO (20);
"""


def description(server: Server, db: str, name: str) -> dict[str, t.Any] | None:
    """The publication as the server holds it, read in another way than the module's."""
    rows = server.query(
        "SELECT oid, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, pg_get_userbyid(pubowner), "
        "coalesce(obj_description(oid, 'pg_publication'), '') FROM pg_publication WHERE pubname = %s",
        [name],
        db,
    )
    if not rows:
        return None
    oid, all_tables, *flags, via_root, owner, comment = rows[0]
    tables = server.query(
        "SELECT nspname, relname, prattrs::text, pg_get_expr(prqual, prrelid), prrelid FROM pg_publication_rel "
        "JOIN pg_class c ON c.oid = prrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE prpubid = %s "
        'ORDER BY nspname COLLATE "C", relname COLLATE "C"',
        [oid],
        db,
    )

    def columns(relation: int, numbers: str | None) -> list[str] | None:
        if numbers is None:
            return None
        attributes = dict(server.query("SELECT attnum, attname FROM pg_attribute WHERE attrelid = %s", [relation], db))
        return [attributes[int(number)] for number in sorted(numbers.split(), key=int)]

    schemas = server.query(
        "SELECT nspname FROM pg_publication_namespace JOIN pg_namespace n ON n.oid = pnnspid WHERE pnpubid = %s "
        'ORDER BY nspname COLLATE "C"',
        [oid],
        db,
    )
    return {
        "name": name,
        "all_tables": all_tables,
        "tables": [
            {"name": shown(schema, table), "columns": columns(relation, numbers), "where": where}
            for schema, table, numbers, where, relation in tables
        ],
        "tables_in_schema": [shown(schema) for (schema,) in schemas],
        "operations": [operation for operation, flag in zip(ALL, flags) if flag],
        "publish_via_partition_root": via_root,
        "owner": owner,
        "comment": comment,
    }


class Publisher:
    """The module on one server."""

    def __init__(self, run_module: t.Callable[..., t.Any], server: Server, db: str) -> None:
        self._run_module = run_module
        self.server = server
        self.db = db
        self.name = "p"

    def run(self, *, check: bool = False, fails: bool = False, **arguments: t.Any) -> t.Any:
        given = {"name": self.name, **self.server.login(self.db), **arguments}
        return self._run_module("pg_publication", given, check=check, fails=fails)

    def refused(self, **arguments: t.Any) -> str:
        """The error; the same in check mode, and nothing has changed."""
        before = self.now()
        foretold = self.run(check=True, fails=True, **arguments)
        result = self.run(fails=True, **arguments)
        assert result["msg"] == foretold["msg"]
        assert "Traceback" not in result.output
        assert self.now() == before
        return result["msg"]

    def now(self) -> t.Any:
        return description(self.server, self.db, self.name)

    def sql(self, command: t.Any, parameters: t.Any = None) -> list[tuple[t.Any, ...]]:
        return self.server.query(command, parameters, self.db)

    def applied(self, **arguments: t.Any) -> t.Any:
        """Check mode, the real run, and a second one: each must tell the truth about the next."""
        before = self.now()
        foretold = self.run(check=True, **arguments)
        assert self.now() == before
        result = self.run(**arguments)
        after = self.now()
        for key in (
            "changed",
            "queries",
            "diff",
            "recreated",
            "subscribers_must_refresh",
            "without_replica_identity",
            "warnings",
        ):
            assert result[key] == foretold[key], key
        assert result["publication_before"] == before
        assert result["publication"] == after
        assert result["changed"] == bool(result["queries"])
        self._check_diff(result["diff"], before, after)
        second = self.run(**arguments)
        assert not second["changed"]
        assert second["queries"] == []
        assert second["diff"] == {"before": {}, "after": {}}
        assert second["publication_before"] == second["publication"] == after == self.now()
        return result

    @staticmethod
    def _check_diff(diff: t.Any, before: dict[str, t.Any] | None, after: dict[str, t.Any] | None) -> None:
        for name in {*(before or {}), *(after or {})} - {"name"}:
            old, new = (before or {}).get(name), (after or {}).get(name)
            if old == new:
                assert name not in diff["after"]
            else:
                assert diff["before"][name] == old
                assert name == "tables" or diff["after"][name] == new


@pytest.fixture(scope="module")
def database(servers: tuple[Server, Server]) -> t.Iterator[tuple[Server, str]]:
    """One database for all tests that need no subscriber."""
    server = servers[0]
    server.query("CREATE DATABASE publications")
    server.query("GRANT CREATE ON DATABASE publications TO subscription_owner")
    yield server, "publications"
    server.forget_sessions("publications")
    server.query("DROP DATABASE publications WITH (FORCE)")


@pytest.fixture
def publisher(run_module: t.Callable[..., t.Any], database: tuple[Server, str]) -> Publisher:
    server, db = database
    server.forget_sessions(db)
    for kind, query in (
        ("PUBLICATION", "SELECT pubname FROM pg_publication"),
        ("FOREIGN DATA WRAPPER", "SELECT fdwname FROM pg_foreign_data_wrapper"),
        ("SCHEMA", "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"),
    ):
        for (name,) in server.query(query, db=db):
            server.query(sql.SQL(f"DROP {kind} {{}} CASCADE").format(sql.Identifier(name)), db=db)
    server.query("CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC", db=db)
    server.query(SCHEMA, db=db)
    return Publisher(run_module, server, db)


@pytest.fixture
def published(run_module: t.Callable[..., t.Any], pair: Pair) -> Publisher:
    """The module on the first server of a pair whose second one may subscribe."""
    pair.both(SCHEMA)
    return Publisher(run_module, pair.a, pair.db)


def subscribe(pair: Pair, name: str = "p", options: str = "") -> None:
    """Server ``b`` subscribes to server ``a``, and the first copy is through."""
    conninfo = f"host=127.0.0.1 port={pair.a.port} user=postgres dbname={pair.db}"
    command = f"CREATE SUBSCRIPTION s CONNECTION %s PUBLICATION {{}} WITH (slot_name = {pair.db}{options})"
    pair.b.query(sql.SQL(command).format(sql.Identifier(name)), [conninfo], pair.db)
    pair.wait_for(pair.b, "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'", 0)


def refresh(pair: Pair) -> None:
    pair.b.query("ALTER SUBSCRIPTION s REFRESH PUBLICATION", db=pair.db)
    pair.wait_for(pair.b, "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'", 0)


# Descriptions


@pytest.mark.parametrize(
    "arguments",
    [
        {"all_tables": True, "replica_identity_missing": "warn"},
        {"tables": ["films"]},
        {"tables": ["public.films", 'public."Ta ble"', '"My Schema"."Films"'], "comment": 'it\'s a "comment" \\ é'},
        {"tables": ["My Schema.Films", "Ta ble"]},
        {"tables": [{"name": "films", "columns": ["year", "id"]}]},
        {"tables": [{"name": "films", "where": "id>5 AND id % 2 = 0"}]},
        {"tables": [{"name": "people", "where": "id > 10 -- the later ones"}]},
        {"tables": [{"name": "Ta ble", "columns": ["Id", '"a""b"'], "where": '"Id" > 1'}]},
        {"tables": [{"name": "films", "where": True}]},
        {"tables_in_schema": ["archive"]},
        {"schemas": ["My Schema", "archive"]},
        {"tables": ["films", "archive.old"], "tables_in_schema": ["archive", "My Schema"]},
        {"tables": ["films", {"name": "people", "where": "id > 1"}], "tables_in_schema": ["archive"]},
        {"tables": ["log_lines"], "operations": ["insert"]},
        {"tables": ["films"], "operations": ["truncate", "delete"], "owner": "subscription_owner"},
        {"tables": ["measures"], "publish_via_partition_root": True},
        {"tables": ["measures"]},
        {"tables": ["measures_1"]},
        {"tables": [{"name": "measures", "where": "id > 1", "columns": ["id", "day"]}], "publish_via_partition_root": True},
        {"all_tables": True, "operations": ["insert"], "publish_via_partition_root": True},
    ],
)
def test_a_publication_is_as_described(publisher: Publisher, arguments: dict[str, t.Any]) -> None:
    result = publisher.applied(**arguments)
    assert result["changed"]
    now = publisher.now()
    assert now["all_tables"] == arguments.get("all_tables", False)
    assert now["operations"] == [each for each in ALL if each in arguments.get("operations", ALL)]
    assert now["publish_via_partition_root"] == arguments.get("publish_via_partition_root", False)
    assert now["owner"] == arguments.get("owner", "postgres")
    assert now["comment"] == arguments.get("comment", "")
    assert len(now["tables"]) == len(arguments.get("tables", []))
    assert publisher.applied(state="absent")["changed"]
    assert publisher.now() is None


def test_absent_changes_nothing_where_there_is_none(publisher: Publisher) -> None:
    result = publisher.applied(state="absent")
    assert not result["changed"]
    assert result["publication"] is None


def test_tables_that_inherit_are_not_published_along(publisher: Publisher) -> None:
    publisher.sql("CREATE TABLE old_films () INHERITS (films)")
    publisher.applied(tables=["films"])
    assert [each["name"] for each in publisher.now()["tables"]] == ["public.films"]
    publisher.applied(tables=["people"])
    publisher.applied(tables=["films", "people"])


def test_an_unqualified_name_is_that_of_public_or_of_the_only_schema(publisher: Publisher) -> None:
    publisher.applied(tables=["old"])
    assert publisher.now()["tables"][0]["name"] == "archive.old"
    publisher.sql('CREATE TABLE "My Schema".old (id int PRIMARY KEY)')
    assert "Several schemas have a table old" in publisher.refused(tables=["old"])
    publisher.sql("CREATE TABLE public.old (id int PRIMARY KEY)")
    publisher.applied(tables=["old"])
    assert publisher.now()["tables"][0]["name"] == "public.old"


# Names

NAMES = [
    "Mixed Case",
    'a"b',
    "it's",
    "dot.ted",
    "percent %s %(x)s",
    "braces {} {0}",
    "back\\slash",
    "$dollar$",
    "two\nlines",
    "名前 é 😀",
    '"; DROP TABLE films; --',
    "select",
    "n" * 63,
    "é" * 31,
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(publisher: Publisher, name: str) -> None:
    """One name for everything that has one."""
    role = name if name != "select" else "select_role"
    table = sql.Identifier(name, name)
    publisher.sql(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    publisher.sql(sql.SQL("CREATE TABLE {} ({} int PRIMARY KEY, other int)").format(table, sql.Identifier(name)))
    publisher.sql(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        publisher.sql(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(publisher.db), sql.Identifier(role)))
        publisher.name = name
        quoted = '"' + name.replace('"', '""') + '"'
        entry = {"name": f"{quoted}.{quoted}", "columns": [quoted], "where": f"{quoted} > 5"}
        owner = '"' + role.replace('"', '""') + '"'
        arguments = {"name": quoted, "tables": [entry], "comment": name}
        publisher.applied(**arguments)
        publisher.applied(name=quoted, tables=[{**entry, "columns": [quoted, "other"]}], owner=owner, comment=name)
        now = publisher.now()
        assert now["tables"][0]["name"] == shown(name, name)
        assert now["comment"] == name
        publisher.applied(name=quoted, tables_in_schema=[quoted], owner="postgres")
        publisher.applied(name=quoted, state="absent")
        assert publisher.sql("SELECT count(*) FROM films") == [(0,)]
    finally:
        publisher.sql(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def test_a_database_of_another_encoding(run_module: t.Callable[..., t.Any], database: tuple[Server, str]) -> None:
    server = database[0]
    server.query("CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
    try:
        server.query('CREATE TABLE "Ü" (id int PRIMARY KEY)', db="latin")
        arguments = {"name": "é" * 31, "tables": ["Ü"], "comment": "ß", **server.login("latin")}
        assert run_module("pg_publication", arguments)["changed"]
        assert not run_module("pg_publication", arguments)["changed"]
        result = run_module("pg_publication", {**arguments, "tables": ["名"]}, fails=True)
        assert "has no equivalent in encoding" in result["msg"]
    finally:
        server.forget_sessions("latin")
        server.query("DROP DATABASE latin WITH (FORCE)")


def test_a_name_is_never_cut_short(publisher: Publisher) -> None:
    publisher.sql(sql.SQL("CREATE TABLE {} (id int PRIMARY KEY)").format(sql.Identifier("t" * 63)))
    publisher.name = "p" * 63
    publisher.applied(tables=["t" * 63])
    assert "64 bytes" in publisher.refused(name="p" * 64, tables=["films"])
    assert "64 bytes" in publisher.refused(tables=["t" * 64])
    assert "64 bytes" in publisher.refused(name="p" * 64, state="absent")
    assert publisher.now() is not None


# Drift

DRIFT = [
    ("ALTER PUBLICATION p DROP TABLE films", "ADD TABLE"),
    ("ALTER PUBLICATION p ADD TABLE log_lines", "DROP TABLE"),
    ("DROP TABLE people; CREATE TABLE people (id int PRIMARY KEY, name text)", "ADD TABLE"),
    ("ALTER PUBLICATION p SET TABLE films", "ADD TABLE"),
    ("ALTER PUBLICATION p SET TABLE films, people", "WHERE"),
    ("ALTER PUBLICATION p SET TABLE films, people WHERE (id > 6)", "WHERE"),
    ("ALTER PUBLICATION p SET TABLE films (id, title), people WHERE (id > 5)", 'ADD TABLE "public"."films"'),
    ("ALTER PUBLICATION p SET TABLE films WHERE (id > 1), people WHERE (id > 5)", 'ADD TABLE "public"."films"'),
    ("ALTER PUBLICATION p ADD TABLES IN SCHEMA archive", "DROP TABLES IN SCHEMA"),
    ("ALTER PUBLICATION p SET (publish = 'insert')", "SET (publish"),
    ("ALTER PUBLICATION p SET (publish = '')", "SET (publish"),
    ("ALTER PUBLICATION p SET (publish_via_partition_root = true)", "SET (publish_via"),
    ("ALTER PUBLICATION p OWNER TO subscription_owner", "OWNER TO"),
    ("COMMENT ON PUBLICATION p IS NULL", "COMMENT"),
    ("COMMENT ON PUBLICATION p IS 'other'", "COMMENT"),
    ("DROP PUBLICATION p", "CREATE PUBLICATION"),
    ("ALTER PUBLICATION p RENAME TO q", "CREATE PUBLICATION"),
    ("DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES", "DROP PUBLICATION"),
    ("DROP PUBLICATION p; CREATE PUBLICATION p", "ADD TABLE"),
]


@pytest.mark.parametrize(("drift", "repair"), DRIFT)
def test_drift_is_repaired(publisher: Publisher, drift: str, repair: str) -> None:
    arguments = {
        "tables": ["films", {"name": "people", "where": "id>5"}],
        "owner": "postgres",
        "comment": "as described",
    }
    publisher.applied(**arguments)
    described = publisher.now()
    publisher.sql(drift)
    result = publisher.applied(**arguments)
    assert result["changed"]
    assert any(repair in query for query in result["queries"]), result["queries"]
    assert publisher.now() == described


def test_a_renamed_table_stays_published_and_a_new_one_takes_its_name(publisher: Publisher) -> None:
    publisher.applied(tables=["films"])
    publisher.sql("ALTER TABLE films RENAME TO movies; CREATE TABLE films (id int PRIMARY KEY)")
    result = publisher.applied(tables=["films"])
    assert result["queries"] == [
        'ALTER PUBLICATION "p" DROP TABLE "public"."movies"',
        'ALTER PUBLICATION "p" ADD TABLE "public"."films"',
    ]


def test_a_new_column_is_no_drift_without_a_column_list_and_none_with_one(publisher: Publisher) -> None:
    arguments = {"tables": ["people", {"name": "films", "columns": ["id", "title", "year"]}]}
    publisher.applied(**arguments)
    publisher.sql("ALTER TABLE films ADD more int; ALTER TABLE people ADD more int")
    assert not publisher.applied(**arguments)["changed"]


# Row filters by meaning


@pytest.mark.parametrize(
    "where",
    [
        "id>5",
        "(id > 5)",
        "((id)>(5))",
        "id > 5::int4",
        "id > 2 + 3",
        "  id >\n 5 ",
        "films.id > 5",
        "id > 5 -- only the later ones",
        "id /* key */ > 5",
        "id OPERATOR(pg_catalog.>) 5",
        "id > '5'",
    ],
)
def test_row_filters_of_one_meaning(publisher: Publisher, where: str) -> None:
    publisher.applied(tables=[{"name": "films", "where": "id > 5"}])
    assert not publisher.applied(tables=[{"name": "films", "where": where}])["changed"]


@pytest.mark.parametrize(
    "where", ["id > 6", "id >= 5", "id > 5 OR id = 1", "id > 5 AND id < 9", "NOT id > 5", "true", "false", "id IS NULL"]
)
@pytest.mark.parametrize("name", ["films", "measures"])
def test_row_filters_of_another_meaning(publisher: Publisher, name: str, where: str) -> None:
    publisher.applied(tables=[{"name": name, "where": "id > 5"}], publish_via_partition_root=True)
    result = publisher.applied(tables=[{"name": name, "where": where}], publish_via_partition_root=True)
    assert result["changed"]
    assert not result["subscribers_must_refresh"]


def test_row_filters_on_an_empty_partitioned_table_are_told_apart(publisher: Publisher) -> None:
    """The planner knows that no row can come from there; the comparison must not rest on that."""
    publisher.sql("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    for where in ("id > 5", "id > 6", "id < 0", "false"):
        result = publisher.applied(tables=[{"name": "parts", "where": where}], publish_via_partition_root=True)
        assert result["changed"]


def test_row_filters_of_every_kind_of_value(publisher: Publisher) -> None:
    publisher.sql(
        "CREATE TABLE kinds (a text, b varchar(9), c char(3), d numeric(6, 2), e timestamptz, f date, g bool, h jsonb, "
        "i uuid, j float8, k bytea, l int[], m inet)"
    )
    for where in (
        "a = 'it''s \\ %s {}'", "a LIKE 'x%' AND b <> 'y'", "b = 'y'", "c IN ('a', 'b')", "d > 1.50", "d BETWEEN 1 AND 2",
        "e > '2024-02-29 12:00+02'", "f >= DATE '2024-02-29'", "g", "NOT g", "g IS NOT TRUE", "h ->> 'k' = 'v'",
        "i = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "j > 0.1", "k = '\\x00ff'", "l = '{1,2}'", "m << '10.0.0.0/8'",
        "coalesce(a, b) IS NULL", "CASE WHEN g THEN d > 1 ELSE j < 2 END", "lower(a) = 'x'", "a ~ '^[A-Z]+$'",
    ):  # fmt: skip
        entry = {"name": "kinds", "where": where}
        assert publisher.applied(tables=[entry], operations=["insert"])["changed"], where


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("id >", "syntax error"),
        ("nope = 1", 'column "nope" does not exist'),
        ("id + 1", "must be type boolean"),
        ("count(*) > 1", "aggregate functions are not allowed"),
        ("id IN (SELECT id FROM public.people)", "a row filter may hold no subquery"),
        ("true); DROP TABLE people; --", "syntax error"),
        ("id > 5; DROP TABLE people", "syntax error"),
        ("true) IS TRUE; DROP TABLE people; SELECT (true", "cannot open multi-query plan as cursor"),
        ("true), public.people WHERE (true", "syntax error"),
        # Whether this keeps to the replica identity cannot be told.
        ("public.films.id > 5", "invalid reference to FROM-clause entry"),
    ],
)
def test_bad_row_filters(publisher: Publisher, where: str, sentence: str) -> None:
    message = publisher.refused(tables=[{"name": "films", "where": where}])
    assert message.startswith("The server refuses the row filter of table public.films")
    assert sentence in message
    assert publisher.sql("SELECT to_regclass('public.people')::text") == [("people",)]


def test_what_only_the_server_refuses_leaves_nothing_half_made(publisher: Publisher) -> None:
    publisher.applied(tables=["people"])
    before = publisher.now()
    entry = {"name": "log_lines", "where": "at > now()"}
    result = publisher.run(fails=True, tables=[entry], replica_identity_missing="full", comment="new")
    assert "invalid publication WHERE expression" in result["msg"]
    assert publisher.now() == before
    assert publisher.sql("SELECT relreplident FROM pg_class WHERE relname = 'log_lines'") == [("d",)]


# Check mode


def test_check_mode_writes_no_wal(publisher: Publisher) -> None:
    """But for row filters, which are planned in a function that is rolled back."""
    publisher.applied(tables=["films", "people"])
    publisher.sql("CHECKPOINT")
    arguments: dict[str, t.Any] = {
        "tables": ["films", "log_lines"],
        "replica_identity_missing": "full",
    }

    def written() -> bool:
        before = publisher.server.value("SELECT pg_current_wal_insert_lsn()")
        assert publisher.run(check=True, **arguments)["changed"]
        assert not publisher.run(tables=["films", "people"])["changed"]
        return publisher.server.value("SELECT pg_current_wal_insert_lsn()") != before

    # The server itself may write at any moment, but not each time.
    assert not all(written() for _attempt in range(4))


def test_nothing_to_do_is_one_query_and_a_few_with_row_filters(publisher: Publisher) -> None:
    for number in range(60):
        publisher.sql(f"CREATE TABLE many_{number} (id int PRIMARY KEY)")
    names = [f"many_{number}" for number in range(60)]
    for tables, queries in ((names, 1), ([{"name": name, "where": "id>5"} for name in names], 5)):
        publisher.applied(tables=tables)
        position = len(publisher.server.log_text())
        assert not publisher.run(tables=tables)["changed"]
        # And the one with which each session begins.
        assert publisher.server.log_text()[position:].count("LOG:  statement:") == 1 + queries


# From all tables to a list and back


def test_from_all_tables_to_a_list_and_back(publisher: Publisher) -> None:
    publisher.applied(all_tables=True, replica_identity_missing="warn", comment="c")
    steps: list[dict[str, t.Any]] = [
        {"tables": ["films"]},
        {"all_tables": True, "operations": ["insert"]},
        {"tables_in_schema": ["archive"]},
        {"all_tables": True, "operations": ["insert"]},
    ]
    for arguments in steps:
        result = publisher.applied(**arguments)
        assert result["recreated"]
        assert result["subscribers_must_refresh"]
        assert publisher.now()["comment"] == "c"
        assert "REFRESH PUBLICATION" in result["warnings"][0]


def test_recreating_keeps_the_owner(publisher: Publisher) -> None:
    publisher.sql("CREATE ROLE boss SUPERUSER")
    try:
        publisher.applied(tables=["films"], owner="boss")
        publisher.applied(all_tables=True, operations=["insert"])
        assert publisher.now()["owner"] == "boss"
    finally:
        publisher.sql("DROP PUBLICATION p; DROP ROLE boss")


def test_no_row_is_lost_while_a_publication_is_repaired(published: Publisher, pair: Pair) -> None:
    """A writer goes on while the publication changes in every way that keeps its table."""
    published.applied(tables=["films"])
    subscribe(pair)
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        session = pair.a.session(pair.db)
        with session.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("INSERT INTO films VALUES (%s, 'x')", [len(written)])
                written.append(1)
                time.sleep(0.001)
        session.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _round in range(3):
            published.run(tables=[{"name": "films", "where": "id >= 0"}, "people"])
            published.run(all_tables=True, replica_identity_missing="warn")
            published.run(tables=[{"name": "films", "columns": ["id", "title"]}])
            published.run(tables_in_schema=["public"], replica_identity_missing="warn")
            published.run(tables=["films"], owner="subscription_owner")
            published.run(tables=["films"], owner="postgres", publish_via_partition_root=True)
    finally:
        stop.set()
        writer.join()
    assert len(written) > 50
    pair.wait_for(pair.b, "SELECT count(*) FROM films", len(written))


# What subscribers receive


def test_rows_arrive_by_row_filter(published: Publisher, pair: Pair) -> None:
    published.applied(tables=[{"name": "films", "where": "id > 5"}])
    subscribe(pair)
    pair.a.query("INSERT INTO films SELECT n, 'x' FROM generate_series(1, 10) n", db=pair.db)
    pair.wait_for(pair.b, "SELECT array_agg(id ORDER BY id) FROM films", [6, 7, 8, 9, 10])
    published.applied(tables=[{"name": "films", "where": "id > 100"}])
    pair.a.query("INSERT INTO films VALUES (50, 'x'), (101, 'x')", db=pair.db)
    pair.wait_for(pair.b, "SELECT max(id) FROM films", 101)
    assert pair.b.value("SELECT count(*) FROM films WHERE id = 50", db=pair.db) == 0


def test_rows_arrive_by_column_list(published: Publisher, pair: Pair) -> None:
    published.applied(tables=[{"name": "films", "columns": ["title", "id"]}])
    subscribe(pair)
    pair.a.query("INSERT INTO films VALUES (1, 'One', 1999)", db=pair.db)
    pair.wait_for(pair.b, "SELECT string_agg((id, title, year)::text, '') FROM films", "(1,One,)")


def test_rows_arrive_by_operation(published: Publisher, pair: Pair) -> None:
    published.applied(tables=["films"], operations=["insert", "update"])
    subscribe(pair)
    pair.a.query("INSERT INTO films VALUES (1, 'a'), (2, 'b')", db=pair.db)
    pair.a.query("DELETE FROM films WHERE id = 1", db=pair.db)
    pair.a.query("UPDATE films SET title = 'c' WHERE id = 2", db=pair.db)
    pair.wait_for(pair.b, "SELECT string_agg(title, '' ORDER BY id) FROM films", "ac")
    published.applied(tables=["films"])
    pair.a.query("DELETE FROM films", db=pair.db)
    pair.wait_for(pair.b, "SELECT string_agg(title, '' ORDER BY id) FROM films", "a")
    pair.a.query("TRUNCATE films", db=pair.db)
    pair.wait_for(pair.b, "SELECT count(*) FROM films", 0)


def test_partitions_arrive_under_the_name_of_their_root(published: Publisher, pair: Pair) -> None:
    """On the subscriber ``measures`` is one plain table: only rows named after the root fit in there."""
    pair.b.query("DROP TABLE measures; CREATE TABLE measures (id int, day int, value int, PRIMARY KEY (id, day))", db=pair.db)
    published.applied(tables=["measures"], publish_via_partition_root=True)
    subscribe(pair)
    pair.a.query("INSERT INTO measures VALUES (1, 1, 1), (2, 11, 2)", db=pair.db)
    pair.wait_for(pair.b, "SELECT count(*) FROM measures", 2)


def test_new_tables_are_received_after_a_refresh(published: Publisher, pair: Pair) -> None:
    published.applied(tables=["films"])
    subscribe(pair)
    for arguments in (
        {"tables": ["films", "people"]},
        {"tables_in_schema": ["public"], "replica_identity_missing": "full"},
        {"all_tables": True},
    ):
        assert published.applied(**arguments)["subscribers_must_refresh"]
        refresh(pair)
    for row in ("people VALUES (1, 'x')", "archive.old VALUES (1)", "log_lines VALUES (now(), 'l')"):
        pair.a.query(f"INSERT INTO {row}", db=pair.db)
    for table in ("people", "archive.old", "log_lines"):
        pair.wait_for(pair.b, f"SELECT count(*) FROM {table}", 1)


# Replica identity

IDENTITIES = """
CREATE TABLE i_key (id int PRIMARY KEY, x int);
CREATE TABLE i_none (id int, x int);
CREATE TABLE i_unique (id int NOT NULL UNIQUE, x int);
CREATE TABLE i_index (id int NOT NULL UNIQUE, x int); ALTER TABLE i_index REPLICA IDENTITY USING INDEX i_index_id_key;
CREATE TABLE i_lost (id int NOT NULL, x int); CREATE UNIQUE INDEX i_lost_idx ON i_lost (id);
  ALTER TABLE i_lost REPLICA IDENTITY USING INDEX i_lost_idx; DROP INDEX i_lost_idx;
CREATE TABLE i_full (id int, x int); ALTER TABLE i_full REPLICA IDENTITY FULL;
CREATE TABLE i_nothing (id int PRIMARY KEY, x int); ALTER TABLE i_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE i_deferrable (id int PRIMARY KEY DEFERRABLE, x int);
CREATE TABLE i_include (id int, x int, PRIMARY KEY (id) INCLUDE (x));
CREATE TABLE i_two (id int, x int, y int, PRIMARY KEY (y, id));
CREATE TABLE i_parted (id int, x int) PARTITION BY RANGE (id);
CREATE TABLE i_parted_1 PARTITION OF i_parted FOR VALUES FROM (0) TO (10);
CREATE TABLE i_parted_2 PARTITION OF i_parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE i_parted_2a PARTITION OF i_parted_2 (PRIMARY KEY (id)) FOR VALUES FROM (10) TO (20);
CREATE TABLE "i No Key" ("Id" int, x int);
"""


def failing(publisher: Publisher, operation: str) -> set[str]:
    """The tables on which the server really refuses the operation."""
    tables = publisher.sql(
        "SELECT oid::regclass::text, relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    refused = set()
    for quoted, name in tables:
        key = publisher.sql("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [quoted])[0][0]
        command = {
            "update": sql.SQL("UPDATE {} SET {} = {} WHERE false"),
            "delete": sql.SQL("DELETE FROM {} WHERE false"),
        }[operation]
        # The first error is about the replica identity itself, the second about what a row filter or column list leaves out.
        try:
            publisher.sql(command.format(sql.SQL(quoted), *([sql.Identifier(key)] * 2 if operation == "update" else [])))
        except (psycopg2.errors.ObjectNotInPrerequisiteState, psycopg2.errors.InvalidColumnReference):
            refused.add(shown("public", name))
    return refused


@pytest.mark.parametrize(
    "arguments",
    [
        {"all_tables": True},
        {"tables_in_schema": ["public"]},
        {"all_tables": True, "publish_via_partition_root": True},
        {"all_tables": True, "operations": ["delete"]},
        {"all_tables": True, "operations": ["update", "insert"]},
        {"all_tables": True, "operations": ["insert", "truncate"]},
        {"tables": ["i_key", "i_none", "i_parted", "i No Key"]},
        {"tables": ["i_parted_1", "i_parted_2", "i_index", "i_full"]},
        {"tables": [{"name": name, "columns": ["x"]} for name in ("i_key", "i_none", "i_index", "i_full", "i_include")]},
        {"tables": [{"name": name, "columns": ["id"]} for name in ("i_key", "i_none", "i_index", "i_full", "i_two")]},
        {"tables": [{"name": "i_two", "columns": ["y", "id"]}, {"name": "i_include", "columns": ["x", "id"]}]},
        {"tables": [{"name": name, "where": "x > 1"} for name in ("i_key", "i_none", "i_index", "i_full", "i_include")]},
        {"tables": [{"name": name, "where": "id > 1"} for name in ("i_key", "i_none", "i_index", "i_full", "i_two")]},
        {"tables": [{"name": "i_two", "where": "id > 1 AND y < 5"}, {"name": "i_key", "where": "id > 1 AND x IS NULL"}]},
        {"tables": [{"name": "i_key", "where": "id > 1", "columns": ["id", "x"]}, {"name": "i_index", "where": "true"}]},
        {"tables": [{"name": "i_key", "where": "x > 1", "columns": ["id", "x"]}]},
        {"tables": [{"name": "i_full", "where": "x > 1", "columns": ["id", "x"]}]},
        {"tables": [{"name": "i_parted", "where": "id > 1"}], "publish_via_partition_root": True},
        {"tables": [{"name": "i_parted", "where": "x > 1"}], "publish_via_partition_root": True},
        {"tables": [{"name": "i_parted", "columns": ["x"]}], "publish_via_partition_root": True},
        {"tables": ["i_none"], "tables_in_schema": ["public"]},
    ],
)
def test_tables_without_replica_identity_are_those_whose_updates_fail(publisher: Publisher, arguments: dict[str, t.Any]) -> None:
    publisher.sql(IDENTITIES)
    result = publisher.applied(**arguments, replica_identity_missing="warn")
    operations = set(arguments.get("operations", ALL))
    expected = set()
    for operation in operations & {"update", "delete"}:
        expected |= failing(publisher, operation)
    assert set(result["without_replica_identity"]) == expected
    assert bool(result["warnings"]) == bool(expected)
    second = publisher.run(**arguments, replica_identity_missing="warn")
    assert set(second["without_replica_identity"]) == expected


def test_replica_identity_missing_fails_by_default(publisher: Publisher) -> None:
    message = publisher.refused(all_tables=True)
    assert "UPDATE and DELETE fail on: public.log_lines has no primary key" in message
    result = publisher.run(fails=True, all_tables=True)
    assert result["without_replica_identity"] == ["public.log_lines"]
    assert publisher.now() is None


def test_columns_that_a_subscriber_cannot_compare_are_known(publisher: Publisher) -> None:
    """Of every type that there is, and of what can be made of one. The server says the same where it compares rows."""
    publisher.sql("DROP TABLE log_lines; CREATE EXTENSION hstore")
    publisher.sql("CREATE DOMAIN boxed AS json; CREATE TYPE pair AS (a int, b boxed[]); CREATE TYPE couple AS (a int, b text[])")
    types = [name for (name,) in publisher.sql("""
        SELECT format_type(t.oid, NULL) FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
        WHERE typtype IN ('b', 'd', 'e', 'r', 'm', 'c') AND typnamespace::regnamespace::text IN ('pg_catalog', 'public')
          AND (c.oid IS NULL OR relkind = 'c') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typtype = 'p')
          AND NOT EXISTS (SELECT FROM pg_class e WHERE e.reltype = typelem AND typelem <> 0 AND e.relkind <> 'c')
        ORDER BY t.oid""")]
    assert {"json", "point[]", "int2vector", "boxed[]", "pair", "couple[]", "hstore", "character varying"} <= set(types)

    def has_equality(name: str) -> bool:
        try:
            publisher.sql(f"SELECT one IS NOT DISTINCT FROM one FROM (SELECT ROW(NULL::{name}) AS one) AS _")
        except psycopg2.errors.UndefinedFunction:
            return False
        return True

    publisher.sql("CREATE TABLE all_types ({})".format(", ".join(f"c{number} {name}" for number, name in enumerate(types))))
    without = [f"c{number}" for number, name in enumerate(types) if not has_equality(name)]
    assert 20 < len(without) < len(types) / 2
    for identity in ("DEFAULT", "FULL"):
        publisher.sql(f"ALTER TABLE all_types REPLICA IDENTITY {identity}")
        message = publisher.refused(all_tables=True, replica_identity_missing="full")
        named = message.partition("no equality: ")[2].partition("; with")[0].split(", ")
        assert [each.split(" ")[0] for each in named] == without
    # By its key a row is found without a comparison.
    publisher.sql("ALTER TABLE all_types ADD PRIMARY KEY (c0)")
    publisher.applied(all_tables=True)


def test_replica_identity_missing_full(publisher: Publisher) -> None:
    publisher.sql(IDENTITIES)
    result = publisher.applied(all_tables=True, replica_identity_missing="full")
    named = result["without_replica_identity"]
    assert "public.log_lines" in named
    assert [query for query in result["queries"] if "REPLICA IDENTITY" in query] == [
        'ALTER TABLE "{}"."{}" REPLICA IDENTITY FULL'.format(*qualified(name, "A table")) for name in named
    ]
    assert failing(publisher, "update") == failing(publisher, "delete") == set()
    publisher.sql("CREATE TABLE later (x int)")
    result = publisher.applied(all_tables=True, replica_identity_missing="full")
    assert result["queries"] == ['ALTER TABLE "public"."later" REPLICA IDENTITY FULL']
    assert result["diff"]["after"] == {"replica_identity of public.later": "full"}


# Bad input


def test_missing_names(publisher: Publisher) -> None:
    publisher.applied(tables=["films"])
    missing = publisher.refused(tables=["people", "public.nope", "Films.x", "ta ble"])
    assert f'There is no table public.nope, "Films".x, "ta ble" in database "{publisher.db}"' in missing
    assert "upper and lower case included" in missing
    missing = publisher.refused(tables_in_schema=["archive", "nope"])
    assert f'There is no schema nope of users in database "{publisher.db}"' in missing
    assert "Table public.films has no column nope" in publisher.refused(tables=[{"name": "films", "columns": ["id", "nope"]}])
    assert "role nobody_knows, does not exist" in publisher.refused(tables=["films"], owner="nobody_knows")


def test_empty_lists_never_mean_all_tables(publisher: Publisher) -> None:
    assert "tables is empty" in publisher.refused(tables=[])
    assert "tables_in_schema is empty" in publisher.refused(tables_in_schema=[])
    assert "Nothing says what the publication p publishes" in publisher.refused()
    publisher.applied(tables=["films"])
    assert "tables is empty" in publisher.refused(tables=[])
    assert "tables is empty" in publisher.refused(tables=[], all_tables=True)


def test_what_cannot_be_published(publisher: Publisher) -> None:
    publisher.sql(
        "CREATE VIEW a_view AS SELECT 1; CREATE MATERIALIZED VIEW a_matview AS SELECT 1; CREATE SEQUENCE a_sequence; "
        "CREATE UNLOGGED TABLE an_unlogged (id int PRIMARY KEY); CREATE TEMPORARY TABLE a_temporary (id int PRIMARY KEY); "
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE a_foreign (id int) SERVER s"
    )
    temporary = publisher.sql("SELECT pg_my_temp_schema()::regnamespace::text")
    for name, what in (
        ("public.a_view", "a view"),
        ("a_matview", "a materialized view"),
        ("a_sequence", "a sequence"),
        ("an_unlogged", "an unlogged table"),
        (f"{temporary[0][0]}.a_temporary", "a temporary table"),
        ("a_foreign", "a foreign table"),
        ("pg_catalog.pg_class", "a part of the system catalog"),
        ("information_schema.sql_features", "a part of the system catalog"),
    ):
        message = publisher.refused(tables=["films", name])
        assert message.endswith(f"cannot be published: it is {what}."), message
        assert name in message
    for schema in ("pg_catalog", "information_schema", "pg_toast"):
        assert f"no schema {schema} of users" in publisher.refused(tables_in_schema=[schema])


def test_generated_columns_and_partitioned_tables(publisher: Publisher) -> None:
    assert "Column slug of table public.films is generated" in publisher.refused(
        tables=[{"name": "films", "columns": ["id", "slug"]}]
    )
    for entry in ({"name": "measures", "where": "id > 1"}, {"name": "measures", "columns": ["id", "day"]}):
        assert "needs publish_via_partition_root: true" in publisher.refused(tables=[entry])
    assert "would have no effect" in publisher.refused(
        tables=[{"name": "archive.old", "where": "id > 1"}], tables_in_schema=["archive"]
    )
    assert "permits no column list" in publisher.refused(
        tables=[{"name": "films", "columns": ["id"]}], tables_in_schema=["archive"]
    )


def test_unknown_choices_and_keys(publisher: Publisher) -> None:
    assert "operations" in publisher.refused(tables=["films"], operations=["insert", "upsert"])
    assert "unknown key filter" in publisher.refused(tables=[{"name": "films", "filter": "id > 1"}])


def test_going_from_row_filters_on_a_root_to_none(publisher: Publisher) -> None:
    publisher.applied(tables=["films", {"name": "measures", "where": "id > 1"}], publish_via_partition_root=True)
    result = publisher.applied(tables=["films", "measures"])
    assert result["subscribers_must_refresh"]
    publisher.applied(tables=["films", {"name": "measures", "columns": ["id", "day"]}], publish_via_partition_root=True)


# Roles and connections

PASSWORD = "s3cret 'of\" tester"


@pytest.fixture
def tester(publisher: Publisher) -> t.Iterator[dict[str, t.Any]]:
    """A login without privileges."""
    publisher.sql("CREATE ROLE tester LOGIN PASSWORD %s", [PASSWORD])
    yield {"login_user": "tester", "login_password": PASSWORD}
    publisher.sql("REASSIGN OWNED BY tester TO postgres; DROP OWNED BY tester; DROP ROLE tester")


def test_without_privileges(publisher: Publisher, tester: dict[str, t.Any]) -> None:
    db = publisher.db
    assert f'Role tester may not create publications in database "{db}"' in publisher.refused(**tester, tables=["films"])
    publisher.sql(f"GRANT CREATE ON DATABASE {db} TO tester")
    assert "Role tester is not the owner of table public.films" in publisher.refused(**tester, tables=["films"])
    assert "permission denied for table films" in publisher.refused(**tester, tables=[{"name": "films", "where": "id>5"}])
    for arguments in ({"all_tables": True, "operations": ["insert"]}, {"tables_in_schema": ["archive"]}):
        assert "only a superuser may publish all tables or whole schemas" in publisher.refused(**tester, **arguments)
    publisher.sql("ALTER TABLE films OWNER TO tester; GRANT ALL ON SCHEMA public TO tester")
    publisher.applied(**tester, tables=["films"])
    assert publisher.now()["owner"] == "tester"
    publisher.applied(**tester, tables=[{"name": "films", "where": "id>5"}])
    assert "Role tester may not hand the publication to postgres" in publisher.refused(
        **tester, tables=["films"], owner="postgres"
    )
    assert "only a superuser" in publisher.refused(**tester, all_tables=True, replica_identity_missing="warn")
    assert "postgres" in publisher.applied(tables=[{"name": "films", "where": "id>5"}], owner="postgres")["publication"]["owner"]
    not_the_owner = "Publication p belongs to postgres, not to role tester"
    assert not_the_owner in publisher.refused(**tester, tables=[{"name": "films", "where": "id > 6"}])
    assert not_the_owner in publisher.refused(**tester, state="absent")
    assert not publisher.run(**tester, tables=[{"name": "films", "where": "id > 5"}])["changed"]


def test_owners(publisher: Publisher, tester: dict[str, t.Any]) -> None:
    assert "Role tester cannot own a publication" in publisher.refused(tables=["films"], owner="tester")
    assert "Role tester is not a superuser" in publisher.refused(tables_in_schema=["archive"], owner="tester")
    publisher.sql(f"GRANT CREATE ON DATABASE {publisher.db} TO tester")
    publisher.applied(tables=["films"], owner="tester")
    message = publisher.refused(all_tables=True, operations=["insert"])
    assert "belongs to tester, which is not a superuser" in message
    publisher.applied(all_tables=True, operations=["insert"], owner="postgres")


def test_the_password_is_shown_nowhere(publisher: Publisher, tester: dict[str, t.Any]) -> None:
    wrong = "wr0ng-and-s3cret"
    publisher.sql(f"GRANT CREATE ON DATABASE {publisher.db} TO tester; ALTER TABLE films OWNER TO tester")
    position = len(publisher.server.log_text())
    result = publisher.run(login_user="tester", login_password=wrong, tables=["films"], fails=True)
    assert "password authentication failed" in result["msg"]
    assert f'port {publisher.server.port} as user "tester"' in result["msg"]
    assert wrong not in result.output
    result = publisher.run(**tester, tables=["films"])
    assert result["changed"]
    assert PASSWORD not in result.output
    result = publisher.run(**tester, tables=["nope"], fails=True)
    assert PASSWORD not in result.output
    log = publisher.server.log_text()[position:]
    assert wrong not in log
    assert PASSWORD not in log


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"login_port": 1}, "Connection refused"),
        ({"login_db": "nope"}, 'database "nope" does not exist'),
        ({"login_user": "nobody_knows"}, "password"),
        ({"login_host": "", "login_unix_socket": "/nonexistent"}, "No such file or directory"),
    ],
)
def test_no_connection(publisher: Publisher, arguments: dict[str, t.Any], sentence: str) -> None:
    message = publisher.run(tables=["films"], fails=True, **arguments)["msg"]
    assert message.startswith("Cannot connect to database")
    assert sentence in message


def test_a_server_that_does_not_decode(run_module: t.Callable[..., t.Any], authority: Authority) -> None:
    server = Server("replica-level", authority, {"wal_level": "replica"})
    try:
        server.create()
        server.query("CREATE TABLE films (id int PRIMARY KEY)")
        arguments = {"name": "p", "tables": ["films"], **server.login()}
        for check in (True, False):
            result = run_module("pg_publication", arguments, check=check, fails=True)
            assert "wal_level of this server is replica" in result["msg"]
        assert description(server, "postgres", "p") is None
        server.query("CREATE PUBLICATION p FOR TABLE films")
        assert run_module("pg_publication", {**arguments, "state": "absent"})["changed"]
    finally:
        server.destroy()


# Everything into everything


def test_any_description_becomes_any_other(publisher: Publisher) -> None:
    """A walk through random descriptions, all of them reached from where the last one ended."""
    seed = random.randrange(10**9)
    dice = random.Random(seed)
    entries: list[list[t.Any]] = [
        ["films", {"name": "films", "where": "id > 5"}, {"name": "films", "columns": ["id", "title"]},
         {"name": "films", "columns": ["year", "id"], "where": "id < 9"}],
        ["people", {"name": "public.people", "where": "id <> 1"}],
        ["Ta ble", {"name": "Ta ble", "columns": ["Id"]}],
        ["My Schema.Films", {"name": "My Schema.Films", "where": "id = 3"}],
        ["archive.old", {"name": "archive.old", "where": "id > 2"}],
        ["measures", {"name": "measures", "where": "id > 1"}, {"name": "measures", "columns": ["day", "id"]}],
    ]  # fmt: skip
    for step in range(60):
        via_root = dice.random() < 0.6
        arguments: dict[str, t.Any] = {
            "publish_via_partition_root": via_root,
            "replica_identity_missing": "warn",
            "operations": dice.sample(ALL, dice.randint(1, 4)),
            "comment": dice.choice(["", "one", "two's"]),
            "owner": "postgres",
        }
        if dice.random() < 0.2:
            arguments["all_tables"] = True
        elif dice.random() < 0.3:
            arguments["tables_in_schema"] = dice.sample(["archive", "My Schema", "public"], dice.randint(1, 3))
        else:
            chosen = [dice.choice(each) for each in dice.sample(entries, dice.randint(1, 6))]
            if not via_root:
                chosen = [each["name"] if isinstance(each, dict) and each["name"] == "measures" else each for each in chosen]
            if dice.random() < 0.3 and not any(isinstance(each, dict) for each in chosen):
                arguments["tables_in_schema"] = ["archive"]
            arguments["tables"] = chosen
            if not any(isinstance(each, dict) for each in chosen) and dice.random() < 0.5:
                arguments["owner"] = "subscription_owner"
        if "tables" not in arguments or "tables_in_schema" in arguments:
            arguments["owner"] = "postgres"
        try:
            publisher.applied(**arguments)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}, {arguments}: {error}") from error


def test_a_row_filter_that_calls_what_it_may_not_is_named(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    pair.a.query('CREATE TABLE "a ""x""" (id int PRIMARY KEY)', db=pair.db)
    tables = [{"name": '"a ""x"""', "where": "random() > 0.5"}]
    arguments = {**pair.login(pair.a), "name": "p", "tables": tables, "operations": ["insert"]}
    told = run_module("pg_publication", arguments, fails=True)["msg"]
    assert 'row filter of table "a ""x""", (random() > 0.5)' in told
    assert pair.a.query("SELECT 1 FROM pg_publication WHERE pubname = 'p'", db=pair.db) == []


def test_no_code_of_a_tables_owner_runs_as_the_superuser_for_a_row_filter(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    """To plan a query is enough: what is constant in the expression of an index is evaluated by whoever plans."""
    pair.a.query(
        """
        CREATE ROLE curious; CREATE SCHEMA trap AUTHORIZATION curious; SET ROLE curious;
        CREATE TABLE trap.filtered (id int PRIMARY KEY, v int);
        CREATE FUNCTION trap.one() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 1; END$$;
        CREATE INDEX ON trap.filtered ((v + trap.one()));
        CREATE FUNCTION trap.climb() RETURNS int LANGUAGE plpgsql AS $$BEGIN
          BEGIN PERFORM set_config('role', 'none', false); EXCEPTION WHEN OTHERS THEN NULL; END;
          RAISE WARNING 'run by %', current_user; RETURN 1;
        END$$;
        CREATE OR REPLACE FUNCTION trap.one() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN trap.climb(); END$$;
        RESET ROLE
        """,
        db=pair.db,
    )
    try:
        tables = [{"name": "trap.filtered", "where": "id > 5"}]
        arguments = {**pair.login(pair.a), "name": "p", "tables": tables, "operations": ["insert"]}
        for check in (True, False, True):
            done = run_module("pg_publication", arguments, check=check)
            assert [warning for warning in done["warnings"] if "run by postgres" in warning] == []
        assert not done["changed"]
        assert "run by curious" in pair.a.log_text()
        assert "run by postgres" not in pair.a.log_text()
    finally:
        pair.a.query("DROP SCHEMA trap CASCADE; DROP PUBLICATION IF EXISTS p; DROP ROLE curious", db=pair.db)
