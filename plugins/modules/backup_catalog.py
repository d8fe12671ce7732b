#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_catalog
short_description: Record, read and rebuild the catalogue of backups in Redis
description:
  - Keeps a catalogue of pgBackRest backups on one or more independent Redis servers. It writes to all of them and reads from
    any.
  - The catalogue is derived from the repositories and can be rebuilt from them at any time, so a server that was down, was
    lost or was flushed
    costs nothing but a rebuild.
  - The keys are C(pgbackrest:backup:<stanza>:<label>) (JSON), C(pgbackrest:latest:<stanza>:<full|diff|incr>) (the label) and
    the sorted set
    C(pgbackrest:history:<stanza>) (labels by the time they ended), and the set C(pgbackrest:stanzas). Each server is changed in
    one transaction.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
options:
  action:
    description:
      - V(record) adds one backup or one failed run. That a server does not answer is a warning, not a failure (see
        O(unavailable)), so that a
        backup never fails because of the catalogue.
      - V(rebuild) reads the repositories with C(pgbackrest info) and makes every server's entries of these stanzas equal to
        them. Records of expired backups go, records of failed runs stay. Run it where the backups are taken - the
        C(location) of a backup in a repository on another host is written with that host's name.
      - V(read) returns what the catalogue knows, from the server that knows the newest backup.
    type: str
    choices: [record, rebuild, read]
    default: read
  stanza:
    description:
      - The stanza. By default all that pgBackRest knows for V(action=rebuild), and all that the catalogue knows for
        V(action=read).
      - Of V(action=record) only with O(failure); a backup names its own.
  backup:
    description: For V(action=record), the C(backup) that M(multimaster.postgresql.pgbackrest_backup) returned.
    type: dict
  failure:
    description: For V(action=record), a run that failed.
    type: dict
    suboptions:
      type:
        description: The type of backup that was wanted.
        type: str
        choices: [full, diff, incr]
        required: true
      reason:
        description: Why it failed.
        type: str
        required: true
      node:
        description: The node. By default the stanza's name.
        type: str
      started:
        description: When it began, for example V(2026-11-24T04:05:06Z). By default when it ended.
        type: str
      ended:
        description: When it failed. By default now.
        type: str
  failures_path:
    description:
      - A file on the host that remembers failed runs, which no repository does. V(action=record) writes it before it asks a
        server, and
        V(action=rebuild) adds what it holds.
    type: path
  servers:
    description: The Redis servers.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Its name or address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        default: 6379
  login_user:
    description: The ACL user, on all O(servers).
    type: str
  login_password:
    description: Its password. It is never logged or returned.
    type: str
  tls:
    description: Whether to use TLS.
    type: bool
    default: true
  validate_certs:
    description: Whether to verify the servers' certificates and names.
    type: bool
    default: true
  ca_certs:
    description: File with the certificates of the authorities.
    type: path
  client_cert_file:
    description: File with the client certificate.
    type: path
  client_key_file:
    description: File with the client certificate's key.
    type: path
  timeout:
    description: Seconds to wait for a server.
    type: float
    default: 3
  forget_lost_backups:
    description:
      - For V(action=rebuild), whether sound backups are forgotten in whose repository the stanza's path is missing.
      - Otherwise they are kept with a warning, since a repository that is not mounted looks like this.
    type: bool
    default: false
  unavailable:
    description:
      - What to do for V(action=record) and V(action=rebuild) when some server cannot be used.
      - A rebuild of which no server takes anything, and a read that no server answers, fail in any case.
    type: str
    choices: [warn, fail]
    default: warn
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.pgbackrest
requirements:
  - redis on the host that runs the module (Debian's package python3-redis)
seealso:
  - module: multimaster.postgresql.pgbackrest_backup
  - module: multimaster.postgresql.pgbackrest_info
"""

EXAMPLES = r"""
- name: Record a backup
  multimaster.postgresql.backup_catalog:
    action: record
    backup: "{{ taken.backup }}"
    servers:
      - host: pg1.example.org
      - host: pg2.example.org
    login_user: catalog
    login_password: "{{ catalog_password }}"
    ca_certs: /etc/multimaster/tls/ca.crt

- name: Make both servers equal to this node's repository
  multimaster.postgresql.backup_catalog:
    action: rebuild
    stanza: pg1
    servers:
      - host: pg1.example.org
      - host: pg2.example.org
    login_user: catalog
    login_password: "{{ catalog_password }}"
    ca_certs: /etc/multimaster/tls/ca.crt
  become: true
  become_user: postgres
"""

RETURN = r"""
backups:
  description: For V(action=read) and V(action=rebuild), the records, newest first in each stanza.
  returned: always
  type: list
  elements: dict
  sample:
    - timestamp: "2026-11-24T04:00:06Z"
      type: incr
      stanza: pg1
      label: 20261124-040003F_20261124-040005I
      location: /var/lib/pgbackrest/backup/pg1/20261124-040003F_20261124-040005I
      size_bytes: 23013790
      delta_bytes: 8450
      repo_bytes: 371
      duration_seconds: 1
      status: ok
      node: pg1
      wal_start: "000000010000000000000006"
      wal_stop: "000000010000000000000007"
      prior: 20261124-040003F
latest:
  description: For V(action=read) and V(action=rebuild), the label of the newest sound backup of each type, by stanza.
  returned: always
  type: dict
  sample: {pg1: {full: 20261124-040003F, incr: 20261124-040003F_20261124-040005I}}
record:
  description: For V(action=record), the record.
  returned: on record
  type: dict
recorded:
  description: Servers that have it now; in check mode those that would.
  returned: always
  type: list
  elements: str
  sample: ["pg1.example.org:6379", "pg2.example.org:6379"]
unavailable:
  description: Servers that could not be used, with the reason.
  returned: always
  type: list
  elements: dict
server:
  description: For V(action=read), the server that was believed, by stanza.
  returned: on read
  type: dict
consistent:
  description: For V(action=read), whether the servers that answered say the same.
  returned: on read
  type: bool
"""

import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_manager import manage_catalog
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_server import redis
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "action": {"type": "str", "choices": ["record", "rebuild", "read"], "default": "read"},
    "stanza": {"type": "str"},
    "backup": {"type": "dict"},
    "failure": {
        "type": "dict",
        "options": {
            "type": {"type": "str", "choices": ["full", "diff", "incr"], "required": True},
            "reason": {"type": "str", "required": True},
            "node": {"type": "str"},
            "started": {"type": "str"},
            "ended": {"type": "str"},
        },
    },
    "failures_path": {"type": "path"},
    "servers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 6379},
        },
    },
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "tls": {"type": "bool", "default": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_certs": {"type": "path"},
    "client_cert_file": {"type": "path"},
    "client_key_file": {"type": "path"},
    "timeout": {"type": "float", "default": 3.0},
    "forget_lost_backups": {"type": "bool", "default": False},
    "unavailable": {"type": "str", "choices": ["warn", "fail"], "default": "warn"},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if redis is None:
        module.fail_json(msg=missing_required_lib("redis"))
    finish(module, lambda: manage_catalog(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
