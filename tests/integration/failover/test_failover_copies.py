# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that comes back as an older copy of itself: what it lacks never arrives, so it must not be used; and no other is one."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import typing as t

import pytest
from api_process import Api
from failover_mesh import PATIENT, FailoverMesh, until
from multimaster_failover import FailoverClient, SwitchRefused
from multimaster_failover.connection import Patience, conninfo
from multimaster_failover.past import Past, Verdict
from multimaster_failover.probe import Probe
from servers import Server, free_port, wait_until

ROWS = "INSERT INTO {table} SELECT {start} + 8 * n, 'row ' || {start} + 8 * n FROM generate_series(1, 2000) AS n"
AHEAD = """
SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND active AND confirmed_flush_lsn > pg_current_wal_insert_lsn()
"""

READ = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"


def write(mesh: FailoverMesh, server: Server, table: str, start: int) -> None:
    server.query(ROWS.format(table=table, start=start), db=mesh.db)


def save(server: Server) -> None:
    server.stop("fast")
    subprocess.run(["cp", "-a", str(server.data), str(server.home / "copy")], check=True)
    server.start()


def start_copy(server: Server) -> None:
    """As a host does that is restored from a snapshot: the server starts by itself, and all of its workers."""
    server.stop("fast")
    subprocess.run(["rm", "-rf", str(server.data)], check=True)
    (server.home / "copy").rename(server.data)
    server.start()


async def seen(client: FailoverClient, name: str) -> None:
    """Returns after another probe that began now."""
    now = asyncio.get_running_loop().time()
    await until(lambda: client.nodes[name].answered_since(now), what=f"a probe of {name}")


def test_an_instance_uses_no_copy_of_a_node_that_it_has_seen_later(api: Api, imdb: FailoverMesh) -> None:
    save(imdb.a)
    api.wait_until_up()
    write(imdb, imdb.a, "generos", 1000)
    imdb.meet()
    # Its instance has seen where that is.
    wait_until(lambda: all(lag["bytes"] == 0 for lag in api.http.get("/status").json()["lags"]), what="nothing is missing")
    # Its peers do not read it for now, so that its slots say nothing.
    imdb.pause(imdb.a)
    start_copy(imdb.a)

    def node() -> dict[str, t.Any]:
        return next(each for each in api.http.get("/status").json()["nodes"] if each["name"] == "pg1")

    wait_until(lambda: "it is a copy from the past" in node()["reason"], what="refused")
    imdb.go_on(imdb.a)
    # It stays one when its WAL is as long as it was, and when its peer has read on.
    for start in (100_000, 200_000):
        write(imdb, imdb.a, "generos", start)
    imdb.meet()
    answered = api.http.get("/status").json()["time"]
    wait_until(lambda: api.http.get("/status").json()["time"] > answered + 1, what="some more probes")
    assert node()["state"] == "aside"
    assert "it is a copy from the past" in node()["reason"]
    for parameters in ({}, {"force": "true"}):
        refused = api.switch("/pg1", **parameters)
        assert refused.status_code == 409
        assert "it is a copy from the past" in refused.json()["error"]
    assert api.http.post("/generos", json={"genero": "Where it is safe"}).json()["node_used"] == "secondary"
    events = [line["event"] for line in api.log_lines() if "event" in line]
    assert [event for event in events if event["kind"] == "set_aside" and "it is a copy from the past" in event["why"]]


def test_a_client_that_starts_together_with_a_copy_does_not_begin_on_it(mesh: FailoverMesh) -> None:
    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT))
        async with client:
            await until(lambda: client.active is not None, what="an active node")
            # It answers, and its peer has not come back to it yet.
            assert client.active is not None
            assert client.active.name == "pg2"
            assert client.nodes["pg1"].state.value == "catching_up"
            await asyncio.get_running_loop().run_in_executor(None, mesh.go_on, mesh.a)
            await until(lambda: "it is a copy from the past" in client.nodes["pg1"].reason, what="refused")
            assert client.nodes["pg1"].state.value == "aside"
            assert client.active.name == "pg2"

    save(mesh.a)
    write(mesh, mesh.a, "journal", 1)
    mesh.meet()
    mesh.pause(mesh.a)
    start_copy(mesh.a)
    wait_until(lambda: mesh.b.value(READ, [mesh.slot(mesh.b)], mesh.db), what="the copy reads its peer")
    asyncio.run(story())


def test_a_copy_whose_peer_has_read_on_is_known_without_having_seen_the_node_before(mesh: FailoverMesh) -> None:
    async def story() -> None:
        client = FailoverClient(mesh.settings(**PATIENT))
        async with client:
            await until(lambda: client.active is not None, what="an active node")
            assert client.active is not None
            assert client.active.name == "pg2"
            assert client.nodes["pg1"].state.value == "aside"
            slot = mesh.slot(mesh.a)
            assert f"slot {slot} has confirmed" in client.nodes["pg1"].reason
            try:
                await client.switch_to("pg1", force=True)
                raise AssertionError("it is used")
            except SwitchRefused as error:
                assert "it is a copy from the past" in str(error)  # noqa: PT017 - raised in the middle of a story
            # Made anew, as a rebuild does it, the peer's subscription begins with what the node has. It has been seen before.
            await seen(client, "pg2")
            await seen(client, "pg1")
            for node in mesh.nodes:
                node.query("TRUNCATE journal", db=mesh.db)
            mesh.pause(mesh.a)
            name = mesh.subscription(mesh.a)
            mesh.b.query(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)", db=mesh.db)
            mesh.b.query(f"DROP SUBSCRIPTION {name}", db=mesh.db)
            idle = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = %s"
            await until(lambda: mesh.a.value(idle, [slot]), what="a slot that nobody reads")
            mesh.a.query("SELECT pg_drop_replication_slot(%s)", [slot], db=mesh.db)
            mesh.subscribe(mesh.a)
            await until(lambda: client.nodes["pg1"].state.value == "up", what="the rebuilt node up")

    save(mesh.a)
    write(mesh, mesh.a, "journal", 1)
    mesh.meet()
    start_copy(mesh.a)
    wait_until(lambda: mesh.a.value(AHEAD, [mesh.slot(mesh.a)], mesh.db), what="the peer is ahead")
    asyncio.run(story())


class Restless:
    """Writes to a server and switches its WAL, again and again."""

    def __init__(self, mesh: FailoverMesh, server: Server) -> None:
        self._mesh, self._server = mesh, server
        self._end = threading.Event()
        commands = (self._write, "SELECT pg_switch_wal()")
        self._threads = [threading.Thread(target=self._work, args=[command]) for command in commands]
        self._number = 0

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> str:
        self._number += 1
        return f"INSERT INTO journal VALUES ({8 * self._number + 1}, 'row')"

    def _work(self, command: str | t.Callable[[], str]) -> None:
        session = self._server.session(self._mesh.db)
        try:
            with session.cursor() as cursor:
                while not self._end.wait(0.01):
                    cursor.execute(command if isinstance(command, str) else command())
        finally:
            session.close()


@pytest.mark.quiet
def test_wal_switches_never_make_a_sound_node_look_like_a_copy(mesh: FailoverMesh) -> None:
    """Subscribers then confirm the end of a segment of which less is flushed: seen ten times here, and no sign of anything."""

    async def story() -> None:
        settings = mesh.node_settings(mesh.a)
        probe, past = Probe(conninfo(settings.connection, application_name="test", statement_timeout=30), Patience(30)), Past()
        slot, seen = mesh.slot(mesh.a), 0
        limit = asyncio.get_running_loop().time() + 120
        while seen < 10:
            assert asyncio.get_running_loop().time() < limit, f"seen only {seen} times"
            report = await probe.ask(30)
            assert past.judge(report, {}, {slot}).verdict is Verdict.SOUND
            seen += report.slots[slot].confirmed > report.position
        probe.close()

    with Restless(mesh, mesh.a):
        asyncio.run(story())


def end(client: FailoverClient) -> int:
    report = client.nodes["pg1"].report
    return report.end if report else 0


def test_nodes_whose_wal_is_switched_all_the_time_stay_in_use(mesh: FailoverMesh) -> None:
    async def story() -> None:
        async with FailoverClient(mesh.settings(**{**PATIENT, "probe_interval": 0.01})) as client:
            await until(lambda: all(node.state.value == "up" for node in client.nodes.values()), what="all up")
            before = mesh.a.value("SELECT pg_current_wal_insert_lsn() - '0/0'")
            with Restless(mesh, mesh.a):
                await until(lambda: end(client) > before + 60 * 2**24, 300, what="60 switches")
            assert [event for event in client.events.last(100) if event.kind in ("set_aside", "alarm", "cleared")] == []

    asyncio.run(story())


def test_a_copy_whose_wal_was_moved_past_the_old_position_is_known_by_its_transactions(mesh: FailoverMesh) -> None:
    async def story() -> None:
        async with FailoverClient(mesh.settings(**PATIENT)) as client:
            await until(lambda: all(node.state.value == "up" for node in client.nodes.values()), what="all up")
            await asyncio.to_thread(write_much)
            for _look in range(3):
                await seen(client, "pg1")
            await asyncio.to_thread(come_back_moved_on)
            await until(lambda: "it is a copy from the past: its next tr" in client.nodes["pg1"].reason, what="refused")
            assert client.active is not None
            assert client.active.name == "pg2"
            report = client.nodes["pg1"].report
            assert report is not None
            # Neither of the other signs is there.
            assert report.position > old[0]
            assert all(slot.confirmed <= report.end for slot in report.slots.values())

    old: list[int] = []

    def write_much() -> None:
        for number in range(100):
            mesh.a.query("INSERT INTO journal VALUES (%s, 'row')", [1 + 8 * number], db=mesh.db)
        mesh.meet()
        old.append(int(mesh.a.value("SELECT pg_current_wal_insert_lsn() - '0/0'")))

    def come_back_moved_on() -> None:
        """Where nobody finds it, its WAL is switched until it is longer than it ever was."""
        mesh.a.stop("fast")
        subprocess.run(["rm", "-rf", str(mesh.a.data)], check=True)
        (mesh.a.home / "copy").rename(mesh.a.data)
        mesh.a.start(port := free_port())
        with mesh.a.session(port=port) as session, session.cursor() as cursor:
            for _switch in range(3):
                cursor.execute("SELECT pg_logical_emit_message(false, 'test', 'x')")
                cursor.execute("SELECT pg_switch_wal()")
        session.close()
        mesh.a.stop("fast")
        mesh.a.start()

    save(mesh.a)
    asyncio.run(story())
