# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole application as uvicorn sees it: it starts and ends with its database clients."""

from __future__ import annotations

import logging
import time

from .gate import Asgi, Message, Receive, Scope, Send
from .metrics import Metrics
from .replies import failure
from .service import Service

log = logging.getLogger("failover_api")


class Application:
    """Lifespan, measuring, and the last resort for errors."""

    def __init__(self, app: Asgi, service: Service, metrics: Metrics) -> None:
        self._app, self._service, self._metrics = app, service, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._service.start()
        except Exception:
            log.exception("the service cannot start")
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("a request failed")
            if not status:
                await failure(500, "Something is wrong here; it was logged.")(scope, receive, watched)
        finally:
            self._metrics.request(scope, status, time.perf_counter() - began)
