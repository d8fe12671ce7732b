# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether subscriptions get on. Pure: from looks at them to a state.

That a worker is there says little: one that fails is started again, and there most of the time. What counts is that changes are
applied: the origin's position moves with every transaction and with nothing else, a failure is counted, and after a failure the
next thing that a worker does is the transaction that failed. So a position that moves after the last failure is a success.
"""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._node.server_log import Failure
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import parse_lsn

# A worker of this age has got past what fails at once.
SETTLED_SECONDS = 15.0
# So often a transaction fails before it is called one that cannot be applied.
FAILURES = 2
# Waiting for a lock for less than this is a worker's daily life.
WAITING_SECONDS = 5.0

DISABLED, STREAMING, COPYING, APPLYING = "disabled", "streaming", "copying", "applying"
WAITING, SILENT, CONNECTING, UNREACHABLE, FAILING = "waiting", "silent", "connecting", "unreachable", "failing"
# The others are no reason to worry.
TROUBLED = (DISABLED, WAITING, SILENT, CONNECTING, UNREACHABLE, FAILING)


class Look(t.NamedTuple):
    """A subscription's apply worker at one moment. ``age``, ``waits_for``, ``applied`` are None where not readable, too."""

    pid: int | None = None
    # Since the process was started, and since it heard of the peer.
    age: float | None = None
    silence: float | None = None
    received: str | None = None
    confirmed: str | None = None
    applied: str | None = None
    errors: int = 0
    # That of copying the tables is another worker's.
    copy_errors: int = 0
    waits_for: str | None = None
    is_idle: bool = False


class Publisher(t.NamedTuple):
    """What the peer says, asked as the subscription asks it. ``problem``: why it could not be asked, or has nothing to send."""

    problem: str | None = None
    is_reached: bool = False
    flushed: str | None = None
    confirmed: str | None = None
    # Seconds since its server was started
    age: float | None = None


class Progress(t.NamedTuple):
    """``errors``: since the last success. ``failure``: the one that the log tells, where it still matters."""

    state: str
    errors: int = 0
    failure: Failure | None = None
    publisher: Publisher | None = None
    waits_for: str | None = None


class Watched:
    """What was seen of one enabled subscription. ``timeout``: of receiving, in seconds; 0: none."""

    def __init__(self, first: Look, failure: Failure | None, has_log: bool, is_copying: bool, timeout: float) -> None:
        self.looks = [first]
        self.failure = failure
        self.has_log = has_log
        self.is_copying = is_copying
        self.timeout = timeout
        # Before and after.
        self.publishers: list[Publisher] = []

    @property
    def last(self) -> Look:
        return self.looks[-1]

    def add(self, look: Look) -> None:
        self.looks.append(look)

    def quickly(self) -> Progress | None:
        """What one look is enough for; None: it has to be watched."""
        look = self.last
        if self._fails_by_log():
            return self._failing()
        if look.pid is None or look.received is None or (look.copy_errors and self.is_copying):
            return None
        if look.errors and self.failure and self.failure.finished_at is None:
            return None
        is_settled = look.age is not None and look.age >= SETTLED_SECONDS
        if look.errors == 0 or (is_settled and self.has_log and not self._is_unresolved()):
            return self._sound()
        return None

    def meanwhile(self) -> Progress | None:
        """What is certain before the time is over."""
        # Workers that end without an error may have no peer: that is asked again when the time is over.
        if self.last.errors - self.looks[0].errors >= FAILURES and not self._moved():
            return self._failing()
        first, look = self.looks[0], self.last
        if look.pid == first.pid and look.received and self._moved() and not (self.is_copying and look.copy_errors):
            return self._sound()
        return None

    def finally_(self) -> Progress:
        """When the time is over."""
        look = self.last
        if look.pid is None or look.received is None:
            return self._without_a_peer()
        if self.is_copying and look.copy_errors > self.looks[0].copy_errors:
            return self._failing()
        if self._moved() or self._is_confirmed():
            return self._sound()
        if self._fails_by_log() or (self._failures_seen() and (self._is_unresolved() or not self.has_log)):
            return self._failing()
        if look.errors == 0 or self._failures_seen():
            # It is young, but it lives; or the peer was started anew.
            return self._sound()
        if look.received == look.confirmed and not self._is_unresolved() and not any(each.is_reached for each in self.publishers):
            return self._sound()
        # One failure that it tries to get over, or an older one and a long transaction.
        return Progress(APPLYING, look.errors, self.failure if self._is_unresolved() else None)

    def _sound(self) -> Progress:
        """Changes can be applied; whether there are any, and what they wait for."""
        look = self.last
        if look.waits_for and (look.silence or 0) >= WAITING_SECONDS:
            return Progress(WAITING, waits_for=look.waits_for)
        if look.is_idle and self.timeout and look.silence is not None and look.silence > 0.75 * self.timeout:
            return Progress(SILENT)
        if self.is_copying:
            return Progress(COPYING, look.copy_errors)
        return Progress(STREAMING)

    def _failing(self) -> Progress:
        look = self.last
        errors = look.errors + look.copy_errors
        failure = self.failure if self._is_unresolved() or (self.failure and self.failure.finished_at is None) else None
        if failure and failure.is_whole and not (self.is_copying and look.copy_errors):
            # The server counts those too that it got over.
            errors = min(errors, max(failure.times, self._failures_seen()))
        return Progress(FAILING, errors, failure, self.publishers[-1] if self.publishers else None)

    def _without_a_peer(self) -> Progress:
        publisher = self.publishers[-1] if self.publishers else None
        # By the log it got over what the server has counted before.
        is_over = self.has_log and not self._is_unresolved()
        errors = self.last.errors - (self.looks[0].errors if is_over else 0) + (self.last.copy_errors if self.is_copying else 0)
        if publisher is None:
            return Progress(CONNECTING, errors)
        if not publisher.is_reached:
            return Progress(UNREACHABLE, errors, None, publisher)
        failing = self._is_unresolved() or publisher.problem is not None or self._failures_seen() >= FAILURES
        return self._failing() if failing else Progress(CONNECTING, errors, None, publisher)

    def _failures_seen(self) -> int:
        """Errors that were counted, and workers that ended without one: an error before the first message is not counted."""
        first, last = self.looks[0], self.last
        workers = sum(1 for one, next_ in zip(self.looks, self.looks[1:]) if one.pid is not None and next_.pid != one.pid)
        return max(last.errors - first.errors, 0 if self._peer_was_away() else workers)

    def _peer_was_away(self) -> bool:
        """Then workers come and go because of it."""
        return any(not each.is_reached or (each.age is not None and each.age < SETTLED_SECONDS) for each in self.publishers)

    def _moved(self) -> bool:
        """Whether something was applied after the last failure."""
        last = self.last
        same = [look for look in self.looks if look.errors == last.errors and look.pid == last.pid]
        return any(look.applied and last.applied and look.applied != last.applied for look in same)

    def _is_confirmed(self) -> bool:
        """Whether all that the peer had at the first look is applied."""
        if len(self.publishers) < 2:
            return False
        before, after = self.publishers[0], self.publishers[-1]
        return before.flushed is not None and _at(after.confirmed) >= _at(before.flushed)

    def _is_unresolved(self) -> bool:
        """Whether the transaction at which it failed last, by the log, is not applied."""
        if self.failure is None or self.failure.finished_at is None or (self.last.errors == 0 and self.last.copy_errors == 0):
            return False
        return self.last.applied is None or _at(self.last.applied) <= _at(self.failure.finished_at)

    def _fails_by_log(self) -> bool:
        return self._is_unresolved() and self.failure is not None and self.failure.times >= FAILURES


def _at(lsn: str | None) -> int:
    return parse_lsn(lsn or "0/0") or 0
