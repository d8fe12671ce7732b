# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The statements that make, copy and drop a slot on the peer."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement, compose, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.model import COPY, CREATE, DROP, PLUGIN


@dataclass(frozen=True)
class SlotStatement(Statement):
    """A statement that runs on the peer, with the care that its action needs there."""

    on_peer: bool = True
    action: str = CREATE
    slot: str = ""


def create(slot: str, failover: bool = False) -> SlotStatement:
    if failover:
        command = compose(
            "SELECT pg_create_logical_replication_slot({}, {}, failover => true)", sql.Literal(slot), sql.Literal(PLUGIN)
        )
    else:
        command = compose("SELECT pg_create_logical_replication_slot({}, {})", sql.Literal(slot), sql.Literal(PLUGIN))
    return SlotStatement(command, action=CREATE, slot=slot)


def copy(source: str, slot: str) -> SlotStatement:
    command = compose("SELECT pg_copy_logical_replication_slot({}, {})", sql.Literal(source), sql.Literal(slot))
    return SlotStatement(command, action=COPY, slot=slot)


def drop(slot: str) -> SlotStatement:
    return SlotStatement(compose("SELECT pg_drop_replication_slot({})", sql.Literal(slot)), action=DROP, slot=slot)
