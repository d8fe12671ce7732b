# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many connections there are, in all and from one address."""

from __future__ import annotations

import logging
import time
from collections import Counter

from .attempts import is_loopback

log = logging.getLogger("failover_api")

# So often at most it is logged that there are too many, in seconds.
_LOG_EVERY = 60.0


class Connections:
    """Counts them. Those of this host count in all only: a proxy on it has everybody's."""

    def __init__(self, *, total: int, per_address: int) -> None:
        self._total, self._per_address = total, per_address
        self._count = 0
        self._addresses: Counter[str] = Counter()
        self._logged = float("-inf")

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; it is counted then, and has to leave."""
        full = self._count >= self._total
        if full or (self._addresses[address] >= self._per_address and not is_loopback(address)):
            self._log("in all" if full else f"from {address}")
            return False
        self._count += 1
        self._addresses[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._count -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def _log(self, whose: str) -> None:
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY:
            self._logged = now
            log.warning("connections are turned away: there are too many %s", whose)
