# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node all clients take for the active one: the record, and what keeps it for them."""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import asdict, dataclass

# JSON's numbers are exact up to here, in Redis as well.
EPOCH_MAX = 2**53

# Kept only where they are set
_FLAGS = ("forced", "requested", "behind")


@dataclass(frozen=True)
class Record:
    """``node`` has been active since ``since`` (UTC, ISO 8601), said ``by`` a client. The higher epoch is the later word.

    ``forced``: somebody wants it used although it may lack rows. ``requested``: it is active because somebody wanted it, and not
    because another node failed; it is not left by itself then. ``behind``: it was taken for want of another and may lack rows, so
    whoever has a better one keeps to that.
    """

    node: str
    epoch: int
    since: str
    by: str
    forced: bool = False
    requested: bool = False
    behind: bool = False

    @property
    def rank(self) -> tuple[int, str, str]:
        """Of two records the one of higher rank holds; two clients that spoke at once are told apart as well."""
        return (self.epoch, self.since, self.by)

    def to_json(self) -> str:
        values = asdict(self)
        for name in _FLAGS:
            if not values[name]:
                del values[name]
        return json.dumps(values, separators=(",", ":"))


def new_record(
    node: str, epoch: int, by: str, *, forced: bool = False, requested: bool = False, behind: bool = False
) -> Record:
    now = datetime.datetime.now(datetime.timezone.utc)
    since = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Record(node, epoch, since, by, forced, requested, behind)


def parse_record(text: str | bytes | None) -> Record | None:
    """None where nothing, or nothing of this form, is kept."""
    try:
        values = json.loads(text or "null")
        node, epoch = str(values["node"]), int(values["epoch"])
        if not 0 <= epoch <= EPOCH_MAX:
            return None
        flags = {name: values.get(name) is True for name in _FLAGS}
        return Record(node, epoch, str(values["since"]), str(values["by"]), **flags)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


class Agreement(t.Protocol):
    """A store that all clients share. Neither method raises where the store is away."""

    async def read(self) -> tuple[Record | None, bool]:
        """The record of the highest rank, and whether every copy that answered has it."""

    async def propose(self, record: Record) -> bool:
        """Store it unless a record of higher rank is there; whether some copy has it now."""

    async def close(self) -> None: ...
