# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of Redis servers of which any may be away."""

from __future__ import annotations

import typing as t

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_REPEATED = 1


def redis_client(server: t.Mapping[str, t.Any], timeout: float) -> t.Any:
    """``server``: keyword arguments of ``redis.asyncio.Redis``. An answer or an error within about ``timeout`` seconds.

    A connection that a restarted server has closed is made anew once; redis-py itself would wait longer and longer.
    """
    options = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), _REPEATED)}
    return redis.asyncio.Redis(**{**options, **server})


async def close(client: t.Any) -> None:
    # aclose since redis-py 5
    await getattr(client, "aclose", client.close)()
