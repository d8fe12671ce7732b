# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the endpoints' modules share."""

from __future__ import annotations

import inspect
import typing as t

from fastapi import Path, Request

from .models import Failure
from .replies import Refused
from .service import Service

# Debian 12's FastAPI calls it regex.
_PATTERN = "pattern" if "pattern" in inspect.signature(Path).parameters else "regex"


def pattern(expression: str) -> dict[str, t.Any]:
    """For Path, Query and Header."""
    return {_PATTERN: expression}


def service_of(request: Request) -> Service:
    return request.app.state.service


def failures(*statuses: int) -> dict[int | str, dict[str, t.Any]]:
    """For the OpenAPI description; any request can be malformed, unfinished, too large or come while no node can be used."""
    return {status: {"model": Failure} for status in sorted({400, 408, 413, 503, *statuses})}


def storable(text: str, where: str) -> str:
    """PostgreSQL keeps every text but these two."""
    if "\0" in text:
        raise Refused(400, f"{where} holds the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, f"{where} is not text: it holds half a surrogate pair.") from None
    return text
