# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far one node is behind another, from what the other's slots say."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from .probe import Report, Slot


@dataclass(frozen=True)
class Lag:
    """What the subscriber has not confirmed of the publisher's writes; None is unknown. ``problem`` says what keeps it so."""

    size: int | None
    seconds: float | None = None
    problem: str = ""


class Trail:
    """Where a node's WAL was at which time, for half an hour at most: turns a position into an age."""

    def __init__(self, length: int = 9000) -> None:
        self._points: collections.deque[tuple[float, int]] = collections.deque(maxlen=length)

    def add(self, time: float, position: int) -> None:
        # A standstill is one point: the time at which the position was reached.
        if not self._points or position > self._points[-1][1]:
            self._points.append((time, position))
        elif position < self._points[-1][1]:
            # Another cluster answers at this address.
            self._points.clear()
            self._points.append((time, position))

    def age(self, confirmed: int, now: float) -> float:
        """For how many seconds there has been something after this position."""
        since = now
        for time, position in reversed(self._points):
            if position <= confirmed:
                break
            since = time
        return max(0.0, now - since)


def lag(publisher: Report | None, slot_name: str, trail: Trail, now: float) -> Lag:
    """How far the subscriber of that slot is behind."""
    if publisher is None:
        return Lag(None, problem="the publisher does not answer")
    slot: Slot | None = publisher.slots.get(slot_name)
    if slot is None:
        return Lag(None, problem=f"there is no slot {slot_name}")
    if slot.confirmed > publisher.end:
        return Lag(None, problem="the subscriber has more of the publisher than that has itself")
    # After a WAL switch it has confirmed the end of a segment of which the publisher has flushed less.
    size = max(0, publisher.position - slot.confirmed)
    seconds = trail.age(slot.confirmed, now)
    if slot.lost:
        return Lag(size, seconds, f"slot {slot_name} is lost")
    return Lag(size, seconds, "" if slot.active else f"nobody reads slot {slot_name}")
