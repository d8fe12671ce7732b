# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of rows that are decided before the first attempt to write them, so that every further attempt meets the same row."""

from __future__ import annotations

import asyncio
import collections
import hashlib
import typing as t

from .connection import Connection
from .execution import Attempt, Executor


class KeyStock:
    """Values of a sequence, fetched many at a time.

    The nodes' sequences never yield the same value, so that a value taken from one node can be used on any other, also after
    the first is gone. Values that are not used are lost, as with any sequence.
    """

    def __init__(self, executor: Executor, sequence: str, block: int = 256) -> None:
        self._executor, self._sequence, self._block = executor, sequence, block
        self._keys: collections.deque[int] = collections.deque()
        self._fetching: asyncio.Task[None] | None = None

    async def take(self) -> int:
        """The next key; fetched from the active node when none is left. Raises Unavailable."""
        while not self._keys:
            await asyncio.shield(self._fetch_once())
        if len(self._keys) < self._block // 2:
            self._fetch_once().add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._keys.popleft()

    async def fill(self) -> None:
        """Have keys at hand. Raises Unavailable, or psycopg.Error where the sequence cannot be used."""
        if not self._keys:
            await asyncio.shield(self._fetch_once())

    def _fetch_once(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        async def unit(connection: Connection, _ignored: Attempt) -> list[t.Any]:
            query = "SELECT pg_catalog.nextval(%s::pg_catalog.regclass) FROM pg_catalog.generate_series(1, %s)"
            cursor = await connection.execute(query, [self._sequence, self._block])
            return await cursor.fetchall()

        rows, _ignored = await self._executor.run(unit, write=True)
        self._keys.extend(key for (key,) in rows)


def derived_key(text: str, content: str, attempt: int = 0) -> int:
    """A negative 32-bit key for a caller's idempotency key, the same on every instance and node, without any record of it.

    Sequences yield positive values only, so the two never meet. ``attempt`` gives the next one where another row is already
    there by chance.
    """
    digest = hashlib.sha256(f"{attempt}\0{len(text)}\0{text}\0{content}".encode()).digest()
    return -1 - (int.from_bytes(digest[:4], "big") >> 1)
