# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every request passes first: how many there are, how large they are, whether they are text."""

from __future__ import annotations

import contextlib
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
    """An ASGI application around the other one."""

    def __init__(self, app: Asgi, *, requests: int, body_bytes: int) -> None:
        self._app, self._requests, self._body_bytes = app, requests, body_bytes
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.under_way >= self._requests:
            await unavailable("Too many requests are under way.", 1)(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            await problem(scope, receive, send)
            return
        self.under_way += 1
        try:
            await self._limited(scope, receive, send)
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
            return failure(413, f"The body may have {self._body_bytes} bytes.", {"Connection": "close"})
        return None

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, answered = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal answered
            # Whatever the application makes of the body that it could not read, the answer is ours.
            if received <= self._body_bytes:
                answered = True
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, watched)
        if received > self._body_bytes and not answered:
            await failure(413, f"The body may have {self._body_bytes} bytes.", {"Connection": "close"})(scope, receive, send)
