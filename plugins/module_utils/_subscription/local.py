# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What this node says about a subscription: one round trip."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    ALTERABLE,
    MIN_VERSION,
    Identity,
    Local,
    OtherSubscription,
    OwnerFacts,
    Subscription,
    Wanted,
    Worker,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import LOCALE
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import parse_lsn

INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"

_COLUMNS = {
    "binary": "subbinary",
    "streaming": "substream",
    "synchronous_commit": "subsynccommit",
    "disable_on_error": "subdisableonerr",
    "password_required": "subpasswordrequired",
    "run_as_owner": "subrunasowner",
    "origin": "suborigin",
}
_STREAMING = {"f": "off", "t": "on", "p": "parallel"}

# Runs for one subscription take turns: the lock is tried in a statement of its own, so that what is read
# next was written by whoever held it before. It is the session's, and goes with it even when that is killed.
_LOCK = "SELECT set_config('multimaster.lock', pg_try_advisory_lock(hashtextextended(%(lock)s, 0))::text, false);"

_STATE = f"""
SELECT current_setting('multimaster.lock')::bool AS locked,{LOCALE} AS locale,
       current_database() AS database,
       pg_is_in_recovery() AS standby,
       (SELECT rolsuper FROM pg_authid WHERE rolname = current_user) AS superuser,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       pg_postmaster_start_time()::text AS started,
       current_setting('port')::int AS port,
       current_setting('max_logical_replication_workers')::int AS max_workers,
       (SELECT count(*)::int FROM pg_stat_get_subscription(NULL) WHERE pid IS NOT NULL) AS workers,
       EXISTS (SELECT FROM pg_replication_origin WHERE roname = %(marker)s || current_database()) AS slot_made_here,
       (SELECT jsonb_build_object(
                   'can_login', rolcanlogin,
                   'superuser', rolsuper,
                   'creates_subscriptions', pg_has_role(oid, 'pg_create_subscription', 'USAGE'),
                   'creates_in_database', has_database_privilege(oid, current_database(), 'CREATE'))
          FROM pg_authid WHERE rolname = %(owner)s) AS owner,
       (SELECT jsonb_agg(jsonb_build_array(o.subname, d.datname, o.subslotname, o.subconninfo))
          FROM pg_subscription o JOIN pg_database d ON d.oid = o.subdbid
         WHERE o.subslotname IS NOT NULL
           AND NOT (o.subname = %(name)s AND d.datname = current_database())) AS others,
       (SELECT jsonb_agg(oid::bigint) FROM pg_subscription) AS subscription_oids,
       (SELECT jsonb_agg(evtname ORDER BY evtname)
          FROM pg_event_trigger JOIN pg_proc f ON f.oid = evtfoid JOIN pg_namespace n ON n.oid = f.pronamespace
         WHERE evtenabled <> 'D' AND nspname <> 'multimaster') AS event_triggers,
       (SELECT to_jsonb(s) || jsonb_build_object(
                   'owner', r.rolname,
                   'comment', obj_description(s.oid, 'pg_subscription'),
                   'remote_lsn', (SELECT o.remote_lsn FROM pg_show_replication_origin_status() o
                                   WHERE o.external_id = 'pg_' || s.oid),
                   'worker', (SELECT jsonb_build_object(
                                         'pid', w.pid,
                                         'received_lsn', w.received_lsn,
                                         'age', coalesce(extract(epoch FROM clock_timestamp() - a.backend_start), 0))
                                FROM pg_stat_get_subscription(s.oid) w LEFT JOIN pg_stat_get_activity(w.pid) a ON true
                               WHERE w.pid IS NOT NULL AND w.relid IS NULL AND w.leader_pid IS NULL),
                   'errors', (SELECT jsonb_build_array(e.apply_error_count, e.sync_error_count)
                                FROM pg_stat_get_subscription_stats(s.oid) e),
                   'tables', (SELECT jsonb_agg(jsonb_build_array(n.nspname, c.relname, sr.srsubstate))
                                FROM pg_subscription_rel sr
                                JOIN pg_class c ON c.oid = sr.srrelid
                                JOIN pg_namespace n ON n.oid = c.relnamespace
                               WHERE sr.srsubid = s.oid))
          FROM pg_subscription s
          JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database()
          JOIN pg_authid r ON r.oid = s.subowner
         WHERE s.subname = %(name)s) AS subscription
"""


def marker_prefix(name: str) -> str:
    """Origins are named per server: the database's name follows."""
    return f"multimaster_slot_of_{name}_in_"


def read(connection: Connection, wanted: Wanted, lock_timeout: int | None = None) -> Local:
    """All facts, with this subscription's lock held from now on (``lock_timeout``: wait so long for it)."""
    if connection.server_version < MIN_VERSION:
        raise MultimasterError(
            f"PostgreSQL 16 or later is needed; this is {connection.server_version // 10000}, {connection.where}."
        )
    parameters = {
        "lock": f"multimaster subscription {wanted.name}",
        "marker": marker_prefix(wanted.name),
        "name": wanted.name,
        "owner": wanted.owner,
    }
    try:
        row = connection.fetch_one(_LOCK + _STATE, parameters)
        waited = bool(not row["locked"] and lock_timeout)
        if waited:
            _wait_for_lock(connection, wanted, parameters, lock_timeout or 0)
            row = connection.fetch_one(_LOCK + _STATE, parameters)
    except MultimasterError as error:
        if error.details.get("sqlstate") == INSUFFICIENT_PRIVILEGE:
            raise MultimasterError(f"Subscriptions are made and read by a superuser: {error} Choose such a login_user.") from None
        raise
    return _local_from(row, connection.server_version)._replace(waited=waited)


def _wait_for_lock(connection: Connection, wanted: Wanted, parameters: dict[str, str], seconds: int) -> None:
    try:
        connection.execute(
            f"SET lock_timeout = '{seconds}s'; SELECT pg_advisory_lock(hashtextextended(%(lock)s, 0)); RESET lock_timeout",
            parameters,
        )
    except MultimasterError as error:
        if error.details.get("sqlstate") == LOCK_NOT_AVAILABLE:
            raise MultimasterError(
                f"Another run is at work on the subscription {wanted.shown_name} since more than {seconds} s."
            ) from None
        raise


def _local_from(row: dict[str, t.Any], version: int) -> Local:
    return Local(
        version=version,
        database=row["database"],
        identity=Identity(row["system_identifier"], row["started"], row["port"]),
        locale=row["locale"],
        event_triggers=tuple(row["event_triggers"] or ()),
        standby=row["standby"],
        superuser=row["superuser"],
        max_workers=row["max_workers"],
        workers=row["workers"],
        subscription=None if row["subscription"] is None else _subscription_from(row["subscription"]),
        others=tuple(
            OtherSubscription(name, database, slot, _conninfo.parse(conninfo))
            for name, database, slot, conninfo in row["others"] or []
        ),
        slot_made_here=row["slot_made_here"],
        owner=None if row["owner"] is None else OwnerFacts(**row["owner"]),
        subscription_oids=frozenset(row["subscription_oids"] or ()),
    )


def _subscription_from(row: dict[str, t.Any]) -> Subscription:
    options = {option: row[_COLUMNS[option]] for option in ALTERABLE}
    options["streaming"] = _STREAMING[options["streaming"]]
    apply_errors, sync_errors = row["errors"] or (0, 0)
    return Subscription(
        oid=int(row["oid"]),
        enabled=row["subenabled"],
        conninfo=_conninfo.parse(row["subconninfo"]),
        slot_name=row["subslotname"],
        publications=tuple(row["subpublications"]),
        owner=row["owner"],
        comment=row["comment"] or "",
        options=options,
        creation_options={"two_phase": row["subtwophasestate"] != "d", "failover": row.get("subfailover")},
        # An origin that exists and never moved stands at 0/0.
        remote_lsn=parse_lsn(row["remote_lsn"]) or None,
        tables={(schema, name): state for schema, name, state in row["tables"] or []},
        worker=None if row["worker"] is None else _worker_from(row["worker"]),
        apply_errors=apply_errors,
        sync_errors=sync_errors,
    )


def _worker_from(row: dict[str, t.Any]) -> Worker:
    return Worker(row["pid"], parse_lsn(row["received_lsn"]), row["age"])
