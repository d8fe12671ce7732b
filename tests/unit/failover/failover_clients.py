# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients without servers, which share a record."""

from __future__ import annotations

import asyncio
import typing as t

from multimaster_failover import NodeSettings, Settings
from multimaster_failover.agreement import Record
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.execution import Executor
from multimaster_failover.following import Follower
from multimaster_failover.switching import Switcher


class Store:
    """A Redis that keeps the record of the highest rank."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.away = False
        self.read_only = False
        self.proposals = 0

    async def read(self) -> tuple[Record | None, bool]:
        return (None, True) if self.away else (self.record, True)

    async def propose(self, record: Record) -> bool:
        if self.away or self.read_only:
            return False
        self.proposals += 1
        if self.record is None or record.rank > self.record.rank:
            self.record = record
        return self.record == record

    async def close(self) -> None:
        pass


class Client:
    """A cluster without servers: the states are the test's."""

    def __init__(self, name: str, store: Store) -> None:
        settings = Settings(nodes=[NodeSettings("pg1", 1, {}), NodeSettings("pg2", 2, {})])
        self.cluster = Cluster(settings, name)
        self.follower = Follower(self.cluster, store)
        self.sees(pg1=State.UP, pg2=State.UP)

    def switch(self, target: str, *, force: bool = False, by: str = "") -> t.Awaitable[bool]:
        return Switcher(self.cluster, Executor(self.cluster)).switch_to(target, force=force, by=by)

    def sees(self, **states: State) -> None:
        for name, state in states.items():
            node = self.cluster.nodes[name]
            if state is State.ASIDE:
                self.cluster.set_aside(node, "test")
            else:
                node.become(state)
        self.cluster.reconsider("test")

    def loses_and_regains(self, name: str) -> None:
        """The node was away, answers again, and has not caught up."""
        self.sees(**{name: State.ASIDE})
        self.sees(**{name: State.CATCHING_UP})

    def waits_for_another_in_vain(self, name: str) -> None:
        """``stale_wait`` passes, in which no node was up to date and this one answered."""
        assert self.cluster.none_up_since is not None
        self.cluster.none_up_since -= self.cluster.settings.stale_wait
        self.cluster.nodes[name].behind_since -= self.cluster.settings.stale_wait
        self.cluster.reconsider("test")

    @property
    def active(self) -> str | None:
        return self.cluster.active


def play(story: t.Callable[[Store, Client, Client], t.Awaitable[None]]) -> Store:
    async def run() -> Store:
        store = Store()
        await story(store, Client("one", store), Client("two", store))
        return store

    return asyncio.run(run())


async def rounds(*clients: Client, count: int = 3) -> None:
    for _ignored in range(count):
        for client in clients:
            await client.follower.once()
