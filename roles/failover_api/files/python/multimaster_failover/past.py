# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node that answers is a copy of itself from the past: restored, or started from an older snapshot.

Such a node must not be used. Its peers have read more of it than it has, so what it writes next never reaches them; and what they
wrote since the copy is not sent to it again. Nothing of this is an error to the servers.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from .probe import Report

# A sign is a verdict when it is there again after so many seconds, over another connection.
SECOND_LOOK = 0.5
# A verdict that the server's own history disproves is lifted after so many seconds without any sign.
CLEARED = 3.0


class Verdict(enum.IntEnum):
    """The higher, the more suspicious."""

    SOUND = 0
    # A sign was seen once.
    SUSPECTED = 1
    COPY = 2


@dataclass(frozen=True)
class Judgement:
    """``why`` is empty for a sound node.

    ``mid_session``: the first sign came over a connection over which the node had been sound; so it was not replaced in between,
    and there is time for a second look.
    """

    verdict: Verdict
    why: str = ""
    mid_session: bool = False


@dataclass(frozen=True)
class _Sign:
    """What speaks for a copy. ``by_memory``: the node has less than this client itself has seen of it."""

    why: str
    by_memory: bool


class Past:
    """What is known of one node: as which server, and how far it had come. Kept while this process runs.

    Three signs, none of which a sound node can show. A subscriber has confirmed more than the whole of its WAL; its WAL ends
    before what was flushed when it was last seen; its transaction numbers do so, too. The last one is there also when the copy's
    WAL was moved past the old position by WAL switches.

    A verdict stays although the copy goes on writing and passes the old position: the gap is still there. It is lifted when the
    node was rebuilt, which shows in one of two things: it is another server (its system identifier), or a peer's subscription to
    it was made anew (its oid). The timeline is no such sign: a node that is restored from its own backup has a new one, too, and
    a node that is rebuilt twice from a peer's backup can have the same one twice. It is lifted as well where it rests on what a
    subscriber confirmed alone, that is true no longer, and the server has been running since before, when a subscriber read it on
    and on: a server does not go back while it runs.
    """

    def __init__(self) -> None:
        self._system_id = ""
        self._readers: dict[str, int] = {}
        self._forget()

    def _forget(self) -> None:
        # What a crash cannot take away: WAL that was flushed, and transactions whose end was.
        self._written = 0
        self._ended_xid = 0
        # Where the WAL ended when these transactions had: theirs once that is flushed
        self._pending: tuple[int, int] | None = None
        self._first: tuple[_Sign, Report] | None = None
        self._sign: _Sign | None = None
        self._clean_since: float | None = None
        # Start of the server that subscribers were seen to read on and on
        self._followed = ""
        self._last: Report | None = None

    def judge(self, report: Report, readers: t.Mapping[str, int], slots: t.Collection[str]) -> Judgement:
        """Whether the node is a copy from the past.

        ``report`` is the answer of a node that takes writes, ``readers`` the oid of each peer's subscription to it, where
        known, and ``slots`` the names of its peers' slots: what another program confirms is its own affair.
        """
        anew = any(self._readers.get(peer, oid) != oid for peer, oid in readers.items())
        if anew or report.system_id != self._system_id:
            self._forget()
        self._system_id = report.system_id
        self._readers.update(readers)
        sign = self._look(report, slots)
        self._weigh(sign, report)
        if self._sign is not None:
            return Judgement(Verdict.COPY, f"it is a copy from the past: {self._sign.why}")
        if sign is not None:
            why = f"it may be a copy from the past, and is asked again: {sign.why}"
            return Judgement(Verdict.SUSPECTED, why, self._is_mid_session())
        self._learn(report)
        return Judgement(Verdict.SOUND)

    def _is_mid_session(self) -> bool:
        return self._last is not None and self._first is not None and self._first[1].connection == self._last.connection

    def _weigh(self, sign: _Sign | None, report: Report) -> None:
        if sign is None:
            self._first = None
            if self._sign is not None and not self._sign.by_memory and report.server_start == self._followed != "":
                self._clean_since = self._clean_since or report.started
                if report.finished - self._clean_since >= CLEARED:
                    self._sign = self._clean_since = None
            return
        self._clean_since = None
        if self._first is None:
            self._first = (sign, report)
        first = self._first[1]
        if report.connection != first.connection and report.started - first.finished >= SECOND_LOOK:
            # What the client itself remembers cannot be explained by what some subscriber did.
            self._sign = sign if self._sign is None or sign.by_memory else self._sign

    def _look(self, report: Report, slots: t.Collection[str]) -> _Sign | None:
        ends = f"its WAL ends at {show_position(report.end)}"
        if report.end < self._written:
            return _Sign(f"{ends}, and it had written up to {show_position(self._written)}", by_memory=True)
        if report.next_xid < self._ended_xid:
            why = f"its next transaction is number {report.next_xid}, and number {self._ended_xid - 1} had ended already"
            return _Sign(why, by_memory=True)
        for name, slot in report.slots.items():
            if name in slots and slot.confirmed > report.end:
                return _Sign(f"{ends}, and slot {name} has confirmed {show_position(slot.confirmed)}", by_memory=False)
        return None

    def _learn(self, report: Report) -> None:
        self._written = report.position
        if self._pending is None:
            self._pending = (report.end, report.ended_xid)
        elif report.position >= self._pending[0]:
            self._ended_xid = self._pending[1]
            self._pending = (report.end, report.ended_xid)
        if self._is_read_on(report):
            self._followed = report.server_start
        self._last = report

    def _is_read_on(self, report: Report) -> bool:
        """Whether a subscriber has confirmed more since the last look at the same server, which had all of it."""
        last = self._last
        if last is None or last.server_start != report.server_start:
            return False
        return any(
            slot.active and last.slots[name].active and slot.confirmed > last.slots[name].confirmed
            for name, slot in report.slots.items()
            if name in last.slots
        )


def show_position(position: int) -> str:
    """As PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
