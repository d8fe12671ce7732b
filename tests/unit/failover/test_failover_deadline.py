# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a connection is cut off, on real sockets without a server."""

from __future__ import annotations

import asyncio
import socket
import time
import types
import typing as t

import pytest
from multimaster_failover.connection import Deadline, cut, is_quiet

Ends = tuple[t.Any, socket.socket]


@pytest.fixture
def ends() -> t.Iterator[Ends]:
    """What stands for a connection, and the server's end of it."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield types.SimpleNamespace(pgconn=types.SimpleNamespace(socket=ours.fileno())), theirs


def is_cut(server: socket.socket) -> bool:
    try:
        return server.recv(1) == b""
    except BlockingIOError:
        return False


async def over(deadline: Deadline) -> None:
    while not deadline.expired:
        await asyncio.sleep(0.01)


def test_without_an_answer_it_is_cut(ends: Ends) -> None:
    connection, server = ends

    async def story() -> None:
        with Deadline(connection, 0.1) as deadline:
            await over(deadline)

    asyncio.run(story())
    assert is_cut(server)


def test_before_its_time_it_is_not_cut(ends: Ends) -> None:
    connection, server = ends

    async def story() -> None:
        with Deadline(connection, 600) as deadline:
            await asyncio.sleep(0.05)
            assert not deadline.expired

    asyncio.run(story())
    assert not is_cut(server)


def test_left_in_time_it_stays(ends: Ends) -> None:
    connection, server = ends

    async def story() -> None:
        with Deadline(connection, 0.05) as deadline:
            pass
        await asyncio.sleep(0.1)
        assert not deadline.expired

    asyncio.run(story())
    assert not is_cut(server)


def test_an_answer_that_was_not_read_yet_is_waited_for_but_not_for_ever(ends: Ends) -> None:
    connection, server = ends

    async def story() -> None:
        server.send(b"x")
        begun = time.monotonic()
        with Deadline(connection, 0.1) as deadline:
            await over(deadline)
        # Put off three times, by half of it each time
        assert time.monotonic() - begun > 0.24

    asyncio.run(story())


def test_time_in_which_this_program_stood_still_does_not_count(ends: Ends) -> None:
    connection, _ignored = ends

    async def story() -> None:
        with Deadline(connection, 0.1) as deadline:
            time.sleep(0.3)
            await asyncio.sleep(0.01)
            assert not deadline.expired
            await over(deadline)

    asyncio.run(story())


def test_a_connection_that_was_closed_by_the_server_is_not_quiet(ends: Ends) -> None:
    connection, server = ends
    assert is_quiet(connection)
    server.close()
    assert not is_quiet(connection)
    cut(connection)
