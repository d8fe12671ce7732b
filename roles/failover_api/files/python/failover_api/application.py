# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API put together."""

from __future__ import annotations

import typing as t

from fastapi import FastAPI

from . import active_node, generos, monitoring, names, titles
from .asgi import Application
from .configuration import Configuration
from .gate import Gate
from .metrics import Metrics
from .replies import register
from .service import Service

VERSION = "1.0.0"


def build(configuration: Configuration) -> Application:
    """The ASGI application of one instance."""
    service = Service(configuration)
    metrics = Metrics(service)
    # Its own pages for documentation would load scripts from elsewhere.
    app = FastAPI(
        title="IMDB on several masters",
        description="Requests go to the active node, and to another one when that fails. Nothing that was acknowledged is lost.",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service, app.state.metrics = service, metrics
    for module in (generos, titles, names, active_node, monitoring):
        app.include_router(module.router)
    register(app)
    _describe(app)
    limits = configuration.limits
    gate = Gate(app, requests=limits.requests, body_bytes=limits.body_bytes, body_seconds=limits.body_seconds)
    return Application(gate, service, metrics)


def _describe(app: FastAPI) -> None:
    """What is malformed is answered with 400 here, not with FastAPI's 422."""
    generate = app.openapi

    def openapi() -> dict[str, t.Any]:
        schema = generate()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
