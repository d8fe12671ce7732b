# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""SQL statements as data: composed by the driver, shown without their secrets."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

try:
    from psycopg2 import sql
except ImportError:  # reported by _runner.run_module; the import must succeed without it
    sql = None  # type: ignore[assignment]

MASK = "********"


def secret(value: str, shown: str = MASK) -> sql.Composable:
    """A literal whose value is sent to the server and never shown; ``shown`` takes its place."""
    literal: t.Any = sql.Literal(value)
    literal.shown = shown
    return literal


def masked(command: sql.Composable) -> sql.Composable:
    """The same command with every secret literal replaced by what may be shown of it."""
    if isinstance(command, sql.Composed):
        return sql.Composed([masked(part) for part in command.seq])
    if hasattr(command, "shown"):
        return sql.Literal(command.shown)
    return command


def has_secret(command: sql.Composable) -> bool:
    if isinstance(command, sql.Composed):
        return any(has_secret(part) for part in command.seq)
    return hasattr(command, "shown")


@dataclass(frozen=True)
class Statement:
    """One SQL command of a plan.

    ``on_peer``: it runs on the other node, not on the one the task connects to.
    ``own_transaction``: PostgreSQL refuses it inside a transaction block (REFRESH, for example);
    all others between two such statements are committed together.
    """

    command: sql.Composable
    on_peer: bool = False
    own_transaction: bool = False

    @property
    def is_secret(self) -> bool:
        return has_secret(self.command)

    @property
    def shown(self) -> sql.Composable:
        """The command as it may be shown."""
        return masked(self.command)


def compose(template: str, /, *args: t.Any, **kwargs: t.Any) -> sql.Composed:
    """``sql.SQL(template).format(...)``: strings become identifiers, composables stay as they are.

    A tuple of strings becomes a qualified identifier; ``("public", "t")`` is ``"public"."t"``.
    """
    return sql.SQL(template).format(
        *[_as_composable(value) for value in args],
        **{key: _as_composable(value) for key, value in kwargs.items()},
    )


def joined(parts: t.Iterable[sql.Composable], separator: str = ", ") -> sql.Composed:
    return sql.SQL(separator).join(parts)


def _as_composable(value: t.Any) -> sql.Composable:
    if isinstance(value, str):
        return sql.Identifier(value)
    if isinstance(value, tuple):
        return sql.Identifier(*value)
    return value
