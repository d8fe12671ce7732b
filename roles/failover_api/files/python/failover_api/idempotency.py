# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notices an Idempotency-Key that comes back with another body."""

from __future__ import annotations

import collections
import typing as t

from .replies import Refused


class IdempotencyKeys:
    """The last keys that this instance has seen, and what they were used for.

    Only for the answer: that a repetition is one row follows from the row's key, on every instance and after a restart.
    """

    def __init__(self, kept: int = 100_000) -> None:
        self._kept = kept
        self._seen: collections.OrderedDict[str, t.Hashable] = collections.OrderedDict()

    def check(self, key: str, content: t.Hashable) -> None:
        """Raises Refused (409) where the key stands for another content."""
        if self._seen.setdefault(key, content) != content:
            raise Refused(409, "This Idempotency-Key was used for something else.")
        self._seen.move_to_end(key)
        if len(self._seen) > self._kept:
            self._seen.popitem(last=False)
