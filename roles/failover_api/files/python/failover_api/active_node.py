# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node is active, and changing it on purpose."""

from __future__ import annotations

import contextlib
import hmac
import logging
import typing as t

from fastapi import APIRouter, Header, Path, Query, Request
from multimaster_failover import SwitchRefused, Unavailable, UnknownNode

from .attempts import is_loopback
from .models import ActiveNode, Switched
from .replies import Refused, reply
from .routes import failures, pattern, service_of
from .service import Service

router = APIRouter(tags=["nodes"])
log = logging.getLogger("failover_api")

_FORCE = Query(False, description="Switch although the target lacks rows: they arrive later")
_TOKEN = Header(None, description="Bearer and the administrators' token")

_PLAIN = "The token is taken over HTTPS only. One that was sent in plain text may have been read: make a new one."


@router.get("/active-node", response_model=ActiveNode, responses=failures())
async def active_node(request: Request) -> t.Any:
    """The node that requests go to, since when, and who decided so."""
    return reply(200, _active(service_of(request)))


@router.post("/switch-to-primary", response_model=Switched, responses=failures(401, 403, 409, 429))
async def switch_to_primary(
    request: Request, force: bool = _FORCE, authorization: t.Optional[str] = _TOKEN  # noqa: UP045
) -> t.Any:
    """Make the first node active."""
    return await _switch(request, authorization, 0, force)


@router.post("/switch-to-secondary", response_model=Switched, responses=failures(401, 403, 404, 409, 429))
async def switch_to_secondary(
    request: Request, force: bool = _FORCE, authorization: t.Optional[str] = _TOKEN  # noqa: UP045
) -> t.Any:
    """Make the second node active."""
    return await _switch(request, authorization, 1, force)


@router.post("/switch-to/{node}", response_model=Switched, responses=failures(401, 403, 404, 409, 429))
async def switch_to(
    request: Request,
    node: str = Path(..., max_length=255, **pattern("^[A-Za-z0-9._-]+$")),
    force: bool = _FORCE,
    authorization: t.Optional[str] = _TOKEN,  # noqa: UP045
) -> t.Any:
    """Make the node of this name active. Waits until it has caught up; 409 and the lag where it does not."""
    return await _switch(request, authorization, node, force)


def _active(service: Service) -> dict[str, t.Any]:
    node, record = service.client.active, service.client.record
    if node is None:
        raise Unavailable("no node can be used")
    same = record is not None and record.node == node.name
    return {
        "ok": True,
        "active_node": node.role,
        "node": node.name,
        "epoch": record.epoch if record else 0,
        # Apart from what is agreed while the agreed node cannot be reached from here
        "since": record.since if record and same else "",
        "by": record.by if record and same else service.configuration.instance,
    }


def _allow(request: Request, authorization: str | None) -> None:
    """Raises Refused where the token is not the one, came over the network for all to read, or others were tried too often."""
    service = service_of(request)
    caller = _caller(request)
    if not (service.configuration.listen.plain_token or request.scope["scheme"] == "https" or _is_here(request)):
        raise Refused(403, _PLAIN)
    wait = service.attempts.wait(caller)
    if wait:
        raise Refused(429, "There were too many wrong tokens.", {"Retry-After": str(wait)})
    scheme, _ignored, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not _equal(token, service.configuration.switch_token):
        if service.attempts.failed(caller):
            log.warning("too many wrong tokens, more are not looked at", extra={"audit": {"action": "switch", "from": caller}})
        raise Refused(401, "This needs the token of the administrators.")


def _equal(given: str, wanted: str) -> bool:
    """A header is bytes, shown as ISO 8859-1; clients send what is not ASCII so, or as UTF-8."""
    forms = [wanted.encode()]
    with contextlib.suppress(UnicodeEncodeError):
        forms.append(wanted.encode("latin-1"))
    sent = given.strip(" \t").encode("latin-1", "replace")
    return any(hmac.compare_digest(sent, form) for form in forms)


def _caller(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _is_here(request: Request) -> bool:
    """Whether the caller is on this host, so that the token was on no network."""
    caller, server = _caller(request), request.scope.get("server") or ("",)
    return is_loopback(caller) or caller == server[0]


async def _switch(request: Request, authorization: str | None, target: str | int, force: bool) -> t.Any:
    service = service_of(request)
    caller = _caller(request)
    names = list(service.client.nodes)
    if isinstance(target, int):
        # A node that is not there has no name; the empty one is no node's.
        target = names[target] if target < len(names) else ""
    audit = {"action": "switch", "to": target, "from": caller, "force": force}
    try:
        _allow(request, authorization)
    except Refused as error:
        # What is not even looked at fills no log.
        if error.status != 429:
            log.warning("a switch without the token", extra={"audit": {**audit, "done": False, "why": error.sentence}})
        raise
    previous = service.client.active
    try:
        # Everybody can read this in /status; where it came from is in the log only.
        changed = await service.client.switch_to(target, force=force, by="administrator")
    except (SwitchRefused, UnknownNode) as error:
        log.warning("a switch was refused", extra={"audit": {**audit, "done": False, "why": str(error)}})
        raise
    log.info("a switch was asked for", extra={"audit": {**audit, "done": True, "changed": changed}})
    return reply(200, {**_active(service), "changed": changed, "previous": previous.role if previous else ""})
