# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A test host with PostgreSQL, pgBackRest and two Redis servers, made once per session."""

from __future__ import annotations

import functools
import os
import typing as t

import pytest
from host import NETWORK, STANZA, SUBNET, Host, make_network, remove_network
from servers import Authority, wait_until

# Each process of a parallel run has a host of its own.
NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
NAME = f"mm-pgbackrest-{NUMBER}"


@pytest.fixture(scope="session")
def host() -> t.Iterator[Host]:
    """The container. With MULTIMASTER_KEEP_HOST set it is left, and used again by the next run."""
    keep = bool(os.environ.get("MULTIMASTER_KEEP_HOST"))
    make_network()
    host = Host(NAME, NETWORK, f"{SUBNET}.{10 + NUMBER}")
    try:
        host.create()
        yield host
    finally:
        if not keep:
            host.remove()
            remove_network()


@pytest.fixture
def node(host: Host) -> t.Iterator[Host]:
    """A running server that archives into a fresh stanza without a backup."""
    host.reset()
    yield host
    host.kill_leftovers()


@pytest.fixture
def backed_up(node: Host) -> Host:
    """The same with one full backup, and the table ``rows`` with the ids 1 and 2 in it."""
    node.sql("CREATE TABLE rows (id integer PRIMARY KEY); INSERT INTO rows VALUES (1), (2)")
    node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full"})
    return node


@pytest.fixture(scope="session")
def catalog_servers(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Two Redis servers with TLS and an ACL user; their ports."""
    directory = tmp_path_factory.mktemp("redis")
    Authority().issue(directory, "redis", "localhost", ["localhost"])
    host.install_redis(directory, [6391, 6392])
    return [6391, 6392]


@pytest.fixture
def catalog(node: Host, catalog_servers: list[int]) -> dict[str, t.Any]:
    """Arguments of backup_catalog for two running, empty servers."""
    for port in catalog_servers:
        node.start_redis(port)
        wait_until(functools.partial(node.redis_answers, port), what=f"Redis on {port}")
        node.redis(port, "FLUSHALL")
    return {
        "servers": [{"host": "localhost", "port": port} for port in catalog_servers],
        "login_user": "catalog",
        "login_password": Host.CATALOG_PASSWORD,
        "ca_certs": "/etc/redis-test/ca.crt",
        "timeout": 2,
    }
