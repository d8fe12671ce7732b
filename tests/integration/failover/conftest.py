# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failover client's package, and two masters for it."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import psycopg2
import pytest

PACKAGES = Path(__file__).resolve().parents[3] / "roles/failover_api/files/python"
sys.path.insert(0, str(PACKAGES))

# The IMDB schema
sys.path.append(str(Path(__file__).resolve().parents[1] / "imdb"))

from api_process import PRIVILEGES, ROLE, Api, RedisServer  # noqa: E402
from failover_mesh import TABLE, FailoverMesh, start_again, thaw  # noqa: E402
from imdb_data import schema_sql  # noqa: E402
from servers import Authority, Pair  # noqa: E402


@pytest.fixture
def mesh(pair: Pair, run_module: t.Callable[..., t.Any]) -> t.Iterator[FailoverMesh]:
    """A table ``journal`` on both, replicating both ways with last update wins."""
    mesh = FailoverMesh(pair, run_module)
    mesh.build(TABLE, sequence="journal_id_seq")
    yield mesh
    heal(mesh)


def heal(mesh: FailoverMesh) -> None:
    """Whatever a test did to the servers, the next one finds them running."""
    for node in mesh.nodes:
        if (node.data / "postmaster.pid").exists():
            thaw(node)
        try:
            node.forget_sessions()
            node.value("SELECT 1")
        except psycopg2.OperationalError:
            start_again(node)


@pytest.fixture
def imdb(pair: Pair, run_module: t.Callable[..., t.Any]) -> t.Iterator[FailoverMesh]:
    """The IMDB schema on both, and the API's role with what it may do."""
    mesh = FailoverMesh(pair, run_module)
    mesh.build(schema_sql(), sequence="generos_id_genero_seq")
    for node in mesh.nodes:
        node.query(ROLE)
        node.query(PRIVILEGES, db=mesh.db)
    yield mesh
    heal(mesh)


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> t.Iterator[list[RedisServer]]:
    """Two that know nothing of each other."""
    folder = tmp_path_factory.mktemp("redis")
    servers = [RedisServer(folder / name, authority) for name in ("one", "two")]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def redis_pair(redis_servers: list[RedisServer]) -> list[RedisServer]:
    """Both running and empty."""
    for server in redis_servers:
        server.stop()
        server.start()
    return redis_servers


@pytest.fixture
def api(
    tmp_path: Path, imdb: FailoverMesh, redis_pair: list[RedisServer], request: pytest.FixtureRequest
) -> t.Iterator[Api]:
    """One instance with both nodes up to date. A test's parameter changes its configuration."""
    instance = Api(tmp_path / "api1", imdb, redis_pair, **getattr(request, "param", {}))
    try:
        instance.start().wait_until_up()
        yield instance
    finally:
        instance.stop()


@pytest.fixture
def second_api(tmp_path: Path, api: Api, imdb: FailoverMesh, redis_pair: list[RedisServer]) -> t.Iterator[Api]:
    """Another instance over the same masters."""
    instance = Api(tmp_path / "api2", imdb, redis_pair)
    try:
        instance.start().wait_until_up()
        yield instance
    finally:
        instance.stop()
