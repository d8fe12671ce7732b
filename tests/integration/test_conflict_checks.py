# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes nodes differ without a conflict is found: triggers that fire in apply workers, and orphans of foreign keys."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from conflicts import Mesh
from servers import Pair

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.checks import changing_triggers, orphans
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    Connection,
    login_parameters,
)

SPEC = {name: option.get("default") for name, option in CONNECTION_SPEC.items()}


@pytest.fixture
def connection(pair: Pair) -> t.Iterator[Connection]:
    made = Connection(login_parameters({**SPEC, **pair.login(pair.a)}))
    with contextlib.closing(made):
        yield made


TRIGGERS = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE "odd ""t" (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE leaf PARTITION OF "odd ""t" DEFAULT;
CREATE TABLE unpublished (id int PRIMARY KEY);
CREATE TRIGGER always BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER replica BEFORE INSERT ON "odd ""t" FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE "odd ""t" ENABLE REPLICA TRIGGER replica;
CREATE TRIGGER origin BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER after_all AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE ALWAYS TRIGGER after_all;
CREATE TRIGGER deletes BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE ALWAYS TRIGGER deletes;
CREATE TRIGGER elsewhere BEFORE INSERT ON unpublished FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE unpublished ENABLE ALWAYS TRIGGER elsewhere;
"""


def test_triggers_that_can_change_rows_that_arrive(
    pair: Pair, run_module: t.Callable[..., t.Any], connection: Connection
) -> None:
    mesh = Mesh(pair, run_module)
    pair.both(TRIGGERS)
    mesh.publish('FOR TABLE t, "odd ""t"')
    expected = [
        {"schema": "public", "table": 'odd "t', "trigger": "replica", "enabled": "REPLICA"},
        {"schema": "public", "table": "t", "trigger": "always", "enabled": "ALWAYS"},
    ]
    assert changing_triggers(connection) == expected
    (warning,) = [text for text in mesh.policy(mesh.a)["warnings"] if "nodes come to differ" in text]
    assert 'replica on public."odd ""t"' in warning
    assert "always on public.t" in warning
    # The policy's own are none of the user's.
    assert changing_triggers(connection) == expected
    assert mesh.policy(mesh.a)["queries"] == []


FOREIGN_KEYS = """
CREATE TABLE parent (a int, b citext_like, PRIMARY KEY (a, b));
CREATE TABLE child (id int PRIMARY KEY, a int, b citext_like, CONSTRAINT "fk ""1" FOREIGN KEY (a, b) REFERENCES parent);
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree) PARTITION BY HASH (id);
CREATE TABLE tree0 PARTITION OF tree FOR VALUES WITH (MODULUS 1, REMAINDER 0);
"""


def test_orphans_arise_on_both_nodes_and_are_counted(
    pair: Pair, run_module: t.Callable[..., t.Any], connection: Connection
) -> None:
    mesh = Mesh(pair, run_module)
    pair.both(FOREIGN_KEYS.replace("citext_like", "text"))
    mesh.publish()
    mesh.policies()
    assert mesh.policy(mesh.a)["unchecked_foreign_keys"] == [
        {"table": "public.child", "constraint": 'fk "1'},
        {"table": "public.tree", "constraint": "tree_up_fkey"},
    ]
    mesh.subscribe()
    mesh.a.query("INSERT INTO parent VALUES (1, 'x'), (2, 'y'); INSERT INTO tree VALUES (1, NULL)", db=mesh.db)
    mesh.meet()
    mesh.pause()
    mesh.a.query("INSERT INTO child VALUES (1, 1, 'x'), (2, 2, 'y'), (3, NULL, 'z'); INSERT INTO tree VALUES (2, 1)", db=mesh.db)
    mesh.b.query("DELETE FROM parent WHERE a = 1; DELETE FROM tree WHERE id = 1", db=mesh.db)
    mesh.go_on()
    mesh.same("SELECT id, a FROM child ORDER BY 1")
    other = Connection(login_parameters({**SPEC, **pair.login(pair.b)}))
    for each in (connection, other):
        assert orphans(each) == [
            {"schema": "public", "table": table, "constraint": name, "parent": f"public.{parent}", "orphans": 1, "why": None}
            for table, name, parent in (("child", 'fk "1', "parent"), ("tree", "tree_up_fkey", "tree"))
        ]
    other.close()
    assert mesh.rows(mesh.a, "SELECT count(*) FROM pg_proc WHERE proname LIKE 'multimaster_orphans'") == [(0,)]


# What a table's owner can make a count run: it tries to be who asked.
OWNERS_CODE = """
CREATE ROLE {owner};
GRANT CREATE ON SCHEMA public TO {owner};
SET ROLE {owner};
CREATE FUNCTION tell(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> '{owner}' THEN RAISE EXCEPTION 'run by %', current_user; END IF;
    BEGIN
        PERFORM set_config('role', 'none', false);
        RAISE EXCEPTION 'is now %', current_user USING ERRCODE = 'XX000';
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    RETURN $1;
END $$;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, up int REFERENCES parent);
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO child VALUES (1, 1);
RESET session_replication_role;
SET ROLE {owner};
CREATE INDEX ON child ((tell('i')), up);
RESET ROLE;
"""


def test_no_code_of_an_owner_counts_as_the_superuser(pair: Pair, connection: Connection) -> None:
    owner = f"owner_of_{pair.db}"
    with contextlib.closing(pair.a.session(pair.db)) as session, session.cursor() as cursor:
        cursor.execute(OWNERS_CODE.format(owner=owner))
    try:
        (found,) = orphans(connection)
        assert (found["orphans"], found["why"]) == (1, None)
        # As owner of what hides rows from him, he is told that they cannot be counted.
        pair.a.query("ALTER TABLE parent ENABLE ROW LEVEL SECURITY; ALTER TABLE parent FORCE ROW LEVEL SECURITY", db=pair.db)
        (found,) = orphans(connection)
        assert found["orphans"] is None
        assert "row-level security" in found["why"]
    finally:
        pair.a.query(f"DROP OWNED BY {owner} CASCADE", db=pair.db)
        pair.a.query(f"DROP ROLE {owner}")
