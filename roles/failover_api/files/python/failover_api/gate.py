# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every request passes first: whether it is text, not too large, and there in time, and how many there are."""

from __future__ import annotations

import asyncio
import typing as t
import urllib.parse

from .replies import failure, unavailable

Scope = t.MutableMapping[str, t.Any]
Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]
Asgi = t.Callable[[Scope, Receive, Send], t.Awaitable[None]]


class _TooLarge(Exception):
    """The body went on past the limit."""


class Gate:
    """An ASGI application around the other one.

    A request counts as under way once all of it is there: one whose body does not come takes nobody's place, and is given up
    after ``body_seconds``.
    """

    def __init__(self, app: Asgi, *, requests: int, body_bytes: int, body_seconds: float) -> None:
        self._app, self._requests = app, requests
        self._body_bytes, self._body_seconds = body_bytes, body_seconds
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem, body = self._problem(scope), None
        if problem is None:
            try:
                async with asyncio.timeout(self._body_seconds):
                    body = await self._body(receive)
            except asyncio.TimeoutError:
                problem = failure(408, "The body did not arrive in time.", {"Connection": "close"})
            except _TooLarge:
                problem = self._too_large()
            else:
                if body is None:
                    # The caller has gone.
                    return
        if problem is None and self.under_way >= self._requests:
            problem = unavailable("Too many requests are under way.", 1)
        if problem is not None:
            await problem(scope, receive, send)
            return
        self.under_way += 1
        try:
            await self._app(scope, _given(body or b"", receive), send)
        finally:
            self.under_way -= 1

    def _problem(self, scope: Scope) -> t.Any:
        for name in ("raw_path", "query_string"):
            try:
                urllib.parse.unquote_to_bytes(scope.get(name) or b"").decode()
            except UnicodeDecodeError:
                return failure(400, "The address is not UTF-8.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._body_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> t.Any:
        return failure(413, f"The body may have {self._body_bytes} bytes.", {"Connection": "close"})

    async def _body(self, receive: Receive) -> bytes | None:
        """All of it; None where the caller goes away meanwhile."""
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._body_bytes:
                raise _TooLarge
            if not message.get("more_body"):
                return body


def _given(body: bytes, receive: Receive) -> Receive:
    """The body again, and then whatever comes."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return first.pop() if first else await receive()

    return receive_again
