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
        end = loop.time() + (budget or self._settings.budget)
        allowed = deadline or self._settings.deadline
        request = _Request(write)
        while True:
            if write and not self.gate.is_set():
                await self.gate.wait()
            remaining = end - loop.time()
            if remaining <= 0:
                raise request.failed(OutOfTime, "the time of the request is over")
            node = self._pick(request)
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
            # With no other node left to turn to, the rest of the request's time is waited here.
            timer = Deadline(connection, remaining if node.name in request.avoid else min(allowed, remaining))
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

    def _pick(self, request: _Request) -> Node:
        node = self._cluster.current()
        if node is None:
            raise request.failed(NoNode, "no node can be used")
        if node.name in request.avoid:
            others = [other for other in self._usable() if other.name not in request.avoid]
            if others:
                return others[0]
            if not request.unanswered:
                raise request.failed(TooSlow, "the servers took too long")
        return node

    def _belongs(self, node: Node, request: _Request) -> bool:
        """Whether a write may begin on the node that was picked for it before."""
        current = self._cluster.current()
        if not self.gate.is_set() or current is None:
            return False
        return node is current or (current.name in request.avoid and node.state is State.UP)

    def _usable(self) -> list[Node]:
        return [node for node in self._cluster.nodes.values() if node.state is State.UP]

    async def _connection(self, node: Node, request: _Request, remaining: float) -> Connection | None:
        try:
            return await node.pool.acquire(remaining)
        except TimeoutError:
            raise request.failed(OutOfTime, "all connections are in use") from None
        except (psycopg.Error, OSError) as error:
            if fault(error, connection_closed=True) is Fault.BUSY:
                request.avoid.add(node.name)
                request.unanswered = False
            else:
                self._cluster.set_aside(node, reason(error))
        return None

    def _unanswered(self, node: Node, request: _Request, started: float) -> None:
        request.doubt(self._cluster, node)
        if not node.answered_since(started):
            self._cluster.set_aside(node, "it hangs")
            return
        # Its probes are answered: a long wait for a lock, or a disk that takes no writes.
        node.strikes += request.write
        # The last node that can be used is never set aside for being slow.
        if node.strikes >= self._settings.write_strikes and self._usable() != [node]:
            self._cluster.set_aside(node, f"{node.strikes} writes in a row were not answered")
        else:
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

    def __init__(self, write: bool) -> None:
        self.write = write
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
