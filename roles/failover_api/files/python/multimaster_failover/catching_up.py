# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node that came back has everything again, and has given away everything that only it had."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .probe import Report

SlotName = t.Callable[[str, str], str]


@dataclass
class CatchUp:
    """Positions that have to be passed, in both directions, before the node is used.

    Fixed when the node and a peer have both answered for the first time since: what is written later arrives in order
    behind it.
    """

    node: str
    # Per peer: where the peer's WAL, and the node's own, stood
    targets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def missing(self, reports: t.Mapping[str, Report], peers: t.Iterable[str], slot_name: SlotName, max_lag: int) -> list[str]:
        """What still has to happen, one phrase each; empty once the node is up to date with all these peers.

        ``reports`` are the answers since the node came back, ``slot_name(publisher, subscriber)`` names a slot.
        """
        own = reports.get(self.node)
        if own is None:
            return [f"{self.node} does not answer"]
        phrases: list[str] = []
        for peer in peers:
            other = reports.get(peer)
            if other is None:
                phrases.append(f"{peer} does not answer")
                continue
            theirs, ours = self.targets.setdefault(peer, (other.position, own.position))
            phrases += _direction(peer, self.node, other, theirs, slot_name, max_lag)
            phrases += _direction(self.node, peer, own, ours, slot_name, max_lag)
        return phrases


def _direction(
    publisher: str, subscriber: str, report: Report, target: int, slot_name: SlotName, max_lag: int
) -> list[str]:
    name = slot_name(publisher, subscriber)
    slot = report.slots.get(name)
    if slot is None:
        return [f"{publisher} has no slot {name}"]
    if slot.lost:
        return [f"slot {name} of {publisher} is lost"]
    if slot.confirmed > report.end:
        return [f"{subscriber} has more of {publisher} than that has itself"]
    if slot.confirmed < target:
        return [f"{subscriber} lacks {target - slot.confirmed} bytes of {publisher}"]
    behind = report.position - slot.confirmed
    if behind > max_lag:
        return [f"{subscriber} is {behind} bytes behind {publisher}"]
    return []
