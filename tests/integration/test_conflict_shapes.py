# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Last update wins on tables of all kinds: keys, types, partitions, large values, the user's own triggers."""

from __future__ import annotations

import typing as t

import pytest
from conflicts import Mesh
from psycopg2 import sql
from servers import Pair, Server

TYPES = {
    "small": ("smallint", "1", "2"),
    "num": ("numeric(12,4)", "1.5", "'NaN'"),
    "real8": ("double precision", "1e300", "'-Infinity'"),
    "flag": ("boolean", "true", "NULL"),
    "chars": ("char(10)", "'ab'", "'ñ'"),
    "var": ("varchar(20)", "'a''b'", r"E'back\\slash'"),
    "bytes": ("bytea", r"'\x00ff'", r"'\x'"),
    "day": ("date", "'2024-02-29'", "'infinity'"),
    "at": ("timestamptz", "'2024-01-01 00:00:00.123456+02'", "'-infinity'"),
    "span": ("interval", "'1 mon -3 days'", "'0'"),
    "js": ("json", """'{"b": 1, "a": [1]}'""", "'null'"),
    "jb": ("jsonb", """'{"a": {"b": null}}'""", "'[]'"),
    "id2": ("uuid", "gen_random_uuid()", "gen_random_uuid()"),
    "ints": ("int[]", "'{{1,2},{3,4}}'", "'{}'"),
    "texts": ("text[]", """'{"a,b",NULL}'""", "'{x}'"),
    "net": ("inet", "'10.0.0.0/8'", "'::1'"),
    "bits": ("bit varying", "B'101'", "B''"),
    "vec": ("tsvector", "'a b'", "'c'"),
    "doc": ("xml", "'<a/>'", "NULL"),
    "spot": ("point", "'(1,2)'", "'(3,4)'"),
    "rng": ("tstzrange", "'[2024-01-01,2024-02-01)'", "'empty'"),
    "mrng": ("int4multirange", "'{[1,3),[5,9)}'", "'{}'"),
    "cash": ("money", "'1.00'", "'2.00'"),
    "mood": ('"My Types"."Mood é"', "'so so'", "'good'"),
    "pair": ('"My Types".pair', "'(1,\"a b\")'", "NULL"),
    "dom": ('"My Types".positive', "1", "2"),
}

SETUP_TYPES = """
CREATE SCHEMA "My Types";
CREATE TYPE "My Types"."Mood é" AS ENUM ('so so', 'good');
CREATE TYPE "My Types".pair AS (a int, b text);
CREATE DOMAIN "My Types".positive AS int CHECK (VALUE > 0);
"""


@pytest.fixture
def mesh(pair: Pair, run_module: t.Callable[..., t.Any]) -> Mesh:
    return Mesh(pair, run_module)


def start(mesh: Mesh, *definitions: str, publication: str = "FOR ALL TABLES", **options: t.Any) -> None:
    for definition in definitions:
        mesh.pair.both(definition)
    mesh.publish(publication)
    mesh.policies()
    mesh.subscribe(**options)


def conflict(mesh: Mesh, on_a: str, on_b: str) -> None:
    """Both while nothing arrives, the one on b later."""
    mesh.meet()
    mesh.pause()
    mesh.a.query(on_a, db=mesh.db)
    mesh.b.query(on_b, db=mesh.db)
    mesh.go_on()


def test_every_column_type_in_a_row_that_wins_and_one_that_loses(mesh: Mesh) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _one, _two) in TYPES.items())
    start(mesh, SETUP_TYPES, f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
    one, two = (", ".join(each[index] for each in TYPES.values()) for index in (1, 2))
    conflict(mesh, f"INSERT INTO t VALUES (1, {one})", f"INSERT INTO t VALUES (1, {two})")
    query = "SELECT t::text FROM t"
    rows = mesh.same(query)
    assert rows == mesh.rows(mesh.b, query)
    assert mesh.rows(mesh.a, "SELECT var, mood::text FROM t") == [("back\\slash", "good")]
    assert [row[:2] for row in mesh.history(mesh.a)] == [("insert_insert", "remote")]
    conflict(mesh, f"UPDATE t SET ({', '.join(TYPES)}) = ROW ({one})", "UPDATE t SET small = 9")
    mesh.same(query)
    assert mesh.rows(mesh.a, "SELECT small FROM t") == [(9,)]
    assert mesh.apply_errors() == 0


KEYS = {
    "composite": ("CREATE TABLE {t} (a text, b date, v text, PRIMARY KEY (b, a))", "a, b", "'k', '2024-01-01'"),
    "uuid": ("CREATE TABLE {t} (id uuid PRIMARY KEY, v text)", "id", "'6c8e4a1a-0000-4000-8000-000000000001'"),
    "text with another collation": ('CREATE TABLE {t} (id text COLLATE "C" PRIMARY KEY, v text)', "id", "'k'"),
    "char": ("CREATE TABLE {t} (id char(5) PRIMARY KEY, v text)", "id", "'k'"),
    "citext of an extension": ("CREATE TABLE {t} (id ext.citext PRIMARY KEY, v text)", "id", "'Key'"),
    "numeric": ("CREATE TABLE {t} (id numeric PRIMARY KEY, v text)", "id", "1.50"),
    "identity always": ("CREATE TABLE {t} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)", "", ""),
    "serial": ("CREATE TABLE {t} (id serial PRIMARY KEY, v text)", "", ""),
    "identity that is no key": ("CREATE TABLE {t} (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, v text)", "id", "5"),
    "generated column": (
        "CREATE TABLE {t} (up text GENERATED ALWAYS AS (upper(v)) STORED, id int PRIMARY KEY, v text)",
        "id",
        "5",
    ),
    "replica identity": (
        "CREATE TABLE {t} (id int NOT NULL, v text); CREATE UNIQUE INDEX i ON {t} (id);"
        "ALTER TABLE {t} REPLICA IDENTITY USING INDEX i",
        "id",
        "5",
    ),
    "included columns": ("CREATE TABLE {t} (id int, v text, PRIMARY KEY (id) INCLUDE (v))", "id", "5"),
    "array": ("CREATE TABLE {t} (id int[] PRIMARY KEY, v text)", "id", "'{1,2}'"),
    "enum": ('CREATE TABLE {t} (id "My Types"."Mood é" PRIMARY KEY, v text)', "id", "'good'"),
    "domain": ('CREATE TABLE {t} (id "My Types".positive PRIMARY KEY, v text)', "id", "5"),
}

NAMES = ['T "1"', "new", "sélect.от", "a\\b'c", "x" * 63]


def test_every_kind_of_key_and_name(mesh: Mesh) -> None:
    tables = {what: sql.Identifier("S é", f"{NAMES[number % 5][:58]}_{number}"[:63]) for number, what in enumerate(KEYS)}
    shown = {what: name.as_string(mesh.a.session(mesh.db)) for what, name in tables.items()}
    start(
        mesh,
        SETUP_TYPES,
        'CREATE SCHEMA "S é"; CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext',
        *(KEYS[what][0].replace("{t}", name) for what, name in shown.items()),
    )
    for node in mesh.nodes:
        assert not mesh.policy(node)["changed"]
    mesh.pause()
    for node in mesh.nodes:
        for what, name in shown.items():
            _definition, columns, values = KEYS[what]
            columns, values = (f"{columns}, " if columns else "", f"{values}, " if values else "")
            node.query(f"INSERT INTO {name} ({columns}v) VALUES ({values}'from {node.name}')", db=mesh.db)
    mesh.go_on()
    mesh.meet()
    for name in shown.values():
        assert mesh.same(f"SELECT v FROM {name}") == [("from b",)], name
    mesh.pause()
    for name in shown.values():
        mesh.b.query(f"UPDATE {name} SET v = 'older'", db=mesh.db)
        mesh.a.query(f"UPDATE {name} SET v = 'newer'", db=mesh.db)
    mesh.go_on()
    for name in shown.values():
        assert mesh.same(f"SELECT * FROM {name}")
        assert mesh.rows(mesh.b, f"SELECT v FROM {name}") == [("newer",)], name
    assert mesh.apply_errors() == 0
    kinds = mesh.rows(
        mesh.a, "SELECT kind, count(*), count(DISTINCT table_name) FROM multimaster.conflict_history GROUP BY 1 ORDER BY 1"
    )
    assert kinds == [("insert_insert", len(KEYS), len(KEYS)), ("update_update", len(KEYS), len(KEYS))]
    assert mesh.rows(mesh.a, "SELECT count(*) FROM multimaster.conflict_history WHERE key IS NULL OR key = '{}'") == [(0,)]


def test_large_values_that_an_update_leaves_alone_stay_those_of_the_row_that_wins(mesh: Mesh) -> None:
    start(
        mesh,
        "CREATE TABLE t (id int PRIMARY KEY, a int, big text, doc jsonb, bytes bytea, list text[])",
        "ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL",
    )
    values = (
        "repeat('x', 20000), jsonb_build_object('k', (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 500) g)), "
        "(SELECT string_agg(sha256(g::text::bytea), '') FROM generate_series(1, 300) g), "
        "(SELECT array_agg(md5(g::text)) FROM generate_series(1, 300) g)"
    )
    mesh.a.query(f"INSERT INTO t VALUES (1, 0, {values})", db=mesh.db)
    whole = "SELECT id, a, md5(big), md5(doc::text), md5(bytes), md5(list::text), _mm_version FROM t"
    before = mesh.same(whole)
    conflict(mesh, "UPDATE t SET big = 'small', doc = '{}', bytes = '', list = '{}'", "UPDATE t SET a = 1")
    assert [row[2:6] for row in mesh.same(whole)] == [row[2:6] for row in before]
    assert mesh.rows(mesh.a, "SELECT a FROM t") == [(1,)]
    ((lost,),) = mesh.rows(mesh.a, "SELECT local_row ->> 'big' FROM multimaster.conflict_history")
    assert lost == "small"


@pytest.mark.parametrize("via_root", [False, True])
def test_partitioned_tables(mesh: Mesh, via_root: bool) -> None:
    start(
        mesh,
        "CREATE TABLE t (id int, region text, v text, big text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)",
        "CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu')",
        # Another order of columns, one dropped, and a partition of its own
        "CREATE TABLE t_us (v text, gone int, big text, region text NOT NULL, id int NOT NULL) PARTITION BY RANGE (id);"
        "ALTER TABLE t_us DROP COLUMN gone; CREATE TABLE t_us_1 PARTITION OF t_us FOR VALUES FROM (0) TO (1000);"
        "ALTER TABLE t ATTACH PARTITION t_us FOR VALUES IN ('us')",
        publication=f"FOR ALL TABLES WITH (publish_via_partition_root = {via_root})",
    )
    for node in mesh.nodes:
        again = mesh.policy(node)
        assert not again["changed"], again["diff"]
        assert again["counts"]["last_update_wins"] == 1
    for region in ("eu", "us"):
        conflict(
            mesh,
            f"INSERT INTO t VALUES (1, '{region}', 'older')",
            f"INSERT INTO t VALUES (1, '{region}', 'newer', repeat('x', 9000))",
        )
        conflict(mesh, f"UPDATE t SET v = 'a' WHERE region = '{region}'", f"UPDATE t SET v = 'b' WHERE region = '{region}'")
    query = "SELECT id, region, v, md5(big), _mm_version, _mm_base FROM t ORDER BY 2"
    assert [row[:3] for row in mesh.same(query)] == [(1, "eu", "b"), (1, "us", "b")]
    kinds = "table_name, kind, winner, key"
    assert mesh.history(mesh.a, kinds)[:2] == [
        ("t", "insert_insert", "remote", {"id": 1, "region": "eu"}),
        ("t", "update_update", "remote", {"id": 1, "region": "eu"}),
    ]
    # A partition that comes later has the policy without another run.
    mesh.pair.both("CREATE TABLE t_af PARTITION OF t FOR VALUES IN ('af')")
    for publisher in mesh.nodes:
        mesh.other(publisher).query(
            f"ALTER SUBSCRIPTION {mesh.subscription(publisher)} REFRESH PUBLICATION WITH (copy_data = false)", db=mesh.db
        )
    conflict(mesh, "INSERT INTO t VALUES (1, 'af', 'older')", "INSERT INTO t VALUES (1, 'af', 'newer')")
    assert mesh.same("SELECT v FROM t WHERE region = 'af'") == [("newer",)]
    # The event trigger would set it right at once.
    unkept = "SET session_replication_role = replica; {}; RESET session_replication_role"
    mesh.a.query(unkept.format('ALTER TABLE t_af DISABLE TRIGGER "00_multimaster_update"'), db=mesh.db)
    assert mesh.policy(mesh.a)["changed"]
    assert not mesh.policy(mesh.a)["changed"]
    assert mesh.apply_errors() == 0
    mesh.meet()
    mesh.policies("error")
    for node in mesh.nodes:
        assert mesh.rows(node, "SELECT count(*) FROM pg_attribute WHERE attname ~ '^_mm_' AND NOT attisdropped") == [(0,)]
        assert mesh.rows(node, "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'multimaster'") == [(0,)]


@pytest.mark.parametrize("via_root", [False, True])
def test_a_row_that_moves_to_another_partition(mesh: Mesh, via_root: bool) -> None:
    """For the others it is a delete and an insert."""
    start(
        mesh,
        "CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)",
        "CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu')",
        "CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us') PARTITION BY RANGE (id);"
        "CREATE TABLE t_us_1 PARTITION OF t_us FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE t_us_2 PARTITION OF t_us FOR VALUES FROM (1000) TO (2000)",
        publication=f"FOR ALL TABLES WITH (publish_via_partition_root = {via_root})",
    )
    query = "SELECT id, region, v, _mm_version, tableoid::regclass::text FROM t ORDER BY 1, 2"
    mesh.a.query("INSERT INTO t SELECT g, 'eu', 'x' FROM generate_series(1, 4) g", db=mesh.db)
    mesh.same(query)
    # Without a conflict, also from one partition of a partition to another
    mesh.a.query("UPDATE t SET region = 'us', v = 'moved' WHERE id = 1; UPDATE t SET id = 1001 WHERE id = 1", db=mesh.db)
    assert [(row[0], *row[4:]) for row in mesh.same(query)][-1] == (1001, "t_us_2")
    # Moved here and updated there: the delete wins
    conflict(mesh, "UPDATE t SET region = 'us', v = 'moved' WHERE id = 2", "UPDATE t SET v = 'lost' WHERE id = 2")
    # Moved on both
    conflict(mesh, "UPDATE t SET region = 'us', v = 'older' WHERE id = 3", "UPDATE t SET region = 'us', v = 'newer' WHERE id = 3")
    # Moved to where another row is
    conflict(mesh, "UPDATE t SET region = 'us', v = 'older' WHERE id = 4", "INSERT INTO t VALUES (4, 'us', 'newer')")
    assert [row[:3] for row in mesh.same(query)] == [
        (2, "us", "moved"),
        (3, "us", "newer"),
        (4, "us", "newer"),
        (1001, "us", "moved"),
    ]
    assert mesh.history(mesh.b, "kind, winner, key")[0] == ("update_delete", "remote", {"id": 2, "region": "eu"})
    lost = [mesh.history(node, "kind, winner, key") for node in mesh.nodes]
    for number in (3, 4):
        key = {"id": number, "region": "us"}
        assert [("insert_insert", "remote", key) in lost[0], ("insert_insert", "local", key) in lost[1]] == [True, True]
    assert mesh.apply_errors() == 0


def test_the_users_own_triggers(mesh: Mesh) -> None:
    function = "CREATE FUNCTION {0}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {1} RETURN new; END$$"
    start(
        mesh,
        "CREATE TABLE t (id int PRIMARY KEY, v text, touched int DEFAULT 0); CREATE TABLE seen (op text, v text)",
        function.format("note", "INSERT INTO public.seen VALUES (tg_op, new.v);"),
        function.format("touch", "new.touched := new.touched + 1;"),
        "CREATE TRIGGER a_note BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER a_note",
        'CREATE TRIGGER "zzz" BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()',
        "CREATE TRIGGER z_min BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        publication="FOR TABLE t",
    )
    mesh.a.query("INSERT INTO t VALUES (1, 'x')", db=mesh.db)
    mesh.meet()
    conflict(mesh, "UPDATE t SET v = 'older'", "UPDATE t SET v = 'newer'")
    conflict(mesh, "INSERT INTO t VALUES (2, 'older')", "INSERT INTO t VALUES (2, 'newer')")
    assert [row[:3] for row in mesh.same()] == [(1, "newer", 2), (2, "newer", 1)]
    seen = "SELECT op, v FROM seen"
    assert mesh.rows(mesh.a, seen) == [
        ("INSERT", "x"),
        ("UPDATE", "older"),
        ("UPDATE", "newer"),
        ("INSERT", "older"),
        ("INSERT", "newer"),
    ]
    # What lost on arrival was not seen by them.
    assert mesh.rows(mesh.b, seen) == [("INSERT", "x"), ("UPDATE", "newer"), ("INSERT", "newer")]
    mesh.pair.both(
        'CREATE TRIGGER "!first" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();'
        'ALTER TABLE t ENABLE REPLICA TRIGGER "!first"'
    )
    assert "!first on public.t" in mesh.policy(mesh.a)["warnings"][0]


def test_an_initial_copy_into_tables_that_are_not_empty_is_a_merge(mesh: Mesh) -> None:
    mesh.pair.both("CREATE TABLE t (id int PRIMARY KEY, v text)")
    # From before the policy: the source's row where both have one
    mesh.a.query("INSERT INTO t VALUES (1, 'a'), (2, 'same'), (3, 'a')", db=mesh.db)
    mesh.b.query("INSERT INTO t VALUES (1, 'z'), (2, 'same'), (13, 'b')", db=mesh.db)
    mesh.publish()
    mesh.policies()
    mesh.a.query("INSERT INTO t SELECT g, 'a' FROM generate_series(20, 60) g; UPDATE t SET v = 'older' WHERE id = 3", db=mesh.db)
    mesh.b.query("INSERT INTO t SELECT g, 'b' FROM generate_series(40, 80) g; INSERT INTO t VALUES (3, 'newer')", db=mesh.db)
    mesh.a.query("UPDATE t SET v = 'newest' WHERE id = 50", db=mesh.db)
    mesh.subscribe(mesh.a, copy_data=True)
    mesh.pair.wait_for(mesh.b, "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'", 2)
    mesh.subscribe(mesh.b, copy_data=True)
    mesh.pair.wait_for(mesh.a, "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'", 2)
    rows = {row[0]: row[1] for row in mesh.same()}
    assert sorted(rows) == [1, 2, 3, 13, *range(20, 81)]
    assert {number: rows[number] for number in (1, 2, 3, 30, 45, 50, 70)} == {
        1: "a",
        2: "same",
        3: "newer",
        30: "a",
        45: "b",
        50: "newest",
        70: "b",
    }
    assert mesh.rows(mesh.b, "SELECT DISTINCT node FROM multimaster.conflict") == [(2,)]


def test_an_update_of_the_key_meets_what_is_there(mesh: Mesh) -> None:
    start(mesh, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    mesh.a.query("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')", db=mesh.db)
    conflict(mesh, "UPDATE t SET id = 10 WHERE id = 1", "UPDATE t SET v = 'lost' WHERE id = 1")
    conflict(mesh, "UPDATE t SET id = 20, v = 'older' WHERE id = 2", "INSERT INTO t VALUES (20, 'newer')")
    conflict(mesh, "INSERT INTO t VALUES (30, 'older')", "UPDATE t SET id = 30, v = 'newer' WHERE id = 3")
    assert [row[:2] for row in mesh.same()] == [(10, "one"), (20, "newer"), (30, "newer")]
    assert ("update_key", "remote", {"id": 1}) in [row[:3] for row in mesh.history(mesh.b)]
    assert mesh.apply_errors() == 0


def test_a_subscription_whose_owner_is_no_superuser(mesh: Mesh) -> None:
    start(
        mesh,
        "CREATE TABLE t (id int PRIMARY KEY, v text, up text GENERATED ALWAYS AS (upper(v)) STORED); ALTER TABLE t OWNER TO app",
    )
    for publisher in mesh.nodes:
        node, name = mesh.other(publisher), mesh.subscription(publisher)
        node.query(f"ALTER SUBSCRIPTION {name} SET (password_required = false)", db=mesh.db)
        node.query(f"ALTER SUBSCRIPTION {name} OWNER TO subscription_owner", db=mesh.db)
    mesh.a.query("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 50) g", db=mesh.db)
    conflict(mesh, "UPDATE t SET v = 'older'", "UPDATE t SET v = 'newer'")
    conflict(mesh, "INSERT INTO t VALUES (99, 'older')", "INSERT INTO t VALUES (99, 'newer')")
    assert {row[1] for row in mesh.same()} == {"newer"}
    assert mesh.apply_errors() == 0
    assert mesh.rows(mesh.a, "SELECT kind, count::int FROM multimaster.conflict_summary") == [
        ("insert_insert", 1),
        ("update_update", 50),
    ]


def test_a_new_column_is_not_lost(mesh: Mesh) -> None:
    start(
        mesh,
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE g (id int PRIMARY KEY, d int GENERATED ALWAYS AS (id * 2) STORED)",
    )
    mesh.a.query("INSERT INTO t VALUES (1); INSERT INTO g VALUES (1)", db=mesh.db)
    mesh.meet()
    mesh.pair.both("ALTER TABLE t ADD COLUMN v text; ALTER TABLE g ADD COLUMN v text")
    mesh.a.query("INSERT INTO t (id, v) VALUES (2, 'new'); INSERT INTO g (id, v) VALUES (2, 'new')", db=mesh.db)
    mesh.policies()
    assert mesh.same("SELECT id, v FROM t ORDER BY 1") == [(1, None), (2, "new")]
    assert mesh.same("SELECT id, v, d FROM g ORDER BY 1") == [(1, None, 2), (2, "new", 4)]


def test_the_history_stays_on_its_node_and_is_kept_for_as_long_as_stated(mesh: Mesh) -> None:
    start(mesh, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    for publisher in mesh.nodes:  # the history is published with all tables
        mesh.other(publisher).query(
            f"ALTER SUBSCRIPTION {mesh.subscription(publisher)} REFRESH PUBLICATION WITH (copy_data = true)", db=mesh.db
        )
    mesh.a.query("INSERT INTO t VALUES (1, 'x')", db=mesh.db)
    conflict(mesh, "UPDATE t SET v = 'older'", "UPDATE t SET v = 'newer'")
    mesh.same()
    assert [len(mesh.history(node)) for node in mesh.nodes] == [1, 1]
    assert mesh.rows(mesh.a, "SELECT DISTINCT node FROM multimaster.conflict") == [(1,)]
    _age_history(mesh.a, mesh.db)
    assert mesh.history(mesh.a) == []
    assert mesh.rows(mesh.a, "SELECT * FROM multimaster.conflict_summary") == []
    assert mesh.rows(mesh.a, "SELECT count(*) FROM multimaster.conflict") == [(1,)]
    conflict(mesh, "UPDATE t SET v = 'older 2'", "UPDATE t SET v = 'newer 2'")
    mesh.same()
    assert mesh.rows(mesh.a, "SELECT local_row ->> 'v' FROM multimaster.conflict") == [("older 2",)]
    assert len(mesh.history(mesh.b)) == 2


def _age_history(node: Server, db: str) -> None:
    node.query("UPDATE multimaster.conflict SET recorded_at = recorded_at - interval '31 days'", db=db)


def test_the_history_cannot_be_truncated_since_that_would_be_replicated(mesh: Mesh) -> None:
    start(mesh, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    mesh.a.query("INSERT INTO t VALUES (1, 'x')", db=mesh.db)
    conflict(mesh, "UPDATE t SET v = 'older'", "UPDATE t SET v = 'newer'")
    mesh.same()
    for command in ("TRUNCATE multimaster.conflict", "SET session_replication_role = replica; TRUNCATE t, multimaster.conflict"):
        with mesh.a.session(mesh.db) as session, pytest.raises(Exception, match="histories of all nodes"):
            session.cursor().execute(command)
    assert mesh.rows(mesh.a, "SELECT v FROM t") == [("newer",)]
    mesh.a.query("DELETE FROM multimaster.conflict", db=mesh.db)
    mesh.same()
    assert [len(mesh.history(node)) for node in mesh.nodes] == [0, 1]
    # One that arrives in spite of it, from a node where the trigger was disabled, stops nobody.
    mesh.b.query(
        "SET session_replication_role = replica; ALTER TABLE multimaster.conflict DISABLE TRIGGER multimaster_guard_truncate; "
        "RESET session_replication_role; TRUNCATE multimaster.conflict",
        db=mesh.db,
    )
    mesh.b.query("INSERT INTO t VALUES (2, 'goes on')", db=mesh.db)
    assert len(mesh.same()) == 2
    assert mesh.apply_errors() == 0


def test_rows_without_a_version_are_decided_alike_whatever_the_servers_time_zone(mesh: Mesh) -> None:
    """In the night in which clocks go back, an earlier time can have the later text."""
    mesh.pair.both("CREATE TABLE t (id int PRIMARY KEY, at timestamptz)")
    mesh.publish()
    mesh.subscribe()
    mesh.pause()
    mesh.b.query(f"ALTER DATABASE {mesh.db} SET timezone = 'America/New_York'")
    mesh.a.query("INSERT INTO t VALUES (1, '2024-11-03 05:30+00')", db=mesh.db)
    mesh.b.query("INSERT INTO t VALUES (1, '2024-11-03 06:10+00')", db=mesh.db)
    mesh.policies()
    mesh.go_on()
    assert mesh.same("SELECT extract(minute FROM at)::int FROM t") == [(10,)]
    lost = {node.name: mesh.history(node, "local_row ->> 'at', remote_row ->> 'at'") for node in mesh.nodes}
    older, newer = "2024-11-03T05:30:00+00:00", "2024-11-03T06:10:00+00:00"
    assert lost == {"a": [(older, newer)], "b": [(newer, older)]}


def test_only_triggers_of_apply_workers_can_write_history(mesh: Mesh) -> None:
    mesh.pair.both("CREATE TABLE t (id int PRIMARY KEY)")
    mesh.publish()
    mesh.policies()
    with pytest.raises(Exception, match="is for the triggers"):
        mesh.a.query("SELECT multimaster.record_conflict('t'::regclass, '{}', '{}', 'x', 'x', NULL, NULL, 1, 1)", db=mesh.db)


LATER_COLUMNS = {
    "partitioned": (
        "CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE t_0 (v text, id int NOT NULL); ALTER TABLE t ATTACH PARTITION t_0 FOR VALUES FROM (0) TO (1000)",
        "ADD COLUMN w text, ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED",
    ),
    "with a generated column": (
        "CREATE TABLE t (twice int GENERATED ALWAYS AS (id * 2) STORED, id int PRIMARY KEY, v text)",
        "ADD COLUMN w text DEFAULT 'none'",
    ),
    "without one until then": (
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED, ADD COLUMN w text",
    ),
    "one column instead of another": (
        "CREATE TABLE t (twice int GENERATED ALWAYS AS (id * 2) STORED, old int, id int PRIMARY KEY, v text)",
        "DROP COLUMN old, ADD COLUMN w text",
    ),
    "with a user's trigger in apply workers": (
        "CREATE TABLE t (twice int GENERATED ALWAYS AS (id * 2) STORED, id int PRIMARY KEY, v text);"
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER user_1 BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER user_1",
        "ADD COLUMN w text",
    ),
}


@pytest.mark.parametrize("kind", LATER_COLUMNS)
def test_columns_that_come_later_stop_nothing_before_the_policy_is_set_again(mesh: Mesh, kind: str) -> None:
    """Added on every node before anything writes them, as one does; the apply workers are the same all the time."""
    definition, change = LATER_COLUMNS[kind]
    start(mesh, definition)
    mesh.a.query("INSERT INTO t (id, v) VALUES (1, 'before')", db=mesh.db)
    mesh.meet()
    mesh.pair.both(f"ALTER TABLE t {change}")
    mesh.a.query("INSERT INTO t (id, v, w) VALUES (2, 'after', 'new a')", db=mesh.db)
    mesh.b.query("INSERT INTO t (id, v, w) SELECT id, 'many', 'new b' FROM generate_series(10, 40) id", db=mesh.db)
    conflict(
        mesh,
        "INSERT INTO t (id, v, w) VALUES (3, 'older', 'lost'); UPDATE t SET w = 'lost' WHERE id = 1",
        "INSERT INTO t (id, v, w) VALUES (3, 'newer', 'kept'); UPDATE t SET w = 'kept' WHERE id = 1",
    )
    found = mesh.same("SELECT id, v, w FROM t WHERE id < 12 ORDER BY id")
    assert found[:3] == [(1, "before", "kept"), (2, "after", "new a"), (3, "newer", "kept")]
    assert found[3:] == [(10, "many", "new b"), (11, "many", "new b")]
    lost = mesh.rows(mesh.a, "SELECT DISTINCT local_row ->> 'w' FROM multimaster.conflict_history WHERE winner = 'remote'")
    assert lost == [("lost",)]
    assert mesh.apply_errors() == 0
    for node in mesh.nodes:
        mesh.policy(node)
        assert not mesh.policy(node)["changed"]
    conflict(mesh, "INSERT INTO t (id, w) VALUES (4, 'older')", "INSERT INTO t (id, w) VALUES (4, 'newer')")
    assert mesh.same("SELECT w FROM t WHERE id = 4") == [("newer",)]
    assert mesh.apply_errors() == 0
