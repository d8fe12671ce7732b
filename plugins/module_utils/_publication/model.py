# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a publication is: the description that a task gives and the one that a server holds."""

from __future__ import annotations

import typing as t
from types import MappingProxyType

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import (
    QualifiedName,
    identifier,
    qualified,
    shown,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import OPERATIONS
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import sql

# Operations that must find a row on the subscriber, by the table's replica identity.
OPERATIONS_BY_IDENTITY = ("update", "delete")


class Table(t.NamedTuple):
    """A table as a publication lists it. ``columns`` None means all of them, now and later."""

    name: QualifiedName
    columns: tuple[str, ...] | None = None
    where: str | None = None

    def as_result(self) -> dict[str, t.Any]:
        columns = None if self.columns is None else list(self.columns)
        return {"name": str(self.name), "columns": columns, "where": self.where}


class Wanted(t.NamedTuple):
    """The task's arguments, checked as far as that is possible without a server."""

    name: str
    present: bool = True
    all_tables: bool = False
    tables: tuple[Table, ...] = ()
    schemas: tuple[str, ...] = ()
    operations: tuple[str, ...] = OPERATIONS
    via_root: bool = False
    owner: str | None = None
    comment: str | None = None
    replica_identity_missing: str = "fail"

    @property
    def needs_identity(self) -> bool:
        return self.present and not set(self.operations).isdisjoint(OPERATIONS_BY_IDENTITY)


class Publication(t.NamedTuple):
    """A publication that is, or that will be."""

    owner: str
    comment: str
    all_tables: bool
    tables: tuple[Table, ...]
    schemas: tuple[str, ...]
    operations: tuple[str, ...]
    via_root: bool

    def as_result(self, name: str) -> dict[str, t.Any]:
        return {"name": name, **self.properties()}

    def properties(self) -> dict[str, t.Any]:
        """All that describes it, under the names of the module's options."""
        return {
            "all_tables": self.all_tables,
            "tables": [table.as_result() for table in self.tables],
            "tables_in_schema": [shown(schema) for schema in self.schemas],
            "operations": list(self.operations),
            "publish_via_partition_root": self.via_root,
            "owner": self.owner,
            "comment": self.comment,
        }


class Relation(t.NamedTuple):
    """What the server says about the relation that a wanted name means."""

    schema: str
    name: str
    kind: str = "r"
    persistence: str = "p"
    system: bool = False
    owned: bool = True
    owner: str = ""
    # How many relations an unqualified name could mean.
    candidates: int = 1
    # Column -> how it is generated ("" where it is not); read only where a column list is wanted.
    columns: t.Mapping[str, str] = MappingProxyType({})

    @property
    def qualified_name(self) -> QualifiedName:
        return QualifiedName(self.schema, self.name)

    @property
    def partitioned(self) -> bool:
        return self.kind == "p"


class Identity(t.NamedTuple):
    """By what the rows of a table (or of one leaf partition) are found again.

    ``columns`` is None where there is nothing to find them by. ``position`` is the wanted table that it
    belongs to, None where the table is published by its schema or with all tables. ``incomparable`` are, of
    a table without a key, the columns for which its rows cannot be found by all of their values.
    """

    table: QualifiedName
    kind: str
    columns: tuple[str, ...] | None
    owned: bool = True
    position: int | None = None
    incomparable: tuple[str, ...] = ()

    @property
    def full(self) -> bool:
        return self.kind == "f"


class RowFilter(t.NamedTuple):
    """What the server says about one wanted row filter."""

    error: str | None = None
    # It means what the publication's row filter of this table means.
    same: bool = False
    # Leaf tables where it uses a column outside the replica identity.
    uncovered: frozenset[QualifiedName] = frozenset()


class State(t.NamedTuple):
    """What is: all that a plan needs to know of the server."""

    version: int
    database: str
    wal_level: str = "logical"
    standby: bool = False
    user: str = "postgres"
    superuser: bool = True
    may_create: bool = True
    has_partitions: bool = False
    publication: Publication | None = None
    owns_publication: bool = True
    owner_is_superuser: bool = True
    # PostgreSQL 18's publish_generated_columns, which a publication that is made anew must keep.
    generated_columns: str | None = None
    # Published tables whose names also stand for the tables that inherit from them.
    parents: frozenset[QualifiedName] = frozenset()
    partitioned: frozenset[QualifiedName] = frozenset()
    # None where the task names no owner or no such role exists.
    wanted_owner: WantedOwner | None = None
    # By position in Wanted.tables; a missing position is a table that does not exist.
    relations: t.Mapping[int, Relation] = MappingProxyType({})
    row_filters: t.Mapping[int, RowFilter] = MappingProxyType({})
    existing_schemas: frozenset[str] = frozenset()
    identities: tuple[Identity, ...] = ()


class WantedOwner(t.NamedTuple):
    superuser: bool = True
    may_create: bool = True
    reachable: bool = True


def in_order(tables: t.Iterable[Table]) -> tuple[Table, ...]:
    """Sorted by name as PostgreSQL sorts names, so that equal lists compare and look equal."""
    return tuple(sorted(tables, key=lambda table: ((table.name.schema or "").encode(), table.name.name.encode())))


def parenthesised(where: str) -> sql.SQL:
    """The user's condition as a piece of SQL; a comment at its end must not hide the parenthesis."""
    return sql.SQL(f"({where}\n)" if "--" in where else f"({where})")


def wanted_from(params: dict[str, t.Any]) -> Wanted:
    """The module's parameters as a description. A sentence says what is wrong with them."""
    name = identifier(params["name"], "The publication's name")
    if params["state"] == "absent":
        return Wanted(name, present=False)
    owner = params["owner"]
    comment = params["comment"]
    if comment is not None:
        _refuse_nul(comment, "The comment")
    if not params["operations"]:
        raise MultimasterError("operations is empty: name at least one of " + ", ".join(OPERATIONS) + ".")
    wanted = Wanted(
        name,
        all_tables=params["all_tables"],
        tables=_tables(params["tables"]),
        schemas=_schemas(params["tables_in_schema"]),
        operations=tuple(each for each in OPERATIONS if each in params["operations"]),
        via_root=params["publish_via_partition_root"],
        owner=None if owner is None else identifier(owner, "The owner's name"),
        comment=comment,
        replica_identity_missing=params["replica_identity_missing"],
    )
    listed = bool(wanted.tables or wanted.schemas)
    if wanted.all_tables and listed:
        raise MultimasterError("all_tables goes with neither tables nor tables_in_schema: give one or the other.")
    if not wanted.all_tables and not listed:
        raise MultimasterError(
            f"Nothing says what the publication {shown(name)} publishes: give tables, tables_in_schema, or all_tables: true."
        )
    with_columns = [str(table.name) for table in wanted.tables if table.columns]
    if with_columns and wanted.schemas:
        raise MultimasterError(
            f"PostgreSQL permits no column list ({', '.join(with_columns)}) "
            "in a publication that has tables_in_schema: make two publications."
        )
    return wanted


def _tables(entries: list[t.Any] | None) -> tuple[Table, ...]:
    if entries is None:
        return ()
    if not entries:
        raise MultimasterError(
            "tables is empty. An empty list never means all tables: give all_tables: true for that, "
            "leave tables out where tables_in_schema says it all, or state: absent to remove the publication."
        )
    tables = tuple(_table(entry, number) for number, entry in enumerate(entries, 1))
    _refuse_twice([str(table.name) for table in tables], "tables")
    return tables


def _table(entry: t.Any, number: int) -> Table:
    where_it_is = f"Entry {number} of tables"
    if not isinstance(entry, dict):
        return Table(qualified(entry, "The table's name"))
    unknown = set(entry) - {"name", "columns", "where"}
    if unknown:
        raise MultimasterError(
            f"{where_it_is} has an unknown key {', '.join(sorted(map(str, unknown)))}: it knows name, columns and where."
        )
    if entry.get("name") is None:
        raise MultimasterError(f"{where_it_is} has no name.")
    name = qualified(entry["name"], "The table's name")
    return Table(name, _columns(entry.get("columns"), name), _where(entry.get("where"), name))


def _columns(columns: t.Any, table: QualifiedName) -> tuple[str, ...] | None:
    if columns is None:
        return None
    if not isinstance(columns, list):
        raise MultimasterError(f"The columns of table {table} must be a list of names, not {columns!r}.")
    if not columns:
        raise MultimasterError(f"The columns of table {table} are an empty list: leave columns out to publish all.")
    names = tuple(identifier(column, f"A column of table {table}:") for column in columns)
    _refuse_twice([shown(name) for name in names], f"the columns of table {table}")
    return names


def _where(where: t.Any, table: QualifiedName) -> str | None:
    if where is None:
        return None
    if isinstance(where, bool):
        # A bare `where: true` is an SQL condition that YAML has read first.
        return str(where).lower()
    if not isinstance(where, str) or not where.strip():
        raise MultimasterError(
            f"The row filter (where) of table {table} must be an SQL condition, not {where!r}: "
            "leave where out to publish all rows."
        )
    _refuse_nul(where, f"The row filter of table {table}")
    return where.strip()


def _schemas(entries: list[str] | None) -> tuple[str, ...]:
    if entries is None:
        return ()
    if not entries:
        raise MultimasterError("tables_in_schema is empty: leave it out, or give state: absent to remove the publication.")
    schemas = tuple(identifier(entry, "The schema's name") for entry in entries)
    _refuse_twice([shown(schema) for schema in schemas], "tables_in_schema")
    return tuple(sorted(schemas, key=str.encode))


def _refuse_twice(names: list[str], where_it_is: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise MultimasterError(f"{', '.join(twice)} is listed twice in {where_it_is}.")


def _refuse_nul(text: str, what: str) -> None:
    if "\0" in text:
        raise MultimasterError(f"{what} holds a NUL character, which PostgreSQL cannot store.")
