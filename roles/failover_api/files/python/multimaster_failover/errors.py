# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a caller of the failover client can be told. No message holds a statement, an address or a password."""

from __future__ import annotations


class FailoverError(Exception):
    """Anything that the client itself reports; errors of the application's own statements pass through as psycopg's."""


class Unavailable(FailoverError):
    """The request was not carried out now and can be tried again after ``retry_after`` seconds.

    ``in_doubt`` is true when an attempt was sent and no answer came: a write may have been carried out, and only a
    repetition with the same key is safe.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.in_doubt = in_doubt


class NoNode(Unavailable):
    """No node can be used."""


class OutOfTime(Unavailable):
    """The request's time budget is used up."""


class TooSlow(Unavailable):
    """The servers are alive and took longer for the statement than it is allowed to take."""


class UnknownNode(FailoverError):
    """No node has this name."""


class SwitchRefused(FailoverError):
    """The active node stays what it is. ``lag_bytes`` is how much of it the target does not have, where that is known."""

    def __init__(self, message: str, *, lag_bytes: int | None = None, lag_seconds: float | None = None) -> None:
        super().__init__(message)
        self.lag_bytes = lag_bytes
        self.lag_seconds = lag_seconds
