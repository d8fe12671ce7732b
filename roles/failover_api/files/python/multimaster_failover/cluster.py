# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes, which of them is active, and the only places where that changes."""

from __future__ import annotations

import asyncio
import collections
import typing as t

from .agreement import Record, new_record
from .choice import Candidate, State, choose, last_resort
from .errors import UnknownNode
from .events import Events
from .node import Node, WarmUp
from .pace import Pace
from .past import Judgement
from .settings import Settings

# So many times in a minute a node is set aside for being silent: where it is the only one that is, and where much is slow.
_SWITCHES_A_MINUTE = 30
_SLOW_SWITCHES_A_MINUTE = 2


class Cluster:
    """Shared by the parts of one client. Nothing here waits: a change of state is whole when its call returns."""

    def __init__(self, settings: Settings, application_name: str, warm_up: WarmUp | None = None) -> None:
        self.settings = settings
        self.name = application_name
        self.events = Events()
        self.nodes = {node.name: Node(node, settings, application_name, warm_up) for node in settings.nodes}
        # The active node, or the last that was; None before the first
        self.active: str | None = None
        # What is agreed between the clients, as far as this one knows
        self.record: Record | None = None
        # Of the last record that names no node of these settings: what is decided here has to outrank it.
        self.foreign_epoch = 0
        # The loop's time at which the last node that was up to date went; None while there is one
        self.none_up_since: float | None = None
        # Called with each record that this client has decided on
        self.on_decision: t.Callable[[Record], None] = lambda record: None
        self.pace = Pace()
        # When nodes were set aside for being silent
        self._blamed: collections.deque[float] = collections.deque()
        self._ids = {node.name: node.node_id for node in settings.nodes}

    def node(self, name: str) -> Node:
        try:
            return self.nodes[name]
        except KeyError:
            raise UnknownNode("there is no such node") from None

    def current(self) -> Node | None:
        """The active node while it can be used."""
        node = self.nodes.get(self.active or "")
        return node if node is not None and node.state is State.UP else None

    def agreed(self) -> Node | None:
        """The node that all clients are to use, in whatever state it is here."""
        return self.nodes.get(self.record.node) if self.record else None

    @property
    def used_last(self) -> str | None:
        """The node that has all that was acknowledged, as far as this client knows."""
        agreed = self.agreed()
        return agreed.name if agreed else self.active

    def may_lack_rows(self, node: Node) -> bool:
        """Whether it would be used for want of another."""
        if node.judged.verdict:
            return True
        if node.name == self.used_last:
            return self.record is not None and self.record.behind
        return any(other.state is State.ASIDE for other in self.nodes.values() if other is not node)

    def readers(self, node: Node) -> dict[str, int]:
        """The oid of each peer's subscription to the node, as far as it is known."""
        found = {}
        for peer in self.nodes.values():
            oid = peer.report.subscriptions.get(self.slot_name(node.name, peer.name)) if peer.report else None
            if peer is not node and oid is not None:
                found[peer.name] = oid
        return found

    def slots(self, node: Node) -> set[str]:
        """The names of the slots that its peers read it by."""
        return {self.slot_name(node.name, peer.name) for peer in self.nodes.values() if peer is not node}

    def slot_name(self, publisher: str, subscriber: str) -> str:
        return self.settings.slot_name.format(publisher=self._ids[publisher], subscriber=self._ids[subscriber])

    def set_aside(self, node: Node, why: str) -> None:
        """Use it no more until it has answered and caught up. What is under way on it fails now."""
        if node.state is State.ASIDE:
            node.reason = why
            return
        node.become(State.ASIDE, why)
        node.fresh = node.catch_up = None
        node.lacks_rows = False
        node.strikes = 0
        node.pool.close()
        self.events.add("set_aside", node.name, why)
        self.reconsider(f"{node.name}: {why}")

    def blame(self, node: Node, why: str, since: float) -> bool:
        """Set it aside for its silence since that moment (of the loop's clock), and say whether that was done.

        Only where it can be its fault: another node has answered meanwhile. The last one that can be used stays, unless one that
        answers is there to take its place in the end; and when all is slow, traffic does not go to and fro.
        """
        now = asyncio.get_running_loop().time()
        others = [other for other in self.nodes.values() if other is not node and other.answered_since(since)]
        others = [other for other in others if other.state is not State.ASIDE and not other.judged.verdict]
        if not others:
            return False
        quiet = now - (node.report.finished if node.report else since)
        if quiet < self.settings.stale_wait and all(other.state is not State.UP for other in others):
            return False
        while self._blamed and self._blamed[0] < now - 60:
            self._blamed.popleft()
        if len(self._blamed) >= (_SWITCHES_A_MINUTE if self.pace.is_calm(now) else _SLOW_SWITCHES_A_MINUTE):
            return False
        if node.state is not State.ASIDE:
            self._blamed.append(now)
        self.set_aside(node, why)
        node.is_expected = True
        return True

    def may_use(self, node: Node, judged: Judgement) -> bool:
        """Whether a node of which this was found may be used. One that looks like a copy from the past only if all nodes do."""
        if judged.mid_session and node.state is not State.ASIDE:
            return True
        before, node.judged = node.judged, judged
        if not judged.verdict:
            if before.verdict:
                self.events.add("cleared", node.name, "it is no copy from the past")
            return True
        if last_resort(self._candidates(), self.active) != node.name:
            self._refuse(node, judged.why)
            return False
        if before.why != judged.why:
            self.events.add("alarm", node.name, f"used for want of any other node: {judged.why}")
        node.lacks_rows = True
        return True

    def _refuse(self, node: Node, why: str) -> None:
        """Set aside a node that answers, and say so also where it was aside before."""
        if node.state is State.ASIDE and node.reason != why:
            self.events.add("set_aside", node.name, why)
        self.set_aside(node, why)

    def reconsider(self, why: str) -> None:
        """Choose again which node is active, after any change of a node's state."""
        now = asyncio.get_running_loop().time()
        self._note_none_up(now)
        agreed = self.agreed()
        if agreed is not None and agreed.name != self.active and self._may_follow(agreed):
            if agreed.state is State.CATCHING_UP:
                self.mark_up(agreed, "all clients use it")
            self._activate(agreed.name, "followed", "agreed between the clients")
            return
        name = choose(self._candidates(), self.active, self.settings.stale_wait, self.used_last)
        if name is None:
            return
        node = self.nodes[name]
        if node.state is State.CATCHING_UP:
            lacks = self.may_lack_rows(node)
            self.mark_up(node, "no other can be used, it may lack rows" if lacks else "it has all that was acknowledged")
        if name != self.active:
            # Only one who went along with what was agreed speaks against it; the others wait, see Follower.
            decides = self.record is None or self.record.node in (self.active, name)
            self._activate(name, "failover" if self.active else "started", why)
            if decides:
                self.decide(name)

    def _candidates(self) -> list[Candidate]:
        now = asyncio.get_running_loop().time()
        alone_for = 0.0 if self.none_up_since is None else now - self.none_up_since
        return [node.candidate(now, alone_for, is_read=self._is_read(node)) for node in self.nodes.values()]

    def mark_up(self, node: Node, why: str = "") -> None:
        """Use it although it may lack rows, which arrive later."""
        node.lacks_rows = self.may_lack_rows(node)
        node.become(State.UP)
        self.none_up_since = None
        self.events.add("up", node.name, why)

    def caught_up(self, node: Node, why: str = "it has caught up in both directions") -> None:
        if node.state is not State.UP:
            self.events.add("up", node.name, why)
        node.become(State.UP)
        node.lacks_rows, node.catch_up = False, None
        self.none_up_since = None
        if self.active == node.name and self.record is not None and self.record.node == node.name:
            self.decide(node.name)

    def fell_behind(self, node: Node, why: str) -> None:
        """It answers, and is no longer what one would go on with."""
        node.begin_catching_up(asyncio.get_running_loop().time(), why)
        self.events.add("behind", node.name, why)
        self.reconsider("")

    def says(self, name: str, *, forced: bool = False) -> bool:
        """Whether this is the latest word already."""
        record = self.record
        if record is None or record.node != name or record.epoch <= self.foreign_epoch:
            return False
        if record.behind and not self.nodes[name].lacks_rows:
            return False
        return record.forced or not forced

    def decide(self, name: str, *, by: str = "", forced: bool = False, requested: bool = False) -> None:
        """This client's word on which node is active, for all of them; ``by`` says so, if not the client by itself."""
        if self.says(name, forced=forced):
            return
        epoch = max(self.record.epoch if self.record else 0, self.foreign_epoch) + 1
        # Said once more, it is still what somebody wanted.
        requested = requested or (self.record is not None and self.record.node == name and self.record.requested)
        behind = self.nodes[name].lacks_rows and not forced
        self.record = new_record(name, epoch, by or self.name, forced=forced, requested=requested, behind=behind)
        self.on_decision(self.record)

    def switch(self, name: str, by: str, *, forced: bool = False) -> None:
        """Make it active on purpose, which ``by`` wants."""
        self._activate(name, "switch", "on request", self.speaker(by))
        self.decide(name, by=self.speaker(by), forced=forced, requested=True)

    def speaker(self, by: str) -> str:
        """This client, or ``by`` through it: two clients that speak for one person differ, see Record.rank."""
        return f"{by} via {self.name}" if by else self.name

    def adopt(self, record: Record) -> None:
        """Take over what others agreed on; followed as soon as that node answers here: it has what they wrote."""
        self.record = record
        self.reconsider("agreed between the clients")

    def _note_none_up(self, now: float) -> None:
        if any(node.state is State.UP for node in self.nodes.values()):
            self.none_up_since = None
        elif self.none_up_since is None:
            self.none_up_since = now

    def _is_read(self, node: Node) -> bool:
        slots = node.fresh.slots if node.fresh else {}
        peers = [peer for peer in self.nodes.values() if peer is not node and peer.state is not State.ASIDE]
        found = [slots.get(self.slot_name(node.name, peer.name)) for peer in peers]
        return all(slot is not None and slot.active for slot in found)

    def prefers_its_own(self) -> bool:
        """Whether the agreed node is one that was taken for want of another, and this client has a better one."""
        mine, agreed = self.current(), self.agreed()
        if self.record is None or not self.record.behind or agreed is None or mine is None or mine is agreed:
            return False
        return agreed.state is State.CATCHING_UP and not mine.lacks_rows

    def _may_follow(self, node: Node) -> bool:
        if node.judged.verdict and last_resort(self._candidates(), self.active) != node.name:
            return False
        return node.state is not State.ASIDE and not self.prefers_its_own()

    def _activate(self, name: str, kind: str, why: str, by: str = "") -> None:
        previous, self.active = self.active, name
        if kind == "followed" and self.record:
            by = self.record.by
        self.events.add(kind, name, why, by or self.name, previous=previous)
