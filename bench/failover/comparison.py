# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same small workload on the same hosts at the same moment: the failover class, and what programs use without it.

HAProxy as it is, HAProxy tuned, and libpq with a list of hosts. Their programs do as programs do: one connection for each
thread, a new one after an error. A request that has no answer after the time that the class gives one counts as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import socket
import threading
import time
import typing as t

import checks
import class_load
import figures
import psycopg
from faults import ALL, Fault
from hosts import NODES, PROXY, active_node, connection
from journal import Entry
from timing import say

FAULTS = ("stop", "kill", "hang", "cut")
THREADS = 4
PAUSE = 0.03
ANSWER_SECONDS = 3.0
_PROXY = next(iter(PROXY.values()))
CANDIDATES: dict[str, t.Callable[[], dict[str, t.Any]]] = {
    "HAProxy, defaults": lambda: {**connection(_PROXY), "port": 5001},
    "HAProxy, tuned": lambda: {**connection(_PROXY), "port": 5002},
    "libpq, two hosts": lambda: {**connection(",".join(NODES.values())), "target_session_attrs": "any"},
}
CLASS = "failover class"


class Clients:
    """Threads that read and write over connections made with ``parameters``."""

    def __init__(self, name: str, parameters: dict[str, t.Any]) -> None:
        self._name, self._parameters = name, {**parameters, "connect_timeout": 2, "autocommit": True}
        self.entries: list[Entry] = []
        self._numbers = itertools.count(1)
        self._going = True
        self._open: dict[int, psycopg.Connection[t.Any]] = {}
        self._threads = [threading.Thread(target=self._work, args=[number], daemon=True) for number in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends also what still waits for an answer; that has failed."""
        self._going = False
        limit = time.monotonic() + 1
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))
        for opened in list(self._open.values()):
            with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(opened.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)

    def _work(self, number: int) -> None:
        while self._going:
            # The keys are the program's own, and never meet those of the sequence.
            key = -(time.time_ns() // 1000 * 16 + number * 4 + next(self._numbers) % 4)
            kind, text = ("write", f"{self._name} {key}") if random.random() < 0.6 else ("read", "")
            started, problem = time.monotonic(), ""
            try:
                if number not in self._open:
                    self._open[number] = psycopg.connect(**self._parameters)
                if kind == "write":
                    self._open[number].execute("INSERT INTO public.fault_journal (id, client) VALUES (%s, %s)", [key, text])
                else:
                    self._open[number].execute("SELECT client FROM public.fault_journal WHERE id = %s", [key]).fetchall()
            except (psycopg.Error, OSError) as error:
                problem = type(error).__name__
                broken = self._open.pop(number, None)
                if broken is not None:
                    broken.close()
            finished = time.monotonic()
            if not problem and finished - started > ANSWER_SECONDS:
                problem = f"no answer within {ANSWER_SECONDS:.0f} s"
            self.entries.append(Entry(kind, started, finished, problem, self._name, 1, key if kind == "write" else None, text))
            time.sleep(random.uniform(0.5, 1.5) * PAUSE)


def run(names: t.Sequence[str], seconds: float, found: list[dict[str, t.Any]]) -> None:
    """For every fault the figures of every candidate, added to ``found``."""
    for name in [each for each in FAULTS if each in names]:
        active_node()
        say(f"  {name}: the class beside HAProxy and libpq")
        found += asyncio.run(_one(ALL[name], seconds))


async def _one(fault: Fault, seconds: float) -> list[dict[str, t.Any]]:
    node = next(iter(NODES))
    clients = {name: Clients(name, parameters()) for name, parameters in CANDIDATES.items()}
    async with class_load.client() as client:
        load = class_load.Load(client, THREADS, pause=PAUSE, reads=0.4)
        try:
            for each in clients.values():
                each.start()
            async with load:
                begin = time.monotonic() + 1
                await asyncio.sleep(1 + seconds / 2)
                struck = time.monotonic()
                await asyncio.to_thread(fault.strike, node)
                end = struck + seconds / 2 + fault.lasts
                await asyncio.sleep(max(0.0, end - time.monotonic()))
                end = time.monotonic()
        finally:
            await asyncio.gather(*(asyncio.to_thread(each.stop) for each in clients.values()))
            healed = time.monotonic()
            await asyncio.to_thread(fault.heal, node)
    await asyncio.to_thread(checks.converge, healed)
    results = []
    for name, entries in [(CLASS, load.entries), *((name, each.entries) for name, each in clients.items())]:
        summary = figures.summary(entries, begin, struck, end)
        proof = await asyncio.to_thread(checks.proof, entries, "public.fault_journal")
        wrong = sum(proof.values())
        results.append({"fault": fault.name, "candidate": name, **summary, "wrong_rows": wrong, "proof": proof})
        say(
            f"    {name:18} {summary['requests']:5} requests, {summary['failed']:4} failed, "
            f"longest gap {summary['longest_gap'] * 1000:6.0f} ms, {wrong} wrong rows"
        )
    return results
