# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warm connections to one node.

Unlike psycopg_pool it can end everything that is under way on its node at once, opens no connection in a request's own
time while one is free, and leaves it to the probe to say when a lost node is worth connecting to again.
"""

from __future__ import annotations

import asyncio
import collections
import typing as t

import psycopg

from .connection import Connection, cut, discard, is_idle, is_quiet

Opener = t.Callable[[], t.Awaitable[Connection]]

# So many connections are opened at the same time: where time is short, more would keep each other from being ready.
_AT_A_TIME = 2


class Pool:
    """Between ``minimum`` and ``maximum`` connections while it is open."""

    def __init__(self, opener: Opener, minimum: int, maximum: int) -> None:
        self._open_one = opener
        self._minimum, self._maximum = minimum, maximum
        # The one used last comes first: a burst's extra connections age at the other end.
        self._idle: collections.deque[Connection] = collections.deque()
        self._used: set[Connection] = set()
        self._waiting: collections.deque[asyncio.Future[Connection]] = collections.deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        # Why the last attempt to open a connection failed
        self._failure: Exception | None = None
        self.is_open = False

    @property
    def size(self) -> int:
        return len(self._idle) + len(self._used)

    @property
    def free(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def open(self) -> None:
        """Connect until it is warm. Raises psycopg.OperationalError, and is closed then, where the node does not let it in.

        The cause is the last connection's: what the server said, or what the warm-up failed with.
        """
        self.is_open, self._failure = True, None
        self._refill()
        tasks = list(self._opening)
        if tasks:
            await asyncio.wait(tasks)
        if not self.size:
            self.close()
            raise psycopg.OperationalError("the node does not accept connections") from self._failure

    def close(self) -> None:
        """Drop everything: statements under way fail now, and so do those who wait for a connection."""
        self.is_open = False
        for task in self._opening:
            task.cancel()
        while self._idle:
            discard(self._idle.popleft())
        for connection in self._used:
            cut(connection)
        self._fail_waiting(psycopg.OperationalError("the node was set aside"))

    async def acquire(self, timeout: float) -> Connection:
        """A connection, to be given back with ``release``.

        Raises psycopg.OperationalError where the node lets nobody in, and TimeoutError where all are in use for so long.
        """
        if not self.is_open:
            raise psycopg.OperationalError("the node was set aside")
        while self._idle:
            connection = self._idle.pop()
            if is_quiet(connection):
                self._used.add(connection)
                return connection
            discard(connection)
        if self.size + len(self._opening) < self._maximum:
            self._start_opening()
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await asyncio.wait([future], timeout=timeout)
        except asyncio.CancelledError:
            if future.done() and not future.exception():
                self.release(future.result())
            raise
        finally:
            if not future.done():
                future.cancel()
                self._waiting.remove(future)
        if future.cancelled():
            raise TimeoutError
        return future.result()

    def release(self, connection: Connection) -> None:
        """Take it back; one that is broken or in the middle of a transaction is not kept."""
        self._used.discard(connection)
        if not self.is_open or not is_idle(connection):
            discard(connection)
            if self.is_open:
                self._refill()
            return
        self._hand_over(connection)

    async def check(self, works: t.Callable[[Connection], t.Awaitable[bool]]) -> bool:
        """Ask the connection that has been idle longest whether it still works, and keep the pool warm. False without any."""
        fine = False
        if self._idle:
            connection = self._idle.popleft()
            self._used.add(connection)
            fine = is_quiet(connection) and await works(connection)
            if not fine:
                cut(connection)
            self._used.discard(connection)
            if fine and self.is_open and is_idle(connection):
                if self._waiting:
                    self._hand_over(connection)
                else:
                    self._idle.append(connection)
            else:
                discard(connection)
        if self.is_open:
            self._refill()
        return fine

    def keep(self, count: int) -> None:
        """From now on so many connections are kept open, if the maximum allows it."""
        self._minimum = min(count, self._maximum)

    def _hand_over(self, connection: Connection) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                self._used.add(connection)
                future.set_result(connection)
                return
        self._idle.append(connection)

    def _refill(self) -> None:
        for _ignored in range(self._minimum - self.size - len(self._opening)):
            self._start_opening()

    def _start_opening(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open_in_background())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_in_background(self) -> None:
        try:
            async with self._turns:
                connection = await self._open_one()
        except Exception as error:  # noqa: BLE001 - a program's warm-up may raise anything
            self._failure = error
            # With connections left, those who wait get one of these.
            if not self.size:
                self._fail_waiting(error)
            return
        if self.is_open:
            self._hand_over(connection)
        else:
            discard(connection)

    def _fail_waiting(self, error: Exception) -> None:
        if not isinstance(error, (psycopg.Error, OSError)):
            error = psycopg.OperationalError("the warm-up of a connection failed")
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
