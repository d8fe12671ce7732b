# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether two nodes have caught up with each other, and whether their tables are equal."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._statements import sql

# How often nodes are asked while they catch up, and how soon differing tables are read again.
PAUSE_SECONDS = 0.2

_POSITION = "SELECT pg_current_wal_insert_lsn()::text AS lsn"
_LEFT = """
SELECT coalesce(max(greatest(pg_wal_lsn_diff(%(lsn)s::pg_lsn, confirmed_flush_lsn), 0)), -1)::bigint AS bytes
FROM pg_replication_slots WHERE slot_name = %(slot)s
"""
# The tables that are replicated, with the columns that decide whether two rows are the same.
_TABLES = """
SELECT DISTINCT p.schemaname AS schema, p.tablename AS name,
       (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = format('%%I.%%I', p.schemaname, p.tablename)::regclass
          AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND a.attname = ANY (p.attnames)) AS columns
FROM pg_publication_tables p
WHERE p.pubname = ANY (%(publications)s) AND p.schemaname <> 'multimaster'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class Direction:
    """From one node to the other: the slot is on the node that writes."""

    publisher: Connection
    slot: str
    position: str = ""

    def begin(self) -> None:
        self.position = self.publisher.fetch_value(_POSITION)

    def left(self) -> int:
        """Bytes of WAL up to the position at the beginning that the other node has not confirmed."""
        left = self.publisher.fetch_value(_LEFT, {"lsn": self.position, "slot": self.slot})
        if left < 0:
            raise MultimasterError(f"There is no slot {self.slot} on {self.publisher.where}: run site.yml to repair it.")
        return left


def catch_up(directions: t.Sequence[Direction], seconds: float) -> tuple[int, bool]:
    """Bytes left of what was written before now, after at most so many seconds, and whether one direction did not move at all.

    Each direction is looked at by itself: one that moves must not hide one that stands still.
    """
    for direction in directions:
        direction.begin()
    limit = time.monotonic() + seconds
    first = left = [direction.left() for direction in directions]
    while any(left) and time.monotonic() < limit:
        time.sleep(PAUSE_SECONDS)
        left = [direction.left() for direction in directions]
    return sum(left), any(now and now >= before for before, now in zip(first, left))


def replicated(connection: Connection, publications: t.Sequence[str]) -> list[Table]:
    rows = connection.fetch(_TABLES, {"publications": list(publications)})
    return [Table(row["schema"], row["name"], tuple(row["columns"])) for row in rows]


def differing(
    here: Connection, there: Connection, tables: t.Sequence[Table], seconds: float
) -> tuple[list[dict[str, t.Any]], int]:
    """The tables whose rows differ, and the number of all rows.

    A table that is written to differs for as long as a change is on its way. It is read again, on both sides at the same moment,
    until it is equal once or so many seconds have gone by.
    """
    limit = time.monotonic() + seconds
    rows: dict[Table, int] = {}
    left = list(tables)
    while True:
        found = {}
        with ThreadPoolExecutor(2) as pool:
            for table in left:
                mine, theirs = pool.map(lambda side, table=table: _summary(side, table), (here, there))
                rows[table] = mine["rows"]
                if mine != theirs:
                    found[table] = {"table": str(table), "rows_here": mine["rows"], "rows_there": theirs["rows"]}
        left = list(found)
        if not left or time.monotonic() > limit:
            return list(found.values()), sum(rows.values())
        time.sleep(PAUSE_SECONDS)


def _summary(connection: Connection, table: Table) -> dict[str, t.Any]:
    """How many rows, and a sum over their hashes, which does not depend on their order."""
    row = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)
    query = sql.SQL(
        "SELECT count(*) AS rows, coalesce(sum(hashtextextended(ROW({})::text, 0)), 0)::text AS hash FROM {}"
    ).format(row, sql.Identifier(table.schema, table.name))
    return connection.fetch_one(query)
