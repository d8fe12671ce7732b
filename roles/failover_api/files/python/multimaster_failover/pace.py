# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How slow everything is just now. A node that is as slow as all others is not at fault, nor one that this program asked late."""

from __future__ import annotations

import collections


class Pace:
    """From how long the nodes' answers to probes take, how long those under way have taken, and how late own timers are called.

    Pure: times are seconds of one clock. What counts is the worst of the last ``WINDOW`` seconds of the node that is the least
    slow, since a node that hangs tells nothing of the others.
    """

    WINDOW = 2.0
    # A wait becomes so many times as long as what an answer takes, if that is more; and so long at most.
    TIMES = 10.0
    LONGEST = 8.0
    # With answers that take so long, things are as they should be.
    CALM = 0.03
    # A request's own time becomes so many times as long at most.
    GRACE = 3.0

    def __init__(self) -> None:
        self._answers: dict[str, collections.deque[tuple[float, float]]] = {}
        self._asked: dict[str, float] = {}
        self._late: collections.deque[tuple[float, float]] = collections.deque()

    def asked(self, node: str, now: float) -> None:
        self._asked[node] = now

    def answered(self, node: str, now: float) -> float:
        """For how long it was waited for."""
        seconds = now - self._asked.pop(node, now)
        self._answers.setdefault(node, collections.deque()).append((now, seconds))
        return seconds

    def refused(self, node: str) -> None:
        """It said no, or is not there: that says nothing of how fast anything is."""
        self._asked.pop(node, None)

    def late(self, seconds: float, now: float) -> None:
        """A timer of this program was called so much later than it was due."""
        self._late.append((now, seconds))

    def needs(self, now: float) -> float:
        """How long an answer takes now, at its worst."""
        own = _worst(self._late, now - self.WINDOW)
        nodes = [found for name in {*self._answers, *self._asked} if (found := self._of(name, now)) is not None]
        return max(own, min(nodes, default=0.0))

    def is_calm(self, now: float) -> bool:
        return self.needs(now) <= self.CALM

    def stretched(self, seconds: float, now: float) -> float:
        """How long to wait for what is given ``seconds`` when all is well."""
        return max(seconds, min(self.TIMES * self.needs(now), self.LONGEST))

    def granted(self, seconds: float, now: float) -> float:
        """The time of a request that has ``seconds`` when all is well."""
        return seconds * min(self.GRACE, max(1.0, self.needs(now) / (2 * self.CALM)))

    def _of(self, node: str, now: float) -> float | None:
        answers = self._answers.get(node)
        worst = _worst(answers, now - self.WINDOW) if answers else 0.0
        if node in self._asked:
            return max(worst, now - self._asked[node])
        return worst if answers else None


def _worst(points: collections.deque[tuple[float, float]], since: float) -> float:
    while points and points[0][0] < since:
        points.popleft()
    return max((seconds for _at, seconds in points), default=0.0)
