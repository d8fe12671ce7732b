# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Looking at subscriptions until it is known whether they get on: once where nothing ever failed, for seconds where it did."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import Look, Progress, Publisher, Watched
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.server_log import last_failure, open_log

# A worker that fails is started again after wal_retrieve_retry_interval. To see that twice takes two of them and more.
_LEAST_SECONDS, _PAUSE_SECONDS = 3.0, 0.2
_CONNECT_SECONDS = "3"
# A subscriber that is started anew takes its slot again within this.
_SLOT_SECONDS, _SLOT_STEADY_SECONDS = 2.0, 0.8
_SESSIONS = 8

_TIMES = """
SELECT (SELECT setting::float / 1000 FROM pg_settings WHERE name = 'wal_retrieve_retry_interval') AS retry,
       (SELECT setting::float / 1000 FROM pg_settings WHERE name = 'wal_receiver_timeout') AS receiver
"""

# An idle worker of an idle peer waits in its main loop. Who may not read an activity, or a position, gets NULL.
_LOOKS = """
SELECT s.oid::bigint AS oid, w.pid, w.received_lsn::text AS received, w.latest_end_lsn::text AS confirmed,
       extract(epoch FROM clock_timestamp() - a.backend_start)::float AS age,
       extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time)::float AS silence,
       a.wait_event = 'LogicalApplyMain' AS is_idle,
       CASE WHEN a.wait_event_type = 'Lock' THEN
           (SELECT string_agg(format('pid %%s (user %%s, %%s, in a transaction for %%s s)', b.pid, b.usename, b.state,
                                     extract(epoch FROM clock_timestamp() - b.xact_start)::int), ', ')
            FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(w.pid))) END AS waits_for,
       coalesce((e.stats ->> 'apply_error_count')::bigint, 0) AS errors,
       coalesce((e.stats ->> 'sync_error_count')::bigint, (e.stats ->> 'sync_table_error_count')::bigint, 0) AS copy_errors,
       {applied} AS applied
  FROM pg_subscription s
  LEFT JOIN pg_stat_get_subscription(NULL) w ON w.subid = s.oid AND w.relid IS NULL AND w.leader_pid IS NULL AND w.pid IS NOT NULL
  LEFT JOIN pg_stat_activity a ON a.pid = w.pid
  LEFT JOIN LATERAL (SELECT to_jsonb(c) AS stats FROM pg_stat_get_subscription_stats(s.oid) c) e ON true
  {join}
 WHERE s.oid = ANY (%s::oid[])
"""
_POSITIONS = "LEFT JOIN pg_show_replication_origin_status() o ON o.external_id = 'pg_' || s.oid"

_PUBLISHER = """
SELECT pg_current_wal_flush_lsn()::text AS flushed, s.confirmed_flush_lsn::text AS confirmed, s.slot_name, s.wal_status,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float AS age
  FROM (SELECT) one LEFT JOIN pg_replication_slots s ON s.slot_name = %s
"""

# The time is that of the commit on the peer. Transactions that are older than so many of all nodes' are not looked for.
_LAST_APPLIED = """
SELECT o.roname, max(c.timestamp)::text AS applied_at
  FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) n
 CROSS JOIN LATERAL generate_series(greatest(n.next - 200000, 3), n.next - 1) x
 CROSS JOIN LATERAL pg_xact_commit_timestamp_origin((x %% 4294967296)::text::xid) c
  JOIN pg_replication_origin o ON o.roident = c.roident AND o.roname = ANY (%s)
 WHERE current_setting('track_commit_timestamp')::bool
 GROUP BY o.roname
"""

_SLOTS = "SELECT slot_name, active_pid FROM pg_replication_slots WHERE slot_name = ANY (%s)"

AWAY, UNSTEADY, BACK = "away", "unsteady", "back"


class Subject(t.NamedTuple):
    """An enabled subscription that is looked at."""

    oid: int
    slot_name: str | None
    conninfo: str | None
    is_copying: bool


def watch(connection: Connection, subjects: t.Sequence[Subject], reads_positions: bool, patience: float) -> dict[int, Progress]:
    """How each of these gets on, by the subscription's oid. ``patience``: seconds to look at those in doubt at most."""
    if not subjects:
        return {}
    query = _LOOKS.format(applied="o.remote_lsn::text" if reads_positions else "NULL", join=_POSITIONS if reads_positions else "")

    def look(oids: t.Iterable[int]) -> dict[int, Look]:
        rows = connection.fetch(query, [list(oids)])
        return {row.pop("oid"): Look(**{**row, "is_idle": bool(row["is_idle"])}) for row in rows}

    times = connection.fetch_one(_TIMES)
    by_oid = {subject.oid: subject for subject in subjects}
    first = look(by_oid)
    failed = [oid for oid, each in first.items() if each.errors or each.copy_errors]
    log = open_log(connection) if failed else None
    watched = {
        oid: Watched(
            each,
            last_failure(log, oid) if log and oid in failed else None,
            log is not None,
            by_oid[oid].is_copying,
            times["receiver"],
        )
        for oid, each in first.items()
    }
    known = {oid: progress for oid, each in watched.items() for progress in [each.quickly()] if progress}
    open_ = [oid for oid in watched if oid not in known]
    if not open_:
        return known
    if patience:
        _ask_publishers(by_oid, watched, open_)
    end = time.monotonic() + min(patience, max(_LEAST_SECONDS, 2.5 * times["retry"] + 1))
    while open_ and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
        for oid, each in look(open_).items():
            watched[oid].add(each)
            progress = watched[oid].meanwhile()
            if progress:
                known[oid] = progress
        open_ = [oid for oid in open_ if oid not in known]
    if patience:
        _ask_publishers(by_oid, watched, open_)
    for oid in open_:
        if log and patience:
            watched[oid].failure = last_failure(log, oid)
        known[oid] = watched[oid].finally_()
    return known


def watch_slots(connection: Connection, names: t.Sequence[str], patience: float) -> dict[str, str]:
    """Of slots that nobody used at one moment: whether nobody does, one comes and goes, or one has come back."""
    seen: dict[str, list[int | None]] = {name: [] for name in names}
    end = time.monotonic() + min(patience, _SLOT_SECONDS)
    steady = int(_SLOT_STEADY_SECONDS / _PAUSE_SECONDS)
    while names and time.monotonic() < end:
        for row in connection.fetch(_SLOTS, [list(names)]):
            seen[row["slot_name"]].append(row["active_pid"])
        if all(len(pids) >= steady and pids[-1] and len(set(pids[-steady:])) == 1 for pids in seen.values()):
            break
        time.sleep(_PAUSE_SECONDS)
    return {name: _steadiness(pids) for name, pids in seen.items()}


def _steadiness(pids: t.Sequence[int | None]) -> str:
    """From the processes that had the slot, in order."""
    ended = sum(1 for one, next_ in zip(pids, pids[1:]) if one is not None and next_ != one)
    if not any(pids):
        return AWAY
    return BACK if pids[-1] and ended < 2 else UNSTEADY


def last_applied(connection: Connection, oids: t.Sequence[int]) -> dict[int, str]:
    """When the last transaction that these subscriptions have applied was made on the peer, where that can still be told."""
    try:
        rows = connection.fetch(_LAST_APPLIED, [[f"pg_{oid}" for oid in oids]]) if oids else []
    except MultimasterError:
        return {}
    return {int(row["roname"][3:]): row["applied_at"] for row in rows}


def _ask_publishers(by_oid: dict[int, Subject], watched: dict[int, Watched], oids: t.Sequence[int]) -> None:
    """At the same moment: one that does not answer holds up the others no longer than itself."""
    asked = [oid for oid in oids if by_oid[oid].conninfo]
    if not asked:
        return
    with ThreadPoolExecutor(_SESSIONS) as pool:
        for oid, publisher in zip(asked, pool.map(lambda oid: _ask(by_oid[oid]), asked)):
            watched[oid].publishers.append(publisher)


def _ask(subject: Subject) -> Publisher:
    """The peer, as the subscription reaches it."""
    parameters = {**_conninfo.parse(subject.conninfo or ""), "connect_timeout": _CONNECT_SECONDS}
    try:
        connection = Connection(parameters, kind="look")
    except MultimasterError as error:
        return Publisher(str(error))
    try:
        row = connection.fetch_one(_PUBLISHER, [subject.slot_name])
    except MultimasterError as error:
        return Publisher(str(error))
    finally:
        connection.close()
    problem = None
    if row["slot_name"] is None and subject.slot_name is not None:
        problem = (
            f"The peer has no slot {subject.slot_name}: what it wrote since then cannot be sent, and this node needs a resync."
        )
    elif row["wal_status"] == "lost":
        problem = f"The peer's slot {subject.slot_name} is lost: it was held for too long, and this node needs a resync."
    return Publisher(problem, True, row["flushed"], row["confirmed"], row["age"])
