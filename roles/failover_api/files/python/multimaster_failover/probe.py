# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node says of itself, five times a second, over a connection of its own."""

from __future__ import annotations

import asyncio
import typing as t
from dataclasses import dataclass, field

import psycopg

from .connection import Connection, Deadline, NoAnswer, Patience, connect, discard, is_quiet

# Open to every role: no privilege is needed for any of it.
# The slots are read before the positions: whatever a subscriber has confirmed by then lies before the insert position. Not so
# before the one up to which WAL is flushed: with a WAL switch a subscriber confirms the end of the segment, and that one stays
# inside it. But only what is flushed can be waited for: on an idle node the insert position is a page header past all that is
# ever confirmed.
_QUERY = """
SELECT pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('transaction_read_only') = 'on',
       CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() - '0/0' END::text,
       CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() - '0/0' END::text,
       pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text,
       pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text,
       published.slots,
       (SELECT pg_catalog.json_object_agg(s.subslotname, s.oid::pg_catalog.int8)
        FROM pg_catalog.pg_subscription AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
        WHERE s.subslotname IS NOT NULL AND d.datname = pg_catalog.current_database())
FROM (SELECT pg_catalog.json_object_agg(s.slot_name, pg_catalog.json_build_array(
                 (s.confirmed_flush_lsn - '0/0')::text, s.active, s.wal_status)) AS slots
      FROM pg_catalog.pg_replication_slots AS s
      WHERE s.slot_type = 'logical' AND s.database = pg_catalog.current_database()) AS published
"""
# Asked once for each connection: a server does not change it, and reads a file for it.
_IDENTITY = "SELECT system_identifier::text, pg_catalog.pg_postmaster_start_time()::text FROM pg_catalog.pg_control_system()"


@dataclass(frozen=True)
class Slot:
    """How far a subscriber has confirmed what this node wrote, as a position in bytes."""

    confirmed: int
    active: bool
    lost: bool


@dataclass(frozen=True)
class Report:
    """A node's answer: its position in the WAL in bytes, the slots of its subscribers, and its own subscriptions.

    ``position`` is what is flushed, which subscribers can confirm; ``inserted`` is the end of the WAL, flushed or not.
    ``subscriptions``: the oid of each by the name of its slot. ``system_id`` is the server's system identifier, ``server_start``
    when it was started. All transactions before ``ended_xid`` had ended, none had a number from ``next_xid`` on. ``connection``
    numbers the connections that were asked over.
    """

    started: float
    finished: float
    read_only: bool
    position: int
    slots: t.Mapping[str, Slot] = field(default_factory=dict)
    subscriptions: t.Mapping[str, int] = field(default_factory=dict)
    system_id: str = ""
    server_start: str = ""
    inserted: int = 0
    ended_xid: int = 0
    next_xid: int = 0
    connection: int = 0

    @property
    def end(self) -> int:
        """Nothing that anybody has read of this node lies behind it."""
        return max(self.position, self.inserted)

    @property
    def seconds(self) -> float:
        return self.finished - self.started


def read_report(
    row: t.Sequence[t.Any], started: float, finished: float, *, system_id: str = "", server_start: str = "", connection: int = 0
) -> Report:
    read_only, position, inserted, ended_xid, next_xid, slots, subscriptions = row
    found = {
        name: Slot(int(confirmed or 0), bool(active), status == "lost")
        for name, (confirmed, active, status) in (slots or {}).items()
    }
    return Report(
        started,
        finished,
        bool(read_only),
        int(position or 0),
        found,
        subscriptions or {},
        system_id,
        server_start,
        int(inserted or 0),
        int(ended_xid),
        int(next_xid),
        connection,
    )


class Probe:
    """Asks one node. Not for two callers at a time."""

    def __init__(self, conninfo: str, patience: Patience) -> None:
        self._conninfo = conninfo
        self._patience = patience
        self._connection: Connection | None = None
        self._system_id = self._server_start = ""
        self._connections = 0

    async def ask(self, timeout: float) -> Report:
        """The node's answer, for which a connection is waited for so long at most.

        Raises psycopg.Error or OSError where it cannot be had, NoAnswer where none came. A connection that turns out to be broken
        is made anew once: somebody may have ended just this session.
        """
        reused = self._connection is not None
        try:
            return await self._ask(timeout)
        except NoAnswer:
            raise
        except psycopg.OperationalError:
            if not reused:
                raise
        return await self._ask(timeout)

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection that the server has not closed."""
        return self._connection is not None and is_quiet(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            discard(self._connection)
            self._connection = None

    async def _ask(self, timeout: float) -> Report:
        loop = asyncio.get_running_loop()
        if self._connection is None:
            self._connection = await connect(self._conninfo, self._patience)
            self._connections += 1
            self._system_id, self._server_start = await self._row(self._connection, _IDENTITY, timeout)
        started = loop.time()
        row = await self._row(self._connection, _QUERY, timeout)
        return read_report(
            row,
            started,
            loop.time(),
            system_id=self._system_id,
            server_start=self._server_start,
            connection=self._connections,
        )

    async def _row(self, connection: Connection, query: str, timeout: float) -> t.Sequence[t.Any]:
        with Deadline(connection, timeout) as deadline:
            try:
                cursor = await connection.execute(query)
                row = await cursor.fetchone()
            except BaseException:
                self.close()
                if deadline.expired:
                    raise NoAnswer("no answer in time") from None
                raise
        assert row is not None  # noqa: S101 - both queries have one row
        return row
