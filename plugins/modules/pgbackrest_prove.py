#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_prove
short_description: Prove that a restored copy is whole
description:
  - Starts a server in a directory that M(multimaster.postgresql.pgbackrest_restore) filled, waits until recovery has ended,
    checks every table and B-tree with amcheck and counts the rows of every table.
  - The server is silent. It listens on a socket of this host only, archives nothing and replicates with nobody, whatever
    the backed up server's configuration says. Its subscriptions are disabled and lose their slots, which are the live node's.
  - It fails where anything is damaged, and names it.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what differs, before and after, when in diff mode.
    support: none
    details: There is nothing to compare.
  idempotent:
    description: When run twice in a row with the same arguments, the second run reports no change.
    support: none
    details: Each run starts a server, or examines the one that an earlier run left.
options:
  pg_path:
    description: The restored directory.
    type: path
    required: true
  port:
    description: Port of the server, which names its socket. It must be free.
    type: int
    default: 5499
  socket_directory:
    description: Folder of its socket.
    type: path
    default: /var/run/postgresql
  bin_path:
    description: Folder of PostgreSQL's programs. By default Debian's for the directory's version.
    type: path
  databases:
    description: The databases to examine. By default all.
    type: list
    elements: str
    default: []
  amcheck:
    description: Check every table and B-tree. This reads all of them.
    type: bool
    default: true
  count_rows:
    description: Count the rows of every table.
    type: bool
    default: true
  settings:
    description: Further settings for the server, for example C(shared_buffers). They cannot make it less silent.
    type: dict
    default: {}
  keep_running:
    description: Leave the server running, to look into it or to copy rows out of it. A restore into its directory is then refused
      while it runs, unless it is told to replace it.
    type: bool
    default: false
  timeout:
    description: Seconds that start and recovery may take.
    type: int
    default: 3600
extends_documentation_fragment:
  - multimaster.postgresql.attributes
requirements:
  - psycopg2 on the host that runs the module
  - amcheck, which is one of PostgreSQL's own extensions
seealso:
  - module: multimaster.postgresql.pgbackrest_restore
"""

EXAMPLES = r"""
- name: The copy is whole
  multimaster.postgresql.pgbackrest_prove:
    pg_path: /var/lib/postgresql/16/restored
  become: true
  become_user: postgres
  register: proof

- name: This is what it has
  ansible.builtin.debug:
    var: proof.databases
"""

RETURN = r"""
recovered_to:
  description: The last LSN that was replayed and the time of the last transaction.
  returned: always
  type: dict
  sample: {lsn: 0/7000050, last_transaction: "2026-11-24 04:05:05.991+00"}
databases:
  description: Each database with C(checked) (how many tables and indexes) and C(rows) (by table).
  returned: always
  type: list
  elements: dict
  sample: [{name: imdb, checked: 312, rows: {public.generos: 21}}]
subscriptions:
  description: Subscriptions that were disabled.
  returned: always
  type: list
  elements: str
  sample: ["imdb: sub_from_pg2"]
problems:
  description: What is damaged. When there is anything, the module fails.
  returned: always
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import psycopg2
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.proof import manage_proof

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "pg_path": {"type": "path", "required": True},
    "port": {"type": "int", "default": 5499},
    "socket_directory": {"type": "path", "default": "/var/run/postgresql"},
    "bin_path": {"type": "path"},
    "databases": {"type": "list", "elements": "str", "default": []},
    "amcheck": {"type": "bool", "default": True},
    "count_rows": {"type": "bool", "default": True},
    "settings": {"type": "dict", "default": {}},
    "keep_running": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 3600},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    finish(module, lambda: manage_proof(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
