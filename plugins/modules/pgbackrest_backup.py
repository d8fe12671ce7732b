#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Take a pgBackRest backup
description:
  - Takes a full, differential or incremental backup of a stanza's cluster and returns it as data, ready for
    M(multimaster.postgresql.backup_catalog).
  - Before anything is written it makes sure that the stanza can be read and belongs to the cluster of this host.
  - A backup that was killed half way is resumed by the next one of the same type, as pgBackRest does it.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
attributes:
  idempotent:
    support: partial
    details: Each run takes a backup, unless O(only_if_none) is set and there is one.
options:
  stanza:
    required: true
  type:
    description:
      - V(full), V(diff) (what changed since the last full one) or V(incr) (what changed since the last of any type).
      - Where there is no full backup yet, pgBackRest takes a full one; RV(backup.type) tells.
    type: str
    choices: [full, diff, incr]
    default: incr
  only_if_none:
    description: Take a backup only where the repository has no sound one of this cluster.
    type: bool
    default: false
  node:
    description:
      - Name of the node, noted with the backup in the repository, so that a rebuilt catalogue names it too.
      - By default nothing is noted, and the node is taken to be named as the stanza is.
    type: str
  annotations:
    description: Further notes to keep with the backup, as keys and values. A key has no C(=), and both are one line that is not
      empty.
    type: dict
    default: {}
  expire:
    description:
      - Let pgBackRest expire what its own retention settings call for after the backup.
      - After a backup that has pages with wrong checksums nothing is expired, so that it pushes out no good one.
      - Where the backup was taken and this fails, the task fails, and its result has the RV(backup) all the same.
    type: bool
    default: true
  pg_path:
    description: The cluster's data directory, to compare the stanza with. By default C(pg1-path) of pgBackRest's
      configuration, and where that is stated, no other.
    type: path
  archive_timeout:
    description: Seconds to wait for the WAL of the backup to arrive in the archive, 1 to 86400. By default pgBackRest's
      configuration.
    type: int
  lock_wait:
    description: Seconds to wait for another backup or expire command of the stanza that is running on this host.
    type: int
    default: 60
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.pgbackrest
seealso:
  - module: multimaster.postgresql.backup_catalog
  - module: multimaster.postgresql.pgbackrest_expire
  - module: multimaster.postgresql.pgbackrest_restore
"""

EXAMPLES = r"""
- name: An incremental backup
  multimaster.postgresql.pgbackrest_backup:
    stanza: pg1
    node: pg1
    type: incr
  become: true
  become_user: postgres
  register: taken

- name: Recorded in the catalogue
  multimaster.postgresql.backup_catalog:
    action: record
    stanza: pg1
    backup: "{{ taken.backup }}"
    servers:
      - host: pg1.example.org
      - host: pg2.example.org
    login_user: catalog
    login_password: "{{ catalog_password }}"
    ca_certs: /etc/multimaster/tls/ca.crt

- name: A first full backup, only where there is none
  multimaster.postgresql.pgbackrest_backup:
    stanza: pg1
    type: full
    only_if_none: true
  become: true
  become_user: postgres
"""

RETURN = r"""
commands:
  description: The pgBackRest commands that ran, or would run in check mode, the backup first and then the expiry.
  returned: always
  type: list
  elements: str
  sample: ["pgbackrest --stanza=pg1 --repo=1 --log-level-console=off --log-level-stderr=warn --type=incr --no-expire-auto backup"]
backup:
  description: The new backup; with O(only_if_none) the newest that was there; in check mode none.
  returned: always
  type: dict
  contains:
    label:
      description: pgBackRest's name of it.
      type: str
    type:
      description: The type that was taken.
      type: str
    stanza:
      description: The stanza.
      type: str
    node:
      description: The node it is of.
      type: str
    repo:
      description: Key of the repository.
      type: int
    location:
      description: Where it is.
      type: str
    timestamp:
      description: When it was complete, in UTC.
      type: str
    started:
      description: When it began, in UTC.
      type: str
    duration_seconds:
      description: How long it took.
      type: int
    size_bytes:
      description: Size of the cluster.
      type: int
    delta_bytes:
      description: How much of it was read into this backup.
      type: int
    repo_bytes:
      description: How much this backup added to the repository.
      type: int
    status:
      description: V(ok), or V(error) where pages of the cluster have a wrong checksum.
      type: str
    wal_start:
      description: First WAL segment needed to restore it.
      type: str
    wal_stop:
      description: Last WAL segment needed to restore it.
      type: str
    lsn_start:
      description: Position at which it began.
      type: str
    lsn_stop:
      description: Position from which on it is consistent.
      type: str
    prior:
      description: The backup it builds on.
      type: str
    references:
      description: All backups it needs.
      type: list
      elements: str
    annotations:
      description: Notes kept with it.
      type: dict
  sample:
    label: 20261124-040003F_20261124-040005I
    type: incr
    stanza: pg1
    node: pg1
    repo: 1
    location: /var/lib/pgbackrest/backup/pg1/20261124-040003F_20261124-040005I
    timestamp: "2026-11-24T04:00:06Z"
    started: "2026-11-24T04:00:05Z"
    duration_seconds: 1
    size_bytes: 23013790
    delta_bytes: 8450
    repo_bytes: 371
    status: ok
    wal_start: "000000010000000000000006"
    wal_stop: "000000010000000000000007"
    lsn_start: 0/6000028
    lsn_stop: 0/7000050
    prior: 20261124-040003F
    references: [20261124-040003F]
    annotations: {node: pg1}
expired:
  description: Labels of backups that pgBackRest's own retention settings expired after it.
  returned: always
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.backup import manage_backup
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "type": {"type": "str", "choices": ["full", "diff", "incr"], "default": "incr"},
    "only_if_none": {"type": "bool", "default": False},
    "node": {"type": "str"},
    "annotations": {"type": "dict", "default": {}},
    "expire": {"type": "bool", "default": True},
    "pg_path": {"type": "path"},
    "archive_timeout": {"type": "int"},
    "lock_wait": {"type": "int", "default": 60},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, lambda: manage_backup(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
