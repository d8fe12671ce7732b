# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Genres: what is written, exactly once, and read."""

from __future__ import annotations

import enum
import logging
import typing as t

import psycopg
from fastapi import APIRouter, Header, Query, Request
from multimaster_failover import Attempt, KeyStock, derived_key

from .generos_sql import BY_KEY, BY_NAME, INSERT, LIST, SEQUENCE
from .models import MAX_ID, Generos, GeneroStored, NewGenero
from .replies import Refused, reply, unavailable
from .routes import failures, pattern, service_of, storable
from .service import Service

log = logging.getLogger("failover_api")

router = APIRouter(tags=["genres"])

# Keys of our own choice that other rows have by chance
_MAX_TAKEN = 16


class NoFreeKey(Exception):
    """Every key that was tried is another row's."""


class Outcome(enum.Enum):
    CREATED = "created"
    # The row was there, the same one
    SAME = "same"
    # Another row has the key
    TAKEN = "taken"
    # Another row has the name
    EXISTS = "exists"


@router.post("/generos", status_code=201, response_model=GeneroStored, responses=failures(409))
async def create_genero(
    new: NewGenero,
    request: Request,
    idempotency_key: t.Optional[str] = Header(None, min_length=1, max_length=255, **pattern("^[!-~]+$")),  # noqa: UP045
) -> t.Any:
    """Store a genre. A repetition with the same `Idempotency-Key` and body stores nothing more and has the same answer.

    Another body needs another `Idempotency-Key`. One that is used again for another `genero` is refused (409) where this
    instance has seen it since it started; elsewhere the other genre is stored.

    Without `id_genero` the key comes from a sequence or, with an `Idempotency-Key`, is derived from that and negative.
    """
    service = service_of(request)
    name = storable(new.genero, "genero")
    if not name.strip():
        raise Refused(400, "genero is blank.")
    if idempotency_key is not None:
        service.idempotency_keys.check(idempotency_key, (name, new.id_genero))
    try:
        key, attempt = await _store(service, name, new.id_genero, idempotency_key)
    except NoFreeKey:
        return unavailable("No free key was found; the cause was logged.", 1, in_doubt=False)
    return reply(201, {"ok": True, "data": {"id_genero": key, "genero": name}, "node_used": attempt.role})


@router.get("/generos", response_model=Generos, responses=failures())
async def list_generos(
    request: Request, limit: int = Query(1000, ge=1, le=10000), after: int = Query(-MAX_ID - 1, ge=-MAX_ID - 1, le=MAX_ID)
) -> t.Any:
    """Genres in the order of their keys."""
    rows, attempt = await service_of(request).client.fetch(LIST, [after, limit])
    data = [{"id_genero": key, "genero": name} for key, name in rows]
    # Left out at the end rather than null, which pydantic 1 cannot describe.
    following = {"next_after": rows[-1][0]} if len(rows) == limit else {}
    return reply(200, {"ok": True, "data": data, **following, "node_used": attempt.role})


async def _store(service: Service, name: str, given: int | None, idempotency_key: str | None) -> tuple[int, Attempt]:
    stock: KeyStock | None = None
    for turn in range(_MAX_TAKEN):
        if given is not None:
            key = given
        elif idempotency_key is not None:
            key = derived_key(idempotency_key, name, turn)
        else:
            stock = service.genero_keys
            key = await stock.take()
        (outcome, held), attempt = await service.client.run(_unit(key, name), write=True)
        if outcome is Outcome.EXISTS:
            raise Refused(409, "This genre exists.", id_genero=held)
        if outcome is Outcome.SAME and given is not None and idempotency_key is None and not attempt.in_doubt:
            raise Refused(409, "This id_genero exists.", id_genero=key)
        if outcome is not Outcome.TAKEN:
            return key, attempt
        if given is not None:
            raise Refused(409, "This id_genero is another genre's.", id_genero=key)
    if stock is not None:
        # The rest of the block is as old as these; the next one may be free.
        service.drop_genero_keys(stock)
        log.error(
            "the sequence %s is behind its table: %d of its values in a row are keys of rows. Set it past them with the"
            " playbook site or the module pg_sequence_mm",
            SEQUENCE,
            _MAX_TAKEN,
        )
    else:
        log.error("%d keys derived from one Idempotency-Key are keys of other rows", _MAX_TAKEN)
    raise NoFreeKey


def _unit(key: int, name: str) -> t.Callable[[t.Any, Attempt], t.Awaitable[tuple[Outcome, int | None]]]:
    """What became of the row, and the key of the row that has its name."""

    async def unit(connection: t.Any, _ignored: Attempt) -> tuple[Outcome, int | None]:
        try:
            cursor = await connection.execute(INSERT, [key, name])
        except psycopg.errors.UniqueViolation:
            # The name is there. It may be the row of an earlier attempt, which replication brought at this very moment.
            cursor = await connection.execute(BY_NAME, [name])
            row = await cursor.fetchone()
            held = None if row is None else row[0]
            return (Outcome.SAME if held == key else Outcome.EXISTS), held
        if await cursor.fetchone() is not None:
            return Outcome.CREATED, key
        cursor = await connection.execute(BY_KEY, [key])
        row = await cursor.fetchone()
        return (Outcome.SAME, key) if row is not None and row[0] == name else (Outcome.TAKEN, None)

    return unit
