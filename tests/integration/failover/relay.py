# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A relay in front of a server that loses what a test wants to be lost."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t


class Relay:
    """Passes bytes both ways, until told otherwise.

    ``lose_answer_to``: the answer to the next message that holds these bytes is dropped, and the connection with it, after the
    server has answered: carried out, and nobody knows. ``silent``: nothing passes any more, connections stay open. ``delay``:
    seconds for which everything is held up. ``accepted`` counts connections.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self.lose_answer_to: bytes | None = None
        self.lost = 0
        self.silent = False
        self.delay = 0.0
        self.accepted = 0

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # What is left open when the loop ends would be a warning in some later test.
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers.append(server_writer)
        connection = {"losing": False}
        ways = [
            asyncio.create_task(self._pass(reader, server_writer, connection, to_server=True)),
            asyncio.create_task(self._pass(server_reader, writer, connection, to_server=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            server_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: dict[str, bool], *, to_server: bool
    ) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay)
            while self.silent:
                await asyncio.sleep(0.05)
            if to_server and self.lose_answer_to and self.lose_answer_to in data:
                connection["losing"], self.lose_answer_to = True, None
            elif not to_server and connection["losing"]:
                self.lost += 1
                return
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def relay_in_thread(port: int) -> t.Iterator[Relay]:
    """For tests that are not asynchronous themselves."""
    ready, end = threading.Event(), threading.Event()
    relays: list[Relay] = []

    async def serve() -> None:
        async with Relay(port) as relay:
            relays.append(relay)
            ready.set()
            while not end.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield relays[0]
    finally:
        end.set()
        thread.join()
