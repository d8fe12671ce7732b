# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What is, on both nodes: all that a plan is made from."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Local, TableName
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import UNKNOWN


class LocalTable(t.NamedTuple):
    kind: str
    columns: frozenset[str] = frozenset()
    owner: str = ""
    owner_is_superuser: bool = False
    # The subscription's owner can act as the table's owner; and can write to the table itself.
    owner_reachable: bool = True
    owner_may_write: bool = True
    # Policies bind the role as which changes are applied.
    row_security: bool = False


class PublishedTable(t.NamedTuple):
    columns: frozenset[str] = frozenset()
    readable: bool = True
    row_security: bool = False
    # It takes up space: it has rows, or had some until lately.
    has_size: bool = False
    # A function of a role that is no superuser, which the peer's server would run as the subscription's user to copy the table.
    code: str | None = None
    # Whether it has a row; None where that was not looked at.
    has_row: bool | None = None

    @property
    def holds_rows(self) -> bool:
        """As far as it is known: a table that may not be read is judged by its size."""
        return self.has_size if self.has_row is None else self.has_row


class Tables(t.NamedTuple):
    """What is known of the new tables. A table that is not in ``local`` does not exist here."""

    local: t.Mapping[TableName, LocalTable] = {}
    published: t.Mapping[TableName, PublishedTable] = {}
    nonempty: frozenset[TableName] = frozenset()


class State(t.NamedTuple):
    """What is, on both nodes. ``peer`` is None where it does not answer, and ``unreachable`` says why."""

    local: Local
    peer: PeerFacts | None = None
    unreachable: str | None = None
    # Of the tables that come in.
    tables: Tables = Tables()
    # What a leftover slot holds, where that decides.
    held: str = UNKNOWN

    @property
    def new_tables(self) -> frozenset[TableName]:
        """What the peer publishes and this subscription does not know yet."""
        known = self.local.subscription.tables if self.local.subscription else {}
        return self.peer.tables.difference(known) if self.peer else frozenset()
