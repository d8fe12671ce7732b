# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failover class in this process, and tasks that write and read through it."""

from __future__ import annotations

import asyncio
import random
import time
import typing as t

from hosts import NODE_IDS, NODES, connection
from journal import Entry
from multimaster_failover import Attempt, FailoverClient, NodeSettings, Settings, Unavailable

_INSERT = "INSERT INTO public.fault_journal (id, client) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING"


def client(**settings: t.Any) -> FailoverClient:
    nodes = [NodeSettings(name, NODE_IDS[name], connection(address)) for name, address in NODES.items()]
    return FailoverClient(Settings(nodes=nodes, **settings), name="harness", warm_up=_warm_up)


async def _warm_up(opened: t.Any) -> None:
    async with opened.transaction(force_rollback=True):
        await opened.execute(_INSERT, [-random.randrange(1, 2**31), "warm-up"], prepare=True)


class Load:
    """So many tasks, one request after the other each, with ``pause`` seconds between two, give or take a half."""

    def __init__(self, failover: FailoverClient, tasks: int, *, pause: float = 0.0, reads: float = 0.0) -> None:
        self._client, self._stock = failover, failover.key_stock("public.fault_journal_id_seq")
        self._count, self._pause, self._reads = tasks, pause, reads
        self._going = True
        self._tasks: list[asyncio.Task[None]] = []
        self.entries: list[Entry] = []

    async def __aenter__(self) -> Load:
        await self._stock.fill()
        self._tasks = [asyncio.create_task(self._work()) for _number in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._going = False
        await asyncio.gather(*self._tasks)

    async def _work(self) -> None:
        while self._going:
            kind = "read" if random.random() < self._reads else "write"
            started, key, text = time.monotonic(), None, ""
            try:
                if kind == "write":
                    key = await self._stock.take()
                    text = f"class {key}"
                    attempt = await self._write(key, text)
                else:
                    _rows, attempt = await self._client.fetch("SELECT client FROM public.fault_journal WHERE id = %s", [0])
                entry = Entry(kind, started, time.monotonic(), "", attempt.node, attempt.number, key, text)
            except Unavailable as error:
                entry = Entry(kind, started, time.monotonic(), str(error), "", 1, key, text)
                # As a server of such requests would: not at once again.
                await asyncio.sleep(0.01)
            self.entries.append(entry)
            if self._pause:
                await asyncio.sleep(random.uniform(0.5, 1.5) * self._pause)

    async def _write(self, key: int, text: str) -> Attempt:
        async def unit(opened: t.Any, _attempt: Attempt) -> None:
            await opened.execute(_INSERT, [key, text])

        return (await self._client.run(unit, write=True))[1]
