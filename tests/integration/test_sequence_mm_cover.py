# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_sequence_mm's event trigger: sequences that are created or altered after the task."""

from __future__ import annotations

import subprocess
import typing as t

import pytest
from sequences import draw, state
from servers import as_server_user, binaries

if t.TYPE_CHECKING:
    from conftest import Pair
    from servers import Server

COVER = "SELECT count(*) FROM pg_event_trigger WHERE evtname = 'multimaster_set_new_sequences'"


@pytest.fixture
def module(pair: Pair, run_module: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def run(**arguments: t.Any) -> t.Any:
        options = {key: arguments.pop(key) for key in ("check", "fails") if key in arguments}
        return run_module("pg_sequence_mm", {**pair.login(pair.a), "node_id": 2, **arguments}, **options)

    return run


def client(program: str, server: Server, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
    command = as_server_user(str(binaries() / program), *where, *arguments)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_made_kept_and_removed(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    checked = module(check=True)
    assert checked["cover"] == {"before": "absent", "after": "present"}
    assert pair.a.value(COVER, db=pair.db) == 0
    assert module()["queries"] == checked["queries"]
    assert pair.a.value(COVER, db=pair.db) == 1
    assert not module()["changed"]

    for drift in (
        "ALTER EVENT TRIGGER multimaster_set_new_sequences DISABLE",
        "ALTER EVENT TRIGGER multimaster_set_new_sequences ENABLE ALWAYS",
        "DROP EVENT TRIGGER multimaster_set_new_sequences",
        "DROP FUNCTION multimaster.set_new_sequences CASCADE",
        "DROP SCHEMA multimaster CASCADE",
        "ALTER FUNCTION multimaster.set_new_sequences SECURITY DEFINER",
        "ALTER FUNCTION multimaster.set_new_sequences RESET search_path",
        "CREATE OR REPLACE FUNCTION multimaster.set_new_sequences() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "DROP EVENT TRIGGER multimaster_set_new_sequences; CREATE EVENT TRIGGER multimaster_set_new_sequences"
        " ON ddl_command_end EXECUTE FUNCTION multimaster.set_new_sequences()",
    ):
        pair.a.query(drift, db=pair.db)
        assert module(check=True)["changed"], drift
        result = module()
        assert result["changed"], drift
        assert result["diff"]["before"] != result["diff"]["after"], drift
        assert not module()["changed"], drift

    # It would run as whoever makes a table, superusers too.
    pair.a.query("ALTER FUNCTION multimaster.set_new_sequences OWNER TO replicator", db=pair.db)
    for check in (True, False):
        assert "the function multimaster.set_new_sequences belongs to replicator" in module(check=check, fails=True)["msg"]
    pair.a.query("DROP FUNCTION multimaster.set_new_sequences CASCADE", db=pair.db)
    assert module()["changed"]

    for changes in ({"node_id": 3}, {"max_nodes": 16}, {"exclude": ["public.*"]}, {"include": ["public.*"]}):
        assert "function multimaster.set_new_sequences" in module(**changes, check=True)["diff"]["after"]

    pair.a.query("CREATE SEQUENCE s", db=pair.db)
    assert module(cover_new_tables=False)["cover"] == {"before": "present", "after": "absent"}
    module()
    checked = module(state="absent", check=True)
    assert module(state="absent")["queries"] == checked["queries"]
    assert not module(state="absent")["changed"]
    assert pair.a.value(COVER, db=pair.db) == 0
    assert pair.a.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'multimaster'", db=pair.db) == 0
    assert state(pair.a, pair.db, "public.s")[0] == 8


def test_a_schema_that_others_use_stays(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    module()
    pair.a.query("CREATE TABLE multimaster.other (id int)", db=pair.db)
    module(state="absent")
    assert pair.a.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'multimaster'", db=pair.db) == 1


def test_whatever_makes_a_sequence_is_covered(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query("CREATE TABLE existing (x int); INSERT INTO existing SELECT generate_series(1, 10)", db=pair.db)
    pair.a.query("CREATE UNLOGGED TABLE unlogged (id serial)", db=pair.db)
    module()
    pair.a.query(
        """
        CREATE TABLE a (id serial, k int GENERATED ALWAYS AS IDENTITY);
        CREATE TABLE b (LIKE a INCLUDING ALL);
        CREATE TABLE c (id int NOT NULL);
        ALTER TABLE c ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 50);
        ALTER TABLE existing ADD id bigserial;
        CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY, k int) PARTITION BY LIST (k);
        CREATE SCHEMA sc CREATE TABLE d (id serial) CREATE SEQUENCE e;
        CREATE SEQUENCE down INCREMENT -1;
        CREATE SEQUENCE round MINVALUE 7 MAXVALUE 30 CYCLE;
        CREATE SEQUENCE round_down AS smallint INCREMENT -2 MINVALUE 7 MAXVALUE 30 CYCLE;
        CREATE SEQUENCE late START 25 MAXVALUE 31;
        ALTER TABLE unlogged SET LOGGED;
        CREATE SEQUENCE "Ñ 'q' %s" AS int;
        """,
        db=pair.db,
    )
    result = module(check=True)
    assert not result["changed"], result["diff"]
    assert result["counts"]["sequences"] == 14
    assert state(pair.a, pair.db, "public.c_id_seq")[4:] == (50, False)
    # The rows that were there got their values before the trigger could act.
    assert state(pair.a, pair.db, "public.existing_id_seq")[4:] == (18, False)
    assert draw(pair.a, pair.db, "public.round", 5) == [10, 18, 26, 10, 18]
    assert draw(pair.a, pair.db, "public.round_down", 4) == [26, 18, 10, 26]
    assert draw(pair.a, pair.db, "public.down", 2) == [-6, -14]


def test_alterations_keep_to_the_nodes_values(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    module()
    pair.a.query("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY); INSERT INTO t DEFAULT VALUES", db=pair.db)
    pair.a.query("ALTER TABLE t ALTER id RESTART WITH 100", db=pair.db)
    assert draw(pair.a, pair.db, "public.t_id_seq") == [106]
    pair.a.query("ALTER SEQUENCE t_id_seq INCREMENT 1", db=pair.db)
    assert draw(pair.a, pair.db, "public.t_id_seq", 2) == [114, 122]
    pair.a.query("ALTER SEQUENCE t_id_seq RESTART", db=pair.db)
    pair.a.query("ALTER TABLE t ALTER id TYPE bigint", db=pair.db)
    assert draw(pair.a, pair.db, "public.t_id_seq") == [2]
    pair.a.query("ALTER SEQUENCE t_id_seq MAXVALUE 11 CYCLE", db=pair.db)
    assert draw(pair.a, pair.db, "public.t_id_seq", 2) == [10, 2]


def test_what_is_left_alone(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    module(include=["public.*", "shop.*"], exclude=["public.invoice_no_*", r"public.a\b'%"])
    session = pair.a.session(pair.db)
    with session.cursor() as cursor:
        cursor.execute(
            """
            CREATE SEQUENCE invoice_no_seq; CREATE SEQUENCE invoicexno_seq; CREATE SEQUENCE "a\\b'%"; CREATE SEQUENCE "a\\bb'x";
            CREATE SCHEMA other; CREATE SEQUENCE other.s; CREATE TEMPORARY TABLE temporary (id serial);
            CREATE UNLOGGED TABLE unlogged (id serial);
            SELECT relname, seqincrement FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid ORDER BY relname COLLATE "C"
            """
        )
        found = dict(cursor.fetchall())
    session.close()
    assert found == {
        "invoice_no_seq": 1, "invoicexno_seq": 8, "a\\b'%": 1, "a\\bb'x": 8, "s": 1, "temporary_id_seq": 1, "unlogged_id_seq": 1,
    }


def test_a_sequence_that_cannot_be_set_does_not_stop_its_creation(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    module(node_id=5)
    session = pair.a.session(pair.db)
    with session.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE tiny MAXVALUE 3")
    assert "no value from its range is left for node 5 of 8" in "".join(session.notices)
    session.close()
    assert state(pair.a, pair.db, "public.tiny")[0] == 1


@pytest.mark.parametrize(
    "setting", ["standard_conforming_strings = off", "search_path = evil, pg_catalog", "quote_all_identifiers = on"]
)
def test_owners_without_superuser_are_covered(pair: Pair, module: t.Callable[..., t.Any], setting: str) -> None:
    module(exclude=[r"public.back\slash"])
    name = f"owner_{pair.db}"
    pair.a.query(f"CREATE ROLE {name} LOGIN PASSWORD 'x'; CREATE SCHEMA evil AUTHORIZATION {name}", db=pair.db)
    pair.a.query(f"GRANT CREATE ON SCHEMA public TO {name}", db=pair.db)
    try:
        session = pair.a.session(pair.db, user=name, password="x")
        with session.cursor() as cursor:
            cursor.execute("CREATE FUNCTION evil.sign(bigint) RETURNS numeric LANGUAGE sql AS 'SELECT 5'")
            cursor.execute(f"SET {setting}")
            cursor.execute("CREATE TABLE public.mine (id serial PRIMARY KEY); CREATE SEQUENCE public.\"back\\slash\"")
            cursor.execute("ALTER TABLE public.mine ADD k int GENERATED ALWAYS AS IDENTITY")
            cursor.execute("INSERT INTO public.mine DEFAULT VALUES; INSERT INTO public.mine DEFAULT VALUES")
            cursor.execute("SELECT id, k FROM public.mine ORDER BY id")
            assert cursor.fetchall() == [(2, 2), (10, 10)]
        session.close()
        assert state(pair.a, pair.db, "public.back\\slash")[0] == 1
    finally:
        pair.a.query(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}", db=pair.db)


def test_apply_workers_and_replica_sessions_are_not_touched(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    module()
    session = pair.a.session(pair.db)
    with session.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; CREATE SEQUENCE s")
    session.close()
    assert state(pair.a, pair.db, "public.s")[0] == 1
    assert module()["counts"]["changed"] == 1


def test_dump_and_restore(pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
    """A dump of node 1 restored on node 2, which is covered: it works, and one more run makes the positions right."""
    pair.a.query(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY); CREATE TABLE s (id serial); CREATE SEQUENCE q",
        db=pair.db,
    )
    run_module("pg_sequence_mm", {**pair.login(pair.a), "node_id": 1})
    run_module("pg_sequence_mm", {**pair.login(pair.b), "node_id": 2})
    pair.a.query("INSERT INTO t SELECT FROM generate_series(1, 5); INSERT INTO s SELECT FROM generate_series(1, 5)", db=pair.db)
    dump = client("pg_dump", pair.a, "-N", "multimaster", pair.db).stdout
    dump = dump[: dump.index("-- Name: multimaster_set_new_sequences")]  # the other node's own cover stays
    restore = client("psql", pair.b, "-v", "ON_ERROR_STOP=1", pair.db, stdin=dump)
    assert restore.returncode == 0, restore.stderr
    result = run_module("pg_sequence_mm", {**pair.login(pair.b), "node_id": 2})
    assert result["cover"] == {"before": "present", "after": "present"}
    pair.b.query("INSERT INTO t DEFAULT VALUES; INSERT INTO s DEFAULT VALUES", db=pair.db)
    assert pair.b.query("SELECT (SELECT max(id) FROM t), (SELECT max(id) FROM s)", db=pair.db) == [(34, 34)]
    assert not run_module("pg_sequence_mm", {**pair.login(pair.b), "node_id": 2})["changed"]


def test_the_trigger_and_the_module_agree(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """Two implementations of one rule: what the trigger has set, the module leaves."""
    module(max_nodes=7, node_id=4)
    ranges = [(1, 40), (-20, 20), (-40, -1), (3, 30), (0, 13)]
    made = 0
    for minimum, maximum in ranges:
        for increment in (1, -1, 3, -7):
            for cycle in ("", " CYCLE"):
                for on in (0, 2, 5):  # and seven more to go at least
                    start = minimum + on if increment > 0 else maximum - on
                    pair.a.query(
                        f"CREATE SEQUENCE s{made} INCREMENT {increment} START {start}"
                        f" MINVALUE {minimum} MAXVALUE {maximum}{cycle}",
                        db=pair.db,
                    )
                    made += 1
    result = module(max_nodes=7, node_id=4, check=True)
    assert not result["changed"], result["diff"]
    assert result["counts"]["sequences"] == made == 120


def test_a_dump_that_alters_its_tables_after_setval_is_set_right(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """As pg_dump writes a whole database: keys and indexes come after data and positions."""
    module()
    pair.a.query("CREATE TABLE r (id bigint GENERATED BY DEFAULT AS IDENTITY, v int)", db=pair.db)
    assert draw(pair.a, pair.db, "public.r_id_seq") == [2]
    pair.a.query("SELECT setval('r_id_seq', 9); ALTER TABLE r ADD PRIMARY KEY (id)", db=pair.db)
    assert draw(pair.a, pair.db, "public.r_id_seq") == [10]
    assert not module()["changed"]
    # Of data alone nothing is altered: the next run, and status, tell of it.
    pair.a.query("SELECT setval('r_id_seq', 20)", db=pair.db)
    assert module(check=True)["diff"]["before"]["sequence public.r_id_seq"]
