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
from .ending import end
from .lag import lag
from .node import Node
from .past import Verdict
from .probe import Report

log = logging.getLogger("multimaster_failover")

# Between two looks at a pool's idle connections, in seconds
_UPKEEP = 1.0


class Watcher:
    """One task for each node's probe and one for its pool's upkeep."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._settings = cluster.settings
        self._tasks: list[asyncio.Task[None]] = []
        # By node, and whether it is the probe or the pool
        self._said: dict[tuple[str, str], str] = {}

    async def start(self) -> None:
        """Ask every node once, so that the choice of the first active node is made with all of them known."""
        await asyncio.gather(*(self._ask(node) for node in self._cluster.nodes.values()))
        for node in self._cluster.nodes.values():
            self._tasks.append(asyncio.create_task(self._watch(node)))
            self._tasks.append(asyncio.create_task(self._keep_warm(node)))

    async def stop(self) -> None:
        for node in self._cluster.nodes.values():
            node.pool.close()
        await end(self._tasks)
        for node in self._cluster.nodes.values():
            node.probe.close()

    async def _watch(self, node: Node) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._settings.probe_interval
            try:
                await self._ask(node)
                self._cluster.reconsider("")
            except Exception:
                # A mistake here must not leave a node unwatched.
                log.exception("the probe of %s failed", node.name)
            await asyncio.sleep(max(0.01, due - loop.time()))

    async def _keep_warm(self, node: Node) -> None:
        while True:
            await asyncio.sleep(_UPKEEP)
            active = self._cluster.current()
            if active is not None:
                # After a failover this one has to carry as much as that.
                node.pool.keep(max(self._settings.pool_min, active.pool.size))
            if node.state is not State.ASIDE:
                await node.pool.check(lambda connection: node.works(connection, self._settings.deadline))

    async def _ask(self, node: Node) -> None:
        try:
            report = await node.probe.ask(self._settings.probe_timeout)
        except TimeoutError:
            # One late answer can be this machine's fault; statements have deadlines of their own meanwhile.
            node.probe_failures += 1
            if node.probe_failures > 1:
                self._cluster.set_aside(node, "it does not answer")
        except (psycopg.Error, OSError) as error:
            self._say(node, "probe", error)
            # The connections that are there go on, where it only lets no more in.
            if node.state is State.ASIDE or fault(error, connection_closed=True) is not Fault.BUSY:
                node.probe_failures += 1
                self._cluster.set_aside(node, reason(error))
        else:
            self._said.pop((node.name, "probe"), None)
            node.probe_failures = 0
            await self._answered(node, report)

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
            try:
                await node.pool.open()
            except (psycopg.Error, OSError) as error:
                cause = error.__cause__ or error
                self._say(node, "pool", cause)
                node.reason = f"no connection can be used: {reason(cause)}"
                return
            self._said.pop((node.name, "pool"), None)
            node.begin_catching_up(report.started, "it has just come back")
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
