# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A planned change of the active node: nothing fails, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib

from .choice import State
from .cluster import Cluster
from .errors import SwitchRefused
from .execution import Executor
from .lag import Lag, lag
from .node import Node


class Switcher:
    """One switch at a time."""

    def __init__(self, cluster: Cluster, executor: Executor) -> None:
        self._cluster, self._executor = cluster, executor
        self._settings = cluster.settings
        self._lock = asyncio.Lock()

    async def switch_to(self, name: str, *, force: bool = False, by: str = "") -> bool:
        """Make the node active; False where it is already, here and for all clients.

        Waits until the target has what the active node has written so far, holds new writes back while those in flight end (for
        ``switch_pause`` at most), and then changes. Raises SwitchRefused where the target lacks rows, unless ``force`` is set, or
        does not answer; UnknownNode.
        """
        target = self._cluster.node(name)
        async with self._lock:
            if self._cluster.active == name and target.state is State.UP and self._cluster.says(name, forced=force):
                return False
            source = self._source(target)
            try:
                await self._check(source, target, force)
            except SwitchRefused as refusal:
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
    """Where it is wanted, traffic returns to the first node some time after that is up to date again."""

    def __init__(self, cluster: Cluster, switcher: Switcher) -> None:
        self._cluster, self._switcher = cluster, switcher

    async def run(self) -> None:
        settings = self._cluster.settings
        preferred = next(iter(self._cluster.nodes.values()))
        loop = asyncio.get_running_loop()
        good_since: float | None = None
        while True:
            await asyncio.sleep(settings.probe_interval)
            if preferred.state is not State.UP or self._cluster.active == preferred.name:
                good_since = None
                continue
            good_since = good_since or loop.time()
            if loop.time() - good_since >= settings.failback_after:
                with contextlib.suppress(SwitchRefused):
                    await self._switcher.switch_to(preferred.name, by="auto_failback")
                good_since = None
