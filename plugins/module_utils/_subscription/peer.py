# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What the peer says: one query, and a look into a leftover slot where that decides."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import MIN_VERSION, Identity, TableName
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import (
    CHANGES,
    EMPTY,
    UNKNOWN,
    Slot,
    parse_lsn,
    slot_from,
)


class PeerFacts(t.NamedTuple):
    """What the other node says."""

    version: int
    database: str
    identity: Identity
    standby: bool = False
    current_lsn: int | None = None
    wal_level: str = "logical"
    max_slots: int = 10
    max_senders: int = 10
    senders: int = 0
    user: str = ""
    may_replicate: bool = True
    slots: t.Mapping[str, Slot] = {}
    publications: frozenset[str] = frozenset()
    tables: frozenset[TableName] = frozenset()
    timeline: int | None = None
    locale: str = ""


# By which the database sorts texts and changes their case; not what only differs in its spelling.
LOCALE = """
       (SELECT CASE datlocprovider WHEN 'c' THEN concat_ws(' ', 'libc', datcollate, nullif(datctype, datcollate))
                    ELSE concat_ws(' ', CASE datlocprovider WHEN 'i' THEN 'icu' ELSE 'builtin' END,
                                   coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale')) END
          FROM pg_database d WHERE datname = current_database())"""

# The tables as REFRESH PUBLICATION itself asks for them, partition roots resolved and each of them once.
# pg_stat_activity shows the sessions of one's own role, which those of the subscription are.
_QUERY = f"""
SELECT current_database() AS database,{LOCALE} AS locale,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       pg_postmaster_start_time()::text AS started,
       current_setting('port')::int AS port,
       pg_is_in_recovery() AS standby,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn()::text END AS current_lsn,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
       current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS max_slots,
       current_setting('max_wal_senders')::int AS max_senders,
       (SELECT count(*)::int FROM pg_stat_get_wal_senders()) AS senders,
       current_user::text AS user,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       (SELECT jsonb_agg(to_jsonb(s) || jsonb_build_object('application', a.application_name))
          FROM pg_replication_slots s
          LEFT JOIN pg_stat_get_activity(s.active_pid) a ON s.active_pid IS NOT NULL) AS slots,
       (SELECT jsonb_agg(pubname) FROM pg_publication WHERE pubname = ANY (%(publications)s)) AS publications,
       (SELECT jsonb_agg(jsonb_build_array(n.nspname, c.relname))
          FROM (SELECT DISTINCT g.relid
                  FROM (SELECT array_agg(pubname::text) AS names
                          FROM pg_publication WHERE pubname = ANY (%(publications)s)) p,
                       pg_get_publication_tables(VARIADIC p.names) g) published
          JOIN pg_class c ON c.oid = published.relid
          JOIN pg_namespace n ON n.oid = c.relnamespace) AS tables
"""


def read(connection: Connection, publications: t.Sequence[str]) -> PeerFacts:
    if connection.server_version < MIN_VERSION:
        raise MultimasterError(
            f"The peer must be PostgreSQL 16 or later; it is {connection.server_version // 10000}, {connection.where}."
        )
    row = connection.fetch_one(_QUERY, {"publications": list(publications)})
    slots = [slot_from(each) for each in row["slots"] or []]
    return PeerFacts(
        version=connection.server_version,
        database=row["database"],
        identity=Identity(row["system_identifier"], row["started"], row["port"]),
        standby=row["standby"],
        current_lsn=parse_lsn(row["current_lsn"]),
        wal_level=row["wal_level"],
        max_slots=row["max_slots"],
        max_senders=row["max_senders"],
        senders=row["senders"],
        user=row["user"],
        may_replicate=row["may_replicate"],
        slots={slot.name: slot for slot in slots},
        publications=frozenset(row["publications"] or ()),
        tables=frozenset((schema, name) for schema, name in row["tables"] or ()),
        timeline=row["timeline"],
        locale=row["locale"],
    )


def current_lsn(connection: Connection) -> int | None:
    return parse_lsn(connection.fetch_value("SELECT pg_current_wal_lsn()::text AS lsn"))


def held_by(connection: Connection, slot: str, publications: t.Sequence[str], seconds: int) -> str:
    """Whether the slot holds a change that a subscription to these publications would be sent.

    Looking consumes nothing. It reads WAL up to the first such change, so it has a limit.
    """
    try:
        connection.execute(f"SET statement_timeout = '{seconds}s'")
        rows = connection.fetch(
            "SELECT 1 AS change FROM pg_logical_slot_peek_binary_changes(%s, NULL, 1, 'proto_version', '4',"
            " 'publication_names', (SELECT string_agg(quote_ident(name), ',') FROM unnest(%s::text[]) name),"
            " 'origin', 'none') LIMIT 1",
            [slot, list(publications)],
        )
        return CHANGES if rows else EMPTY
    except MultimasterError:
        # Too much WAL for the limit, or WAL from before the publication was made, which cannot be decoded.
        return UNKNOWN
