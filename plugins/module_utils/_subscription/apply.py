# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Doing what was planned, on both nodes, and undoing a slot that nothing came to use."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import slot_commands, statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.session import Peer
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import CREATE
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.statements import SlotStatement


def apply(connection: Connection, peer: Peer, wanted: Wanted, planned: t.Sequence[Statement], creates: bool) -> None:
    """``creates``: the subscription is new, so that a slot that was made for it goes when it fails."""
    if not planned:
        return
    # Statements that speak to the peer have no limit of their own, and the server must notice if this process dies.
    connection.execute(f"SET statement_timeout = '{wanted.slot_timeout}s'; SET client_connection_check_interval = '1s'")
    try:
        for on_peer, group in itertools.groupby(planned, lambda statement: statement.on_peer):
            if on_peer:
                for statement in group:
                    slot_commands.run(peer, t.cast("SlotStatement", statement), wanted.slot_timeout)
            else:
                _apply_here(connection, wanted, list(group))
    except MultimasterError:
        if creates:
            _undo(connection, peer, wanted, planned)
        raise
    connection.execute("RESET statement_timeout")


def _apply_here(connection: Connection, wanted: Wanted, group: list[Statement]) -> None:
    try:
        connection.apply(group)
    except MultimasterError as error:
        if error.details.get("sqlstate") != slot_commands.QUERY_CANCELED:
            raise
        raise MultimasterError(
            f"A statement of the subscription {wanted.shown_name} was not done within {wanted.slot_timeout} s "
            f"(slot_timeout): the peer does not answer this server, or a lock is held here. {error}"
        ) from None


def _undo(connection: Connection, peer: Peer, wanted: Wanted, planned: t.Sequence[Statement]) -> None:
    """Best effort: where it fails too, the mark stays, and the next run takes the slot as the one it made."""
    if not any(isinstance(statement, SlotStatement) and statement.action == CREATE for statement in planned):
        return
    try:
        exists = connection.fetch(
            "SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database()"
            " WHERE s.subname = %s",
            [wanted.name],
        )
        if not exists:
            slot_commands.run(peer, statements.drop_slot(wanted.slot_name), wanted.slot_timeout)
            connection.apply([statements.drop_marker(wanted.name)])
    except MultimasterError:
        pass
