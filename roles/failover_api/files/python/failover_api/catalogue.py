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
# For so long an answer is given again, also that nobody answers, in seconds
_FRESH = 2.0
_PER_STANZA = 100
# Of one answer, and of a server's answers together
_TIMEOUT = 1.0
_READ_TIMEOUT = 3.0


class CatalogueAway(Exception):
    """No server answers."""


class Catalogue:
    """Reads every server and shows what any of them has."""

    def __init__(self, servers: t.Sequence[t.Mapping[str, t.Any]], stanzas: t.Sequence[str]) -> None:
        self._servers = [redis_client({"decode_responses": True, **server}, _TIMEOUT) for server in servers]
        self._stanzas = list(stanzas)
        # None while no server answers
        self._held: list[dict[str, t.Any]] | None = None
        self._at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def backups(self, patience: float) -> list[dict[str, t.Any]]:
        """The records of the catalogue, newest first. Raises CatalogueAway.

        Servers that hang are waited for by one reading, whoever asks; a caller waits for it at most ``patience`` seconds and
        then gets what is held from before. The very first answer is waited for, within its own limit.
        """
        if time.monotonic() - self._at > _FRESH:
            reading = self._read_once()
            await asyncio.wait([reading], timeout=patience if self._known() else None)
            if reading.done():
                # What is neither an answer nor an absence is a mistake of this program.
                reading.result()
        if self._held is None:
            raise CatalogueAway
        return self._held

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        for server in self._servers:
            await close(server)

    def _known(self) -> bool:
        """Whether any reading has ended."""
        return self._at > float("-inf")

    def _read_once(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._refresh())
        return self._reading

    async def _refresh(self) -> None:
        try:
            self._held = await self._read()
        except CatalogueAway:
            self._held = None
        self._at = time.monotonic()

    async def _read(self) -> list[dict[str, t.Any]]:
        answers = await asyncio.gather(*map(self._in_time, self._servers), return_exceptions=True)
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

    async def _in_time(self, server: t.Any) -> list[dict[str, t.Any]]:
        async with asyncio.timeout(_READ_TIMEOUT):
            return await self._read_from(server)

    async def _read_from(self, server: t.Any) -> list[dict[str, t.Any]]:
        records: list[dict[str, t.Any]] = []
        for stanza in self._stanzas or sorted(await server.smembers(f"{PREFIX}:stanzas")):
            labels = await server.zrevrange(f"{PREFIX}:history:{stanza}", 0, _PER_STANZA - 1)
            if labels:
                texts = await server.mget([f"{PREFIX}:backup:{stanza}:{label}" for label in labels])
                records += [record for record in map(_parsed, texts) if record is not None]
        return records


def _parsed(text: str | None) -> dict[str, t.Any] | None:
    try:
        record = json.loads(text or "null")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
