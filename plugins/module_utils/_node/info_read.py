# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a node is asked: two queries for the server, one for each database that is looked into."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.history import conflict_counts
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# Those that decide whether and how the node replicates.
SETTINGS = (
    "data_checksums",
    "hot_standby_feedback",
    "idle_replication_slot_timeout",
    "max_active_replication_origins",
    "max_connections",
    "max_logical_replication_workers",
    "max_parallel_apply_workers_per_subscription",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_sync_workers_per_subscription",
    "max_wal_senders",
    "max_worker_processes",
    "port",
    "server_version",
    "ssl",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_commit_timestamp",
    "wal_keep_size",
    "wal_level",
    "wal_receiver_timeout",
    "wal_sender_timeout",
)

_POSITION = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"

_NODE = f"""
SELECT current_setting('server_version_num')::int AS version_num,
       pg_postmaster_start_time() AS started,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
            ELSE (SELECT timeline_id FROM pg_control_checkpoint()) END AS timeline,
       {_POSITION} AS current_lsn,
       pg_is_in_recovery() AS standby,
       current_database() AS database,
       current_user::text AS user,
       (SELECT jsonb_object_agg(name, current_setting(name)) FROM pg_settings WHERE name = ANY (%s)) AS settings,
       has_column_privilege('pg_subscription', 'subconninfo', 'SELECT') AS reads_conninfo,
       has_function_privilege('pg_show_replication_origin_status()', 'EXECUTE') AS reads_origins,
       pg_has_role('pg_read_all_stats', 'USAGE') AS reads_stats,
       has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS reads_archive_status,
       current_setting('ssl')::bool AND pg_has_role('pg_read_server_files', 'USAGE')
           AND has_function_privilege('pg_read_file(text, boolean)', 'EXECUTE')
           AND has_function_privilege('pg_ls_dir(text, boolean, boolean)', 'EXECUTE') AS reads_certificates,
       has_table_privilege('pg_file_settings', 'SELECT')
           AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS reads_files,
       (SELECT jsonb_agg(datname ORDER BY datname) FROM pg_database WHERE datallowconn AND NOT datistemplate) AS databases
"""

_ARCHIVING = """
SELECT current_setting('archive_mode') AS mode, archived_count, last_archived_wal, last_archived_time,
       failed_count, last_failed_wal, last_failed_time,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
       {waiting} AS waiting_segments
  FROM pg_stat_archiver
"""
_WAITING = "(SELECT count(*)::int FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready')"

_CERTIFICATES = """
SELECT name AS setting, current_setting(name) AS file, now() AS now
  FROM unnest('{ssl_cert_file,ssl_ca_file,ssl_crl_file}'::text[]) name
 WHERE current_setting(name) <> ''
UNION ALL
SELECT 'certificates', folder || '/' || file, now()
  FROM unnest(%s::text[]) folder CROSS JOIN pg_ls_dir(folder, true, false) file
 WHERE file LIKE '%%.crt' OR file LIKE '%%.crl'
"""

# What databases and roles have set for their sessions, which counts more than the server's own settings.
_OVERRIDES = """
SELECT d.datname AS database, r.rolname AS role, split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value,
       s.setdatabase = 0 AND (r.rolreplication OR EXISTS (SELECT FROM pg_subscription WHERE subowner = r.oid)) AS serves
  FROM pg_db_role_setting s
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 CROSS JOIN unnest(s.setconfig) c
 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3
"""
_CLOSED = """
SELECT datname AS database, datallowconn AS is_open, datconnlimit AS connection_limit
  FROM pg_database WHERE NOT datistemplate ORDER BY datname
"""

# Of each setting the entry that counts, and the one of the file that describes the server.
_FILES = """
SELECT DISTINCT ON (1) lower(f.name COLLATE "C") AS name, f.setting AS value, f.sourcefile AS file, f.sourceline AS line,
       e.setting AS described
  FROM pg_file_settings f
  LEFT JOIN LATERAL (SELECT d.setting FROM pg_file_settings d
                     WHERE lower(d.name COLLATE "C") = lower(f.name COLLATE "C")
                       AND right(d.sourcefile, length(%(file)s)) = %(file)s
                     ORDER BY d.seqno DESC LIMIT 1) e ON true
 WHERE f.name IS NOT NULL
 ORDER BY 1, f.seqno DESC
"""
_PENDING = "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name"

# What a role without pg_monitor may not see comes back as NULL.
_SLOTS = f"""
SELECT to_jsonb(s) AS slot,
       pg_wal_lsn_diff({_POSITION}, s.restart_lsn)::bigint AS retained_bytes,
       -- After a switch of WAL files a subscriber has confirmed the start of the next one, which nothing is written to yet.
       greatest(pg_wal_lsn_diff({_POSITION}, coalesce(s.confirmed_flush_lsn, s.restart_lsn)), 0)::bigint AS lag_bytes,
       -- A transaction that has written and goes on holds the WAL of all slots, those of other databases too, though it was
       -- confirmed; past max_slot_wal_keep_size all are lost.
       CASE WHEN 2 * pg_wal_lsn_diff(s.confirmed_flush_lsn, s.restart_lsn) > k.bytes THEN
           (SELECT jsonb_build_object('pid', a.pid, 'user', a.usename, 'database', a.datname, 'state', a.state,
                                      'seconds', extract(epoch FROM clock_timestamp() - a.xact_start)::bigint)
              FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL ORDER BY a.xact_start LIMIT 1) END AS held_by,
       r.pid, r.application_name, r.client_addr::text, r.state, r.sent_lsn, r.write_lsn, r.flush_lsn, r.replay_lsn, r.reply_time,
       extract(epoch FROM r.write_lag)::float AS write_lag,
       extract(epoch FROM r.flush_lag)::float AS flush_lag,
       extract(epoch FROM r.replay_lag)::float AS replay_lag
  FROM pg_replication_slots s
 CROSS JOIN (SELECT nullif(setting::numeric, -1) * 1048576 AS bytes FROM pg_settings WHERE name = 'max_slot_wal_keep_size') k
  LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
 ORDER BY s.slot_name
"""

_SUBSCRIPTIONS = """
SELECT s.oid::bigint AS oid, s.subname AS name, d.datname AS database, pg_get_userbyid(s.subowner) AS owner,
       s.subenabled AS enabled, s.subslotname AS slot_name, s.subpublications AS publications,
       s.subbinary AS binary, s.substream::text AS streaming, s.subsynccommit AS synchronous_commit,
       s.subdisableonerr AS disable_on_error, s.subpasswordrequired AS password_required, s.subrunasowner AS run_as_owner,
       s.suborigin AS origin, s.subtwophasestate::text AS two_phase, nullif(s.subskiplsn, '0/0') AS skip_lsn,
       to_jsonb(e) - 'subid' - 'subname' AS stats{more}
  FROM pg_subscription s
  JOIN pg_database d ON d.oid = s.subdbid
  LEFT JOIN pg_stat_get_subscription_stats(s.oid) e ON true
 ORDER BY d.datname, s.subname
"""

# Until its first message, a worker's times are those of its own start.
_WORKERS = """
SELECT to_jsonb(w) AS worker,
       CASE WHEN w.received_lsn IS NOT NULL
            THEN extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time)::float END AS last_message_age_seconds,
       CASE WHEN w.received_lsn IS NOT NULL
            THEN extract(epoch FROM clock_timestamp() - w.last_msg_send_time)::float END AS last_message_sent_seconds
  FROM pg_stat_get_subscription(NULL) w
 WHERE w.pid IS NOT NULL
"""

_ORIGINS = "SELECT roident::bigint AS id, roname AS name{more} FROM pg_replication_origin o{join} ORDER BY roname"

_TABLES = """
SELECT sr.srsubid::bigint AS subscription, c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name,
       sr.srsubstate::text AS state
  FROM pg_subscription_rel sr
  JOIN pg_class c ON c.oid = sr.srrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE sr.srsubstate <> 'r'
 ORDER BY n.nspname, c.relname
"""

# Comments on subscriptions are kept by database, other than the subscriptions.
_COUNTS = """
SELECT srsubid::bigint AS subscription, count(*)::int AS tables, max(srsublsn)::text AS synced_lsn,
       obj_description(srsubid, 'pg_subscription') AS comment
  FROM pg_subscription_rel
 GROUP BY srsubid
"""

_PUBLICATIONS = """
SELECT current_database()::text AS database, p.pubname AS name, pg_get_userbyid(p.pubowner) AS owner,
       p.puballtables AS all_tables,
       array_remove(ARRAY[CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                          CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END], NULL)
           AS operations,
       p.pubviaroot AS publish_via_partition_root,
       (SELECT count(*)::int FROM pg_get_publication_tables(p.pubname::text)) AS tables
  FROM pg_publication p
 ORDER BY p.pubname
"""


# Rows that an apply worker may not write: it acts as the table's owner, or as the subscription's.
_ROW_SECURITY = """
SELECT DISTINCT n.nspname AS schema, c.relname AS name, r.rolname AS role
  FROM pg_subscription_rel l
  JOIN pg_subscription s ON s.oid = l.srsubid
  JOIN pg_class c ON c.oid = l.srrelid AND c.relrowsecurity
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_roles r ON r.oid = CASE WHEN s.subrunasowner THEN s.subowner ELSE c.relowner END
 WHERE NOT r.rolsuper AND NOT r.rolbypassrls AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
 ORDER BY 1, 2
"""


class Answers(t.NamedTuple):
    """Rows as the server gave them."""

    node: dict[str, t.Any]
    slots: list[dict[str, t.Any]]
    subscriptions: list[dict[str, t.Any]]
    workers: list[dict[str, t.Any]]
    origins: list[dict[str, t.Any]]
    archiving: dict[str, t.Any] | None = None
    certificates: t.Sequence[dict[str, t.Any]] = ()
    overrides: t.Sequence[dict[str, t.Any]] = ()
    states: t.Sequence[dict[str, t.Any]] = ()
    # None: they may not be read, or nothing describes them.
    files: t.Sequence[dict[str, t.Any]] | None = None
    pending_restart: t.Sequence[str] = ()


class DatabaseAnswers(t.NamedTuple):
    unready: list[dict[str, t.Any]]
    counts: list[dict[str, t.Any]]
    publications: list[dict[str, t.Any]]
    conflicts: t.Sequence[dict[str, t.Any]] = ()
    row_security: t.Sequence[dict[str, t.Any]] = ()


def read_server(connection: Connection, folders: t.Sequence[str] = (), settings_file: str | None = None) -> Answers:
    """``folders`` with certificates; ``settings_file``: the end of the path of the one that describes the server's settings."""
    node = connection.fetch_one(_NODE, [list(SETTINGS)])
    more = ", s.subconninfo AS conninfo" if node["reads_conninfo"] else ", NULL AS conninfo"
    if connection.server_version >= 170000:
        more += ", s.subfailover AS failover"
    if node["reads_origins"]:
        positions = ", st.remote_lsn, st.local_lsn"
        join = " LEFT JOIN pg_show_replication_origin_status() st ON st.local_id = o.roident"
    else:
        positions, join = ", NULL AS remote_lsn, NULL AS local_lsn", ""
    return Answers(
        node,
        connection.fetch(_SLOTS),
        connection.fetch(_SUBSCRIPTIONS.format(more=more)),
        connection.fetch(_WORKERS),
        connection.fetch(_ORIGINS.format(more=positions, join=join)),
        connection.fetch_one(_ARCHIVING.format(waiting=_WAITING if node["reads_archive_status"] else "NULL::int")),
        _certificates(connection, folders) if node["reads_certificates"] else (),
        connection.fetch(_OVERRIDES),
        connection.fetch(_CLOSED),
        connection.fetch(_FILES, {"file": f"/{settings_file}"}) if settings_file and node["reads_files"] else None,
        [row["name"] for row in connection.fetch(_PENDING)],
    )


def _certificates(connection: Connection, folders: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """With what is in the files now, or None where the server cannot read one either. Each file once."""
    rows: list[dict[str, t.Any]] = []
    for row in connection.fetch(_CERTIFICATES, [list(folders)]):
        if row["file"] in [each["file"] for each in rows]:
            continue
        rows.append(row)
        try:
            row["pem"] = connection.fetch_value("SELECT pg_read_file(%s, true) AS pem", [row["file"]])
        except MultimasterError:
            row["pem"] = None
    return rows


def read_database(connection: Connection) -> DatabaseAnswers:
    return DatabaseAnswers(
        connection.fetch(_TABLES),
        connection.fetch(_COUNTS),
        connection.fetch(_PUBLICATIONS),
        conflict_counts(connection) or (),
        connection.fetch(_ROW_SECURITY),
    )
