# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a write of a genre is answered when an earlier attempt of it may have been carried out."""

from __future__ import annotations

import asyncio
import types
import typing as t

import psycopg
import pytest
from failover_api.generos import _store
from failover_api.generos_sql import BY_NAME, INSERT
from failover_api.replies import Refused
from multimaster_failover import Attempt


class Met:
    """A node on which the name is there by the time it is checked: replication has just brought the row."""

    def __init__(self, key: int) -> None:
        self._key = key

    async def execute(self, query: str, _ignored: t.Any) -> t.Any:
        if query == INSERT:
            raise psycopg.errors.UniqueViolation
        assert query == BY_NAME
        return self

    async def fetchone(self) -> tuple[int]:
        return (self._key,)

    async def fetchall(self) -> list[tuple[int]]:
        return [(self._key,)]


def service(key: int, *, in_doubt: bool) -> t.Any:
    """A client of which every attempt of a write meets that row; ``in_doubt``: after one whose answer was lost."""

    async def run(unit: t.Any, *, write: bool) -> tuple[t.Any, Attempt]:
        attempt = Attempt("pg2", "secondary", 2, in_doubt)
        return await unit(Met(key), attempt), attempt

    async def fetch(query: str, parameters: t.Any) -> tuple[t.Any, Attempt]:
        return [(key,)], Attempt("pg2", "secondary", 1, False)

    return types.SimpleNamespace(client=types.SimpleNamespace(run=run, fetch=fetch))


def test_the_caller_s_own_row_is_no_conflict() -> None:
    key, attempt = asyncio.run(_store(service(70, in_doubt=True), "Noir", 70, None))
    assert (key, attempt.node) == (70, "pg2")


@pytest.mark.parametrize(("key", "in_doubt", "said"), [(70, False, "This id_genero exists."), (71, True, "This genre exists.")])
def test_another_s_row_is_one(key: int, in_doubt: bool, said: str) -> None:
    with pytest.raises(Refused) as refused:
        asyncio.run(_store(service(key, in_doubt=in_doubt), "Noir", 70, None))
    assert (refused.value.status, refused.value.sentence, refused.value.details) == (409, said, {"id_genero": key})
