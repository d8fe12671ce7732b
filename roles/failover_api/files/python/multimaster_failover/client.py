# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failover client: all of its parts put together, and all that a program needs of them."""

from __future__ import annotations

import asyncio
import typing as t

from .agreement import Agreement, Record
from .choice import State
from .cluster import Cluster
from .connection import Connection
from .ending import end
from .events import Events
from .execution import Attempt, Executor, Result, Unit
from .following import Follower
from .keys import KeyStock
from .lag import lag
from .node import Node, WarmUp
from .settings import Settings
from .switching import Failback, Switcher
from .watching import Watcher


class FailoverClient:
    """Statements on the active one of several masters, which goes on with another when that fails.

    ``name`` identifies the client to the servers and to the other clients; ``agreement`` keeps several clients on one node.
    ``warm_up`` is called with each new connection before that is used, so that the first requests on a node after a failover
    find what a server reads and plans at first use.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        name: str = "multimaster_failover",
        agreement: Agreement | None = None,
        warm_up: WarmUp | None = None,
    ) -> None:
        self._cluster = Cluster(settings, name, warm_up)
        self._executor = Executor(self._cluster)
        self._watcher = Watcher(self._cluster)
        self._switcher = Switcher(self._cluster, self._executor)
        self._follower = Follower(self._cluster, agreement) if agreement else None
        self._failback: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect to all nodes. Returns also when none answers: they are used once they do."""
        if self._follower:
            await self._follower.start()
        await self._watcher.start()
        record = self._cluster.record
        if record is not None and self._cluster.nodes[record.node].state is not State.ASIDE:
            self._cluster.active = record.node
        self._cluster.reconsider("first choice after the start")
        if self._cluster.settings.auto_failback:
            self._failback = asyncio.create_task(Failback(self._cluster, self._switcher).run())

    async def stop(self) -> None:
        """End everything; what is still under way fails."""
        if self._failback:
            await end([self._failback])
        if self._follower:
            await self._follower.stop()
        await self._watcher.stop()

    async def __aenter__(self) -> FailoverClient:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(
        self, unit: Unit[Result], *, write: bool = False, deadline: float | None = None, budget: float | None = None
    ) -> tuple[Result, Attempt]:
        """Carry out a unit of work, see ``Executor.run``."""
        return await self._executor.run(unit, write=write, deadline=deadline, budget=budget)

    async def fetch(
        self,
        query: str,
        parameters: t.Any = None,
        *,
        write: bool = False,
        deadline: float | None = None,
        budget: float | None = None,
    ) -> tuple[list[t.Any], Attempt]:
        """One statement and all of its rows. A statement that writes must be safe to repeat."""

        async def unit(connection: Connection, _ignored: Attempt) -> list[t.Any]:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

        return await self.run(unit, write=write, deadline=deadline, budget=budget)

    def key_stock(self, sequence: str, block: int = 256) -> KeyStock:
        """Values of that sequence, to be decided on before a write."""
        return KeyStock(self._executor, sequence, block)

    async def switch_to(self, name: str, *, force: bool = False, by: str = "") -> bool:
        """Change the active node on purpose, see ``Switcher.switch_to``."""
        return await self._switcher.switch_to(name, force=force, by=by)

    @property
    def events(self) -> Events:
        return self._cluster.events

    @property
    def active(self) -> Node | None:
        """The active node while it can be used."""
        return self._cluster.current()

    @property
    def record(self) -> Record | None:
        """What is agreed between the clients."""
        return self._cluster.record

    @property
    def nodes(self) -> t.Mapping[str, Node]:
        return self._cluster.nodes

    def lags(self) -> list[dict[str, t.Any]]:
        """For every direction: publisher, subscriber, ``bytes`` and ``seconds`` not confirmed yet, and what is wrong with it."""
        now = asyncio.get_running_loop().time()
        directions: list[dict[str, t.Any]] = []
        for publisher in self.nodes.values():
            for subscriber in self.nodes.values():
                if subscriber is publisher:
                    continue
                slot = self._cluster.slot_name(publisher.name, subscriber.name)
                # With the publisher away its last answer is history.
                found = lag(publisher.fresh, slot, publisher.trail, now)
                directions.append(
                    {
                        "publisher": publisher.name,
                        "subscriber": subscriber.name,
                        "bytes": found.size,
                        "seconds": None if found.seconds is None else round(found.seconds, 3),
                        "problem": found.problem,
                    }
                )
        return directions
