# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Work on a slot of the peer that takes its time: making one, dropping one, waiting for one to be free."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.session import Peer
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import CREATE, DROP
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.statements import SlotStatement

OBJECT_IN_USE = "55006"
QUERY_CANCELED = "57014"
UNDEFINED_OBJECT = "42704"

_LOOK_EVERY = 0.1

# Where in another session's statement a secret may follow: ALTER ROLE .. PASSWORD, a connection string, a user mapping.
_SECRET = re.compile("password|passwd|pwd|passphrase|secret|token|://", re.IGNORECASE)

# Whom the creation waits for. What the role may not see (pg_read_all_stats shows it) comes back as NULL.
# A prepared transaction holds it up without any process.
_BLOCKERS = """
SELECT b.pid, a.usename::text AS "user", a.datname::text AS database, a.application_name AS application,
       extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds, a.state,
       CASE WHEN a.query <> '<insufficient privilege>' THEN left(a.query, 200) END AS query
  FROM unnest(pg_blocking_pids(%(pid)s)) b(pid)
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 WHERE b.pid <> 0
UNION ALL
SELECT NULL, p.owner::text, p.database::text, 'prepared transaction ' || p.gid,
       extract(epoch FROM clock_timestamp() - p.prepared)::int, 'prepared', NULL
  FROM pg_prepared_xacts p
 WHERE 0 = ANY (pg_blocking_pids(%(pid)s))
"""


def run(peer: Peer, statement: SlotStatement, seconds: int) -> None:
    """Run a slot's statement within the limit."""
    if statement.action == CREATE:
        _create(peer, statement, seconds)
    elif statement.action == DROP:
        drop(peer, statement, seconds)
    else:
        peer.run(lambda connection: _limited(connection, statement, seconds), seconds)


def _limited(connection: Connection, statement: SlotStatement, seconds: int) -> None:
    # The server ends it even if this process is killed: within a second, or at the limit.
    connection.execute(f"SET statement_timeout = '{seconds}s'; SET client_connection_check_interval = '1s'")
    connection.execute(statement.command)


def _create(peer: Peer, statement: SlotStatement, seconds: int) -> None:
    """PostgreSQL waits for all transactions that run on the peer. When it gives up, the half-made slot is gone."""
    pid = peer.run(lambda connection: connection.fetch_value("SELECT pg_backend_pid()"))
    job = peer.start(lambda connection: _limited(connection, statement, seconds))
    blockers: list[dict[str, t.Any]] = []
    observer = None
    try:
        while not job.finished(1):
            if observer is None:
                observer = peer.another()
            found = observer.run(lambda connection: connection.fetch(_BLOCKERS, {"pid": pid}))
            blockers = [{**each, "query": without_secrets(each["query"])} for each in found] or blockers
        job.result()
    except MultimasterError as error:
        if error.details.get("sqlstate") != QUERY_CANCELED:
            raise
        raise MultimasterError(
            f"The slot {statement.slot} could not be made on the peer within {seconds} s (slot_timeout), because it must "
            f"wait for transactions that run there: {_described(blockers, seconds)}. Nothing was left behind. "
            "End them or wait, and run this again.",
            blockers=blockers,
        ) from None
    finally:
        if observer is not None:
            observer.close()


def without_secrets(query: str | None) -> str | None:
    """Another session's statement up to where a secret may follow: nobody knows where that ends."""
    found = _SECRET.search(query) if query else None
    return query if query is None or found is None else query[: found.end()] + " ********"


def _described(blockers: list[dict[str, t.Any]], seconds: int) -> str:
    if not blockers:
        return "which ones could not be seen"
    texts = []
    for each in blockers:
        who = f"process {each['pid']}" if each["pid"] is not None else each["application"]
        user = f" of user {shown(each['user'])}" if each["user"] else ""
        database = f" in database {shown(each['database'])}" if each["database"] else ""
        # Without pg_read_all_stats its age is not shown: it is at least as old as the wait.
        age = f"open for {each['seconds']} s" if each["seconds"] is not None else f"open for more than {seconds} s"
        state = f", {each['state']}" if each["state"] and each["pid"] is not None else ""
        query = f", last query: {' '.join(each['query'].split())}" if each["query"] else ""
        texts.append(f"{who}{user}{database} ({age}{state}{query})")
    return "; ".join(texts)


def drop(peer: Peer, statement: SlotStatement, seconds: int) -> None:
    """A slot whose subscriber has just gone is in use for a moment longer."""
    limit = time.monotonic() + seconds
    while True:
        try:
            peer.run(lambda connection: _limited(connection, statement, seconds), seconds)
            return
        except MultimasterError as error:
            if error.details.get("sqlstate") == UNDEFINED_OBJECT:
                return
            if error.details.get("sqlstate") != OBJECT_IN_USE or time.monotonic() > limit:
                raise
        time.sleep(_LOOK_EVERY)


def wait_until_free(peer: Peer, slot: str, seconds: float) -> None:
    """Until nothing uses the slot, or the time is over: the caller looks again and decides."""
    limit = time.monotonic() + seconds
    query = "SELECT count(*) AS n FROM pg_replication_slots WHERE slot_name = %s AND active"
    while peer.run(lambda connection: connection.fetch_value(query, [slot])) and time.monotonic() < limit:
        time.sleep(_LOOK_EVERY)
