# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""uvicorn as the service wants it: it ends in time, and gives no connection for ever to whoever asks for one."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import typing as t

import uvicorn

from .configuration import Configuration
from .connections import Connections
from .protocol import Protocol

# Since uvicorn 0.22; Debian 12 has an older one.
_OPTION = "timeout_graceful_shutdown"
_HAS_OPTION = _OPTION in inspect.signature(uvicorn.Config).parameters


class Server(uvicorn.Server):
    """A client that does not end what it began (half a request, an answer that is not read) does not keep it from ending."""

    def __init__(self, config: uvicorn.Config, stop_seconds: float, handshake_seconds: float) -> None:
        super().__init__(config)
        self._stop_seconds, self._handshake_seconds = stop_seconds, handshake_seconds

    async def startup(self, *arguments: t.Any, **options: t.Any) -> None:
        loop: t.Any = asyncio.get_running_loop()
        if self.config.is_ssl:
            # uvicorn has no option for it, and the event loop waits a minute.
            loop.create_server = functools.partial(loop.create_server, ssl_handshake_timeout=self._handshake_seconds)
        await super().startup(*arguments, **options)

    async def shutdown(self, *arguments: t.Any, **options: t.Any) -> None:
        timer = None if _HAS_OPTION else asyncio.get_running_loop().call_later(self._stop_seconds, self._give_up)
        await super().shutdown(*arguments, **options)
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        self.force_exit = True


def server(application: t.Any, configuration: Configuration) -> Server:
    """The server of one instance, ready to run."""
    listen, limits = configuration.listen, configuration.limits
    stop_seconds = limits.stop_seconds
    connections = Connections(total=limits.connections, per_address=limits.connections_per_address)
    options: dict[str, t.Any] = {_OPTION: math.ceil(stop_seconds)} if _HAS_OPTION else {}
    config = uvicorn.Config(
        application,
        host=listen.host,
        port=listen.port,
        ssl_certfile=listen.tls_certificate_file or None,
        ssl_keyfile=listen.tls_key_file or None,
        http=t.cast("t.Any", functools.partial(Protocol, connections, limits.head_seconds)),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        backlog=4096,
        timeout_keep_alive=30,
        **options,
    )
    return Server(config, stop_seconds, limits.head_seconds)
