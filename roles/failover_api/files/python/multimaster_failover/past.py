# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node that answers is a copy of itself from the past: restored, or started from an older snapshot.

Such a node must not be used. Its peers have read more of it than it has, so what it writes next never reaches them; and what they
wrote since the copy is not sent to it again. Nothing of this is an error to the servers.
"""

from __future__ import annotations

import typing as t

from .probe import Report


class Past:
    """What is known of one node: as which server, and how far it had written. Kept while this process runs.

    A verdict stays although the copy goes on writing and passes the old position: the gap is still there. It is lifted when the
    node was rebuilt, which shows in one of two things: it is another server (its system identifier), or a peer's subscription to
    it was made anew (its oid). The timeline is no such sign: a node that is restored from its own backup has a new one, too, and
    a node that is rebuilt twice from a peer's backup can have the same one twice.
    """

    def __init__(self) -> None:
        self._system_id = ""
        self._written = 0
        self._readers: dict[str, int] = {}
        self._verdict = ""

    def judge(self, report: Report, readers: t.Mapping[str, int]) -> str:
        """Why the node is a copy from the past; empty where it is none.

        ``report`` is the answer of a node that takes writes, ``readers`` the oid of each peer's subscription to it, where known.
        """
        anew = any(self._readers.get(peer, oid) != oid for peer, oid in readers.items())
        if anew or report.system_id != self._system_id:
            self._written, self._verdict = 0, ""
        self._system_id = report.system_id
        self._readers.update(readers)
        if not self._verdict:
            self._verdict = self._contradiction(report)
        if not self._verdict:
            self._written = report.position
        return self._verdict

    def _contradiction(self, report: Report) -> str:
        ends = f"its WAL ends at {show_position(report.position)}"
        for name, slot in report.slots.items():
            if slot.confirmed > report.position:
                return f"it is a copy from the past: {ends}, and slot {name} has confirmed {show_position(slot.confirmed)}"
        if report.position < self._written:
            return f"it is a copy from the past: {ends}, and it had written up to {show_position(self._written)}"
        return ""


def show_position(position: int) -> str:
    """As PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
