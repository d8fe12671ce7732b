# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happened, for people and for metrics: the last of it is kept, all of it is handed to those who listen."""

from __future__ import annotations

import collections
import logging
import time
import typing as t
from dataclasses import asdict, dataclass, field

log = logging.getLogger("multimaster_failover")

_LEVELS = dict.fromkeys(("failover", "set_aside", "in_doubt", "behind"), logging.WARNING) | {"alarm": logging.ERROR}


@dataclass(frozen=True)
class Event:
    """``kind``: failover, switch, followed, set_aside, answers, up, in_doubt, refused, behind, alarm, cleared.

    ``at``: seconds since 1970.
    """

    kind: str
    node: str
    why: str = ""
    by: str = ""
    details: t.Mapping[str, t.Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)


class Events:
    """The last events, newest last."""

    def __init__(self, kept: int = 100) -> None:
        self._kept: collections.deque[Event] = collections.deque(maxlen=kept)
        self.listeners: list[t.Callable[[Event], None]] = []

    def add(self, kind: str, node: str, why: str = "", by: str = "", **details: t.Any) -> None:
        event = Event(kind, node, why, by, details)
        if kind != "in_doubt":
            self._kept.append(event)
        log.log(
            _LEVELS.get(kind, logging.INFO),
            "%s %s%s",
            kind,
            node,
            f": {why}" if why else "",
            extra={"event": event.as_dict()},
        )
        for listener in self.listeners:
            listener(event)

    def last(self, count: int = 20) -> list[Event]:
        return list(self._kept)[-count:]
