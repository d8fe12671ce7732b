# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others in a database can do against conflict policy and sequences: nothing that gives them more, nor stops a node."""

from __future__ import annotations

import re
import typing as t

import pytest
from conflicts import Mesh
from psycopg2 import sql
from servers import Pair, Server

RunModule = t.Callable[..., t.Any]
TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, a int)"


@pytest.fixture
def stranger(servers: tuple[Server, Server]) -> t.Iterator[str]:
    """A role that may log in, and nothing else."""
    for server in servers:
        server.query("CREATE ROLE stranger LOGIN")
    try:
        yield "stranger"
    finally:
        for server in servers:
            server.query("DROP ROLE stranger")


def test_a_lock_that_anybody_can_hold_stops_neither_inserts_nor_apply_workers(
    pair: Pair, run_module: RunModule, stranger: str
) -> None:
    mesh = Mesh(pair, run_module)
    pair.both(TABLE)
    mesh.publish()
    mesh.policies()
    mesh.subscribe()
    held = []
    for node in mesh.nodes:
        default = node.value(
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass", db=mesh.db
        )
        (lock,) = re.findall(r"\d{5,}", default)
        session = node.session(mesh.db, user=stranger, host=str(node.home))
        session.cursor().execute("SELECT pg_advisory_lock(%s)", [int(lock)])
        held.append(session)
    try:
        for number, node in enumerate(mesh.nodes):
            command = "SET statement_timeout = '60s'; INSERT INTO t SELECT 1000 * %s + n, n FROM generate_series(1, 50) n"
            node.query(command, [number], mesh.db)
        mesh.meet()
        assert len(mesh.same()) == 100
        assert mesh.apply_errors() == 0
    finally:
        for session in held:
            session.close()


@pytest.mark.parametrize("what", ["CREATE SCHEMA multimaster AUTHORIZATION {}", None], ids=["schema", "function"])
@pytest.mark.parametrize("module", ["pg_conflict_policy", "pg_sequence_mm"])
def test_nothing_is_taken_from_a_schema_of_somebody_else_s(
    pair: Pair, run_module: RunModule, stranger: str, module: str, what: str | None
) -> None:
    owner = sql.Identifier(stranger)
    pair.both(TABLE)
    if what:
        pair.a.query(sql.SQL(what).format(owner), db=pair.db)
    else:
        pair.a.query("CREATE SCHEMA multimaster; CREATE FUNCTION multimaster.node_id() RETURNS int RETURN 1", db=pair.db)
        pair.a.query(sql.SQL("ALTER FUNCTION multimaster.node_id() OWNER TO {}").format(owner), db=pair.db)
    arguments = {**pair.login(pair.a), "node_id": 1, **({"policy": "last_update_wins"} if module == "pg_conflict_policy" else {})}
    for check in (True, False):
        failed = run_module(module, arguments, fails=True, check=check)
        assert "belongs to stranger" in failed["msg"]
    assert not pair.a.query("SELECT FROM pg_event_trigger", db=pair.db)
    pair.a.query(sql.SQL("DROP OWNED BY {}").format(owner), db=pair.db)
