# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web server over real connections: clients that do not read what they asked for."""

from __future__ import annotations

import asyncio
import socket
import types
import typing as t

import pytest
from failover_api.connections import Connections
from failover_api.gate import Gate, Receive, Scope, Send
from failover_api.protocol import HEAD_BYTES, Protocol
from failover_api.server import server

REQUESTS = 400
# All of them are more than the buffers of a connection hold.
SIZE = 100_000
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# Only what never comes is given up, in seconds.
PATIENCE = 60
LIMITS = {"stop_seconds": 1, "connections_per_address": 1}


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(SIZE).encode())]})
    await send({"type": "http.response.body", "body": b"x" * SIZE})


class Running:
    """The server on a free port, with a gate of one place."""

    def __init__(self, app: t.Any, **limits: t.Any) -> None:
        self.limits = limits
        self.gate = Gate(app, requests=1, body_bytes=100, body_seconds=60)
        self.port = 0

    async def __aenter__(self) -> Running:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self.gate(scope, receive, send)
                return
            for done in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{done}.complete"})

        listen = types.SimpleNamespace(host="127.0.0.1", port=0, tls_certificate_file="", tls_key_file="")
        configuration: t.Any = types.SimpleNamespace(listen=listen, limits=types.SimpleNamespace(**LIMITS, **self.limits))
        self.server = server(application, configuration)
        self._task = asyncio.create_task(self.server.serve())
        await until(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = self.server.force_exit = True
        await self._task

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    async def send(self, *parts: bytes) -> bytes:
        """What is answered to these bytes until the server ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            # So that each arrives on its own
            await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read(-1)
        writer.close()
        return answer

    async def ask(self) -> bytes:
        """One request on a connection of its own, read to the end; the head of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = await reader.read(-1)
        writer.close()
        return answer.split(b"\r\n", 1)[0]


async def until(condition: t.Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def test_answers_that_are_not_read_keep_no_place_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "unread_seconds", 0.5, raising=False)

    async def story() -> None:
        begun = 0

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal begun
            begun += 1
            await large(scope, receive, send)

        async with Running(counted, head_seconds=60, connections=9) as running:
            with socket.create_connection(("127.0.0.1", running.port)) as client:
                client.sendall(REQUEST * REQUESTS)
                await until(lambda: begun > 1)
                await until(lambda: running.connections() == 0 and running.gate.under_way == 0)
                assert begun < REQUESTS
                assert await running.ask() == b"HTTP/1.1 200 OK"

    asyncio.run(story())


def test_answers_that_are_read_are_sent_whole() -> None:
    async def story() -> None:
        async with Running(large, head_seconds=60, connections=9) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(REQUEST * REQUESTS)
            received = 0
            async with asyncio.timeout(PATIENCE):
                while received < REQUESTS * SIZE:
                    received += len(await reader.read(1 << 20)) or pytest.fail(f"it ended after {received} bytes")
            writer.close()

    asyncio.run(story())


async def small(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ([], b""),
        ([b"GET / HT"], b"HTTP/1.1 408 "),
        ([b"GET / HTTP/1.1\r\nHost: x\r\n"], b"HTTP/1.1 408 "),
        # After a whole request, too: what comes in bits must not begin the time anew.
        ([REQUEST, *[b"G", b"E", b"T", b" /"]], b"HTTP/1.1 200 OK"),
    ],
)
def test_a_request_whose_headers_do_not_come_is_given_up(parts: list[bytes], answer: bytes) -> None:
    async def story() -> None:
        async with Running(small, head_seconds=0.5, connections=9) as running:
            assert (await running.send(*parts)).startswith(answer)
            await until(lambda: running.connections() == 0)

    asyncio.run(story())


def test_three_thousand_half_sent_headers_are_gone_and_others_are_served_meanwhile() -> None:
    async def story() -> None:
        async with Running(small, head_seconds=3, connections=4000) as running:
            halves = []
            for _ignored in range(3000):
                _reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-")
                halves.append(writer)
            assert await running.ask() == b"HTTP/1.1 200 OK"
            await until(lambda: running.connections() == 0)
            for writer in halves:
                writer.close()

    asyncio.run(story())


def test_headers_without_end_are_refused() -> None:
    async def story() -> None:
        async with Running(small, head_seconds=60, connections=9) as running:
            line = b"X-Long: " + b"x" * (HEAD_BYTES // 4) + b"\r\n"
            try:
                answer = await running.send(b"GET / HTTP/1.1\r\n", *[line] * 6)
            except ConnectionError:
                # It was closed before all was sent.
                answer = b""
            # h11 has a limit of its own, and says that this is no HTTP.
            assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
            await until(lambda: running.connections() == 0)

    asyncio.run(story())


def test_more_connections_than_there_may_be_are_turned_away() -> None:
    async def story() -> None:
        async with Running(small, head_seconds=60, connections=3) as running:
            held = [await asyncio.open_connection("127.0.0.1", running.port) for _ignored in range(3)]
            await until(lambda: running.connections() == 3)
            assert (await running.send()).startswith(b"HTTP/1.1 503 ")
            held[0][1].close()
            await until(lambda: running.connections() == 2)
            assert await running.ask() == b"HTTP/1.1 200 OK"
            for _reader, writer in held:
                writer.close()

    asyncio.run(story())


def test_one_address_gets_part_of_the_connections_and_this_host_all() -> None:
    connections = Connections(total=4, per_address=2)
    assert [connections.enter("192.0.2.1") for _ignored in range(3)] == [True, True, False]
    assert connections.enter("192.0.2.2")
    connections.leave("192.0.2.1")
    assert connections.enter("192.0.2.1")
    assert [connections.enter("127.0.0.1") for _ignored in range(2)] == [True, False]
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "127.0.0.1"):
        connections.leave(address)
    assert [connections.enter("::1") for _ignored in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize("method", ["QUERY", "FOO", "get", "M-SEARCH"])
def test_a_method_that_no_server_knows_is_a_405(method: str) -> None:
    """Those that a parser hands on are for the application; here it takes them all."""

    async def story() -> None:
        async with Running(small, head_seconds=60, connections=9) as running:
            request = f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            assert (await running.send(request)).startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 200 "))

    asyncio.run(story())
