# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Slowness is no failure: everything between the client and two real masters, or Redis, is held up for a while."""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t

from api_process import REDIS_PASSWORD, RedisServer
from failover_mesh import FailoverMesh, Load, kill, start_again, until
from multimaster_failover import FailoverClient
from multimaster_failover.agreement import new_record
from multimaster_failover.redis_agreement import RedisAgreement
from relay import Relay

SEQUENCE = "public.journal_id_seq"
# More than any wait of the client where all is well
DELAY = 0.4


class Slowed:
    """A client that reaches the nodes through relays, and its writes."""

    def __init__(self, client: FailoverClient, relays: t.Sequence[Relay], load: Load) -> None:
        self.client, self.relays, self.load = client, relays, load
        self._before = 0.0

    def slow(self, *delays: float) -> None:
        self._before = time.time()
        for relay, delay in zip(self.relays, delays):
            relay.delay = delay

    def happened(self, *kinds: str) -> list[tuple[str, str]]:
        """Events since it became slow."""
        events = self.client.events.last(100)
        return [(event.kind, event.node) for event in events if event.kind in kinds and event.at >= self._before]

    async def more_writes(self, count: int = 50) -> set[str]:
        at, before = time.monotonic(), len(self.load.keys)
        await until(lambda: len(self.load.keys) > before + count, 120, what="more writes")
        return self.load.nodes_since(at)


def play(mesh: FailoverMesh, story: t.Callable[[Slowed], t.Awaitable[None]]) -> None:
    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            relays = [await stack.enter_async_context(Relay(node.port)) for node in mesh.nodes]
            nodes = [mesh.node_settings(node, port=relay.port) for node, relay in zip(mesh.nodes, relays)]
            client = await stack.enter_async_context(FailoverClient(mesh.settings(nodes=nodes)))
            load = await stack.enter_async_context(Load(client, SEQUENCE, writers=4, pause=0.02))
            await until(lambda: len(load.keys) > 50, what="writes")
            await until(lambda: all(node.state.value == "up" for node in client.nodes.values()), what="all up")
            await story(Slowed(client, relays, load))
        assert load.failed == []
        keys.extend(load.keys)

    keys: list[int] = []
    asyncio.run(run())
    mesh.assert_all_there_once(keys)


def test_where_all_nodes_are_slow_none_is_at_fault_and_no_request_fails(mesh: FailoverMesh) -> None:
    async def story(slowed: Slowed) -> None:
        accepted = [relay.accepted for relay in slowed.relays]
        slowed.slow(DELAY, DELAY)
        began = time.monotonic()
        while time.monotonic() - began < 6:
            await slowed.more_writes(5)
        assert slowed.happened("set_aside", "failover", "alarm") == []
        # Nor is anything begun anew that was only slow, again and again: at most the pool grows.
        assert all(relay.accepted - before < 20 for relay, before in zip(slowed.relays, accepted))
        slowed.slow(0, 0)
        assert await slowed.more_writes() == {"pg1"}

    play(mesh, story)


def test_a_node_that_is_slow_while_the_other_is_not_is_left(mesh: FailoverMesh) -> None:
    async def story(slowed: Slowed) -> None:
        slowed.slow(30, 0)
        await until(lambda: slowed.happened("failover"), 120, what="failover")
        assert await slowed.more_writes() == {"pg2"}
        assert slowed.happened("failover") == [("failover", "pg2")]
        slowed.slow(0, 0)

    play(mesh, story)


def test_the_last_node_is_used_however_slow_it_is_and_no_connection_is_begun_anew(mesh: FailoverMesh) -> None:
    async def story(slowed: Slowed) -> None:
        await asyncio.to_thread(kill, mesh.b)
        await until(lambda: slowed.client.nodes["pg2"].state.value == "aside", what="the other is away")
        slowed.slow(DELAY, 0)
        await slowed.more_writes(10)
        assert ("set_aside", "pg1") not in slowed.happened("set_aside")
        # All of its sessions end. New ones need some messages each, and so more than a second.
        accepted = slowed.relays[0].accepted
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'multimaster_failover'"
        slowed.load.failed.clear()
        await asyncio.to_thread(mesh.a.query, ended)
        await slowed.more_writes(10)
        # As many as the pool keeps, the probe, and one look whether anybody listens for each of them
        assert slowed.relays[0].accepted - accepted < 20
        # Without a node, that was said; a session that is ended is no slowness.
        slowed.load.failed.clear()
        slowed.slow(0, 0)
        await asyncio.to_thread(start_again, mesh.b)

    play(mesh, story)


def test_a_slow_redis_is_neither_away_nor_connected_to_again_and_again(redis_pair: list[RedisServer]) -> None:
    async def story() -> None:
        async with Relay(redis_pair[0].port) as relay:
            server = {"host": "127.0.0.1", "port": relay.port, "username": "failover_api", "password": REDIS_PASSWORD,
                      "ssl": True, "ssl_ca_certs": str(redis_pair[0].folder / "ca.crt")}  # fmt: skip
            relay.delay = DELAY / 2
            agreement = RedisAgreement([server])
            record = new_record("pg2", 1, "one")
            try:
                # The first answers are late, and there in the end.
                for _round in range(120):
                    await agreement.propose(record)
                    if (await agreement.read())[0] == record:
                        break
                    await asyncio.sleep(0.25)
                else:
                    raise AssertionError("no record")
                assert agreement.answering == [True]
                assert relay.accepted == 1
            finally:
                await agreement.close()

    asyncio.run(story())
