# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a request costs through the API, beside the same statement by the bare driver with the same pool, in turns."""

from __future__ import annotations

import asyncio
import json
import random
import time
import typing as t
import uuid

from class_load import client
from failover_api.generos_sql import INSERT
from failover_api.titles import TITLE
from hosts import API_PORT, NODES, active_node, tls
from multimaster_failover import FailoverClient
from timing import percentile, say

WARM_UP, SAMPLES = 200, 2000
# Median of the API less median of the driver, in seconds
ASKED = 0.001

Side = t.Callable[[], t.Awaitable[None]]


def run(found: list[dict[str, t.Any]]) -> None:
    """The figures of a read and of a write, added to ``found``."""
    found += asyncio.run(_measure(active_node()))


async def _measure(node: str) -> list[dict[str, t.Any]]:
    async with client() as failover, Http(NODES[node]) as http:
        found = []
        for what, sides in {"read": _read(failover, node, http), "write": _write(failover, node, http)}.items():
            figures = {name: _summary(taken) for name, taken in (await _in_turns(sides)).items()}
            overhead = figures["API"]["p50"] - figures["driver"]["p50"]
            found.append({"what": what, "samples": SAMPLES, "sides": figures, "overhead": overhead, "asked": ASKED})
            say(f"  {what}: the API costs {overhead * 1000:.2f} ms over the driver's {figures['driver']['p50'] * 1000:.2f} ms")
        return found


def _read(failover: FailoverClient, node: str, http: Http) -> dict[str, Side]:
    async def driver() -> None:
        assert await _alone(failover, node, TITLE, [_some_title()])

    async def through_class() -> None:
        assert (await failover.fetch(TITLE, [_some_title()]))[0]

    async def api() -> None:
        await http.ask("GET", f"/titles/{_some_title()}", 200)

    return {"driver": driver, "class": through_class, "API": api}


def _write(failover: FailoverClient, node: str, http: Http) -> dict[str, Side]:
    async def driver() -> None:
        assert await _alone(failover, node, INSERT, _new_genre())

    async def through_class() -> None:
        assert (await failover.fetch(INSERT, _new_genre(), write=True))[0]

    async def api() -> None:
        await http.ask("POST", "/generos", 201, json.dumps({"genero": f"overhead {uuid.uuid4().hex}"}))

    return {"driver": driver, "class": through_class, "API": api}


def _some_title() -> str:
    return f"tt{random.randint(1, 2000):07d}"


def _new_genre() -> list[t.Any]:
    # Far above what the sequences have reached.
    return [random.randrange(1 << 30, 1 << 31), f"overhead {uuid.uuid4().hex}"]


async def _alone(failover: FailoverClient, node: str, query: str, parameters: list[t.Any]) -> t.Any:
    """Nothing but the pool and psycopg."""
    pool = failover.nodes[node].pool
    connection = await pool.acquire(5)
    try:
        return await (await connection.execute(query, parameters)).fetchone()
    finally:
        pool.release(connection)


async def _in_turns(sides: dict[str, Side]) -> dict[str, list[float]]:
    """Seconds of every request, without those that warm up."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(WARM_UP + SAMPLES):
        for name, side in sides.items():
            started = time.perf_counter()
            await side()
            if number >= WARM_UP:
                taken[name].append(time.perf_counter() - started)
    return taken


def _summary(taken: list[float]) -> dict[str, float]:
    return {"p50": percentile(taken, 0.5), "p99": percentile(taken, 0.99)}


class Http:
    """One connection that is kept, with next to no work of its own."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def __aenter__(self) -> Http:
        self._reader, self._writer = await asyncio.open_connection(self._host, API_PORT, ssl=tls())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, expected: int, body: str = "") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._writer.write(f"{head}\r\n\r\n{body}".encode())
        status, *headers = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in headers if line.lower().startswith("content-length:"))
        answer = await self._reader.readexactly(length)
        if int(status.split()[1]) != expected:
            raise SystemExit(f"{method} {path}: {status} {answer[:200]!r}")
