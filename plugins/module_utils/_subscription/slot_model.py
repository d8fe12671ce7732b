# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A replication slot on the peer, and positions in its WAL."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import MAX_BYTES

PLUGIN = "pgoutput"

# What a look into a leftover slot found.
EMPTY = "empty"
CHANGES = "changes"
UNKNOWN = "unknown"

# What is to be done on the peer.
CREATE = "create"
DROP = "drop"
COPY = "copy"


class Slot(t.NamedTuple):
    """A row of pg_replication_slots."""

    name: str
    plugin: str | None = PLUGIN
    slot_type: str = "logical"
    database: str | None = None
    temporary: bool = False
    active: bool = False
    active_pid: int | None = None
    # application_name of the session that uses it, where the peer shows it: a subscription's name.
    application: str | None = None
    wal_status: str | None = "reserved"
    # Why the server gave the slot up.
    invalid: str | None = None
    confirmed_flush_lsn: int | None = None

    @property
    def lost(self) -> bool:
        return self.wal_status == "lost" or self.invalid is not None

    def fits(self, database: str) -> bool:
        """It is of the kind that subscriptions to this database use."""
        return (self.slot_type, self.plugin, self.database, self.temporary) == ("logical", PLUGIN, database, False)


class SlotPlan(t.NamedTuple):
    """What becomes of the slot. ``outcome`` is what the result says; ``actions`` run on the peer, in order."""

    outcome: str
    actions: tuple[str, ...] = ()
    warning: str | None = None


def check_slot_name(name: str, given: bool) -> None:
    if not re.fullmatch(rf"[a-z0-9_]{{1,{MAX_BYTES}}}", name, re.ASCII):
        hint = "" if given else " It is the subscription's name, because slot_name is not given: give slot_name."
        raise MultimasterError(
            f"The slot's name {name!r} is not permitted: 1 to {MAX_BYTES} characters a-z, 0-9 and underscore.{hint}"
        )


def parse_lsn(text: str | None) -> int | None:
    if text is None:
        return None
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def show_lsn(lsn: int | None) -> str | None:
    return None if lsn is None else f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def slot_from(row: dict[str, t.Any]) -> Slot:
    """From a row of pg_replication_slots as JSON; newer servers have more columns than older ones."""
    reason = row.get("invalidation_reason")
    if reason is None and row.get("conflicting"):
        reason = "conflict with recovery"
    return Slot(
        name=row["slot_name"],
        plugin=row["plugin"],
        slot_type=row["slot_type"],
        database=row["database"],
        temporary=row["temporary"],
        active=row["active"],
        active_pid=row["active_pid"],
        application=row.get("application") or None,
        wal_status=row["wal_status"],
        invalid=reason,
        confirmed_flush_lsn=parse_lsn(row["confirmed_flush_lsn"]),
    )
