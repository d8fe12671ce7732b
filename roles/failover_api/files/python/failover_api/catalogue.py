# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backups, as the catalogue in Redis has them. Read only."""

from __future__ import annotations

import asyncio
import json
import time
import typing as t

from multimaster_failover.redis_client import close, redis_client
from redis.exceptions import RedisError

PREFIX = "pgbackrest"
# For so long an answer is given again, in seconds
_FRESH = 2.0
_PER_STANZA = 100
_TIMEOUT = 1.0


class CatalogueAway(Exception):
    """No server answers."""


class Catalogue:
    """Reads every server and shows what any of them has."""

    def __init__(self, servers: t.Sequence[t.Mapping[str, t.Any]], stanzas: t.Sequence[str]) -> None:
        self._servers = [redis_client({"decode_responses": True, **server}, _TIMEOUT) for server in servers]
        self._stanzas = list(stanzas)
        self._lock = asyncio.Lock()
        self._held: list[dict[str, t.Any]] = []
        self._at = float("-inf")

    async def backups(self) -> list[dict[str, t.Any]]:
        """The records of the catalogue, newest first. Raises CatalogueAway."""
        async with self._lock:
            if time.monotonic() - self._at > _FRESH:
                self._held = await self._read()
                self._at = time.monotonic()
            return self._held

    async def close(self) -> None:
        for server in self._servers:
            await close(server)

    async def _read(self) -> list[dict[str, t.Any]]:
        answers = await asyncio.gather(*(self._read_from(server) for server in self._servers), return_exceptions=True)
        found: dict[tuple[str, str], dict[str, t.Any]] = {}
        away = 0
        for answer in answers:
            if isinstance(answer, (RedisError, OSError, asyncio.TimeoutError)):
                away += 1
            elif isinstance(answer, BaseException):
                raise answer
            else:
                for record in answer:
                    found[(str(record.get("stanza")), str(record.get("label")))] = record
        if away == len(self._servers):
            raise CatalogueAway
        return sorted(found.values(), key=lambda record: str(record.get("timestamp")), reverse=True)

    async def _read_from(self, server: t.Any) -> list[dict[str, t.Any]]:
        records: list[dict[str, t.Any]] = []
        for stanza in self._stanzas or await self._stanzas_of(server):
            labels = await server.zrevrange(f"{PREFIX}:history:{stanza}", 0, _PER_STANZA - 1)
            if labels:
                texts = await server.mget([f"{PREFIX}:backup:{stanza}:{label}" for label in labels])
                records += [record for record in map(_parsed, texts) if record is not None]
        return records

    async def _stanzas_of(self, server: t.Any) -> list[str]:
        start = f"{PREFIX}:history:"
        return [key[len(start):] async for key in server.scan_iter(match=f"{start}*", count=100)]


def _parsed(text: str | None) -> dict[str, t.Any] | None:
    try:
        record = json.loads(text or "null")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
