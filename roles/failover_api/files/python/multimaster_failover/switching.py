# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A planned change of the active node: nothing fails, nothing is left behind."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from .choice import State
from .cluster import Cluster
from .errors import SwitchRefused
from .events import Event
from .execution import Executor
from .lag import Lag, lag
from .node import Node

log = logging.getLogger("multimaster_failover")


class Switcher:
    """One switch at a time."""

    def __init__(self, cluster: Cluster, executor: Executor) -> None:
        self._cluster, self._executor = cluster, executor
        self._settings = cluster.settings
        self._lock = asyncio.Lock()

    async def switch_to(self, name: str, *, force: bool = False, by: str = "", known: t.Container[str] = ()) -> bool:
        """Make the node active; False where it is already, here and for all clients.

        Waits until the target has what the active node has written so far, holds new writes back while those in flight end (for
        ``switch_pause`` at most), and then changes. Raises SwitchRefused where the target lacks rows, unless ``force`` is set, or
        does not answer; UnknownNode. A refusal in the words of a ``known`` one is no event.
        """
        target = self._cluster.node(name)
        async with self._lock:
            if self._cluster.active == name and target.state is State.UP and self._cluster.says(name, forced=force):
                return False
            source = self._source(target)
            try:
                await self._check(source, target, force)
            except SwitchRefused as refusal:
                if str(refusal) not in known:
                    self._cluster.events.add("refused", name, str(refusal), self._cluster.speaker(by))
                raise
            await self._change(source, target, by, forced=force)
            return True

    def _source(self, target: Node) -> Node | None:
        """The node that writes go to so far. Where this client uses the target alone, it is the one that the others use."""
        source = self._cluster.current()
        if source is target:
            source = self._cluster.agreed()
        return source if source is not target and source is not None and source.state is not State.ASIDE else None

    async def _check(self, source: Node | None, target: Node, force: bool) -> None:
        if target.state is State.ASIDE:
            raise SwitchRefused(f"{target.name} cannot be used: {target.reason}")
        if force:
            return
        if source is None:
            if target.state is not State.UP:
                raise SwitchRefused(f"{target.name} may lack rows, and there is no other node to compare with")
            return
        behind = await self._wait_for(source, target)
        if behind is not None:
            why = behind.problem or f"{target.name} has not caught up"
            raise SwitchRefused(
                f"{target.name} lacks rows of {source.name}: {why}", lag_bytes=behind.size, lag_seconds=behind.seconds
            )
        if target.state is not State.UP:
            raise SwitchRefused(f"{target.name} is still catching up: {target.reason}")

    async def _wait_for(self, source: Node, target: Node) -> Lag | None:
        """None once the target has what the source had at this moment, otherwise how far it is behind when the time is over."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        slot_name = self._cluster.slot_name(source.name, target.name)
        goal: int | None = None
        while True:
            report = source.report
            if report is not None and report.started >= asked:
                goal = report.position if goal is None else goal
                slot = report.slots.get(slot_name)
                if slot is not None and slot.confirmed >= goal and target.state is State.UP:
                    return None
            if loop.time() - asked > self._settings.switch_wait:
                return lag(report, slot_name, source.trail, loop.time())
            await asyncio.sleep(0.02)

    async def _change(self, source: Node | None, target: Node, by: str, *, forced: bool) -> None:
        loop = asyncio.get_running_loop()
        self._executor.gate.clear()
        try:
            limit = loop.time() + self._settings.switch_pause
            while source is not None and source.writes and loop.time() < limit:
                await asyncio.sleep(0.001)
            if target.state is State.ASIDE:
                raise SwitchRefused(f"{target.name} cannot be used: {target.reason}")
            if target.state is State.CATCHING_UP:
                self._cluster.mark_up(target, "forced")
            self._cluster.switch(target.name, by, forced=forced)
        finally:
            self._executor.gate.set()
        # The rest of what was in flight ends where it began.
        limit = loop.time() + self._settings.budget
        while source is not None and source.writes and loop.time() < limit:
            await asyncio.sleep(0.005)


class Failback:
    """Where it is wanted, traffic returns to the first node some time after that is up to date again.

    Not where somebody has switched to another one: that is kept in the shared record, where every client finds it. A first node
    that is lost again soon after it became active again is waited for twice as long each time.
    """

    # It is steady when it was active for so many times the wait; and the wait becomes so many times the first at most.
    STEADY = 10
    LONGEST = 64

    def __init__(self, cluster: Cluster, switcher: Switcher) -> None:
        self._cluster, self._switcher = cluster, switcher
        self._preferred = next(iter(cluster.nodes.values()))
        self._wait = cluster.settings.failback_after
        self._good_since: float | None = None
        self._lost = False
        self._regained: float | None = None
        # Why it was refused since another node became active
        self._refusals: set[str] = set()
        cluster.events.listeners.append(self._heard)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._cluster.settings.probe_interval)
            try:
                await self.once()
            except Exception:
                log.exception("the return to %s could not be considered", self._preferred.name)

    async def once(self) -> None:
        """Switch, if it is time to."""
        name, now = self._preferred.name, asyncio.get_running_loop().time()
        if self._cluster.active == name or self._preferred.state is not State.UP or self._is_another_wanted():
            self._good_since = None
            return
        self._good_since = self._good_since or now
        if now - self._good_since < self._wait:
            return
        self._good_since = None
        try:
            await self._switcher.switch_to(name, by="auto_failback", known=self._refusals)
        except SwitchRefused as refusal:
            self._refusals.add(str(refusal))

    def _is_another_wanted(self) -> bool:
        record = self._cluster.record
        return record is not None and record.requested and record.node != self._preferred.name

    def _heard(self, event: Event) -> None:
        if event.kind not in ("failover", "switch", "followed"):
            return
        now = asyncio.get_running_loop().time()
        if event.node == self._preferred.name:
            self._regained = now if self._lost else None
            self._lost = False
            self._refusals.clear()
        elif not self._lost:
            self._lost = True
            on_purpose = event.kind == "switch" or self._is_another_wanted()
            if self._regained is not None and not on_purpose:
                self._learn(now - self._regained)

    def _learn(self, held: float) -> None:
        """It was active again for so many seconds, and is lost again."""
        first = self._cluster.settings.failback_after
        if held >= self.STEADY * self._wait:
            self._wait = first
            return
        self._wait = min(2 * self._wait, self.LONGEST * first)
        text = "%s was lost again after %.0f s: before it is active once more, it must be up to date for %.0f s"
        log.warning(text, self._preferred.name, held, self._wait)
