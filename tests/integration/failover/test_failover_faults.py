# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failover client alone, on two real masters that are killed, stopped, frozen and brought back under load."""

from __future__ import annotations

import asyncio
import time
import typing as t

import pytest
from failover_mesh import PATIENT, FailoverMesh, Load, allowed_gap, freeze, kill, start_again, thaw, until
from multimaster_failover import Attempt, FailoverClient, NoNode
from servers import Server

SEQUENCE = "public.journal_id_seq"


async def faulted(mesh: FailoverMesh, client: FailoverClient, fault: t.Callable[[Server], None]) -> tuple[Load, float]:
    """Writes on the first node, the fault, and some more on the other; with the longest gap before the fault."""
    async with client, Load(client, SEQUENCE) as load:
        await until(lambda: len(load.keys) > 100, what="writes")
        assert load.nodes_since(0) == {"pg1"}
        await until(lambda: client.nodes["pg2"].state.value == "up", what="the second node up to date")
        quiet_gap = load.quiet_gap(time.monotonic())
        await asyncio.get_running_loop().run_in_executor(None, fault, mesh.a)
        # What the first node has answered before is counted by then.
        await until(lambda: [node for _key, _at, node in load.acknowledged].count("pg2") > 50, what="writes on the other")
        at, count = time.monotonic(), len(load.keys)
        await until(lambda: len(load.keys) > count + 50, what="more writes")
        assert load.nodes_since(at) == {"pg2"}
    return load, quiet_gap


@pytest.mark.quiet
@pytest.mark.parametrize(
    ("fault", "bound"),
    [
        pytest.param(kill, 0.25, id="kill"),
        pytest.param(lambda server: server.stop("fast"), 0.25, id="stop"),
        pytest.param(freeze, 0.6, id="freeze"),
    ],
)
def test_no_request_fails_and_every_acknowledged_row_is_there_once(
    mesh: FailoverMesh, fault: t.Callable[[Server], None], bound: float
) -> None:
    load, quiet_gap = asyncio.run(faulted(mesh, FailoverClient(mesh.settings()), fault))
    assert load.failed == []
    # The figures that are promised are measured by the failover harness.
    assert load.longest_gap() < allowed_gap(bound, quiet_gap)
    if fault is freeze:
        thaw(mesh.a)
    else:
        start_again(mesh.a)
    mesh.assert_all_there_once(load.keys)
    print(f"longest gap {load.longest_gap() * 1000:.1f} ms of {len(load.keys)} writes")


def test_a_node_that_comes_back_has_caught_up_before_it_is_used_and_is_not_active_by_itself(mesh: FailoverMesh) -> None:
    async def story() -> Load:
        client = FailoverClient(mesh.settings(**PATIENT))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            kill(mesh.a)
            await until(lambda: "pg2" in load.nodes_since(0), what="failover")
            # What pg2 writes does not reach pg1 for now.
            subscription = mesh.subscription(mesh.b)
            await asyncio.get_running_loop().run_in_executor(None, start_again, mesh.a)
            mesh.a.query(f"ALTER SUBSCRIPTION {subscription} DISABLE", db=mesh.db)
            await until(lambda: client.nodes["pg1"].state.value == "catching_up", what="pg1 answers")
            before = len(load.keys)
            await until(lambda: len(load.keys) > before + 100, what="more writes")
            await asyncio.sleep(0.5)
            assert client.nodes["pg1"].state.value == "catching_up"
            assert "pg1 lacks" in client.nodes["pg1"].reason
            mesh.a.query(f"ALTER SUBSCRIPTION {subscription} ENABLE", db=mesh.db)
            await until(lambda: client.nodes["pg1"].state.value == "up", what="pg1 caught up")
            at = time.monotonic()
            await asyncio.sleep(0.5)
            assert load.nodes_since(at) == {"pg2"}
            assert await client.switch_to("pg1")
            at, count = time.monotonic(), len(load.keys)
            await until(lambda: len(load.keys) > count + 50, what="writes after the way back")
            assert load.nodes_since(at) == {"pg1"}
        return load

    load = asyncio.run(story())
    assert load.failed == []
    mesh.assert_all_there_once(load.keys)


def test_with_auto_failback_the_first_node_is_active_again_after_it_has_caught_up(mesh: FailoverMesh) -> None:
    async def story() -> Load:
        client = FailoverClient(mesh.settings(**PATIENT, auto_failback=True, failback_after=0.5))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            mesh.a.stop("immediate")
            await until(lambda: "pg2" in load.nodes_since(0), what="failover")
            await asyncio.get_running_loop().run_in_executor(None, start_again, mesh.a)
            await until(lambda: client.active is not None and client.active.name == "pg1", what="failback")
        return load

    load = asyncio.run(story())
    assert load.failed == []
    mesh.assert_all_there_once(load.keys)


@pytest.mark.quiet
def test_both_away_is_said_at_once_and_both_come_back_by_themselves(mesh: FailoverMesh) -> None:
    async def story() -> Load:
        client = FailoverClient(mesh.settings())
        async with client, Load(client, SEQUENCE, writers=2) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            kill(mesh.a)
            kill(mesh.b)
            await until(lambda: client.active is None, what="both away")
            seconds = []
            for _ignored in range(5):
                began = time.monotonic()
                with pytest.raises(NoNode) as said:
                    await client.fetch("SELECT 1")
                seconds.append(time.monotonic() - began)
                assert said.value.retry_after > 0
            # A busy machine makes one of them late, not all.
            assert min(seconds) < 0.1
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, start_again, mesh.a)
            await loop.run_in_executor(None, start_again, mesh.b)
            at = time.monotonic()
            await until(lambda: load.nodes_since(at), what="writes again")
            await until(lambda: all(node.state.value == "up" for node in client.nodes.values()), what="both up")
        assert all(isinstance(error, NoNode) for _ignored, error in load.failed)
        return load

    mesh.assert_all_there_once(asyncio.run(story()).keys)


@pytest.mark.quiet
def test_a_node_that_lacks_rows_is_used_when_the_other_does_not_come_back(mesh: FailoverMesh) -> None:
    async def story() -> Load:
        client = FailoverClient(mesh.settings(stale_wait=1.0))
        async with client, Load(client, SEQUENCE, writers=2) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            loop = asyncio.get_running_loop()
            mesh.pause(mesh.b)
            kill(mesh.a)
            await until(lambda: "pg2" in load.nodes_since(0), what="failover")
            await asyncio.sleep(0.3)
            kill(mesh.b)
            await until(lambda: client.active is None, what="both away")
            await loop.run_in_executor(None, start_again, mesh.a)
            await until(lambda: client.nodes["pg1"].state.value == "catching_up", what="pg1 answers")
            with pytest.raises(NoNode):
                await client.fetch("SELECT 1")
            at = time.monotonic()
            await until(lambda: load.nodes_since(at) == {"pg1"}, what="writes on the node that lacks rows")
            assert time.monotonic() - at > 0.5
            await loop.run_in_executor(None, start_again, mesh.b)
            mesh.go_on(mesh.b)
            await until(lambda: client.nodes["pg2"].state.value == "up", what="pg2 caught up")
        return load

    mesh.assert_all_there_once(asyncio.run(story()).keys)


def test_a_node_that_has_been_behind_for_long_is_not_used_when_a_session_on_the_active_one_ends(mesh: FailoverMesh) -> None:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'multimaster_failover'"

    async def story() -> Load:
        client = FailoverClient(mesh.settings(**PATIENT, stale_wait=60.0))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            mesh.pause(mesh.b)
            kill(mesh.a)
            await until(lambda: "pg2" in load.nodes_since(0), what="failover")
            await asyncio.get_running_loop().run_in_executor(None, start_again, mesh.a)
            await until(lambda: client.nodes["pg1"].state.value == "catching_up", what="pg1 answers")
            # It has been like this for an hour.
            client.nodes["pg1"].behind_since -= 3600
            at, started = time.monotonic(), asyncio.Event()

            async def unit(connection: t.Any, attempt: Attempt) -> None:
                started.set()
                if attempt.number == 1:
                    await connection.execute("SELECT pg_sleep(5)")

            session = asyncio.create_task(client.run(unit))
            await started.wait()
            mesh.b.query(ended)
            await asyncio.wait([session])
            assert "pg2" in [event.node for event in client.events.last() if event.kind == "set_aside"]
            await until(lambda: client.active is not None, what="an active node")
            count = len(load.keys)
            await until(lambda: len(load.keys) > count + 50, what="more writes")
            assert load.nodes_since(at) == {"pg2"}
            assert all(isinstance(error, NoNode) for _at, error in load.failed)
            mesh.go_on(mesh.b)
            await until(lambda: client.nodes["pg1"].state.value == "up", what="pg1 caught up")
        return load

    mesh.assert_all_there_once(asyncio.run(story()).keys)


def test_a_node_that_stopped_getting_the_writes_is_no_refuge_until_it_has_caught_up(mesh: FailoverMesh) -> None:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'multimaster_failover'"

    async def story() -> Load:
        client = FailoverClient(mesh.settings(**PATIENT, behind_after=0.5, stale_wait=60.0))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            mesh.pause(mesh.a)
            await until(lambda: client.nodes["pg2"].state.value == "catching_up", what="pg2 found to be behind")
            assert [event.node for event in client.events.last() if event.kind == "behind"] == ["pg2"]
            # The active node loses all its sessions, which is no reason to go where rows are lacking.
            mesh.a.query(ended)
            count = len(load.keys)
            await until(lambda: len(load.keys) > count + 50, what="more writes")
            assert load.nodes_since(0) == {"pg1"}
            mesh.go_on(mesh.a)
            await until(lambda: client.nodes["pg2"].state.value == "up", what="pg2 caught up")
            await asyncio.get_running_loop().run_in_executor(None, kill, mesh.a)
            await until(lambda: "pg2" in load.nodes_since(0), what="failover")
        return load

    load = asyncio.run(story())
    assert all(isinstance(error, NoNode) for _at, error in load.failed)
    start_again(mesh.a)
    mesh.assert_all_there_once(load.keys)


def test_a_table_that_the_warm_up_lacks_is_named_in_the_log(mesh: FailoverMesh, caplog: pytest.LogCaptureFixture) -> None:
    async def warm_up(connection: t.Any) -> None:
        await connection.execute("SELECT * FROM public.not_there_yet")

    async def story() -> None:
        async with FailoverClient(mesh.settings(**PATIENT), warm_up=warm_up) as client:
            assert client.active is None
            reasons = {node.reason for node in client.nodes.values()}
            assert reasons == {"no connection can be used: a table is missing"}
            for node in mesh.nodes:
                node.query("CREATE TABLE public.not_there_yet ()", db=mesh.db)
            await until(lambda: client.active is not None, what="a node that can be used")

    asyncio.run(story())
    told = [message for message in caplog.messages if 'relation "public.not_there_yet" does not exist' in message]
    assert sorted(message.split(":")[0] for message in told) == ["pg1", "pg2"]


def test_a_read_only_answer_sets_the_node_aside(mesh: FailoverMesh) -> None:
    def read_only(server: Server) -> None:
        """As a standby answers. A default that somebody set is not it: the client's sessions have their own."""
        answer = "BEGIN RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction'; END"
        server.query(f"CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ {answer} $$", db=mesh.db)
        server.query("CREATE TRIGGER no BEFORE INSERT ON journal EXECUTE FUNCTION public.no()", db=mesh.db)

    load, _quiet_gap = asyncio.run(faulted(mesh, client := FailoverClient(mesh.settings(**PATIENT)), read_only))
    assert load.failed == []
    # Later reasons are those of the connections that were cut with it.
    assert next(event for event in client.events.last() if event.kind == "set_aside").why == "it takes no writes"
    mesh.a.query("DROP FUNCTION public.no CASCADE", db=mesh.db)
    mesh.assert_all_there_once(load.keys)


def test_a_node_that_lets_nobody_else_in_is_used_as_before(mesh: FailoverMesh) -> None:
    for node in mesh.nodes:
        node.query("DROP ROLE IF EXISTS limited_app")
        node.query("CREATE ROLE limited_app LOGIN PASSWORD 'x' IN ROLE pg_write_all_data, pg_read_all_data")
        node.query("GRANT USAGE ON SEQUENCE journal_id_seq TO limited_app", db=mesh.db)

    async def story() -> Load:
        login = {"user": "limited_app", "password": "x"}
        client = FailoverClient(mesh.settings(nodes=[mesh.node_settings(node, **login) for node in mesh.nodes], **PATIENT))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 50 and client.nodes["pg2"].state.value == "up", what="writes")
            mesh.a.query("ALTER ROLE limited_app CONNECTION LIMIT 1")
            client.nodes["pg1"].probe.close()
            asked = client.nodes["pg1"].report
            # Several probes later
            await asyncio.sleep(2)
            count = len(load.keys)
            await until(lambda: len(load.keys) > count + 50, what="more writes")
            assert client.nodes["pg1"].report is asked
            assert load.nodes_since(0) == {"pg1"}
            mesh.a.query("ALTER ROLE limited_app CONNECTION LIMIT -1")
            await until(lambda: client.nodes["pg1"].report is not asked, what="an answer to the probe")
        return load

    load = asyncio.run(story())
    assert load.failed == []
    mesh.assert_all_there_once(load.keys)


@pytest.mark.quiet
def test_a_planned_switch_fails_nothing_and_is_short(mesh: FailoverMesh) -> None:
    async def story() -> tuple[Load, float]:
        client = FailoverClient(mesh.settings(switch_wait=20))
        async with client, Load(client, SEQUENCE) as load:
            await until(lambda: len(load.keys) > 100 and client.nodes["pg2"].state.value == "up", what="writes")
            quiet_gap = load.quiet_gap(time.monotonic())
            for target in ("pg2", "pg1") * 3:
                at = time.monotonic()
                assert await client.switch_to(target)
                assert client.active is not None
                assert client.active.name == target
                assert not await client.switch_to(target)

                def are_there(at: float = at, target: str = target) -> bool:
                    return target in load.nodes_since(at)

                await until(are_there, what="writes there")
        return load, quiet_gap

    load, quiet_gap = asyncio.run(story())
    assert load.failed == []
    assert load.longest_gap() < allowed_gap(0.15, quiet_gap)
    mesh.assert_all_there_once(load.keys)
    print(f"longest gap {load.longest_gap() * 1000:.1f} ms")
