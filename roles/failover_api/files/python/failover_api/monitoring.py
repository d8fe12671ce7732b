# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health, metrics, backups and the status page."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import re
import time
import typing as t

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from .catalogue import CatalogueAway
from .models import Health, Listing
from .replies import reply, unavailable
from .routes import failures, service_of

router = APIRouter(tags=["status"])

# The service may be one file.
_PAGES = importlib.resources.files(__package__) / "pages"
# How long the catalogue of backups is waited for, in seconds. The status page is for the moment when servers hang.
_BACKUPS_SECONDS, _STATUS_SECONDS = 2.0, 0.2
_SHOWN = {"failover", "switch", "followed", "set_aside", "up", "refused", "started", "alarm", "cleared"}


def _page(name: str) -> HTMLResponse:
    """A page of ours. The browser runs the scripts and styles in it and nothing else."""
    text = (_PAGES / name).read_text(encoding="utf-8")
    allowed = {
        tag: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
            for part in re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        )
        for tag in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src {allowed['script']}; style-src {allowed['style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def status_page() -> t.Any:
    return _page("status.html")


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def documentation() -> t.Any:
    return _page("docs.html")


@router.get("/health", response_model=Health, responses=failures())
async def health(request: Request) -> t.Any:
    """200 while this instance can carry out requests, otherwise 503."""
    service = service_of(request)
    client = service.client
    states = {node.name: node.state.value for node in client.nodes.values()}
    active = client.active
    status = "down" if active is None else "ok" if set(states.values()) == {"up"} else "degraded"
    content = {
        "status": status,
        "active_node": active.role if active else None,
        "nodes": states,
        "redis": service.redis_answering(),
    }
    if active is None:
        return unavailable("No node can be used.", 1, **content)
    return reply(200, {"ok": True, **content})


@router.get("/status", responses=failures())
async def status(request: Request) -> t.Any:
    """Everything that the status page shows."""
    service = service_of(request)
    client = service.client
    try:
        backups: list[dict[str, t.Any]] | None = (await service.catalogue.backups(_STATUS_SECONDS))[:20]
    except CatalogueAway:
        backups = None
    record, active = client.record, client.active
    return reply(
        200,
        {
            "ok": True,
            "instance": service.configuration.instance,
            "time": time.time(),
            "active": active.name if active else None,
            "agreed": {"node": record.node, "epoch": record.epoch, "since": record.since, "by": record.by} if record else None,
            "nodes": [node.as_dict() for node in client.nodes.values()],
            "lags": client.lags(),
            "events": [event.as_dict() for event in reversed(client.events.last(100)) if event.kind in _SHOWN][:20],
            "redis": service.redis_answering(),
            "backups": backups,
        },
    )


@router.get("/backups", response_model=Listing, responses=failures())
async def backups(request: Request) -> t.Any:
    """The catalogue of backups, newest first."""
    try:
        return reply(200, {"ok": True, "data": await service_of(request).catalogue.backups(_BACKUPS_SECONDS)})
    except CatalogueAway:
        return unavailable("The catalogue cannot be read now.", 2)


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(request: Request) -> t.Any:
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
