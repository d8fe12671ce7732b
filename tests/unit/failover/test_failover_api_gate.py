# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every request passes first, without a server: bodies that do not come, and how many requests are under way."""

from __future__ import annotations

import asyncio
import json
import typing as t

from failover_api.gate import Gate, Message, Receive, Scope, Send

SCOPE: dict[str, t.Any] = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "headers": [], "query_string": b""}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def gate(app: t.Any = echo, **limits: t.Any) -> Gate:
    return Gate(app, **{"requests": 2, "body_bytes": 100, "body_seconds": 60, **limits})


class Caller:
    """One request; what it has not sent yet is waited for."""

    def __init__(self, of: Gate, *parts: bytes, end: bool = True) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self.answer: list[Message] = []
        for index, part in enumerate(parts):
            self.send(part, end=end and index == len(parts) - 1)
        self.task = asyncio.create_task(of(dict(SCOPE), self._messages.get, self._answered))

    def send(self, part: bytes, *, end: bool) -> None:
        self._messages.put_nowait({"type": "http.request", "body": part, "more_body": not end})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _answered(self, message: Message) -> None:
        self.answer.append(message)

    async def result(self) -> tuple[int, bytes]:
        await self.task
        return self.answer[0]["status"], self.answer[1]["body"]


def test_a_body_is_handed_on_whole() -> None:
    async def story() -> None:
        assert await Caller(gate(), b"a", b"b", b"c").result() == (200, b"abc")
        status, body = await Caller(gate(body_bytes=2), b"a", b"b", b"c").result()
        assert (status, json.loads(body)["ok"]) == (413, False)

    asyncio.run(story())


def test_unfinished_bodies_take_nobody_s_place() -> None:
    async def story() -> None:
        one = gate(requests=1)
        halves = [Caller(one, b"x", end=False) for _ignored in range(50)]
        await asyncio.sleep(0)
        assert await Caller(one, b"whole").result() == (200, b"whole")
        halves[0].send(b"y", end=True)
        assert await halves[0].result() == (200, b"xy")
        for half in halves[1:]:
            half.leave()
            await half.task
            assert half.answer == []

    asyncio.run(story())


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def story() -> None:
        caller = Caller(gate(body_seconds=0.01), b"x", end=False)
        status, body = await caller.result()
        assert (status, json.loads(body)) == (408, {"ok": False, "error": "The body did not arrive in time."})
        assert (b"connection", b"close") in caller.answer[0]["headers"]

    asyncio.run(story())


def test_more_than_the_limit_are_turned_away_until_one_has_ended() -> None:
    async def story() -> None:
        end = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await end.wait()
            await echo(scope, receive, send)

        one = gate(slow)
        first, second = Caller(one, b"1"), Caller(one, b"2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await Caller(one, b"3").result())[0] == 503
        end.set()
        assert [await caller.result() for caller in (first, second)] == [(200, b"1"), (200, b"2")]
        assert (await Caller(one, b"4").result())[0] == 200

    asyncio.run(story())
