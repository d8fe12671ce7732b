# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web server over real connections: clients that do not read what they asked for."""

from __future__ import annotations

import asyncio
import socket
import types
import typing as t

import pytest
from failover_api.gate import Gate, Receive, Scope, Send
from failover_api.server import Protocol, server

REQUESTS = 400
# All of them are more than the buffers of a connection hold.
SIZE = 100_000
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# Only what never comes is given up, in seconds.
PATIENCE = 60


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(SIZE).encode())]})
    await send({"type": "http.response.body", "body": b"x" * SIZE})


class Running:
    """The server on a free port, with a gate of one place."""

    def __init__(self, app: t.Any) -> None:
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
        configuration: t.Any = types.SimpleNamespace(listen=listen, limits=types.SimpleNamespace(stop_seconds=1))
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

        async with Running(counted) as running:
            with socket.create_connection(("127.0.0.1", running.port)) as client:
                client.sendall(REQUEST * REQUESTS)
                await until(lambda: begun > 1)
                await until(lambda: running.connections() == 0 and running.gate.under_way == 0)
                assert begun < REQUESTS
                assert await running.ask() == b"HTTP/1.1 200 OK"

    asyncio.run(story())


def test_answers_that_are_read_are_sent_whole() -> None:
    async def story() -> None:
        async with Running(large) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(REQUEST * REQUESTS)
            received = 0
            async with asyncio.timeout(PATIENCE):
                while received < REQUESTS * SIZE:
                    received += len(await reader.read(1 << 20)) or pytest.fail(f"it ended after {received} bytes")
            writer.close()

    asyncio.run(story())
