# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection: uvicorn's protocol, with limits for clients that do not end what they began, or come in crowds."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import typing as t

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .connections import Connections

# Bytes that a request's line and headers may have
HEAD_BYTES = 65536
# A client that does not take its leave is cut off, in seconds.
_LEAVING = 2.0
_REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_UNKNOWN_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [^ \r\n]+ HTTP/1\.[01]\r?\n")


class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's own answer to what cannot be read is plain text, and it waits for ever

    - for the headers of a request, whose bytes it does not count either,
    - for a client that does not read: its next request would keep its place among those under way, and its answers their memory.
    """

    transport: asyncio.Transport
    # Seconds until answers that fill the connection's buffers have been read
    unread_seconds = 30.0

    def __init__(self, connections: Connections, head_seconds: float, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self._connections, self._head_seconds = connections, head_seconds
        self._address: str | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._awaiting: asyncio.TimerHandle | None = None
        # Of a request that has not begun to be answered: how much has come after which one
        self._after: t.Any = None
        self._head_bytes = 0
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._connections.enter(address):
            self._address = address
            self._await_head()
        else:
            self._end(503, "There are too many connections.", "Retry-After: 1")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._address is not None:
            self._connections.leave(self._address)
            self._address = None
        self._have_head()
        self._read_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._address is None or self.transport.is_closing():
            # It is being ended, and what else it sends is of no use.
            return
        before, self._received = self.cycle, data
        super().data_received(data)
        if self.cycle is not before:
            self._have_head()
        elif before is None or before.response_complete or not before.more_body:
            self._count_head(len(data))

    def _count_head(self, size: int) -> None:
        """Part of a request's head has come, or of a body that nobody waits for any more."""
        if self.transport.is_closing():
            return
        if self.cycle is not self._after:
            self._after, self._head_bytes = self.cycle, 0
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._end(431, f"A request's line and headers may have {HEAD_BYTES} bytes.")
        elif self._awaiting is None:
            self._await_head()

    def _await_head(self) -> None:
        self._awaiting = asyncio.get_running_loop().call_later(self._head_seconds, self._late)

    def _have_head(self) -> None:
        if self._awaiting is not None:
            self._awaiting.cancel()
            self._awaiting = None

    def _late(self) -> None:
        self._awaiting = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # It sends its next request already, and waits for an answer of ours.
            self._await_head()
        elif self.cycle is self._after and self._head_bytes:
            self._end(408, "The request did not arrive in time.")
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._giving_up is None:
            self._giving_up = asyncio.get_running_loop().call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_again()

    def _read_again(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def send_400_response(self, _ignored: str) -> None:
        # Parsers know a list of methods; h11 hands on whatever it is.
        unknown = type(sys.exc_info()[1]).__name__ == "HttpParserInvalidMethodError"
        if unknown and _UNKNOWN_METHOD.match(self._received):
            self._end(405, "This method is not possible here.", "Allow: GET, POST")
        else:
            self._end(400, "This is no HTTP request.")

    def _end(self, status: int, sentence: str, *headers: str) -> None:
        """Answer and close. The answer is small enough for the connection's buffers."""
        body = json.dumps({"ok": False, "error": sentence}).encode()
        about = ["Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "Connection: close"]
        self.transport.write("\r\n".join([f"HTTP/1.1 {status} {_REASONS[status]}", *about, "", ""]).encode() + body)
        self.transport.close()
        asyncio.get_running_loop().call_later(_LEAVING, self.transport.abort)
