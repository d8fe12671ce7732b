#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_multimaster_info
short_description: What a node of a multi-master mesh knows about itself
version_added: 0.1.0
description:
  - Slots, subscriptions, workers, lag, retained WAL, publications, origins and settings of one node, as data, and a list of
    what is wrong in plain sentences.
  - A node knows exactly how far its subscribers are behind it (the lag of its slots), and of its own subscriptions what it
    has received and not applied yet. What a peer has not sent yet, only the peer knows.
  - Whether a subscription gets on is judged by what it applies and by errors that grow, and not by a worker that happens to be
    there. One that is in doubt is looked at for some seconds (O(patience)), and its peer is asked through the subscription's own
    connection.
  - A role that is a member of C(pg_monitor) is enough. RV(incomplete) says what it could not read. Why an apply worker fails is
    only in the server's log, which a superuser may read (as text in any language, or as C(jsonlog)).
extends_documentation_fragment:
  - multimaster.postgresql.attributes.info
  - multimaster.postgresql.connection
options:
  databases:
    description: The databases whose subscriptions, slots and publications are wanted. By default that of O(login_db).
    type: list
    elements: str
  all_databases:
    description: Whether all databases of the server are looked into.
    type: bool
    default: false
  max_retained_wal:
    description: A slot that holds more WAL than this is a problem. A number of bytes, or text such as V(1G).
    type: bytes
  max_lag_bytes:
    description: A lag of more than this, in either direction, is a problem. A number of bytes, or text such as V(16M).
    type: bytes
  max_lag_seconds:
    description: A lag of more than this, in either direction, is a problem.
    type: float
  min_certificate_days:
    description: That the server's certificate, or that of the authority it trusts, ends in fewer days than this is a problem.
    type: int
    default: 30
  certificate_folders:
    description:
      - Folders on the server's host. Certificates (C(*.crt)) and lists of revoked ones (C(*.crl)) in them are looked at like
        those of the server's settings.
    type: list
    elements: str
    default: []
  settings_file:
    description:
      - The end of the path of the configuration file that describes the server's settings, such as V(conf.d/multimaster.conf).
      - Settings in it that another file, C(ALTER SYSTEM), a database or a role sets otherwise are a problem.
    type: str
  role_settings:
    description:
      - Settings that roles are meant to have of their own in all databases, as mappings of a name to a value, by the names of
        the roles. They are no problem; others, and these with another value, are one as O(settings_file) says, or where they
        make the role read-only.
    type: dict
    default: {}
  orphans:
    description:
      - Whether rows are counted that refer to rows which are not there, for each foreign key. PostgreSQL does not check foreign
        keys where it applies changes. Whole tables are read, and a superuser is needed.
    type: bool
    default: false
  patience:
    description:
      - For how many seconds a subscription or a slot in doubt is looked at. Where nothing ever failed, one look is enough, and
        nothing is waited for.
      - V(0) looks once. A subscription that fails and is started again is then told from one that works by the log alone.
    type: float
    default: 15
seealso:
  - module: multimaster.postgresql.pg_subscription_mm
  - module: multimaster.postgresql.pg_publication
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Look at the node
  multimaster.postgresql.pg_multimaster_info:
    login_unix_socket: /run/postgresql
    login_db: imdb
    max_retained_wal: 1G
    max_lag_seconds: 10
  register: info

- name: The node is healthy
  ansible.builtin.assert:
    that: info.problems == []
    fail_msg: "{{ info.problems | join(' ') }}"
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each. Empty on a healthy node.
  returned: success
  type: list
  elements: str
  sample: [The subscription sub_from_pg1 in database imdb is disabled.]
incomplete:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
  sample: []
databases:
  description: The databases that were looked into.
  returned: success
  type: list
  elements: str
  sample: [imdb]
node:
  description: The server itself.
  returned: success
  type: dict
  contains:
    version: {description: Its version., type: str, returned: success, sample: '16.14'}
    version_num: {description: Its version as a number., type: int, returned: success, sample: 160014}
    started: {description: When it was started., type: str, returned: success, sample: '2026-01-01T00:00:00+00:00'}
    system_identifier: {description: Its system identifier., type: str, returned: success, sample: '7711583083339973795'}
    timeline: {description: Its timeline., type: int, returned: success, sample: 1}
    current_lsn: {description: The end of its WAL., type: str, returned: success, sample: 16/B374D848}
    standby: {description: Whether it is a standby., type: bool, returned: success, sample: false}
    settings: {description: Settings that decide how it replicates., type: dict, returned: success, sample: {wal_level: logical}}
certificates:
  description:
    - When the certificates in the server's files end, those of several in one file that end first. The files are read as they are
      now; a server that was not reloaded since may use older ones. Empty without TLS, and for a role that may not read them
      (a superuser, or C(pg_read_server_files) with C(EXECUTE) on C(pg_read_file(text, boolean))).
  returned: success
  type: list
  elements: dict
  contains:
    setting: {description: The setting that names the file., type: str, returned: success, sample: ssl_cert_file}
    file: {description: The file on the server's host., type: str, returned: success, sample: /etc/multimaster/tls/server.crt}
    ends: {description: When it ends. Null where it cannot be read., type: str, returned: success, sample: '2027-01-01T00:00:00'}
    days_left: {description: Whole days until then., type: int, returned: success, sample: 211}
settings_elsewhere:
  description:
    - Settings of O(settings_file) that another file decides (C(files)) or a database or role has for itself (C(overrides)), and
      those that wait for a restart (C(pending_restart)).
  returned: success
  type: dict
  sample: {files: [], overrides: [], pending_restart: []}
closed_databases:
  description: Databases that are read-only, for all or for a role, or take no connections.
  returned: success
  type: list
  elements: dict
  sample: [{database: imdb, role: null, why: is read-only}]
orphans:
  description:
    - Of each foreign key how many rows refer to rows that are not there (C(orphans), and null with C(why) where they could not be
      counted). Empty without O(orphans).
  returned: success
  type: list
  elements: dict
  sample:
    - {database: imdb, schema: public, table: title_generos, constraint: title_fkey, parent: public.titles, orphans: 0, why: null}
row_security:
  description: Tables whose row security binds the role as which changes of the peers are applied.
  returned: success
  type: list
  elements: dict
  sample: [{database: imdb, schema: public, name: titles, role: app}]
archiving:
  description:
    - How the server archives its WAL, as C(pg_stat_archiver) says it, with C(mode) (of the setting archive_mode), C(failing)
      (the last attempt failed) and C(waiting_segments) (null where the role is no member of pg_monitor).
  returned: success
  type: dict
  sample: {mode: 'on', failing: false, waiting_segments: 0, archived_count: 17}
slots:
  description:
    - The slots of these databases, and those of no database, with all columns of C(pg_replication_slots). One direction of the
      mesh, from this node to its subscribers.
  returned: success
  type: list
  elements: dict
  contains:
    slot_name: {description: Name of the slot., type: str, returned: success, sample: slot_1_to_2}
    active: {description: Whether a subscriber uses it., type: bool, returned: success, sample: true}
    is_lost: {description: Whether its subscriber needs a resync., type: bool, returned: success, sample: false}
    problems: {description: 'Those of RV(problems) that are about it.', type: list, elements: str, returned: success, sample: []}
    unsteady: {description: Whether its subscriber comes and goes., type: bool, returned: success, sample: false}
    wal_status: {description: Whether the WAL that it needs is still there., type: str, returned: success, sample: reserved}
    safe_wal_size: {description: Bytes of WAL until it is lost., type: int, returned: success, sample: null}
    retained_bytes: {description: Bytes of WAL that it holds., type: int, returned: success, sample: 4711}
    held_by:
      description: >-
        The oldest transaction that has written and goes on, where it holds more than half of C(max_slot_wal_keep_size) that the
        subscriber has confirmed: C(pid), C(user), C(database), C(state) and C(seconds).
      type: dict
      returned: success
      sample: null
    lag_bytes: {description: Bytes that its subscriber has not confirmed., type: int, returned: success, sample: 0}
    lag_seconds:
      description: Seconds that its subscriber is behind. Null where nobody knows, for example while it is not connected.
      type: float
      returned: success
      sample: 0.0
    subscriber: {description: Its session on this node., type: dict, returned: success, sample: {state: streaming}}
subscriptions:
  description: The subscriptions of these databases. The other direction, from the peers to this node.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the subscription., type: str, returned: success, sample: sub_from_pg2}
    database: {description: Its database., type: str, returned: success, sample: imdb}
    enabled: {description: Whether it is enabled., type: bool, returned: success, sample: true}
    conninfo:
      description: Its connection parameters, without secrets. Null where the role may not read them.
      type: dict
      returned: success
      sample: {host: pg2.example.org}
    publisher:
      description: The server that it was made with, as its comment has it. Null where that was not recorded.
      type: dict
      returned: success
      sample: {system_identifier: '7711583083339973795', timeline: 1}
    applied_lsn: {description: How far the peer's WAL is applied., type: str, returned: success, sample: 16/B374D848}
    synced_lsn:
      description: Up to where in the peer's WAL its tables were copied when the subscription began. Null where nothing was.
      type: str
      returned: success
      sample: 16/B1000028
    lag_bytes: {description: Bytes received and not applied yet., type: int, returned: success, sample: 0}
    lag_seconds: {description: Age of the oldest change that is not applied yet., type: float, returned: success, sample: 0.0}
    state:
      description:
        - V(streaming). It applies what its peer sends, or has applied all.
        - V(copying). The first copy of its tables is under way.
        - V(applying). It works at one transaction for longer than it was looked at, and had errors before.
        - V(waiting). It waits for a lock that a session on this node holds (RV(subscriptions[].waits_for)).
        - V(failing). It cannot apply a transaction of its peer and tries again and again (RV(subscriptions[].failure)), or its
          peer does not send to it (RV(subscriptions[].peer_problem)).
        - V(unreachable). Its peer cannot be reached (RV(subscriptions[].peer_problem)).
        - V(connecting). It has not heard of its peer yet, which could be reached or was not asked.
        - V(silent). Its peer says nothing, for longer than one that is well.
        - V(disabled).
      type: str
      returned: success
      sample: streaming
    problems: {description: 'Those of RV(problems) that are about it.', type: list, elements: str, returned: success, sample: []}
    errors: {description: Errors since the last success., type: int, returned: success, sample: 0}
    failure:
      description:
        - The transaction that it cannot apply, as the server's log tells it. C(finished_at) is its position, C(since) when it
          failed first as far as the log goes back, and C(action), C(table), C(error) and C(detail) what failed.
      type: dict
      returned: success
      sample: null
    waits_for: {description: Who holds the lock that it waits for., type: str, returned: success, sample: null}
    peer_problem: {description: Why its peer cannot be reached or sends nothing., type: str, returned: success, sample: null}
    last_applied_time:
      description:
        - When the last transaction that it applied was made on its peer. Only for one in trouble, with
          C(track_commit_timestamp), and as far as it can be told.
      type: str
      returned: success
      sample: null
    origin_name: {description: 'The name of its origin, as the log has it.', type: str, returned: success, sample: pg_16400}
    worker_running:
      description: Whether its apply worker runs. One that fails is there most of the time.
      type: bool
      returned: success
      sample: true
    tables: {description: The number of its tables., type: int, returned: success, sample: 12}
    tables_not_ready:
      description: Tables that do not follow the stream yet, with their state.
      type: list
      elements: dict
      returned: success
      sample: [{table: public.titles, state: copy}]
    apply_error_count:
      description: Errors of the apply worker, also those that it got over.
      type: int
      returned: success
      sample: 0
    sync_error_count: {description: Errors of the copies., type: int, returned: success, sample: 0}
    conflicts:
      description: Conflicts by kind, as PostgreSQL counts them.
      type: dict
      returned: on PostgreSQL 18 and later
      sample: {insert_exists: 0}
workers:
  description: The workers of these subscriptions.
  returned: success
  type: list
  elements: dict
  contains:
    type: {description: 'V(apply), V(sync) (it copies a table) or V(parallel).', type: str, returned: success, sample: apply}
    subscription: {description: Name of its subscription., type: str, returned: success, sample: sub_from_pg2}
    database: {description: Its database., type: str, returned: success, sample: imdb}
    pid: {description: Its process., type: int, returned: success, sample: 4711}
    table: {description: The table that it copies., type: str, returned: success, sample: null}
    received_lsn:
      description: How far it has received the peer's WAL. Null until its first message.
      type: str
      returned: success
      sample: 16/B374D848
    last_message_age_seconds:
      description: Seconds since the peer's last message. An idle peer sends one at least every half C(wal_sender_timeout).
      type: float
      returned: success
      sample: 0.2
publications:
  description: The publications of these databases.
  returned: success
  type: list
  elements: dict
  sample: [{database: imdb, name: pub_imdb, all_tables: true, tables: 12}]
conflicts:
  description:
    - How many conflicts there were, by table, kind and winner, in the history that
      M(multimaster.postgresql.pg_conflict_policy) keeps on this node. Where both nodes had the row, both have the conflict.
  returned: success
  type: list
  elements: dict
  sample:
    - {database: imdb, schema: public, table: titles, kind: update_update, winner: local, count: 3, last: '2026-01-01 00:00+00'}
origins:
  description: The replication origins of the server, with their positions where the role may read them.
  returned: success
  type: list
  elements: dict
  sample: [{id: 1, name: pg_16400, remote_lsn: 16/B374D848, local_lsn: 1A/12345678}]
"""

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import CONNECTION_SPEC, psycopg2
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_run import run

ARGUMENT_SPEC = {
    "databases": {"type": "list", "elements": "str"},
    "all_databases": {"type": "bool", "default": False},
    "max_retained_wal": {"type": "bytes"},
    "max_lag_bytes": {"type": "bytes"},
    "max_lag_seconds": {"type": "float"},
    "min_certificate_days": {"type": "int", "default": 30},
    "certificate_folders": {"type": "list", "elements": "str", "default": []},
    "settings_file": {"type": "str"},
    "role_settings": {"type": "dict", "default": {}},
    "orphans": {"type": "bool", "default": False},
    "patience": {"type": "float", "default": 15.0},
}


def main() -> None:
    module = Module(
        argument_spec={**CONNECTION_SPEC, **ARGUMENT_SPEC},
        mutually_exclusive=[("databases", "all_databases")],
        supports_check_mode=True,
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
