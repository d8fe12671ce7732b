# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The statements of a subscription and of its slot on the peer."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import (
    Statement,
    compose,
    joined,
    secret,
    sql,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.local import marker_prefix
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import (
    COPY,
    CREATE,
    DROP,
    PLUGIN,
    show_lsn,
)

# A directory that does not exist: a connection that fails at once.
_NOWHERE = {"host": "/nonexistent", "password": "none"}


def create(wanted: Wanted, enabled: bool) -> Statement:
    options: dict[str, t.Any] = {
        "create_slot": False,
        "slot_name": wanted.slot_name,
        "enabled": enabled,
        "copy_data": wanted.copy_data,
        **wanted.options,
        **{name: value for name, value in wanted.creation_options.items() if value is not None},
    }
    return Statement(
        compose(
            "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH ({})",
            wanted.name,
            _connection_string(wanted.conninfo),
            _names(wanted.publications),
            _options(options),
        )
    )


def set_connection(wanted: Wanted) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} CONNECTION {}", wanted.name, _connection_string(wanted.conninfo)))


def set_no_connection(name: str) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} CONNECTION {}", name, sql.Literal(_conninfo.build(_NOWHERE))))


def set_publications(wanted: Wanted) -> Statement:
    """Without a refresh, which cannot share a transaction: that is a statement of its own."""
    return Statement(
        compose("ALTER SUBSCRIPTION {} SET PUBLICATION {} WITH (refresh = false)", wanted.name, _names(wanted.publications))
    )


def set_options(name: str, options: dict[str, t.Any]) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} SET ({})", name, _options(options)))


def refresh(name: str, copy_data: bool) -> Statement:
    return Statement(
        compose("ALTER SUBSCRIPTION {} REFRESH PUBLICATION WITH ({})", name, _options({"copy_data": copy_data})),
        own_transaction=True,
    )


def enable(name: str) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} ENABLE", name))


def disable(name: str) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} DISABLE", name))


def set_owner(name: str, owner: str) -> Statement:
    return Statement(compose("ALTER SUBSCRIPTION {} OWNER TO {}", name, owner))


def set_comment(name: str, comment: str) -> Statement:
    return Statement(compose("COMMENT ON SUBSCRIPTION {} IS {}", name, sql.Literal(comment or None)))


def drop(name: str) -> Statement:
    return Statement(compose("DROP SUBSCRIPTION {}", name))


def advance(name: str, lsn: int) -> Statement:
    """Start there. A position is not undone by a rollback, so it waits until the subscription is committed."""
    return Statement(
        compose(
            "SELECT pg_replication_origin_advance('pg_' || s.oid, {}) FROM pg_subscription s"
            " JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database() WHERE s.subname = {}",
            sql.Literal(show_lsn(lsn)),
            sql.Literal(name),
        ),
        own_transaction=True,
    )


def set_marker(name: str) -> Statement:
    return Statement(compose("SELECT pg_replication_origin_create({} || current_database())", sql.Literal(marker_prefix(name))))


def drop_marker(name: str) -> Statement:
    return Statement(compose("SELECT pg_replication_origin_drop({} || current_database())", sql.Literal(marker_prefix(name))))


def _connection_string(parameters: dict[str, str]) -> sql.Composable:
    return secret(_conninfo.build(parameters), _conninfo.masked(parameters))


def _names(names: t.Iterable[str]) -> sql.Composed:
    return joined(compose("{}", name) for name in names)


def _options(options: dict[str, t.Any]) -> sql.Composed:
    return joined(compose(f"{name} = {{}}", _value(value)) for name, value in options.items())


def _value(value: t.Any) -> sql.Composable:
    if isinstance(value, bool):
        return sql.SQL("true" if value else "false")
    return sql.Literal(value)


@dataclass(frozen=True)
class SlotStatement(Statement):
    """A statement that runs on the peer, with the care that its action needs there."""

    on_peer: bool = True
    action: str = CREATE
    slot: str = ""


def create_slot(slot: str, failover: bool = False) -> SlotStatement:
    if failover:
        command = compose(
            "SELECT pg_create_logical_replication_slot({}, {}, failover => true)", sql.Literal(slot), sql.Literal(PLUGIN)
        )
    else:
        command = compose("SELECT pg_create_logical_replication_slot({}, {})", sql.Literal(slot), sql.Literal(PLUGIN))
    return SlotStatement(command, action=CREATE, slot=slot)


def copy_slot(source: str, slot: str) -> SlotStatement:
    command = compose("SELECT pg_copy_logical_replication_slot({}, {})", sql.Literal(source), sql.Literal(slot))
    return SlotStatement(command, action=COPY, slot=slot)


def drop_slot(slot: str) -> SlotStatement:
    return SlotStatement(compose("SELECT pg_drop_replication_slot({})", sql.Literal(slot)), action=DROP, slot=slot)
