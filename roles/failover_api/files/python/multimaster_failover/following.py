# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps this client and the others on one node, through what they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from .agreement import Agreement, Record
from .choice import State
from .cluster import Cluster
from .ending import end

log = logging.getLogger("multimaster_failover")

# An agreed node that cannot be used from here is objected to after this time, and then not again for a while: two clients
# that each reach another node only would send each other to and fro for ever.
_PATIENCE = 1.0
_QUARREL = 30.0


class Follower:
    """Reads the record several times a second, and tells it what this client decides."""

    def __init__(self, cluster: Cluster, agreement: Agreement) -> None:
        self._cluster, self._agreement = cluster, agreement
        self._told: Record | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._objected = float("-inf")
        self._apart_since: float | None = None
        self._foreign: Record | None = None
        self._overruled = float("-inf")
        self._unheard_since: float | None = None
        cluster.on_decision = lambda record: self._woken.set()

    async def start(self) -> None:
        """The first look, before this client has made up its mind."""
        record, _ignored = await self._agreement.read()
        if record is not None and record.node in self._cluster.nodes:
            self._cluster.record = record
        elif record is not None:
            self._overrule(record)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await end([self._task])
        await self._agreement.close()

    async def _run(self) -> None:
        while True:
            try:
                await self.once()
            except Exception:
                log.exception("the shared state could not be followed")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._cluster.settings.follow_interval)
            self._woken.clear()

    async def once(self) -> None:
        """Tell what was decided here, then hear what the others decided."""
        mine = self._cluster.record
        if mine is not None and mine is not self._told and await self._agreement.propose(mine):
            self._told = mine
        record, everywhere = await self._agreement.read()
        mine = self._cluster.record
        if record is not None and (mine is None or record.rank > mine.rank):
            if record.node in self._cluster.nodes:
                self._told = record
                self._cluster.adopt(record)
            else:
                self._overrule(record)
        elif mine is not None and not (everywhere and record == mine):
            # A server that lost its memory, or was away when it was told.
            if await self._agreement.propose(mine):
                self._told = mine
            elif mine is not self._told and record is not None and record.rank < mine.rank:
                self._yield_to(record)
                return
        self._unheard_since = None
        self._object()

    def _overrule(self, record: Record) -> None:
        """A record that names no node of these settings: a node was renamed or removed. Nobody could follow it, so decide anew.

        Seldom: clients with the old settings and with the new ones would overrule each other for ever.
        """
        cluster, now = self._cluster, asyncio.get_running_loop().time()
        if record != self._foreign:
            self._foreign = record
            log.warning("the shared record names a node that is not configured here, said by %.100r: deciding anew", record.by)
        cluster.foreign_epoch = max(cluster.foreign_epoch, record.epoch)
        if cluster.active is not None and now - self._overruled >= _QUARREL:
            self._overruled = now
            cluster.decide(cluster.active)

    def _yield_to(self, record: Record) -> None:
        """Nobody has heard what was decided here: no server takes it (they are read-only, or full), and this older word is read.

        That is what all others see. So once its node can be used, this client goes there as well, unless somebody has forced
        another one. What was told before is the others' word, too, and stays while the server that took it is away.
        """
        cluster, now = self._cluster, asyncio.get_running_loop().time()
        self._unheard_since = self._unheard_since or now
        node, mine = cluster.nodes.get(record.node), cluster.record
        if now - self._unheard_since < _PATIENCE or node is None or mine is None or mine.forced:
            return
        if node.state is State.UP and cluster.active != node.name:
            log.warning("nobody can be told that %s is active: back to %s, as the shared record says", cluster.active, node.name)
            self._told = record
            cluster.adopt(record)

    def _object(self) -> None:
        cluster, now = self._cluster, asyncio.get_running_loop().time()
        record = cluster.record
        agreed = cluster.nodes.get(record.node) if record else None
        mine, out_of_use = cluster.current(), agreed is not None and (agreed.state is State.ASIDE or cluster.prefers_its_own())
        # One that was taken for want of another is no reason for the others to go there.
        if mine is None or mine is agreed or mine.lacks_rows or not out_of_use:
            self._apart_since = None
            return
        self._apart_since = self._apart_since or now
        if now - self._apart_since >= _PATIENCE and now - self._objected >= _QUARREL and cluster.active:
            self._objected = now
            cluster.decide(cluster.active)
