#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_expire
short_description: Keep so many pgBackRest backups of each type
description:
  - Expires the oldest surplus backups of a stanza, counted by type. pgBackRest itself has no retention for incremental
    backups, and counts
    full backups among the differential ones.
  - A surplus full backup goes with all backups that build on it, as pgBackRest does it.
  - Surplus differential and incremental backups go one by one, the oldest first, and never one that a kept backup needs.
    These are
    returned in RV(held) and go when nothing needs them any more. The newest backup is never expired.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
options:
  stanza:
    required: true
  retention_full:
    description: How many full backups to keep, at least 1. By default pgBackRest's own C(repo-retention-full) alone decides.
    type: int
  retention_diff:
    description:
      - How many differential backups to keep. By default all that their full backup keeps.
      - Leave C(repo-retention-diff) of pgBackRest unset then, or it expires earlier, since it counts full backups among them.
    type: int
  retention_incr:
    description: How many incremental backups to keep. By default all that the backups below them keep.
    type: int
  lock_wait:
    description: Seconds to wait for a backup or another command of the stanza that is running on this host.
    type: int
    default: 60
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.pgbackrest
seealso:
  - module: multimaster.postgresql.pgbackrest_backup
"""

EXAMPLES = r"""
- name: Two full, seven differential and fourteen incremental backups
  multimaster.postgresql.pgbackrest_expire:
    stanza: pg1
    retention_full: 2
    retention_diff: 7
    retention_incr: 14
  become: true
  become_user: postgres
"""

RETURN = r"""
commands:
  description: The pgBackRest commands that ran, or would run in check mode.
  returned: always
  type: list
  elements: str
  sample:
    - "pgbackrest --stanza=pg1 --repo=1 --log-level-console=off --log-level-stderr=warn
      --set=20261124-040003F_20261124-040005I expire"
expired:
  description: Labels of the expired backups; in check mode of those that would be.
  returned: always
  type: list
  elements: str
  sample: ["20261124-040003F_20261124-040005I"]
held:
  description: Labels of surplus backups that a kept one needs.
  returned: always
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.expire import manage_expiry
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "retention_full": {"type": "int"},
    "retention_diff": {"type": "int"},
    "retention_incr": {"type": "int"},
    "lock_wait": {"type": "int", "default": 60},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, lambda: manage_expiry(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
