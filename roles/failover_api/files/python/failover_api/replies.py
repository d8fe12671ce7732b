# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers, and what every error becomes: JSON that says what is wrong and shows nothing of the inside."""

from __future__ import annotations

import logging
import math
import typing as t

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from multimaster_failover import SwitchRefused, Unavailable, UnknownNode
from starlette.exceptions import HTTPException

log = logging.getLogger("failover_api")

_SENTENCES = {
    401: "This needs the token of the administrators.",
    404: "There is nothing here.",
    405: "This method is not possible here.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    503: "The service is overloaded.",
}


def reply(status: int, content: t.Mapping[str, t.Any], headers: t.Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(dict(content), status_code=status, headers=dict(headers or {}))


def failure(status: int, sentence: str, headers: t.Mapping[str, str] | None = None, /, **details: t.Any) -> JSONResponse:
    """``{"ok": false, "error": "..."}`` and what else the caller can use."""
    return reply(status, {"ok": False, "error": sentence, **details}, headers)


def unavailable(sentence: str, retry_after: float, /, **details: t.Any) -> JSONResponse:
    return failure(503, sentence, {"Retry-After": str(max(1, math.ceil(retry_after)))}, **details)


class Refused(Exception):
    """A request that is answered with this status and sentence."""

    def __init__(self, status: int, sentence: str, headers: t.Mapping[str, str] | None = None, /, **details: t.Any) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers, self.details = status, sentence, headers, details


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 - registered for it
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else error.headers
    return failure(error.status, error.sentence, headers, **error.details)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)  # noqa: S101
    if error.in_doubt:
        sentence = "No answer in time. It is not known whether this was written: repeat it with the same Idempotency-Key."
        return unavailable(sentence, error.retry_after, in_doubt=True)
    return unavailable(f"The database cannot be used now: {error}.", error.retry_after, in_doubt=False)


async def _switch_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SwitchRefused)  # noqa: S101
    return failure(409, f"{error}.", lag_bytes=error.lag_bytes, lag_seconds=error.lag_seconds)


async def _unknown_node(request: Request, error: Exception) -> JSONResponse:
    return failure(404, "There is no node of this name.")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    sentence = _SENTENCES.get(error.status_code, "The request cannot be read.")
    return failure(error.status_code, sentence, getattr(error, "headers", None))


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # Where it is and what is wrong; the value itself is the caller's and may be anything. So is a key of the body.
    problems = [
        {
            "where": _text(".".join(str(part)[:60] for part in each["loc"] if part != "__root__")),
            "problem": _text(str(each["msg"])[:200]),
        }
        for each in error.errors()[:10]
    ]
    first = problems[0] if problems else {"where": "body", "problem": "cannot be read"}
    return failure(400, f"{first['where']}: {first['problem']}.", problems=problems)


def _text(words: str) -> str:
    """Without halves of surrogate pairs, which no answer can hold."""
    return words.encode(errors="replace").decode()


async def _database(request: Request, error: Exception) -> JSONResponse:
    """What the servers say of a statement of ours: the caller's values, or a mistake of this program."""
    if isinstance(error, psycopg.DataError):
        return failure(400, "A value cannot be stored.")
    log.error("a statement failed with SQLSTATE %s", getattr(error, "sqlstate", None), exc_info=error)
    return failure(500, "Something is wrong here; it was logged.")


async def _anything(request: Request, error: Exception) -> JSONResponse:
    return failure(500, "Something is wrong here; it was logged.")


def register(app: FastAPI) -> None:
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(SwitchRefused, _switch_refused)
    app.add_exception_handler(UnknownNode, _unknown_node)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(psycopg.Error, _database)
    app.add_exception_handler(Exception, _anything)
