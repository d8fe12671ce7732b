# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""uvicorn as the service wants it: it ends in time, and what is no HTTP is answered in JSON, too."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import typing as t

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .configuration import Configuration

# Since uvicorn 0.22; Debian 12 has an older one.
_OPTION = "timeout_graceful_shutdown"
_HAS_OPTION = _OPTION in inspect.signature(uvicorn.Config).parameters


class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's own answer to what cannot be read is plain text, and it waits for ever for a client that does not read.

    Such a client's next request would keep its place among those under way, and its answers their memory.
    """

    transport: asyncio.Transport
    # Seconds until answers that fill the connection's buffers have been read
    unread_seconds = 30.0
    _giving_up: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._giving_up is None:
            self._giving_up = asyncio.get_running_loop().call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_again()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._read_again()

    def _read_again(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def send_400_response(self, _ignored: str) -> None:
        body = json.dumps({"ok": False, "error": "This is no HTTP request."}).encode()
        head = ["HTTP/1.1 400 Bad Request", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()


class Server(uvicorn.Server):
    """A client that does not end what it began (half a request, an answer that is not read) does not keep it from ending."""

    def __init__(self, config: uvicorn.Config, stop_seconds: float) -> None:
        super().__init__(config)
        self._stop_seconds = stop_seconds

    async def shutdown(self, *arguments: t.Any, **options: t.Any) -> None:
        timer = None if _HAS_OPTION else asyncio.get_running_loop().call_later(self._stop_seconds, self._give_up)
        await super().shutdown(*arguments, **options)
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        self.force_exit = True


def server(application: t.Any, configuration: Configuration) -> Server:
    """The server of one instance, ready to run."""
    listen, stop_seconds = configuration.listen, configuration.limits.stop_seconds
    options: dict[str, t.Any] = {_OPTION: math.ceil(stop_seconds)} if _HAS_OPTION else {}
    config = uvicorn.Config(
        application,
        host=listen.host,
        port=listen.port,
        ssl_certfile=listen.tls_certificate_file or None,
        ssl_keyfile=listen.tls_key_file or None,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        backlog=4096,
        timeout_keep_alive=30,
        **options,
    )
    return Server(config, stop_seconds)
