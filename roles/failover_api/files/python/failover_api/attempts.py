# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often somebody may be wrong about the token: a few times from one address, somewhat more from all of them."""

from __future__ import annotations

import ipaddress
import math
import time
import typing as t
from collections import OrderedDict

# So many at once, and as many again in each minute
PER_ADDRESS = 10
OVERALL = 100
_MINUTE = 60.0
# Addresses that are remembered. Beyond these the one that tried longest ago is forgotten; the limit over all makes up for that.
_ADDRESSES = 4096


class _Allowance:
    """Tries that are left; they come back evenly."""

    __slots__ = ("_at", "_left", "_size")

    def __init__(self, size: int, now: float) -> None:
        self._size, self._left, self._at = size, float(size), now

    def wait(self, now: float) -> float:
        """Seconds until there is one; none where there is one now."""
        self._left = min(self._size, self._left + (now - self._at) * self._size / _MINUTE)
        self._at = now
        return max(0.0, (1 - self._left) * _MINUTE / self._size)

    def take(self, now: float) -> None:
        self.wait(now)
        self._left = max(0.0, self._left - 1)


class Attempts:
    """Who was wrong how often. Its memory is bounded, however many addresses there are."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Allowance] = OrderedDict()
        self._overall = _Allowance(OVERALL, clock())

    def wait(self, address: str) -> int:
        """Whole seconds until this address may try again, 0 where it may now.

        The limit over all does not hold on this host: strangers must not keep the administrators from switching there.
        """
        now, known = self._clock(), self._addresses.get(_whose(address))
        own = known.wait(now) if known else 0.0
        return math.ceil(max(own, 0.0 if is_loopback(address) else self._overall.wait(now)))

    def failed(self, address: str) -> bool:
        """Note a wrong token; whether it was the last one for now."""
        now, whose = self._clock(), _whose(address)
        known = self._addresses.pop(whose, None) or _Allowance(PER_ADDRESS, now)
        self._addresses[whose] = known
        if len(self._addresses) > _ADDRESSES:
            self._addresses.popitem(last=False)
        known.take(now)
        self._overall.take(now)
        return self.wait(address) > 0


def is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _whose(address: str) -> str:
    """The address, or its /64, which one host has whole."""
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return address if parsed.is_loopback else str(ipaddress.IPv6Network((parsed, 64), strict=False))
