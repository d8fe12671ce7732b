# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a malformed request is answered, whatever pydantic says of it."""

from __future__ import annotations

import asyncio
import json
import typing as t

from failover_api.replies import _validation
from fastapi.exceptions import RequestValidationError


class Malformed(RequestValidationError):
    """As any version of pydantic could have it."""

    def __init__(self, *errors: dict[str, t.Any]) -> None:
        self._listed = list(errors)

    def errors(self) -> list[dict[str, t.Any]]:
        return self._listed


def answer(*errors: dict[str, t.Any]) -> tuple[int, dict[str, t.Any]]:
    request: t.Any = None
    reply = asyncio.run(_validation(request, Malformed(*errors)))
    return reply.status_code, json.loads(bytes(reply.body))


def test_a_key_with_half_a_surrogate_pair_is_answered() -> None:
    # pydantic 1 gives the caller's key as it is.
    status, body = answer({"loc": ("body", "\ud800"), "msg": "extra \udfff fields"}, {"loc": ("body", "\u2615"), "msg": "wrong"})
    assert (status, body["ok"]) == (400, False)
    assert body["problems"] == [{"where": "body.?", "problem": "extra ? fields"}, {"where": "body.\u2615", "problem": "wrong"}]
    assert body["error"] == "body.?: extra ? fields."
