#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_stanza
short_description: A pgBackRest stanza exists, is upgraded, works, or is gone
description:
  - Makes sure that a stanza exists in every configured repository and that it belongs to the cluster of this host, or that
    it is gone.
  - What is there is read from C(pgbackrest info --output=json) and compared with the system identifier in the cluster's
    C(pg_control).
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
options:
  stanza:
    required: true
  state:
    description:
      - V(present) creates the stanza where a repository lacks it. A stanza that belongs to another cluster is an error.
      - V(upgraded) also gives the stanza to this cluster when its version or system identifier has changed, which happens
        when a node is
        upgraded or rebuilt from another one. Backups of the former cluster stay restorable by their label or time.
      - V(checked) makes sure of V(present), then has the server archive a WAL segment and waits for it
        (C(pgbackrest check)). It reports
        a change only where the stanza was created.
      - V(absent) deletes the stanza with its whole archive. Backups are deleted only with O(force).
    type: str
    choices: [present, upgraded, checked, absent]
    default: present
  pg_path:
    description:
      - The cluster's data directory, to compare the stanza with.
      - By default C(pg1-path) of pgBackRest's configuration. Where that is on another host, as on a repository host, the
        comparison is
        left to pgBackRest itself.
    type: path
  force:
    description: Delete the stanza although it has backups or its server runs. Only for O(state=absent).
    type: bool
    default: false
  archive_timeout:
    description: Seconds that O(state=checked) waits for the WAL segment to arrive.
    type: int
    default: 60
  lock_wait:
    description: Seconds to wait for a backup or another command of the stanza that is running.
    type: int
    default: 60
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.pgbackrest
seealso:
  - module: multimaster.postgresql.pgbackrest_backup
  - module: multimaster.postgresql.pgbackrest_info
"""

EXAMPLES = r"""
- name: The stanza of this node exists
  multimaster.postgresql.pgbackrest_stanza:
    stanza: pg1
  become: true
  become_user: postgres

- name: Archiving works
  multimaster.postgresql.pgbackrest_stanza:
    stanza: pg1
    state: checked
  become: true
  become_user: postgres

- name: After a major upgrade, or after the node was rebuilt from a peer
  multimaster.postgresql.pgbackrest_stanza:
    stanza: pg1
    state: upgraded
  become: true
  become_user: postgres
"""

RETURN = r"""
commands:
  description: The pgBackRest commands that ran, or would run in check mode.
  returned: always
  type: list
  elements: str
  sample: ["pgbackrest --stanza=pg1 --log-level-console=off --log-level-stderr=warn stanza-create"]
stanza:
  description: The stanza as it is now; in check mode as it was.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    exists:
      description: Whether any repository has it.
      type: bool
    system_id:
      description: System identifier of the cluster it belongs to, as text, since it is wider than a JSON number.
      type: str
    version:
      description: PostgreSQL version of that cluster.
      type: str
    backups:
      description: How many backups it has.
      type: int
    repositories:
      description: Status of the stanza in each repository, with pgBackRest's code and message.
      type: list
      elements: dict
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.stanza import manage_stanza

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "state": {"type": "str", "choices": ["present", "upgraded", "checked", "absent"], "default": "present"},
    "pg_path": {"type": "path"},
    "force": {"type": "bool", "default": False},
    "archive_timeout": {"type": "int", "default": 60},
    "lock_wait": {"type": "int", "default": 60},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, lambda: manage_stanza(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
