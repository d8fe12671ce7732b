# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which node a write begins that had to wait for a connection."""

from __future__ import annotations

import asyncio
import socket
import types
import typing as t

from multimaster_failover import NodeSettings, Settings
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.execution import Attempt, Executor
from multimaster_failover.pool import Pool
from psycopg import errors


class Idle:
    """What a pool and a deadline see of a connection that is open and idle."""

    closed = False

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.pgconn = types.SimpleNamespace(socket=self._ours.fileno(), transaction_status=0, finish=self.end)

    def end(self) -> None:
        self._ours.close()
        self._theirs.close()


class Waiting:
    """Two nodes with one connection each, of which the first one's is in use, and a request that waits for it."""

    def __init__(self, cluster: Cluster, executor: Executor, task: asyncio.Task[tuple[str, Attempt]], used: t.Any) -> None:
        self.cluster, self.executor, self._task, self._used = cluster, executor, task, used

    async def ends(self) -> str:
        """The node that it was carried out on, once the connection is free."""
        self.cluster.nodes["pg1"].pool.release(self._used)
        await asyncio.sleep(0)
        return (await self._task)[0]


def play(story: t.Callable[[Waiting], t.Awaitable[None]], *, write: bool = True, busy: str = "") -> None:
    async def opener() -> t.Any:
        return Idle()

    async def unit(_connection: t.Any, attempt: Attempt) -> str:
        if attempt.node == busy:
            raise errors.LockNotAvailable
        return attempt.node

    async def run() -> None:
        cluster = Cluster(Settings(nodes=[NodeSettings("pg1", 1, {}), NodeSettings("pg2", 2, {})]), "test")
        executor = Executor(cluster)
        for node in cluster.nodes.values():
            node.pool = Pool(opener, 1, 1)
            await node.pool.open()
            node.become(State.UP)
        cluster.reconsider("test")
        pool = cluster.nodes["pg1"].pool
        used = pool._idle.pop()
        pool._used.add(used)
        task = asyncio.create_task(executor.run(unit, write=write))
        while not pool.waiting:
            await asyncio.sleep(0)
        await story(Waiting(cluster, executor, task, used))
        assert [node.writes for node in cluster.nodes.values()] == [0, 0]
        for node in cluster.nodes.values():
            node.pool.close()

    asyncio.run(run())


def test_a_write_goes_to_the_node_that_is_active_by_then() -> None:
    async def story(waiting: Waiting) -> None:
        waiting.cluster.switch("pg2", "somebody")
        assert await waiting.ends() == "pg2"

    play(story)


def test_a_write_does_not_begin_while_a_switch_holds_writes_back() -> None:
    async def story(waiting: Waiting) -> None:
        waiting.executor.gate.clear()
        ended = asyncio.create_task(waiting.ends())
        for _ignored in range(10):
            await asyncio.sleep(0)
        assert not ended.done()
        assert waiting.cluster.nodes["pg1"].writes == 0
        waiting.cluster.switch("pg2", "somebody")
        waiting.executor.gate.set()
        assert await ended == "pg2"

    play(story)


def test_a_write_stays_where_nothing_changed_and_a_read_in_any_case() -> None:
    async def stays(waiting: Waiting) -> None:
        assert await waiting.ends() == "pg1"

    async def switched(waiting: Waiting) -> None:
        waiting.cluster.switch("pg2", "somebody")
        assert await waiting.ends() == "pg1"

    play(stays)
    play(switched, write=False)


def test_a_write_that_the_active_node_is_too_busy_for_goes_to_the_other() -> None:
    async def story(waiting: Waiting) -> None:
        assert await waiting.ends() == "pg2"
        assert waiting.cluster.active == "pg1"

    play(story, busy="pg1")
