# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes every node for ever, and turns the answers into states."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from .choice import State
from .classify import Fault, fault, reason
from .cluster import Cluster
from .connection import NoAnswer
from .ending import end
from .lag import lag
from .node import Node
from .past import Verdict
from .probe import Report

log = logging.getLogger("multimaster_failover")

# Between two looks at a pool's idle connections, and for how long one of them is waited for, in seconds
_UPKEEP, _WORKS = 1.0, 5.0
# A probe's connection that was silent for so long is given up.
_GIVEN_UP = 5.0
# Between two looks at how late this program is, in seconds
_TICK = 0.05


class Watcher:
    """One task for each node's probe and one for its pool's upkeep, and one that measures how late this program is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._settings = cluster.settings
        self._tasks: list[asyncio.Task[None]] = []
        # Probes under way, by node
        self._probes: dict[str, asyncio.Task[Report]] = {}
        # By node, and whether it is the probe or the pool
        self._said: dict[tuple[str, str], str] = {}

    async def start(self) -> None:
        """Ask every node once, so that the choice of the first active node is made with all of them known."""
        self._tasks.append(asyncio.create_task(self._tick()))
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._settings.stale_wait
        wait = self._settings.connect_timeout + self._settings.probe_timeout
        asked = list(self._cluster.nodes.values())
        while asked:
            await asyncio.gather(*(self._ask(node, wait) for node in asked))
            # On a busy machine the first choice is not to be a matter of who was the quickest.
            is_over = loop.time() > limit or self._cluster.pace.is_calm(loop.time())
            asked = [] if is_over else [node for node in asked if node.state is State.ASIDE and node.is_expected]
        for node in self._cluster.nodes.values():
            self._tasks.append(asyncio.create_task(self._watch(node)))
            self._tasks.append(asyncio.create_task(self._keep_warm(node)))

    async def stop(self) -> None:
        for node in self._cluster.nodes.values():
            node.pool.close()
        await end([*self._tasks, *self._probes.values()])
        for node in self._cluster.nodes.values():
            node.probe.close()

    async def _watch(self, node: Node) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._ask(node)
                self._cluster.reconsider("")
            except Exception:
                # A mistake here must not leave a node unwatched.
                log.exception("the probe of %s failed", node.name)
            if node.name not in self._probes:
                # What is slow is not made slower by being asked all the time.
                took = loop.time() - node.asked
                await asyncio.sleep(max(0.01, self._settings.probe_interval - took, min(took, 1.0)))

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            now = loop.time()
            self._cluster.pace.late(now - due, now)

    async def _keep_warm(self, node: Node) -> None:
        while True:
            await asyncio.sleep(_UPKEEP)
            active = self._cluster.current()
            if active is not None:
                # After a failover this one has to carry as much as that.
                node.pool.keep(max(self._settings.pool_min, active.pool.size))
            if node.state is not State.ASIDE:
                await node.pool.check(lambda connection: node.works(connection, _WORKS))

    async def _ask(self, node: Node, wait: float = 0.0) -> None:
        """One look at a node. A probe that is not answered by then goes on, and the next look is for its answer."""
        loop, pace = asyncio.get_running_loop(), self._cluster.pace
        probe = self._probes.get(node.name)
        if probe is None:
            node.asked = loop.time()
            pace.asked(node.name, node.asked)
            given_up = max(_GIVEN_UP, self._settings.probe_timeout)
            probe = self._probes[node.name] = loop.create_task(node.probe.ask(given_up))
        await asyncio.wait({probe}, timeout=wait or self._settings.probe_timeout)
        if not probe.done():
            self._late(node)
            return
        del self._probes[node.name]
        try:
            report = probe.result()
        except NoAnswer as error:
            pace.answered(node.name, loop.time())
            self._say(node, "probe", error)
            if node.state is State.ASIDE:
                node.reason = node.reason if node.judged.verdict else reason(error)
            self._late(node)
        except (psycopg.Error, OSError) as error:
            pace.refused(node.name)
            self._say(node, "probe", error)
            await self._refused(node, error)
        else:
            pace.answered(node.name, report.finished)
            self._said.pop((node.name, "probe"), None)
            await self._answered(node, report)

    def _late(self, node: Node) -> None:
        """One late answer can be this machine's fault; statements have deadlines of their own meanwhile."""
        now = asyncio.get_running_loop().time()
        if now - node.asked >= 2 * self._cluster.pace.stretched(self._settings.probe_timeout, now):
            self._cluster.blame(node, "it does not answer", node.asked)

    async def _refused(self, node: Node, error: psycopg.Error | OSError) -> None:
        """It gave no connection. Those that are there go on, where it only lets no more in."""
        node.is_expected = False
        if node.state is not State.ASIDE:
            busy = fault(error, connection_closed=True) is Fault.BUSY
            # With all of them in use, those who use them find out.
            in_use = node.pool.size > 0 and node.pool.free == 0
            if busy or in_use or await node.pool.check(lambda connection: node.works(connection, self._settings.deadline)):
                return
        self._cluster.set_aside(node, reason(error))

    def _say(self, node: Node, what: str, error: BaseException) -> None:
        """What the server or the network said, once: for the log only, since it names hosts, roles and databases."""
        text = " ".join(str(error).split()) or type(error).__name__
        if self._said.get((node.name, what)) != text:
            self._said[node.name, what] = text
            # A mistake in a program's warm-up is to be found.
            trace = None if isinstance(error, (psycopg.Error, OSError)) else error
            log.warning("%s: %s", node.name, text, exc_info=trace)

    async def _answered(self, node: Node, report: Report) -> None:
        node.report = report
        node.trail.add(report.finished, report.position)
        node.is_expected = False
        if report.read_only:
            self._cluster.set_aside(node, "it takes no writes")
            return
        judged = node.past.judge(report, self._cluster.readers(node), self._cluster.slots(node))
        if judged.verdict is Verdict.SUSPECTED:
            # So grave a verdict is not founded on one look, nor on one connection.
            node.probe.close()
        if not self._cluster.may_use(node, judged):
            return
        if node.state is State.ASIDE:
            node.is_expected = True
            try:
                await node.pool.open()
            except (psycopg.Error, OSError) as error:
                cause = error.__cause__ or error
                node.is_expected = isinstance(cause, NoAnswer)
                self._say(node, "pool", cause)
                node.reason = f"no connection can be used: {reason(cause)}"
                return
            self._said.pop((node.name, "pool"), None)
            # What a slow answer says of how far anybody is was true a while ago.
            since = report.started if report.seconds <= self._settings.probe_timeout else report.finished
            node.begin_catching_up(since, "it has just come back")
            self._cluster.events.add("answers", node.name)
        node.fresh = report
        if node.state is State.CATCHING_UP:
            self._catch_up(node)
        elif node.lacks_rows and node.catch_up is not None and not self._missing(node):
            self._cluster.caught_up(node)
        if node is self._cluster.current() and self._settings.catch_up:
            self._compare(node, report)

    def _compare(self, active: Node, report: Report) -> None:
        """Which of the nodes that stand by have lacked its writes for so long that a hiccup is no reason to go there."""
        for node in self._cluster.nodes.values():
            if node is active or node.state is not State.UP:
                continue
            found = lag(report, self._cluster.slot_name(active.name, node.name), active.trail, report.finished)
            if found.seconds is not None:
                seconds, node.unknown_since = found.seconds, None
            else:
                node.unknown_since = node.unknown_since or report.finished
                seconds = report.finished - node.unknown_since
            if seconds > self._settings.behind_after:
                self._cluster.fell_behind(node, found.problem or f"{node.name} is {found.size} bytes behind {active.name}")

    def _catch_up(self, node: Node) -> None:
        cluster = self._cluster
        if not self._settings.catch_up:
            cluster.caught_up(node, "")
            return
        if node.name == cluster.used_last and not cluster.prefers_its_own():
            cluster.mark_up(node)
            return
        missing = self._missing(node)
        if missing:
            node.reason = "; ".join(missing)
        elif cluster.active is not None or len(cluster.nodes) == 1:
            cluster.caught_up(node)

    def _missing(self, node: Node) -> list[str]:
        others = [other for other in self._cluster.nodes.values() if other is not node]
        # A third node that is away keeps nobody from coming back; with all others away there is nothing to compare with.
        peers = [other for other in others if other.state is not State.ASIDE or other.name == self._cluster.used_last] or others
        reports = {
            other.name: other.fresh
            for other in [node, *peers]
            if other.fresh is not None and other.fresh.started >= node.behind_since
        }
        assert node.catch_up is not None  # noqa: S101 - set with the state
        names = [peer.name for peer in peers]
        return node.catch_up.missing(reports, names, self._cluster.slot_name, self._settings.max_lag_bytes)
