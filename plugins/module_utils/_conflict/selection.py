# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Which tables a task is about, and why one of them cannot have the policy."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.read import State, Table
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import BASE, SCHEMA, VERSION
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import (
    QualifiedName,
    identifier,
    qualified,
    shown,
)

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast", SCHEMA)
MAX_COLUMNS = 1600
_AT_MOST = 20

_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
    "t": "a TOAST table",
}


@dataclass(frozen=True)
class Selection:
    """Tables by name, or all published ones (of some schemas) but a few."""

    tables: tuple[QualifiedName, ...] | None
    schemas: tuple[str, ...] | None
    exclude: tuple[QualifiedName, ...]

    @classmethod
    def of(cls, params: dict[str, t.Any]) -> Selection:
        tables, schemas = params["tables"], params["schemas"]
        for name, value in (("tables", tables), ("schemas", schemas)):
            if value is not None and not value:
                raise MultimasterError(f"{name} is empty: name some, or leave it out for every published table.")
        if tables is not None and params["exclude"]:
            raise MultimasterError("exclude does not go with tables: leave out of tables what is not meant.")
        return cls(
            None if tables is None else tuple(_table_name(name, "The table's name") for name in tables),
            None if schemas is None else tuple(identifier(name, "The schema's name") for name in schemas),
            tuple(_table_name(name, "The name in exclude") for name in params["exclude"]),
        )

    @property
    def names(self) -> list[QualifiedName]:
        """What the server is asked about by name."""
        return [*(self.tables or ()), *self.exclude]

    def choose(self, state: State, policy: str) -> tuple[list[Table], list[Table]]:
        """Tables that are to have last_update_wins, and tables that are to lose it."""
        by_name = {table.qualified: table for table in state.tables}
        self._check_names(state, by_name)
        if self.tables is not None:
            named = [by_name[t.cast("tuple[str, str]", tuple(name))] for name in dict.fromkeys(self.tables)]
            if policy == "last_update_wins":
                _refuse([(table, reason_against(table, state)) for table in named])
                return named, []
            unwanted = [table for table in named if table.is_governed]
            reasons = [_reason_against_removal(table, state) or _keeps_columns(table, unwanted, by_name) for table in named]
            _refuse(list(zip(named, reasons)))
            return [], unwanted
        excluded = {tuple(name) for name in self.exclude}
        in_scope = [table for table in self._units(state) if self.schemas is None or table.schema in self.schemas]
        governed = [table for table in in_scope if table.is_governed]
        if policy == "error":
            unwanted = [table for table in governed if table.qualified not in excluded]
            _refuse([(table, _keeps_columns(table, unwanted, by_name)) for table in unwanted])
            return [], unwanted
        wanted = [table for table in in_scope if table.is_published and table.qualified not in excluded]
        hint = "Tables that are to stay without it go into exclude."
        _refuse([(table, reason_against(table, state)) for table in wanted], hint)
        return wanted, [table for table in governed if table.qualified in excluded]

    def _units(self, state: State) -> t.Iterator[Table]:
        """Tables, and in the place of partitions the partitioned table, unless it has no key of its own."""
        by_oid = {table.oid: table for table in state.tables}
        for table in state.tables:
            if table.kind not in ("r", "p"):
                continue
            if table.root is not None:
                root = by_oid.get(table.root)
                if table.kind == "p" or (root is not None and root.key):
                    continue
            elif table.kind == "p" and not table.key and any(each.root == table.oid and each.key for each in state.tables):
                continue
            yield table

    def _check_names(self, state: State, by_name: t.Mapping[tuple[str, str], Table]) -> None:
        for name in self.names:
            if name.schema in SYSTEM_SCHEMAS:
                raise MultimasterError(
                    f"{name} is in the schema {name.schema}, which is the system's own: no conflict policy can be set there."
                )
        missing = [str(name) for name in self.names if t.cast("tuple[str, str]", tuple(name)) not in by_name]
        if missing:
            raise MultimasterError(f"There is no table {' and no table '.join(missing)} in this database. Nothing was changed.")
        unknown = [schema for schema in self.schemas or () if schema not in state.shared.known_schemas]
        if unknown:
            raise MultimasterError(f"There is no schema {' and no schema '.join(unknown)} in this database. Nothing was changed.")
        system = [schema for schema in self.schemas or () if schema in SYSTEM_SCHEMAS]
        if system:
            raise MultimasterError(f"The schema {system[0]} is the system's own: no conflict policy can be set there.")


def reason_against(table: Table, state: State) -> str | None:
    """Why a table cannot have last_update_wins; None: it can."""
    reason = _reason_against_removal(table, state)
    if reason:
        return reason
    if not table.is_published:
        return "is in no publication of this database, so nothing of it is replicated"
    if table.parents:
        return (
            f"inherits from {_shown(table.parents)}: its rows are read and changed through that table as well, "
            "which does not know their versions"
        )
    if table.children:
        return f"is inherited by {_shown(table.children)}: the columns of its rows' versions would be those of that table, too"
    if not table.key:
        return "has no key: a row is known on the other nodes by its primary key or by the unique index of its replica identity"
    generated = [column.name for column in table.key if column.name in table.generated]
    if generated:
        return (
            f"has the generated column {generated[0]} in its key, which is not replicated: the other nodes cannot find its rows"
        )
    if not table.key_is_immediate:
        return "has a deferrable key, by which the server cannot find conflicts when they occur"
    if table.column_list_of:
        return (
            f'is published in part, by the column list of the publication "{table.column_list_of}", '
            "but a version belongs to the whole row"
        )
    if table.is_typed:
        return "is a typed table, to which no column can be added"
    if table.own_columns and not table.has_our_columns:
        return f"has a column {' and a column '.join(sorted(table.own_columns))} of its own, where the row's version would be"
    missing = len({VERSION, BASE} - set(table.own_columns))
    if table.column_numbers + missing > MAX_COLUMNS:
        return (
            f"has used {table.column_numbers} of the {MAX_COLUMNS} columns that a table can have (dropped ones count), "
            f"and would need {missing} more"
        )
    return None


def _reason_against_removal(table: Table, state: State) -> str | None:
    if table.kind not in ("r", "p"):
        return f"is {_KINDS.get(table.kind, 'no table')}, not a table"
    if table.persistence != "p":
        return f"is {'unlogged' if table.persistence == 'u' else 'temporary'}, which is never replicated"
    root = next((each for each in state.tables if each.oid == table.root), None) if table.root is not None else None
    if root is not None and root.key:
        return f"is a partition of {root.shown}: set the policy there"
    return None


def _keeps_columns(table: Table, unwanted: t.Sequence[Table], by_name: t.Mapping[tuple[str, str], Table]) -> str | None:
    """Why the policy cannot be removed from a table alone: its columns are a parent's, which keeps them."""
    taken = {each.qualified for each in unwanted}
    kept = [parent for parent in table.parents if parent not in taken and parent in by_name and by_name[parent].is_governed]
    return f"has its columns from {_shown(kept)}: remove the policy there as well" if kept and table.has_our_columns else None


def parents_first(tables: t.Sequence[Table]) -> list[Table]:
    """In the order in which columns that are inherited can be dropped."""
    left, ordered = list(tables), []
    while left:
        waiting = {table.qualified for table in left}
        ordered += [table for table in left if not waiting & set(table.parents)]
        left = [table for table in left if waiting & set(table.parents)]
    return ordered


def _shown(names: t.Iterable[tuple[str, str]]) -> str:
    return ", ".join(shown(*name) for name in names)


def _refuse(reasons: t.Sequence[tuple[Table, str | None]], hint: str = "") -> None:
    refused = {table.shown: reason for table, reason in reasons if reason}
    if not refused:
        return
    listed = "; ".join(f"{name} {reason}" for name, reason in list(refused.items())[:_AT_MOST])
    more = f"; and {len(refused) - _AT_MOST} more tables" if len(refused) > _AT_MOST else ""
    parts = [f"The policy cannot be set: {listed}{more}.", hint, "Nothing was changed."]
    raise MultimasterError(" ".join(part for part in parts if part), tables=refused)


def _table_name(text: t.Any, what: str) -> QualifiedName:
    name = qualified(text, what)
    return QualifiedName(name.schema or "public", name.name)


def listed(tables: t.Iterable[Table]) -> str:
    return ", ".join(shown(*table.qualified) for table in tables)
