# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many searches there are at a time: each may read a whole table, and the connections are everybody's."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t


class TooManySearches(Exception):
    """None has ended in time."""


class Searches:
    """Half of a node's ``connections`` at most, so that keys are found and rows are written whatever is searched for."""

    def __init__(self, connections: int, patience: float = 1.0) -> None:
        self._places = asyncio.Semaphore(max(1, connections // 2))
        self._patience = patience

    @contextlib.asynccontextmanager
    async def place(self) -> t.AsyncIterator[None]:
        """For the time of one search. Raises TooManySearches where others have all places for ``patience`` seconds."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except asyncio.TimeoutError:
            raise TooManySearches from None
        try:
            yield
        finally:
            self._places.release()
