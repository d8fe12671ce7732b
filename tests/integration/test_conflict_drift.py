# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_conflict_policy: drift, removal, bad input and the selection of tables."""

from __future__ import annotations

import typing as t

import pytest
from conflicts import Mesh
from psycopg2 import sql
from servers import Pair, Server, wait_until

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.table import KeyColumn, Shape

SHAPE = Shape("public", "t", (KeyColumn("id", "int8"),))
INSERT_FUNCTION, UPDATE_FUNCTION = (function.name for function in SHAPE.functions)

DESCRIPTION = """
SELECT (SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
                                         col_description(c.oid, attnum)) ORDER BY attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
       (SELECT json_agg(pg_get_triggerdef(oid) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
       (SELECT json_agg(pg_get_indexdef(indexrelid) ORDER BY 1) FROM pg_index WHERE indrelid = c.oid), c.relreplident
FROM pg_class c WHERE c.oid = %s::regclass
"""


@pytest.fixture
def mesh(pair: Pair, run_module: t.Callable[..., t.Any]) -> Mesh:
    mesh = Mesh(pair, run_module)
    pair.both("CREATE TABLE t (id bigint PRIMARY KEY, a int, b text)")
    mesh.publish()
    return mesh


# What a session does in which event triggers do not fire.
UNKEPT = "SET session_replication_role = replica; "
DRIFT = {
    "trigger disabled": UNKEPT + 'ALTER TABLE t DISABLE TRIGGER "00_multimaster_update"',
    "trigger not for replicas": UNKEPT + 'ALTER TABLE t ENABLE ALWAYS TRIGGER "00_multimaster_insert"',
    "all triggers disabled": UNKEPT + "ALTER TABLE t DISABLE TRIGGER ALL",
    "key's trigger disabled": UNKEPT + "ALTER TABLE t DISABLE TRIGGER zz_multimaster_stamp_key",
    "key's trigger without its condition": "DROP TRIGGER zz_multimaster_stamp_key ON t; CREATE TRIGGER zz_multimaster_stamp_key "
    "BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION multimaster.note_key('{\"id\"}')",
    "trigger dropped": "DROP TRIGGER zz_multimaster_stamp ON t",
    "trigger replaced": 'DROP TRIGGER "00_multimaster_delete" ON t; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '
    '$$BEGIN RETURN old; END$$; CREATE TRIGGER "00_multimaster_delete" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()',
    "function replaced": f"CREATE OR REPLACE FUNCTION multimaster.{UPDATE_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RETURN new; END$$",
    "function dropped": f"DROP FUNCTION multimaster.{INSERT_FUNCTION}() CASCADE",
    "shared function replaced": "CREATE OR REPLACE FUNCTION multimaster.stamp_whole() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RETURN new; END$$",
    "shared function dropped": "DROP FUNCTION multimaster.resolve_delete() CASCADE",
    "both columns dropped": "ALTER TABLE t DROP COLUMN _mm_version, DROP COLUMN _mm_base",
    "one column dropped": "ALTER TABLE t DROP COLUMN _mm_base",
    "default dropped": "ALTER TABLE t ALTER COLUMN _mm_version DROP DEFAULT",
    "comment replaced": "COMMENT ON COLUMN t._mm_version IS 'mine'",
    "column not null": "ALTER TABLE t ALTER COLUMN _mm_version SET NOT NULL",
    "history dropped": "DROP TABLE multimaster.conflict CASCADE",
    "guard disabled": UNKEPT + "ALTER TABLE multimaster.conflict DISABLE TRIGGER multimaster_guard",
    "guard against truncating disabled": UNKEPT + "ALTER TABLE multimaster.conflict DISABLE TRIGGER multimaster_guard_truncate",
    "view dropped": "DROP VIEW multimaster.conflict_summary",
    "view replaced": "CREATE OR REPLACE VIEW multimaster.conflict_summary AS "
    "SELECT * FROM multimaster.summarize_conflicts() WHERE false",
    "view with other columns": "DROP VIEW multimaster.conflict_history; "
    "CREATE VIEW multimaster.conflict_history AS SELECT 1 AS id",
    "function not executable": "REVOKE EXECUTE ON FUNCTION multimaster.new_version(bigint) FROM PUBLIC",
    "schema not usable": "REVOKE USAGE ON SCHEMA multimaster FROM PUBLIC",
    "schema dropped": "DROP SCHEMA multimaster CASCADE",
    "event trigger disabled": "ALTER EVENT TRIGGER multimaster_keep_policy DISABLE",
    "event trigger always": "ALTER EVENT TRIGGER multimaster_keep_policy ENABLE ALWAYS",
    "event trigger dropped": "DROP EVENT TRIGGER multimaster_keep_policy",
    "event trigger replaced": "DROP EVENT TRIGGER multimaster_keep_policy; "
    "CREATE EVENT TRIGGER multimaster_keep_policy ON sql_drop EXECUTE FUNCTION multimaster.keep_policy()",
    "event trigger's function replaced": "CREATE OR REPLACE FUNCTION multimaster.keep_policy() RETURNS event_trigger "
    "LANGUAGE plpgsql AS 'BEGIN END'",
    "node of a copy": "CREATE OR REPLACE FUNCTION multimaster.node_id() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 7'",
}


def test_drift_is_reported_and_repaired_in_place(mesh: Mesh) -> None:
    mesh.policies()
    mesh.subscribe()
    for what, command in DRIFT.items():
        mesh.a.query(f"{command}; RESET session_replication_role", db=mesh.db)
        reported = mesh.policy(mesh.a, check=True)
        assert reported["changed"], what
        assert mesh.policy(mesh.a, check=True)["changed"], f"check mode repaired: {what}"
        repaired = mesh.policy(mesh.a)
        assert (repaired["diff"], repaired["queries"]) == (reported["diff"], reported["queries"]), what
        again = mesh.policy(mesh.a)
        assert not again["changed"], (what, again["diff"])
    mesh.a.query("INSERT INTO t VALUES (1, 1, 'a')", db=mesh.db)
    mesh.b.query("INSERT INTO t VALUES (2, 1, 'b')", db=mesh.db)
    assert len(mesh.same()) == 2


def test_a_renamed_table_stops_conflicts_from_being_decided_until_it_is_set_again(mesh: Mesh) -> None:
    mesh.policies()
    mesh.pair.both("ALTER TABLE t RENAME TO u")
    mesh.subscribe()
    mesh.a.query("INSERT INTO u VALUES (1, 1, 'a')", db=mesh.db)
    wait_until(mesh.apply_errors, what="an error")
    changed = mesh.policy(mesh.b)
    assert "functions of tables that are gone" in changed["diff"]["before"]
    mesh.policy(mesh.a)
    assert len(mesh.same("SELECT * FROM u")) == 1
    assert not mesh.policy(mesh.a)["changed"]


def test_removal_leaves_the_table_as_it_was(mesh: Mesh) -> None:
    mesh.pair.both("CREATE TABLE other (id int PRIMARY KEY)")
    before = mesh.rows(mesh.a, DESCRIPTION.replace("%s", "'t'"))
    mesh.policies()
    mesh.subscribe()
    mesh.a.query("INSERT INTO t SELECT g, g, 'x' FROM generate_series(1, 100) g", db=mesh.db)
    mesh.meet()
    assert mesh.rows(mesh.a, DESCRIPTION.replace("%s", "'t'")) != before
    for node in mesh.nodes:
        reported = mesh.policy(node, "error", tables=["t"], check=True)
        removed = mesh.policy(node, "error", tables=["t"])
        assert removed["queries"] == reported["queries"]
        assert removed["tables"] == [{"name": "public.t", "before": "last_update_wins", "after": "error"}]
        assert mesh.rows(node, DESCRIPTION.replace("%s", "'t'")) == before
        assert not mesh.policy(node, "error", tables=["t"])["changed"]
    assert mesh.rows(mesh.a, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'other'::regclass AND attname ~ '^_mm'") == [
        (2,)
    ]
    mesh.a.query("UPDATE t SET b = 'a' WHERE id < 50", db=mesh.db)
    mesh.b.query("DELETE FROM t WHERE id > 90", db=mesh.db)
    assert len(mesh.same()) == 90
    for node in mesh.nodes:
        assert mesh.policy(node, "error")["changed"]
        assert not mesh.policy(node, "error")["changed"]
        assert mesh.rows(node, "SELECT to_regnamespace('multimaster') IS NULL") == [(True,)]
    assert mesh.apply_errors() == 0


def test_other_things_in_the_schema_stay(mesh: Mesh) -> None:
    mesh.a.query(
        "CREATE SCHEMA multimaster; CREATE FUNCTION multimaster.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", db=mesh.db
    )
    mesh.policy(mesh.a)
    mesh.policy(mesh.a, "error")
    assert mesh.rows(mesh.a, "SELECT multimaster.mine()") == [(1,)]


def test_removal_is_refused_while_a_peer_has_not_received_everything(mesh: Mesh) -> None:
    mesh.policies()
    mesh.subscribe()
    mesh.pause(mesh.a)
    mesh.a.query("INSERT INTO t VALUES (1, 1, 'queued')", db=mesh.db)
    refused = mesh.policy(mesh.a, "error", drain_timeout=0.5, fails=True)
    assert mesh.slot(mesh.a) in refused["msg"]
    assert not mesh.policy(mesh.a)["changed"]
    mesh.go_on(mesh.a)
    mesh.meet()
    assert mesh.policy(mesh.a, "error")["changed"]


def test_a_locked_table_is_waited_for_and_named(mesh: Mesh) -> None:
    session = mesh.a.session(mesh.db, application_name="long reader")
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
    failed = mesh.policy(mesh.a, lock_timeout=0.5, fails=True)
    assert "public.t" in failed["msg"]
    assert "long reader" in failed["msg"]
    session.close()
    assert mesh.policy(mesh.a)["changed"]


BAD: dict[str, tuple[str, dict[str, t.Any], str]] = {
    "no key": ("CREATE TABLE x (a int)", {"tables": ["x"]}, "public.x has no key"),
    "no key, all tables": ("CREATE TABLE x (a int)", {}, "public.x has no key"),
    "unique index only": ("CREATE TABLE x (a int NOT NULL UNIQUE)", {"tables": ["x"]}, "public.x has no key"),
    "generated column in the key": (
        "CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY (a, b))",
        {"tables": ["x"]},
        "has the generated column b in its key",
    ),
    "deferrable key": ("CREATE TABLE x (a int PRIMARY KEY DEFERRABLE)", {"tables": ["x"]}, "deferrable"),
    "view": ("CREATE VIEW x AS SELECT 1 AS a", {"tables": ["x"]}, "public.x is a view"),
    "materialized view": ("CREATE MATERIALIZED VIEW x AS SELECT 1 AS a", {"tables": ["x"]}, "is a materialized view"),
    "sequence": ("CREATE SEQUENCE x", {"tables": ["x"]}, "is a sequence"),
    "foreign table": (
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;"
        "CREATE FOREIGN TABLE x (a int) SERVER s OPTIONS (filename '/dev/null')",
        {"tables": ["x"]},
        "is a foreign table",
    ),
    "not published": (
        "DROP PUBLICATION pub; CREATE PUBLICATION pub FOR TABLE t; CREATE TABLE x (a int PRIMARY KEY)",
        {"tables": ["t", "x"]},
        "public.x is in no publication",
    ),
    "unlogged": ("CREATE UNLOGGED TABLE x (a int PRIMARY KEY)", {"tables": ["x"]}, "is unlogged"),
    "unknown": ("SELECT", {"tables": ["t", "nowhere"]}, "There is no table public.nowhere"),
    "unknown in exclude": ("SELECT", {"exclude": ["nowhere"]}, "There is no table public.nowhere"),
    "unknown schema": ("SELECT", {"schemas": ["nowhere"]}, "There is no schema nowhere"),
    "system table": ("SELECT", {"tables": ["pg_catalog.pg_class"]}, "is the system's own"),
    "system schema": ("SELECT", {"schemas": ["information_schema"]}, "is the system's own"),
    "column of ours": ("CREATE TABLE x (a int PRIMARY KEY, _mm_base bigint)", {}, "has a column _mm_base of its own"),
    "too many columns": (
        "DO $$ BEGIN EXECUTE 'CREATE TABLE x (id int PRIMARY KEY, '"
        " || (SELECT string_agg('c' || g || ' bool', ', ') FROM generate_series(1, 1598) g) || ')'; END $$",
        {"tables": ["x"]},
        "1599 of the 1600 columns",
    ),
    "column list": (
        "DROP PUBLICATION pub; CREATE TABLE x (a int PRIMARY KEY, b int, c int); CREATE PUBLICATION pub FOR TABLE x (a, b)",
        {"tables": ["x"]},
        'column list of the publication "pub"',
    ),
    "typed table": ("CREATE TYPE y AS (a int); CREATE TABLE x OF y (PRIMARY KEY (a))", {"tables": ["x"]}, "is a typed table"),
    "partition": (
        "CREATE TABLE x (a int PRIMARY KEY) PARTITION BY LIST (a); CREATE TABLE x1 PARTITION OF x FOR VALUES IN (1)",
        {"tables": ["x1"]},
        "is a partition of public.x",
    ),
    "inherited": (
        "CREATE TABLE x (a int PRIMARY KEY); CREATE TABLE x_child (PRIMARY KEY (a)) INHERITS (x)",
        {"tables": ["x"]},
        "public.x is inherited by public.x_child",
    ),
    "inheriting": (
        "CREATE TABLE x (a int PRIMARY KEY); CREATE TABLE x_child (PRIMARY KEY (a)) INHERITS (x)",
        {"tables": ["x_child"]},
        "public.x_child inherits from public.x",
    ),
    "inherited, all tables": (
        "CREATE TABLE x (a int PRIMARY KEY); CREATE TABLE x_child (PRIMARY KEY (a)) INHERITS (x)",
        {},
        "public.x is inherited by public.x_child",
    ),
    "empty list": ("SELECT", {"tables": []}, "tables is empty"),
    "bad name": ("SELECT", {"tables": ['a"b']}, "badly quoted|neither a name"),
    "node id": ("SELECT", {"node_id": 1024}, "must be between 1 and 1023"),
    "no node id": ("SELECT", {"node_id": None}, "node_id"),
    "history": ("SELECT", {"history_days": 0}, "history_days is 0"),
}


def test_bad_input_is_refused_before_anything_changes(mesh: Mesh) -> None:
    for what, (setup, arguments, message) in BAD.items():
        with mesh.a.session(mesh.db) as session, session.cursor() as cursor:
            cursor.execute(setup)
        before = _schema(mesh)
        for check in (True, False):
            failed = mesh.policy(mesh.a, fails=True, check=check, **arguments)
            assert any(part in failed["msg"] for part in message.split("|")), (what, failed["msg"])
        assert _schema(mesh) == before, what
        mesh.a.query("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES", db=mesh.db)
        for kind in mesh.rows(mesh.a, f"SELECT {DROP_WORD} FROM pg_class WHERE relname = 'x'"):
            mesh.a.query(f"DROP {kind[0]} x CASCADE", db=mesh.db)


DROP_WORD = (
    "CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' "
    "WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END"
)


def _schema(mesh: Mesh) -> list[tuple[t.Any, ...]]:
    return mesh.rows(
        mesh.a,
        "SELECT (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_trigger),"
        " to_regnamespace('multimaster') IS NULL",
    )


def test_a_table_that_comes_to_inherit_keeps_its_rows_and_is_refused(mesh: Mesh) -> None:
    mesh.policies()
    mesh.subscribe()
    mesh.pair.both("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t); INSERT INTO child VALUES (1, 0, 'of the child')")
    mesh.meet()
    mesh.pause()
    mesh.a.query("INSERT INTO t VALUES (1, 1, 'older')", db=mesh.db)
    mesh.b.query("INSERT INTO t VALUES (1, 1, 'newer')", db=mesh.db)
    mesh.go_on()
    assert mesh.same("SELECT b FROM ONLY t") == [("newer",)]
    # What lost was deleted by its key, which the child's row has as well.
    assert mesh.same("SELECT b FROM child") == [("of the child",)]
    refused = mesh.policy(mesh.a, fails=True)
    assert "public.t is inherited by public.child" in refused["msg"]
    assert "public.child inherits from public.t" in refused["msg"]
    mesh.policies("error")
    for node in mesh.nodes:
        assert not mesh.policy(node, "error")["changed"]
        assert mesh.rows(node, "SELECT count(*) FROM pg_attribute WHERE attname ~ '^_mm_' AND NOT attisdropped") == [(0,)]


def test_selection_by_schemas_and_exclusion(mesh: Mesh) -> None:
    mesh.a.query(
        'CREATE SCHEMA "S 1"; CREATE TABLE "S 1".a (id int PRIMARY KEY); CREATE TABLE "S 1"."b.c" (id int PRIMARY KEY);'
        "CREATE TABLE keyless (id int)",
        db=mesh.db,
    )
    result = mesh.policy(mesh.a, schemas=["S 1"])
    assert [table["name"] for table in result["tables"]] == ['"S 1".a', '"S 1"."b.c"']
    assert not mesh.policy(mesh.a, schemas=["S 1"])["changed"]
    result = mesh.policy(mesh.a, exclude=['"S 1"."b.c"', "keyless"])
    assert [(table["name"], table["after"]) for table in result["tables"]] == [
        ("public.t", "last_update_wins"),
        ('"S 1"."b.c"', "error"),
    ]
    assert result["counts"] == {"last_update_wins": 2, "changed": 2}
    result = mesh.policy(mesh.a, "error", exclude=["t"])
    assert [table["name"] for table in result["tables"]] == ['"S 1".a']


def test_nothing_published_is_no_error(mesh: Mesh) -> None:
    mesh.a.query("DROP PUBLICATION pub", db=mesh.db)
    result = mesh.policy(mesh.a, check=True)
    assert "No table of the database is published" in result["warnings"][0]
    assert result["counts"]["last_update_wins"] == 0


def test_a_database_that_publishes_no_table_yet_stays_as_it_is(mesh: Mesh) -> None:
    mesh.pair.both("DROP PUBLICATION IF EXISTS pub; CREATE PUBLICATION pub")
    for run in range(3):
        result = mesh.policy(mesh.a)
        assert not result["changed"], (run, result["diff"])
    assert mesh.rows(mesh.a, "SELECT to_regnamespace('multimaster') IS NULL") == [(True,)]


def test_another_node_id_restamps_from_the_next_write_on(mesh: Mesh) -> None:
    """As after a rebuild from another node's copy; open sessions follow at once."""
    mesh.policy(mesh.a, node_id=1)
    session = mesh.a.session(mesh.db)
    with session.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, 1, 'x'); UPDATE t SET a = 2")
        changed = mesh.policy(mesh.a, node_id=2)
        assert (changed["diff"]["before"]["node_id"], changed["diff"]["after"]["node_id"]) == ("1", "2")
        cursor.execute("INSERT INTO t VALUES (2, 1, 'x'); UPDATE t SET a = 2 WHERE id = 1")
        cursor.execute("SELECT id, _mm_version & 1023, _mm_base & 1023 FROM t ORDER BY id")
        assert cursor.fetchall() == [(1, 2, 1), (2, 2, None)]
    session.close()


def test_set_while_both_nodes_are_written_to(mesh: Mesh) -> None:
    mesh.subscribe()

    def write(start: int) -> None:
        for number in range(start, start + 20):
            for node, own in zip(mesh.nodes, (0, 1)):
                node.query("INSERT INTO t VALUES (%s, 0, 'x')", [2 * number + own], mesh.db)
                node.query("UPDATE t SET a = a + 1 WHERE id = %s", [2 * number + own - 2], mesh.db)

    write(1)
    mesh.policy(mesh.a)
    write(100)  # cannot be applied on b until it has the columns
    mesh.policy(mesh.b)
    write(200)
    assert len(mesh.same()) == 120


def test_a_superuser_is_not_needed_to_write(mesh: Mesh) -> None:
    mesh.policy(mesh.a)
    _role(mesh.a, "writer")
    mesh.a.query("GRANT SELECT, INSERT, UPDATE (a) ON t TO writer", db=mesh.db)
    mesh.a.query("SET ROLE writer; INSERT INTO t (id) VALUES (1); UPDATE t SET a = 1; RESET ROLE", db=mesh.db)
    assert mesh.rows(mesh.a, "SELECT _mm_version > _mm_base FROM t") == [(True,)]


def test_a_view_is_replaced_with_what_others_have_made_of_it(mesh: Mesh) -> None:
    mesh.policy(mesh.a)
    _role(mesh.a, "writer")
    mesh.a.query("GRANT SELECT ON multimaster.conflict_summary TO writer", db=mesh.db)
    mesh.a.query("CREATE VIEW mine AS SELECT * FROM multimaster.conflict_summary", db=mesh.db)
    # As an earlier release left it
    mesh.a.query("COMMENT ON VIEW multimaster.conflict_summary IS NULL", db=mesh.db)
    assert mesh.policy(mesh.a)["changed"]
    assert not mesh.policy(mesh.a)["changed"]
    assert mesh.a.value("SELECT count(*) FROM mine", db=mesh.db) == 0
    assert mesh.a.value("SELECT has_table_privilege('writer', 'multimaster.conflict_summary', 'select')", db=mesh.db)


def test_no_function_is_public_by_default(mesh: Mesh) -> None:
    """Then the tables' writers and the history's readers can use those of the policy all the same."""
    mesh.a.query("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", db=mesh.db)
    try:
        _role(mesh.a, "writer")
        mesh.policy(mesh.a, history_readers=["writer"])
        assert not mesh.policy(mesh.a, history_readers=["writer"])["changed"]
        mesh.a.query("GRANT SELECT, INSERT ON t TO writer", db=mesh.db)
        mesh.a.query("SET ROLE writer", db=mesh.db)
        mesh.a.query("INSERT INTO t (id) VALUES (1)", db=mesh.db)
        for view in ("conflict_history", "conflict_summary"):
            assert mesh.a.value(f"SELECT count(*) FROM multimaster.{view}", db=mesh.db) == 0
    finally:
        mesh.a.query("RESET ROLE", db=mesh.db)
        mesh.a.query("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC", db=mesh.db)


def _role(node: Server, name: str) -> None:
    if not node.query("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
        node.query(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))


def set_off(mesh: Mesh, command: str, role: str = "postgres") -> dict[str, str]:
    """The triggers of t after a command of that role."""
    session = mesh.a.session(mesh.db)
    with session.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}; SET search_path = public; {command}")
    session.close()
    return dict(mesh.rows(mesh.a, "SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE '%multimaster%'"))


def test_the_policy_survives_what_dumps_do_with_triggers(mesh: Mesh) -> None:
    """ALTER TABLE .. DISABLE TRIGGER ALL, and ENABLE, made the triggers fire for local writes alone."""
    mesh.pair.both(
        "CREATE TABLE p (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part); "
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
    )
    mesh.policies()
    mesh.subscribe()
    mesh.pair.both("ALTER TABLE t OWNER TO CURRENT_USER")
    before = set_off(mesh, "SELECT")
    assert set(before.values()) == {"R", "O", "A"}
    for table in ("t", "p", "p1", "multimaster.conflict"):
        for command in ("DISABLE TRIGGER ALL", "ENABLE TRIGGER ALL", "DISABLE TRIGGER USER", "ENABLE ALWAYS TRIGGER ALL"):
            if "ALWAYS TRIGGER ALL" in command:
                command = (
                    'ENABLE ALWAYS TRIGGER "00_multimaster_insert"' if table != "multimaster.conflict" else "ENABLE TRIGGER USER"
                )
            assert set_off(mesh, f"ALTER TABLE {table} {command}") == before, (table, command)
    # The owner of a table, whose search_path has operators and functions of its own.
    mesh.a.query(
        "ALTER TABLE t OWNER TO app; GRANT CREATE, USAGE ON SCHEMA public TO app; "
        "CREATE FUNCTION public.format(text, name, name, text, name) RETURNS text LANGUAGE plpgsql AS "
        "$f$BEGIN RAISE EXCEPTION 'called'; END$f$",
        db=mesh.db,
    )
    assert set_off(mesh, "SET search_path = public, pg_catalog; ALTER TABLE t DISABLE TRIGGER USER", "app") == before
    assert not mesh.policy(mesh.a, check=True)["changed"]
    # Applied changes are still decided, and other alterations still pass.
    mesh.pair.both("ALTER TABLE t ADD COLUMN c int")
    mesh.a.query("INSERT INTO t VALUES (1, 1, 'a')", db=mesh.db)
    mesh.meet()
    mesh.b.query("UPDATE t SET b = 'b' WHERE id = 1", db=mesh.db)
    assert mesh.same("SELECT id, b FROM t") == [(1, "b")]
    assert mesh.apply_errors() == 0


def test_a_function_of_somebody_else_is_not_taken(mesh: Mesh) -> None:
    """It would run as whoever alters a table."""
    mesh.policy(mesh.a)
    mesh.a.query("ALTER FUNCTION multimaster.keep_policy() OWNER TO replicator", db=mesh.db)
    for check in (True, False):
        refused = mesh.policy(mesh.a, check=check, fails=True)["msg"]
        assert "the function multimaster.keep_policy belongs to replicator" in refused
        assert "rename or drop it" in refused
    mesh.a.query("DROP FUNCTION multimaster.keep_policy() CASCADE", db=mesh.db)
    assert mesh.policy(mesh.a)["changed"]
    assert not mesh.policy(mesh.a)["changed"]
