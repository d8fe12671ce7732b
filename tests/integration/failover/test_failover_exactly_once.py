# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the failover client does with errors: which are repeated where, and that a repeated write is one row."""

from __future__ import annotations

import asyncio
import time
import typing as t

import psycopg
import pytest
from failover_mesh import PATIENT, FailoverMesh, kill, start_again, until
from multimaster_failover import Attempt, FailoverClient, TooSlow
from relay import Relay

INSERT = "INSERT INTO public.journal (id, v) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING"


async def ready(client: FailoverClient) -> None:
    await until(lambda: all(node.state.value == "up" for node in client.nodes.values()), what="both nodes up")


def in_doubt_events(client: FailoverClient) -> list[str]:
    found: list[str] = []
    client.events.listeners.append(lambda event: found.append(event.node) if event.kind == "in_doubt" else None)
    return found


def test_a_commit_whose_acknowledgement_is_lost_is_one_row_on_both(mesh: FailoverMesh) -> None:
    async def story() -> None:
        async with Relay(mesh.a.port) as relay:
            nodes = [mesh.node_settings(mesh.a, port=relay.port, sslmode="disable"), mesh.node_settings(mesh.b)]
            client = FailoverClient(mesh.settings(nodes=nodes, **PATIENT))
            doubts = in_doubt_events(client)
            async with client:
                await ready(client)
                attempts: list[Attempt] = []

                async def unit(connection: t.Any, attempt: Attempt) -> None:
                    attempts.append(attempt)
                    await connection.execute(INSERT, [4711, "once"])

                # Both nodes have committed the row before either hears of the other's.
                mesh.pause()
                relay.lose_answer_to = b"INSERT INTO public.journal"
                _ignored, attempt = await client.run(unit, write=True)
                assert relay.lost == 1
                assert [(each.node, each.in_doubt) for each in attempts] == [("pg1", False), ("pg2", True)]
                assert attempt.node == "pg2"
                assert doubts == ["pg1"]
                assert mesh.ids(mesh.a) == mesh.ids(mesh.b) == [4711]

    asyncio.run(story())
    mesh.go_on()
    mesh.assert_all_there_once([4711])
    # And replication still goes both ways.
    mesh.a.query(INSERT, [4712, ""], mesh.db)
    mesh.b.query(INSERT, [4713, ""], mesh.db)
    mesh.assert_all_there_once([4711, 4712, 4713])


@pytest.mark.quiet
def test_a_network_that_swallows_everything_is_a_node_that_hangs(mesh: FailoverMesh) -> None:
    async def story() -> None:
        async with Relay(mesh.a.port) as relay:
            nodes = [mesh.node_settings(mesh.a, port=relay.port, sslmode="disable"), mesh.node_settings(mesh.b)]
            client = FailoverClient(mesh.settings(nodes=nodes))
            async with client:
                await ready(client)
                relay.silent = True
                began = time.monotonic()
                _ignored, attempt = await client.fetch(INSERT, [1, ""], write=True)
                assert attempt.node == "pg2"
                # After the deadline of 0.3 s, and long before the budget of 3 s is over
                assert 0.25 < time.monotonic() - began < 2
                assert client.nodes["pg1"].reason == "it hangs"
                relay.silent = False
                await ready(client)
                assert client.active is not None
                assert client.active.name == "pg2"

    asyncio.run(story())
    mesh.assert_all_there_once([1])


def test_a_statement_that_takes_too_long_on_live_servers_sets_neither_aside(mesh: FailoverMesh) -> None:
    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT, statement_timeout=0.2))
        async with client:
            await ready(client)
            with pytest.raises(TooSlow):
                await client.fetch("SELECT pg_sleep(10)", deadline=0.6)
            assert {node.state.value for node in client.nodes.values()} == {"up"}
            assert client.active is not None
            assert client.active.name == "pg1"

    asyncio.run(story())


@pytest.mark.quiet
def test_writes_that_get_no_answer_while_probes_do_set_the_node_aside(mesh: FailoverMesh) -> None:
    """As with a disk that hangs: here a lock."""

    async def story() -> None:
        client = FailoverClient(mesh.settings(write_strikes=2))
        session = mesh.a.session(mesh.db)
        session.autocommit = False
        with session.cursor() as cursor:
            cursor.execute("LOCK TABLE public.journal IN SHARE MODE")
        try:
            async with client:
                await ready(client)
                for key, active in ((1, "pg1"), (2, "pg2")):
                    _ignored, attempt = await client.fetch(INSERT, [key, ""], write=True)
                    assert attempt.node == "pg2"
                    assert client.active is not None
                    assert client.active.name == active
                session.rollback()
                await ready(client)
        finally:
            session.close()

    asyncio.run(story())
    mesh.assert_all_there_once([1, 2])


@pytest.mark.quiet
def test_the_only_node_left_may_be_slow(mesh: FailoverMesh) -> None:
    """Its disk stalls (here: a lock) for longer than an attempt may take, and the other one is away."""

    async def story() -> None:
        client = FailoverClient(mesh.settings())
        async with client:
            await ready(client)
            kill(mesh.b)
            await until(lambda: client.nodes["pg2"].state.value == "aside", what="one away")
            session = mesh.a.session(mesh.db)
            session.autocommit = False
            try:
                with session.cursor() as cursor:
                    cursor.execute("LOCK TABLE public.journal IN SHARE MODE")
                writes = [asyncio.create_task(client.fetch(INSERT, [key, ""], write=True)) for key in range(1, 9)]
                # More of them than it takes to set a node aside, and each for longer than an attempt may take
                await asyncio.sleep(1.0)
                session.rollback()
                nodes = {attempt.node for _ignored, attempt in await asyncio.gather(*writes)}
            finally:
                session.close()
            assert nodes == {"pg1"}
            await asyncio.get_running_loop().run_in_executor(None, start_again, mesh.b)
            await ready(client)

    asyncio.run(story())
    mesh.assert_all_there_once(range(1, 9))


def test_serialization_errors_are_repeated_on_the_same_node(mesh: FailoverMesh) -> None:
    async def story() -> list[Attempt]:
        client = FailoverClient(mesh.settings(**PATIENT))
        mesh.a.query("INSERT INTO public.journal VALUES (1, '0')", db=mesh.db)
        attempts: list[Attempt] = []

        async def unit(connection: t.Any, attempt: Attempt) -> None:
            attempts.append(attempt)
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor = await connection.execute("SELECT v FROM public.journal WHERE id = 1")
                (value,) = await cursor.fetchone()
                await connection.execute("UPDATE public.journal SET v = %s WHERE id = 1", [str(int(value) + 1)])

        async with client:
            await ready(client)
            await asyncio.gather(*(client.run(unit, write=True) for _ignored in range(12)))
            assert {node.state.value for node in client.nodes.values()} == {"up"}
        return attempts

    attempts = asyncio.run(story())
    assert {attempt.node for attempt in attempts} == {"pg1"}
    assert len(attempts) > 12
    assert mesh.a.value("SELECT v FROM public.journal", db=mesh.db) == "12"


def test_the_application_s_own_errors_are_its_own(mesh: FailoverMesh) -> None:
    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT))
        async with client:
            await ready(client)
            for statement in ("SELEC", "SELECT 1/0", "INSERT INTO public.journal (id) VALUES (1), (1)", "SELECT * FROM nowhere"):
                with pytest.raises(psycopg.Error):
                    await client.fetch(statement, write=True)
            with pytest.raises(ZeroDivisionError):
                await client.run(broken)
            assert {node.state.value for node in client.nodes.values()} == {"up"}
            assert client.active is not None
            assert client.active.name == "pg1"

    async def broken(connection: t.Any, attempt: Attempt) -> None:
        raise ZeroDivisionError

    asyncio.run(story())


def test_a_restarted_server_fails_nobody_who_comes_later(mesh: FailoverMesh) -> None:
    """Idle connections that the server has closed meanwhile are noticed before they are used."""

    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT, probe_interval=5))
        async with client:
            await until(lambda: client.active is not None)
            mesh.a.stop("fast")
            mesh.a.start()
            _ignored, attempt = await client.fetch("SELECT 1")
            assert attempt.number == 1

    asyncio.run(story())


def test_more_requests_than_connections_wait_for_their_turn(mesh: FailoverMesh) -> None:
    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT, pool_min=2, pool_max=5))
        async with client:
            await ready(client)
            await asyncio.gather(*(client.fetch("SELECT pg_sleep(0.01)") for _ignored in range(100)))
            assert client.nodes["pg1"].pool.size <= 5
            assert client.nodes["pg1"].pool.waiting == 0

    asyncio.run(story())
