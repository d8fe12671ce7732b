# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A planned change of the active node: what is under way ends first, and the other clients hear of it with their next look."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from api_process import REDIS_PASSWORD, RedisServer
from failover_mesh import PATIENT, FailoverMesh, until
from multimaster_failover import Agreement, Attempt, FailoverClient, Record
from multimaster_failover.following import Follower
from multimaster_failover.redis_agreement import RedisAgreement

INSERT = "INSERT INTO public.journal (id, v) VALUES (%s, %s)"


class Write:
    """One write that is under way until it is told to end."""

    def __init__(self, client: FailoverClient, key: int, order: list[str]) -> None:
        self._key, self._order = key, order
        self.started, self.end = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(client.run(self._unit, write=True))

    async def _unit(self, connection: t.Any, attempt: Attempt) -> None:
        self.started.set()
        async with connection.transaction():
            await connection.execute(INSERT, [self._key, attempt.node])
            await self.end.wait()
        self._order.append(f"{self._key} on {attempt.node}")


async def ready(*clients: FailoverClient) -> None:
    def up() -> bool:
        return all(node.state.value == "up" for client in clients for node in client.nodes.values())

    await until(up, what="both nodes up")


@pytest.mark.parametrize("is_long", [False, True], ids=["ends_within_the_pause", "takes_longer"])
def test_writes_under_way_end_where_they_began_before_a_switch_is_done(mesh: FailoverMesh, is_long: bool) -> None:
    """New writes wait meanwhile, for ``switch_pause`` at most, and so does whoever wants the switch, until all have ended."""
    order: list[str] = []

    async def story() -> None:
        # A transaction of a write that is open longer than half a second would be ended by the server's own limit.
        settings = mesh.settings(**PATIENT, statement_timeout=60.0, switch_pause=0.1 if is_long else 60.0)
        async with FailoverClient(settings) as client:
            await ready(client)
            client.events.listeners.append(lambda event: order.append(event.kind) if event.kind == "switch" else None)
            under_way = Write(client, 1, order)
            await under_way.started.wait()
            switch = asyncio.create_task(client.switch_to("pg2"))
            switch.add_done_callback(lambda _ignored: order.append("done"))
            # It has what was committed so far, and waits for this one.
            await until(lambda: not client._executor.gate.is_set() or "switch" in order, what="new writes are held back")
            later = Write(client, 2, order)
            later.end.set()
            if is_long:
                await later.task
            assert not switch.done()
            under_way.end.set()
            await asyncio.gather(under_way.task, later.task, switch)

    asyncio.run(story())
    if is_long:
        assert order == ["switch", "2 on pg2", "1 on pg1", "done"]
    else:
        assert order.index("1 on pg1") < order.index("switch") < order.index("2 on pg2")
    mesh.assert_all_there_once([1, 2])


def test_a_write_that_waits_for_a_connection_meanwhile_goes_to_the_new_node(mesh: FailoverMesh) -> None:
    order: list[str] = []

    async def story() -> None:
        settings = mesh.settings(**PATIENT, statement_timeout=60.0, pool_min=1, pool_max=1)
        async with FailoverClient(settings) as client:
            await ready(client)
            reading, end = asyncio.Event(), asyncio.Event()

            async def read(_connection: t.Any, _attempt: Attempt) -> None:
                reading.set()
                await end.wait()

            # It has the only connection of the first node.
            reader = asyncio.create_task(client.run(read))
            await reading.wait()
            write = Write(client, 1, order)
            write.end.set()
            await until(lambda: client.nodes["pg1"].pool.waiting == 1, what="the write waits")
            assert await client.switch_to("pg2")
            end.set()
            await asyncio.gather(reader, write.task)

    asyncio.run(story())
    assert order == ["1 on pg2"]
    mesh.assert_all_there_once([1])


class Counted(Agreement):
    """Another agreement, and how often it was read."""

    def __init__(self, inner: Agreement) -> None:
        self._inner = inner
        self.reads = 0

    async def read(self) -> tuple[Record | None, bool]:
        answer = await self._inner.read()
        self.reads += 1
        return answer

    async def propose(self, record: Record) -> bool:
        return await self._inner.propose(record)

    async def close(self) -> None:
        await self._inner.close()


def test_a_switch_is_followed_with_the_next_look_at_the_record(mesh: FailoverMesh, redis_pair: list[RedisServer]) -> None:
    servers = [
        {"host": "127.0.0.1", "port": server.port, "username": "failover_api", "password": REDIS_PASSWORD, "ssl": True,
         "ssl_ca_certs": str(server.folder / "ca.crt")}
        for server in redis_pair
    ]  # fmt: skip

    async def story() -> None:
        # Away are servers that are stopped, not those of a busy machine.
        counted = Counted(RedisAgreement(servers, timeout=60))
        first = FailoverClient(mesh.settings(**PATIENT), name="first", agreement=RedisAgreement(servers, timeout=60))
        second = FailoverClient(mesh.settings(**PATIENT), name="second", agreement=counted)
        async with first, second:
            await ready(first, second)
            for target in ("pg2", "pg1", "pg2"):
                assert await first.switch_to(target)
                follower = first._follower
                assert follower is not None

                def is_told(follower: Follower = follower) -> bool:
                    return follower._told is first.record

                await until(is_told, what="the record is told")
                # One look may have begun before that.
                before = counted.reads

                def was_read(before: int = before) -> bool:
                    return counted.reads >= before + 2

                await until(was_read, what="looks at the record")
                assert second.active is not None
                assert second.active.name == target
                assert second.record == first.record

    asyncio.run(story())
