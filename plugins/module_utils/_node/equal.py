# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether two nodes have caught up with each other, and whether their tables are equal."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import sql

# How often nodes are asked while they catch up, and how soon differing tables are read again.
PAUSE_SECONDS = 0.2

# Where tables differ, rows are looked at in groups by their hashes: of the groups that differ, as many as hold so many rows.
_GROUPS = 1024
_ROWS_LOOKED_AT = 200_000

_POSITION = "SELECT pg_current_wal_insert_lsn()::text AS lsn"
# What the publisher knows of its slot: what is not confirmed, and how far the changes before the position have been read.
_LEFT = """
SELECT coalesce(max(greatest(pg_wal_lsn_diff(%(lsn)s::pg_lsn, s.confirmed_flush_lsn), 0)), -1)::bigint AS bytes,
       max(pg_wal_lsn_diff(least(r.sent_lsn, %(lsn)s::pg_lsn), '0/0'))::bigint AS sent
FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
WHERE s.slot_name = %(slot)s
"""
# What the subscriber knows of its worker: when what it works on was sent, unless that only said that the publisher lives; and
# whether it waits for the end of a transaction that another worker of it applies, which waits for nobody.
_WORKER = """
SELECT w.pid,
       CASE WHEN w.last_msg_send_time > coalesce(w.latest_end_time, '-infinity') THEN w.last_msg_send_time::text END AS data,
       EXISTS (SELECT FROM pg_locks l WHERE l.pid = w.pid AND NOT l.granted AND l.locktype = 'applytransaction')
       AND NOT EXISTS (SELECT FROM pg_stat_get_subscription(s.oid) p JOIN pg_locks l ON l.pid = p.pid AND NOT l.granted
                       WHERE p.leader_pid = w.pid) AS waits_for_parallel
FROM pg_subscription s JOIN pg_stat_get_subscription(s.oid) w ON w.relid IS NULL AND w.leader_pid IS NULL
WHERE s.subslotname = %(slot)s AND w.pid IS NOT NULL
  AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
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


class Look(t.NamedTuple):
    """One direction at one moment. Without a worker there is nothing but the bytes."""

    left: int
    worker: int | None = None
    sent: int | None = None
    data: str | None = None
    waits_for_parallel: bool = False


@dataclass
class Direction:
    """From one node to the other: the slot is on the node that writes."""

    publisher: Connection
    subscriber: Connection
    slot: str
    position: str = ""

    def begin(self) -> None:
        self.position = self.publisher.fetch_value(_POSITION)

    def look(self) -> Look:
        """How many bytes of WAL up to the position at the beginning the other node has not confirmed, and what moves."""
        there = self.publisher.fetch_one(_LEFT, {"lsn": self.position, "slot": self.slot})
        if there["bytes"] < 0:
            raise MultimasterError(f"There is no slot {self.slot} on {self.publisher.where}: run site.yml to repair it.")
        if not there["bytes"]:
            return Look(0)
        for worker in self.subscriber.fetch(_WORKER, {"slot": self.slot}):
            return Look(there["bytes"], worker["pid"], there["sent"], worker["data"], worker["waits_for_parallel"])
        return Look(there["bytes"])


@dataclass
class Movement:
    """Whether a direction gets on, from one look after the other.

    A transaction is confirmed as a whole, and a large one takes its time: until then it is read, sent and applied. A worker
    that fails does that as well, and begins again and again: what moves counts as long as it is one worker's.
    """

    first: Look
    last: Look
    moves: bool = False
    workers: set[int] = field(default_factory=set)

    @classmethod
    def begin(cls, look: Look) -> Movement:
        return cls(look, look, workers={look.worker} if look.worker else set())

    def see(self, look: Look) -> None:
        before, self.last = self.last, look
        if look.worker is None:
            return
        self.workers.add(look.worker)
        if look.worker == before.worker:
            read_more = look.sent is not None and before.sent is not None and look.sent > before.sent
            got_more = look.data is not None and look.data != before.data
            self.moves = self.moves or read_more or got_more or look.waits_for_parallel

    @property
    def stalled(self) -> bool:
        gets_on = self.moves and len(self.workers) == 1
        return self.last.left > 0 and self.last.left >= self.first.left and not gets_on


@dataclass
class Difference:
    """A table that differs. How many rows the other node has had all along, as they are, is not known of a busy one."""

    table: Table
    rows_here: int
    rows_there: int
    missing_here: int | None = None
    missing_there: int | None = None

    @property
    def result(self) -> dict[str, t.Any]:
        return {
            "table": str(self.table),
            "rows_here": self.rows_here,
            "rows_there": self.rows_there,
            "missing_here": self.missing_here,
            "missing_there": self.missing_there,
        }


def catch_up(directions: t.Sequence[Direction], seconds: float) -> tuple[int, bool]:
    """Bytes left of what was written before now, after at most so many seconds, and whether one direction did not move at all.

    Each direction is looked at by itself: one that moves must not hide one that stands still.
    """
    for direction in directions:
        direction.begin()
    limit = time.monotonic() + seconds
    movements = [Movement.begin(direction.look()) for direction in directions]
    while any(movement.last.left for movement in movements) and time.monotonic() < limit:
        time.sleep(PAUSE_SECONDS)
        for direction, movement in zip(directions, movements):
            movement.see(direction.look())
    return sum(movement.last.left for movement in movements), any(movement.stalled for movement in movements)


def replicated(connection: Connection, publications: t.Sequence[str]) -> list[Table]:
    rows = connection.fetch(_TABLES, {"publications": list(publications)})
    return [Table(row["schema"], row["name"], tuple(row["columns"])) for row in rows]


def differing(here: Connection, there: Connection, tables: t.Sequence[Table], seconds: float) -> tuple[list[Difference], int]:
    """The tables whose rows differ, and the number of all rows.

    A table that is written to differs for as long as a change is on its way. It is read again, on both sides at the same moment,
    until it is equal once or so many seconds have gone by.
    """
    limit = time.monotonic() + seconds
    rows: dict[Table, int] = {}
    left = list(tables)
    while True:
        found = []
        for table in left:
            mine, theirs = _on_both(_summary, here, there, table)
            rows[table] = mine["rows"]
            if mine != theirs:
                found.append(Difference(table, mine["rows"], theirs["rows"]))
        left = [difference.table for difference in found]
        if not left or time.monotonic() > limit:
            return found, sum(rows.values())
        time.sleep(PAUSE_SECONDS)


def count_missing(
    here: Connection, there: Connection, directions: t.Sequence[Direction], differences: t.Sequence[Difference], seconds: float
) -> None:
    """Tell rows that one node lacks from those that are on their way.

    A row that was there before both nodes caught up, and still is after they did so once more, had the time to arrive. Nothing is
    counted where they do not catch up in so many seconds. Of a table that differs a lot, some of the rows are looked at.
    """
    groups = {}
    for each in differences:
        mine, theirs = _on_both(_grouped, here, there, each.table)
        groups[each.table] = _to_look_at(mine, theirs)

    def read() -> dict[Table, tuple[set[int], set[int]]]:
        return {table: _on_both(_hashes, here, there, table, numbers) for table, numbers in groups.items()}

    first = read()
    if catch_up(directions, seconds)[0]:
        return
    second = read()
    if catch_up(directions, seconds)[0]:
        return
    third = read()
    for each in differences:
        (my_first, their_first), (my_next, their_next) = first[each.table], second[each.table]
        my_last, their_last = third[each.table]
        each.missing_here = len((their_first & their_last) - my_next - my_last)
        each.missing_there = len((my_first & my_last) - their_next - their_last)


def _to_look_at(mine: t.Mapping[int, tuple[int, str]], theirs: t.Mapping[int, tuple[int, str]]) -> list[int]:
    """Groups that differ, of which each has its number of rows and the sum of their hashes."""
    chosen, rows = [], 0
    for group in sorted(mine.keys() | theirs.keys()):
        here, there = mine.get(group, (0, "")), theirs.get(group, (0, ""))
        if here != there and rows < _ROWS_LOOKED_AT:
            chosen.append(group)
            rows += max(here[0], there[0])
    return chosen


_Read = t.TypeVar("_Read")


def _on_both(
    read: t.Callable[..., _Read], here: Connection, there: Connection, *arguments: t.Any
) -> tuple[_Read, _Read]:
    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(lambda side: read(side, *arguments), (here, there))
    return mine, theirs


def _summary(connection: Connection, table: Table) -> dict[str, t.Any]:
    """How many rows, and a sum over their hashes, which does not depend on their order."""
    return connection.fetch_one(
        sql.SQL("SELECT count(*) AS rows, coalesce(sum(hash), 0)::text AS hash FROM ({}) hashed").format(_hashed(table))
    )


def _grouped(connection: Connection, table: Table) -> dict[int, tuple[int, str]]:
    query = sql.SQL("SELECT hash & {} AS number, count(*) AS rows, sum(hash)::text AS hash FROM ({}) hashed GROUP BY 1").format(
        sql.Literal(_GROUPS - 1), _hashed(table)
    )
    return {row["number"]: (row["rows"], row["hash"]) for row in connection.fetch(query)}


def _hashes(connection: Connection, table: Table, groups: list[int]) -> set[int]:
    query = sql.SQL("SELECT hash FROM ({}) hashed WHERE hash & {} = ANY ({}::bigint[])").format(
        _hashed(table), sql.Literal(_GROUPS - 1), sql.Literal(groups)
    )
    return {row["hash"] for row in connection.fetch(query)}


def _hashed(table: Table) -> sql.Composed:
    """A query that yields each row's hash. The text of a row is the same in every session, see _connection."""
    row = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)
    return sql.SQL("SELECT hashtextextended(ROW({})::text, 0) AS hash FROM {}").format(
        row, sql.Identifier(table.schema, table.name)
    )
