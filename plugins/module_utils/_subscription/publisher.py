# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Which server a subscription was made with, kept in its comment.

There it outlives the publisher: a node that comes back is compared with what its peers have noted, not with what it brings along.
"""

from __future__ import annotations

import re
import typing as t

_RECORD = re.compile(r"\[publisher: system (?P<system_identifier>[0-9]+), timeline (?P<timeline>[0-9]+)\]")


class Publisher(t.NamedTuple):
    """A server and its timeline: it gets another one by being restored or promoted, and by nothing else."""

    system_identifier: str
    timeline: int

    @property
    def record(self) -> str:
        return f"[publisher: system {self.system_identifier}, timeline {self.timeline}]"


def recorded(comment: str | None) -> Publisher | None:
    """The publisher that a subscription's comment names."""
    found = _RECORD.search(comment or "")
    return Publisher(found["system_identifier"], int(found["timeline"])) if found else None


def with_record(comment: str, publisher: Publisher) -> str:
    """The comment with a publisher. One that is there stays: only a person may say that another server has taken its place."""
    return comment if recorded(comment) else f"{comment} {publisher.record}".strip()
