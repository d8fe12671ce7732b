# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two real servers per test session, a fresh database on both per test."""

from __future__ import annotations

import contextlib
import itertools
import typing as t

import pytest
from psycopg2 import sql
from servers import Authority, Pair, Server, wait_until
from subscriptions import Mesh

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def servers(authority: Authority) -> t.Iterator[tuple[Server, Server]]:
    started: list[Server] = []
    try:
        for name in ("a", "b"):
            started.append(Server(name, authority))
            started[-1].create()
        yield started[0], started[1]
    finally:
        for server in started:
            server.destroy()


@contextlib.contextmanager
def _pair(servers: tuple[Server, Server]) -> t.Iterator[Pair]:
    db = f"test_{next(_numbers)}"
    for server in servers:
        if not (server.data / "postmaster.pid").exists():
            server.start()
        server.query(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(db)))
        server.query(f"GRANT CREATE ON DATABASE {db} TO subscription_owner; GRANT pg_read_all_data TO replicator")
    try:
        yield Pair(*servers, db)
    finally:
        for server in servers:
            if not (server.data / "postmaster.pid").exists():
                server.start()
            _drop_subscriptions(server, db)
        for server in servers:
            _drop_database(server, db)


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> t.Iterator[Pair]:
    with _pair(servers) as made:
        yield made


@pytest.fixture
def mesh(pair: Pair) -> Mesh:
    """A pair that publishes, for the tests of subscriptions."""
    return Mesh(pair)


@pytest.fixture
def second_mesh(mesh: Mesh, servers: tuple[Server, Server]) -> t.Iterator[Mesh]:
    """Another database of the servers of ``mesh``."""
    with _pair(servers) as made:
        yield Mesh(made)


def _drop_subscriptions(server: Server, db: str) -> None:
    names = server.query("SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = %s", [db])
    for (name,) in names:
        subscription = sql.Identifier(name)
        for command in ("ALTER SUBSCRIPTION {} DISABLE", "ALTER SUBSCRIPTION {} SET (slot_name = NONE)", "DROP SUBSCRIPTION {}"):
            server.query(sql.SQL(command).format(subscription), db=db)


def _drop_database(server: Server, db: str) -> None:
    server.forget_sessions(db)

    def slots_gone() -> bool:
        server.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", [db])
        server.query(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s AND NOT active", [db]
        )
        return server.value("SELECT count(*) FROM pg_replication_slots WHERE database = %s", [db]) == 0

    wait_until(slots_gone, what="dropping of slots")
    server.query(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(db)))
