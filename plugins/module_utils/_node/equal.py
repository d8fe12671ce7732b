# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether two nodes have caught up with each other, and whether their tables are equal.

Rows are read with COPY and hashed here. A query of a table would let its owner's code run as whoever reads: the planner
evaluates the expressions of its indexes and statistics, and in the table's place there may be a view by then. COPY of a table
runs the types' output functions alone, which are the server's own or a superuser's, and is refused by the server where row
security would leave rows out.
"""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql

# How often nodes are asked while they catch up, and how soon differing tables are read again.
PAUSE_SECONDS = 0.2

# Where tables differ, rows are looked at in groups by their hashes: of the groups that differ, as many as hold so many rows.
_GROUPS = 1024
_ROWS_LOOKED_AT = 200_000

# A position that is confirmed for certain: a transaction of its own, which is there and flushed, and everything that was
# committed before is in front of it. The ends of what is inserted or written, which the server tells, need never be: they can be
# behind a page's header, or inside a record that nobody has committed. A message without a word leaves no row, and is not sent.
_POSITION = "SELECT pg_catalog.pg_logical_emit_message(true, 'multimaster', '')::text AS lsn"
# Nobody else's settings may keep it from being written, or let it wait for a standby.
_MAY_WRITE = "SET TRANSACTION READ WRITE; SET LOCAL synchronous_commit = local"
# All partitions at one moment.
_AT_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# As where row security would leave rows out.
_MAY_NOT_READ = "42501"
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
WHERE p.pubname = ANY (%(publications)s) AND p.schemaname <> 'multimaster' AND p.rowfilter IS NULL
ORDER BY 1, 2
"""
# The tables that hold the rows of each: itself, or the partitions of a partitioned one.
_HOLDERS = """
SELECT w.number, n.nspname AS schema, c.relname AS name
FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY w (schema, name, number)
JOIN pg_namespace s ON s.nspname = w.schema
JOIN pg_class t ON t.relnamespace = s.oid AND t.relname = w.name
CROSS JOIN LATERAL (SELECT p.relid FROM pg_partition_tree(t.oid) p WHERE t.relkind = 'p'
                    UNION ALL SELECT t.oid WHERE t.relkind <> 'p') l
JOIN pg_class c ON c.oid = l.relid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1, 2, 3
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
        with self.publisher.transaction():
            self.publisher.execute(_MAY_WRITE)
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
    # Of hashes, where they differ.
    groups: t.Sequence[int] = ()
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
    return [Table(row["schema"], row["name"], tuple(row["columns"] or ())) for row in rows]


@dataclass
class Side:
    """The tables of one node: where its rows are, and how they are read."""

    connection: Connection
    holders: dict[Table, list[tuple[str, str]]]

    @classmethod
    def of(cls, connection: Connection, tables: t.Sequence[Table]) -> Side:
        names = {"schemas": [table.schema for table in tables], "names": [table.name for table in tables]}
        holders: dict[Table, list[tuple[str, str]]] = {table: [] for table in tables}
        for row in connection.fetch(_HOLDERS, names):
            holders[tables[row["number"] - 1]].append((row["schema"], row["name"]))
        return cls(connection, holders)

    def read(self, table: Table, rows: _Rows) -> None:
        """All rows of the table as they are at one moment."""
        columns = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)
        listed = compose("({})", columns) if table.columns else sql.SQL("")
        with self.connection.transaction():
            self.connection.execute(_AT_ONE_MOMENT)
            for holder in self.holders[table]:
                self.connection.copy_out(compose("COPY {} {} TO STDOUT", holder, listed), rows)


class _Rows(t.Protocol):
    """What COPY writes to, row by row."""

    def write(self, row: bytes, /) -> t.Any: ...


class _Summary:
    """How many rows, and a sum over their hashes, which does not depend on their order, for each group of hashes.

    Hashes of this process alone: they are Python's own, and nobody can foresee them.
    """

    def __init__(self) -> None:
        self.counts, self.sums = [0] * _GROUPS, [0] * _GROUPS

    def write(self, row: bytes) -> None:
        number = hash(row)
        group = number % _GROUPS
        self.counts[group] += 1
        self.sums[group] += number

    @property
    def rows(self) -> int:
        return sum(self.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Summary) and (self.counts, self.sums) == (other.counts, other.sums)

    __hash__ = None  # type: ignore[assignment]


class _Hashes:
    """The hashes of the rows of some groups."""

    def __init__(self, groups: t.Collection[int]) -> None:
        self._groups = frozenset(groups)
        self.found: set[int] = set()

    def write(self, row: bytes) -> None:
        number = hash(row)
        if number % _GROUPS in self._groups:
            self.found.add(number)


@dataclass
class Comparison:
    """``rows``: on this node, of the tables that were read. ``unread``: why a table cannot be."""

    rows: dict[Table, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unread: dict[Table, str] = field(default_factory=dict)

    def look(self, here: Side, there: Side, tables: t.Iterable[Table]) -> None:
        self.differences = []
        for table in tables:
            try:
                mine, theirs = _read_both(here, there, table, _Summary)
            except MultimasterError as error:
                if error.details.get("sqlstate") != _MAY_NOT_READ:
                    raise
                self.unread[table] = str(error)
                continue
            self.rows[table] = mine.rows
            if mine != theirs:
                self.differences.append(Difference(table, mine.rows, theirs.rows, _to_look_at(mine, theirs)))


def compare(here: Side, there: Side, tables: t.Sequence[Table], seconds: float) -> Comparison:
    """Which tables differ.

    A table that is written to differs for as long as a change is on its way. It is read again, on both sides at the same moment,
    until it is equal once or so many seconds have gone by.
    """
    limit = time.monotonic() + seconds
    comparison = Comparison()
    comparison.look(here, there, tables)
    while comparison.differences and time.monotonic() <= limit:
        time.sleep(PAUSE_SECONDS)
        comparison.look(here, there, [difference.table for difference in comparison.differences])
    return comparison


def count_missing(
    here: Side, there: Side, directions: t.Sequence[Direction], differences: t.Sequence[Difference], seconds: float
) -> None:
    """Tell rows that one node lacks from those that are on their way.

    A row that was there before both nodes caught up, and still is after they did so once more, had the time to arrive. Nothing is
    counted where they do not catch up in so many seconds. Of a table that differs a lot, some of the rows are looked at.
    """

    def read() -> dict[Table, tuple[set[int], set[int]]]:
        found = {}
        for each in differences:
            mine, theirs = _read_both(here, there, each.table, partial(_Hashes, each.groups))
            found[each.table] = (mine.found, theirs.found)
        return found

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


def _to_look_at(mine: _Summary, theirs: _Summary) -> list[int]:
    """Groups that differ."""
    chosen, rows = [], 0
    for group in range(_GROUPS):
        here, there = (mine.counts[group], mine.sums[group]), (theirs.counts[group], theirs.sums[group])
        if here != there and rows < _ROWS_LOOKED_AT:
            chosen.append(group)
            rows += max(here[0], there[0])
    return chosen


_Reader = t.TypeVar("_Reader", bound=_Rows)


def _read_both(here: Side, there: Side, table: Table, reader: t.Callable[[], _Reader]) -> tuple[_Reader, _Reader]:
    """On both sides at the same moment."""
    readers = reader(), reader()
    with ThreadPoolExecutor(2) as pool:
        for _done in pool.map(lambda side, rows: side.read(table, rows), (here, there), readers):
            pass
    return readers
