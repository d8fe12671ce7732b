# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out a request: on the active node, on another one where that fails, within the request's time."""

from __future__ import annotations

import asyncio
import random
import typing as t
from dataclasses import dataclass

import psycopg

from .choice import State
from .classify import Fault, fault, reason
from .cluster import Cluster
from .connection import Connection, Deadline
from .errors import NoNode, OutOfTime, TooSlow, Unavailable
from .node import Node

Result = t.TypeVar("Result")

# While it goes nowhere better, an attempt is looked at so often, in seconds.
_LOOK_AGAIN = 0.1


@dataclass(frozen=True)
class Attempt:
    """What a unit of work is told. ``in_doubt``: an earlier attempt of this request may have been committed somewhere."""

    node: str
    role: str
    number: int
    in_doubt: bool


Unit = t.Callable[[Connection, Attempt], t.Awaitable[Result]]


class Executor:
    """``run`` is what everything goes through."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._settings = cluster.settings
        # Set while writes may begin; a planned switch holds them back for some milliseconds.
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(
        self, unit: Unit[Result], *, write: bool = False, deadline: float | None = None, budget: float | None = None
    ) -> tuple[Result, Attempt]:
        """The unit's result, and the attempt that gave it.

        The unit is called with a connection in autocommit mode and may be called again, on another node and after an attempt
        whose outcome is unknown: what it writes must have a key that was decided before. Raises Unavailable, or what the unit
        raises by its own fault.
        """
        loop = asyncio.get_running_loop()
        request = _Request(write, loop.time(), budget or self._settings.budget, deadline or self._settings.deadline)
        while True:
            if write and not self.gate.is_set():
                await self.gate.wait()
            remaining = await self._time_left(request)
            if remaining <= 0:
                raise request.failed(OutOfTime, "the time of the request is over")
            node = self._pick(request)
            if node is None:
                await asyncio.sleep(_LOOK_AGAIN / 2)
                continue
            if node.name in request.avoid:
                await asyncio.sleep(_LOOK_AGAIN / 2)
            connection = await self._connection(node, request, remaining)
            if connection is None:
                continue
            if write and not self._belongs(node, request):
                # A switch came while it waited for the connection. That does not count the write as under way.
                node.pool.release(connection)
                continue
            request.number += 1
            attempt = Attempt(node.name, node.role, request.number, request.in_doubt)
            node.writes += write
            started = loop.time()
            timer = Deadline(connection, min(request.deadline, remaining), self._waiter(node, request, started))
            try:
                with timer:
                    result = await unit(connection, attempt)
                if write:
                    node.strikes = 0
                return result, attempt
            except Exception as error:  # noqa: BLE001 - classified there, and raised again unless a node is to blame
                if timer.expired:
                    self._unanswered(node, request, started)
                else:
                    await self._failed(node, request, error, connection)
            finally:
                node.writes -= write
                node.pool.release(connection)

    def _pick(self, request: _Request) -> Node | None:
        """The node to try; None while there is none, and one that is only slow is expected."""
        node = self._cluster.current()
        is_calm = self._cluster.pace.is_calm(asyncio.get_running_loop().time())
        if node is None:
            if not is_calm and any(each.is_expected for each in self._cluster.nodes.values()):
                return None
            raise request.failed(NoNode, "no node can be used")
        if node.name in request.avoid:
            others = [other for other in self._usable() if other.name not in request.avoid]
            if others:
                return others[0]
            if not request.unanswered and is_calm:
                raise request.failed(TooSlow, "the servers took too long")
        return node

    def _remaining(self, request: _Request) -> float:
        """Seconds that are left of its time. There is more of that while all nodes are slow and one of them still answers."""
        now = asyncio.get_running_loop().time()
        lately = now - request.budget - self._cluster.pace.WINDOW
        if any(node.answered_since(lately) for node in self._cluster.nodes.values()):
            request.granted = max(request.granted, self._cluster.pace.granted(request.budget, now))
        return request.began + request.granted - now

    async def _time_left(self, request: _Request) -> float:
        """The same; where it seems to be over, this program may only have stood still, which it is to notice first."""
        remaining = self._remaining(request)
        if remaining <= 0:
            await asyncio.sleep(_LOOK_AGAIN)
            remaining = self._remaining(request)
        return remaining

    def _waiter(self, node: Node, request: _Request, started: float) -> t.Callable[[], float]:
        """For how long an attempt is waited for beyond its deadline: until it can be expected to go better elsewhere."""

        def more() -> float:
            now, remaining = asyncio.get_running_loop().time(), self._remaining(request)
            due = started + self._cluster.pace.stretched(request.deadline, now)
            if now < due:
                return min(due - now, remaining)
            others = [other for other in self._usable() if other is not node and other.name not in request.avoid]
            return 0.0 if any(other.answered_since(started) for other in others) else min(_LOOK_AGAIN, remaining)

        return more

    def _belongs(self, node: Node, request: _Request) -> bool:
        """Whether a write may begin on the node that was picked for it before."""
        current = self._cluster.current()
        if not self.gate.is_set() or current is None:
            return False
        return node is current or (current.name in request.avoid and node.state is State.UP)

    def _usable(self) -> list[Node]:
        """Those that can be used, without such as are only used for want of any other."""
        return [node for node in self._cluster.nodes.values() if node.state is State.UP and not node.judged.verdict]

    async def _connection(self, node: Node, request: _Request, remaining: float) -> Connection | None:
        try:
            return await node.pool.acquire(remaining)
        except TimeoutError:
            if await self._time_left(request) <= 0:
                raise request.failed(OutOfTime, "all connections are in use") from None
        except (psycopg.Error, OSError) as error:
            kind = fault(error, connection_closed=True)
            if kind is Fault.LATE:
                # The next one is given more time.
                request.avoid.add(node.name)
                request.unanswered = True
            elif kind is Fault.BUSY or (node.state is not State.ASIDE and node.probe.is_connected):
                # It lets nobody else in; the probe's connection goes on.
                request.avoid.add(node.name)
                request.unanswered = False
            else:
                self._cluster.set_aside(node, reason(error))
        return None

    def _unanswered(self, node: Node, request: _Request, started: float) -> None:
        request.doubt(self._cluster, node)
        if not node.answered_since(started) and self._cluster.blame(node, "it hangs", started):
            return
        # Its probes are answered: a long wait for a lock, or a disk that takes no writes.
        node.strikes += request.write
        # The last node that can be used is never set aside for being slow.
        many = node.strikes >= self._settings.write_strikes
        if not (many and self._cluster.blame(node, f"{node.strikes} writes in a row were not answered", started)):
            request.avoid.add(node.name)
            request.unanswered = True

    async def _failed(self, node: Node, request: _Request, error: Exception, connection: Connection) -> None:
        kind = fault(error, connection_closed=connection.closed)
        if kind is Fault.APPLICATION:
            raise error
        if kind is Fault.SERIALIZATION:
            request.conflicts += 1
            await asyncio.sleep(random.uniform(0.0005, 0.002) * 2 ** min(request.conflicts, 6))  # noqa: S311 - no secret
        elif kind is Fault.BUSY:
            request.avoid.add(node.name)
            request.unanswered = False
        else:
            # Sent, and the connection is gone: it may have been committed.
            if connection.closed:
                request.doubt(self._cluster, node)
            self._cluster.set_aside(node, reason(error))


class _Request:
    """What one request has met so far."""

    def __init__(self, write: bool, began: float, budget: float, deadline: float) -> None:
        self.write, self.began, self.budget, self.deadline = write, began, budget, deadline
        # Its time from its beginning on
        self.granted = budget
        self.number = 0
        self.conflicts = 0
        self.in_doubt = False
        # Nodes that are alive and did not get it done, and whether the last of them only gave no answer in time
        self.avoid: set[str] = set()
        self.unanswered = False

    def doubt(self, cluster: Cluster, node: Node) -> None:
        if self.write:
            self.in_doubt = True
            cluster.events.add("in_doubt", node.name, "a write got no answer and is repeated with the same key")

    def failed(self, kind: type[Unavailable], message: str) -> Unavailable:
        return kind(message, in_doubt=self.in_doubt)
