# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Reading sequences: how they are defined, where they stand, and what their columns hold."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.owner import NOBODY, Lent, fetch_as
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.catalogue import CATALOGUE
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.locks import LOCK_TIMEOUT_MS
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import Column, Node, Sequence

# How many relations one query may lock: the server's lock table has room for several thousand.
LOCKS_PER_QUERY = 1000
# Where peers are far ahead of an idle node, so many of its next values are looked for among their rows, and
# as many up to the end of the data.
VALUES_LOOKED_FOR = 200

# A value that row security hides would be given out again: rather fail. Compiling queries that
# run once for a millisecond takes seconds.
SESSION_SETTINGS = f"SET row_security = off; SET jit = off; SET lock_timeout = {LOCK_TIMEOUT_MS}"

# By the types' oids, which never change.
_LIMITS: dict[int, tuple[int, int]] = {
    21: (-(2**15), 2**15 - 1),  # smallint
    23: (-(2**31), 2**31 - 1),  # integer
}
_DEFINITION = ("oid", "schema", "name", "start", "increment", "minimum", "maximum", "cycle", "reader")


@dataclass(frozen=True)
class Catalogue:
    """All sequences of a database: those that can matter to another node, and why the others cannot."""

    sequences: list[Sequence]
    out_of_scope: list[tuple[str, str]]


class SequenceReader:
    """Reads sequences through one connection.

    Columns that no index serves are left out where more than ``scan_limit`` bytes would be read.
    """

    def __init__(self, connection: Connection, node: Node, scan_limit: int) -> None:
        self._connection = connection
        self._node = node
        self._scan_limit = scan_limit

    def catalogue(self) -> Catalogue:
        """Every sequence as it is defined; the positions are still to be read."""
        sequences: list[Sequence] = []
        out_of_scope: list[tuple[str, str]] = []
        # A fresh database has no statistics: the planner would join thousands of rows one by one.
        rows = self._connection.fetch(f"{SESSION_SETTINGS}; SET enable_nestloop = off; {CATALOGUE}")
        for _oid, group in groupby(rows, key=lambda row: row["oid"]):
            of_sequence = list(group)
            row = of_sequence[0]
            if row["out_of_scope"]:
                out_of_scope.append((f"{row['schema']}.{row['name']}", row["out_of_scope"]))
            else:
                columns = tuple(_column(each) for each in of_sequence if each["column_name"] is not None)
                sequences.append(Sequence(**{key: row[key] for key in _DEFINITION}, columns=columns))
        return Catalogue(sequences, out_of_scope)

    def reads(self, column: Column) -> bool:
        return column.scanned_bytes is not None and column.scanned_bytes <= self._scan_limit

    def positions(self, sequences: t.Sequence[Sequence]) -> list[Sequence]:
        """The same sequences with their positions and with what their columns hold."""
        result: list[Sequence] = []
        for part in in_parts(sequences, LOCKS_PER_QUERY):
            data = self._asked(dict(enumerate(part)), self._extreme, _is_reachable)
            for index, last_value, is_called in self._positions(part):
                part[index] = replace(part[index], last_value=last_value, is_called=is_called, data=data.get(index))
            result.extend(self._with_own_data(part))
        return result

    def _positions(self, sequences: t.Sequence[Sequence]) -> list[tuple[int, int, bool]]:
        """Of each by its number: the last value, and whether it was yielded. What stands in a sequence's place by now is its
        owner's, and what he lets it say."""
        by_reader: dict[str | None, list[tuple[str, Lent]]] = {}
        for index, sequence in enumerate(sequences):
            query = (
                f"(SELECT {index} AS index, last_value::pg_catalog.int8 AS last_value, is_called::pg_catalog.bool AS is_called"
                f" FROM {self._connection.quoted(sequence.schema, sequence.name)})"
            )
            by_reader.setdefault(sequence.reader, []).append((query, Lent(sequence.schema, sequence.name)))
        self._connection.execute("SET enable_nestloop = on")
        rows = [row for reader, queries in by_reader.items() for row in self._fetch(reader, queries)]
        return [(int(row["index"]), int(row["last_value"]), bool(row["is_called"])) for row in rows]

    def _fetch(self, reader: str | None, queries: t.Sequence[tuple[str, Lent]]) -> list[dict[str, t.Any]]:
        """All of them as one, as that role."""
        together = " UNION ALL ".join(query for query, _read in queries)
        if reader is None:
            return self._connection.fetch(together)
        return fetch_as(self._connection, reader, together, [read for _query, read in queries] if reader == NOBODY else ())

    def _asked(
        self,
        sequences: t.Mapping[int, Sequence],
        query: t.Callable[[Sequence, Column], str],
        fits: t.Callable[[Sequence, int], bool],
    ) -> dict[int, int]:
        """By the number of a sequence the farthest of what a query says of its columns, each read as whom it has to be.

        ``fits`` says the same of one value, for columns that are read whole.
        """
        by_reader: dict[str | None, list[tuple[str, Lent]]] = {}
        values: dict[int, list[int]] = {}
        for index, sequence in sequences.items():
            for column in self._readable(sequence):
                if column.hides:
                    values.setdefault(index, []).extend(self._copied(sequence, column, fits))
                    continue
                # numeric: columns of any integer type, and of numeric, side by side.
                asked = f"SELECT {index} AS index, {query(sequence, column)}::pg_catalog.numeric::pg_catalog.text AS value"
                by_reader.setdefault(column.reader, []).append((asked, Lent(column.schema, column.table, column.name)))
        for reader, queries in by_reader.items():
            for row in self._fetch(reader, queries):
                value = None if row["value"] is None else Decimal(row["value"])
                if value is not None and value.is_finite():
                    values.setdefault(row["index"], []).append(int(value))
        return {index: (max if sequences[index].increment > 0 else min)(found) for index, found in values.items() if found}

    def _copied(self, sequence: Sequence, column: Column, fits: t.Callable[[Sequence, int], bool]) -> list[int]:
        """The farthest value of a column whose rows its table's owner may not see: COPY runs no code of his."""
        rows = _Farthest(max if sequence.increment > 0 else min, lambda value: fits(sequence, value))
        self._connection.copy_out(compose("COPY {} ({}) TO STDOUT", (column.schema, column.table), column.name), rows)
        return rows.values

    def _readable(self, sequence: Sequence) -> list[Column]:
        # A cycling sequence meets old values by design, so nothing is asked about its data.
        return [] if sequence.cycle else [column for column in sequence.columns if self.reads(column)]

    def _extreme(self, sequence: Sequence, column: Column) -> str:
        """The value farthest in the sequence's direction that the sequence could yield.

        Not max(): the planner takes twice as long for it.
        """
        name, table = self._connection.quoted(column.name), self._connection.quoted(column.schema, column.table)
        ascending = sequence.increment > 0
        reachable = f"<= {_bigint(sequence.maximum)}" if ascending else f">= {_bigint(sequence.minimum)}"
        order = "DESC" if ascending else "ASC"
        return f"(SELECT {name} FROM {table} WHERE {name} {reachable} ORDER BY {name} {order} LIMIT 1)"

    def _with_own_data(self, sequences: list[Sequence]) -> list[Sequence]:
        """Look for own values ahead, where a sequence that is in step has data ahead of it at all."""
        asked = [index for index, sequence in enumerate(sequences) if self._has_data_ahead(sequence)]
        if asked:
            for index, own in self._asked(
                {index: sequences[index] for index in asked}, self._own_values, self._is_own
            ).items():
                sequences[index] = replace(sequences[index], own_data=own)
        return sequences

    def _has_data_ahead(self, sequence: Sequence) -> bool:
        if sequence.data is None or not sequence.is_in_step(self._node):
            return False
        ahead = sequence.data - sequence.next_value
        return ahead >= 0 if sequence.increment > 0 else ahead <= 0

    def _own_values(self, sequence: Sequence, column: Column) -> str:
        """The farthest own value ahead: among all rows where they are read anyway, else near both ends."""
        name, table = self._connection.quoted(column.name), self._connection.quoted(column.schema, column.table)
        near = " OR ".join(
            f"{name} BETWEEN {_bigint(low)} AND {_bigint(high)}"
            for low, high in self._ranges(sequence, is_whole=bool(column.scanned_bytes))
        )
        function = "max" if sequence.increment > 0 else "min"
        stride = self._node.stride
        remainder = self._node.node_id % stride
        # OFFSET 0: without it max() would walk the index from its end until a value fits.
        return (
            f"(SELECT {function}(v) FROM (SELECT {name} AS v FROM {table} WHERE {near} OFFSET 0) near"
            f" WHERE v % {stride} IN ({remainder}, {remainder - stride}))"
        )

    def _is_own(self, sequence: Sequence, value: int) -> bool:
        is_between = any(low <= value <= high for low, high in self._ranges(sequence, is_whole=True))
        return is_between and value % self._node.stride == self._node.node_id % self._node.stride

    def _ranges(self, sequence: Sequence, is_whole: bool) -> list[tuple[int, int]]:
        """Where to look, between what the sequence yields next and the end of the data."""
        low, high = sorted((sequence.next_value, sequence.data or 0))
        width = VALUES_LOOKED_FOR * self._node.stride
        if is_whole or high - low <= 2 * width:
            return [(low, high)]
        return [(low, low + width), (high - width, high)]


def in_parts(sequences: t.Sequence[Sequence], locks: int, at_most: int | None = None) -> t.Iterator[list[Sequence]]:
    """Parts of so many sequences at most that lock so many relations at most, or hold a single sequence."""
    part: list[Sequence] = []
    held = 0
    for sequence in sequences:
        needed = 1 + sum(column.relations for column in sequence.columns)
        if part and (held + needed > locks or len(part) == at_most):
            yield part
            part, held = [], 0
        part.append(sequence)
        held += needed
    if part:
        yield part


def _column(row: dict[str, t.Any]) -> Column:
    lowest, highest = _LIMITS.get(row["column_type"], (None, None))
    return Column(
        schema=row["column_schema"],
        table=row["column_table"],
        name=row["column_name"],
        lowest=lowest,
        highest=highest,
        scanned_bytes=row["scanned_bytes"],
        relations=row["relations"],
        reader=row["column_reader"],
        hides=row["column_hides"],
    )


def _is_reachable(sequence: Sequence, value: int) -> bool:
    return value <= sequence.maximum if sequence.increment > 0 else value >= sequence.minimum


class _Farthest:
    """What COPY writes a column to, value by value: the farthest that fits."""

    def __init__(self, farther: t.Callable[[int, int], int], fits: t.Callable[[int], bool]) -> None:
        self._farther, self._fits = farther, fits
        self.values: list[int] = []

    def write(self, row: bytes) -> None:
        text = row.decode().strip()
        value = None if text == r"\N" else Decimal(text)
        if value is not None and value.is_finite() and self._fits(int(value)):
            self.values[:] = [self._farther(int(value), *self.values)] if self.values else [int(value)]


def _bigint(value: int) -> str:
    """Quoted: a bare -9223372036854775808 would be numeric, which no index on an integer serves."""
    return f"'{value}'::bigint"
