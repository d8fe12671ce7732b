# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared record in real Redis servers that hold nonsense, or that can be read and not written."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from api_process import REDIS_PASSWORD, RedisServer
from failover_mesh import until
from multimaster_failover import NodeSettings, Settings
from multimaster_failover.agreement import Record, new_record
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.following import _PATIENCE, Follower
from multimaster_failover.redis_agreement import KEY, RedisAgreement


def parameters(servers: t.Sequence[RedisServer]) -> list[dict[str, t.Any]]:
    return [
        {"host": "127.0.0.1", "port": server.port, "username": "failover_api", "password": REDIS_PASSWORD, "ssl": True,
         "ssl_ca_certs": str(server.folder / "ca.crt")}
        for server in servers
    ]  # fmt: skip


NO_RECORDS = [
    "",
    "{",
    "[]",
    '{"epoch": 7}',
    '{"node": "pg1", "epoch": 7, "since": ""}',
    '{"node": "pg1", "epoch": 1e999, "since": "", "by": ""}',
    '{"node": "pg1", "epoch": -1e999, "since": "", "by": ""}',
    '{"node": "pg1", "epoch": 9007199254740994, "since": "", "by": ""}',
]


@pytest.mark.parametrize("held", NO_RECORDS)
def test_what_is_no_record_is_overwritten(held: str, redis_pair: list[RedisServer]) -> None:
    with redis_pair[0].client() as server:
        server.set(KEY, held)
    record = new_record("pg2", 1, "one")

    async def story() -> tuple[Record | None, bool, tuple[Record | None, bool]]:
        # Away are servers that are stopped, not those of a busy machine.
        agreement = RedisAgreement(parameters(redis_pair[:1]), timeout=60)
        try:
            before, _everywhere = await agreement.read()
            return before, await agreement.propose(record), await agreement.read()
        finally:
            await agreement.close()

    assert asyncio.run(story()) == (None, True, (record, True))


def test_an_older_word_overwrites_no_later_one(redis_pair: list[RedisServer]) -> None:
    later = new_record("pg2", 2**53, "one")

    async def story() -> tuple[bool, bool, bool, Record | None]:
        agreement = RedisAgreement(parameters(redis_pair[:1]), timeout=60)
        try:
            told = await agreement.propose(later)
            again, older = await agreement.propose(later), await agreement.propose(new_record("pg1", 2**53 - 1, "two"))
            return told, again, older, (await agreement.read())[0]
        finally:
            await agreement.close()

    assert asyncio.run(story()) == (True, True, False, later)


class Instance:
    """A client without databases: which nodes it can use is the test's to say."""

    def __init__(self, name: str, servers: t.Sequence[RedisServer]) -> None:
        self.cluster = Cluster(Settings(nodes=[NodeSettings("pg1", 1, {}), NodeSettings("pg2", 2, {})]), name)
        self.agreement = RedisAgreement(parameters(servers), timeout=60)
        self._follower = Follower(self.cluster, self.agreement)

    async def __aenter__(self) -> Instance:
        await self._follower.start()
        self.sees(pg1=State.UP, pg2=State.UP)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._follower.stop()

    def sees(self, **states: State) -> None:
        for name, state in states.items():
            node = self.cluster.nodes[name]
            if state is State.ASIDE:
                self.cluster.set_aside(node, "test")
            else:
                node.become(state)
        self.cluster.reconsider("test")


def make_read_only(server: RedisServer) -> None:
    """A replica whose master is away: it shows what it has and takes nothing."""
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)


def make_writable(server: RedisServer) -> None:
    with server.client() as client:
        client.replicaof("NO", "ONE")


async def agree(node: str, *instances: Instance) -> None:
    await until(lambda: {instance.cluster.active for instance in instances} == {node}, what=f"all on {node}")


def test_with_one_server_that_is_read_only_the_other_is_enough(redis_pair: list[RedisServer]) -> None:
    async def story() -> None:
        async with Instance("one", redis_pair) as one, Instance("two", redis_pair) as two:
            await agree("pg1", one, two)
            await until(lambda: one.cluster.record == two.cluster.record, what="one record")
            make_read_only(redis_pair[0])
            for target, speaker in (("pg2", one), ("pg1", two), ("pg2", two)):
                speaker.cluster.switch(target, "somebody")
                await agree(target, one, two)
            # The one that can be read still says something else, and both know better.
            await asyncio.sleep(2 * _PATIENCE)
            assert {one.cluster.active, two.cluster.active} == {"pg2"}
            assert one.agreement.answering == [True, True]

    asyncio.run(story())


def test_with_servers_that_are_all_read_only_everybody_ends_on_the_node_that_they_name(
    redis_pair: list[RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with Instance("one", redis_pair) as one, Instance("two", redis_pair) as two:
            await agree("pg1", one, two)
            await until(lambda: one.cluster.record == two.cluster.record, what="one record")
            for server in redis_pair:
                make_read_only(server)
            one.sees(pg1=State.ASIDE)
            assert (one.cluster.active, two.cluster.active) == ("pg2", "pg1")
            await until(lambda: "takes no record: You can't write" in caplog.text, what="it is noticed")
            one.sees(pg1=State.UP)
            await agree("pg1", one, two)
            # What is forced meanwhile is told as soon as that is possible.
            one.cluster.switch("pg2", "somebody", forced=True)
            for server in redis_pair:
                make_writable(server)
            await agree("pg2", one, two)

    asyncio.run(story())
    # Once for each server
    assert caplog.text.count("takes no record") == len(redis_pair)
