#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: A pgBackRest repository as data
description:
  - Returns for each stanza its repositories, backups and archive, to what point in time each backup can be recovered, gaps
    in the
    archive, and every problem in a sentence.
  - A repository that cannot be read is a problem in the result, not a failure of the task.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
options:
  stanza:
    description: Only this stanza. By default all that pgBackRest knows.
  archive:
    description:
      - List the archive's WAL segments, to find gaps and how far each backup can be recovered, and compare pgBackRest's
        index files with
        their copies.
    type: bool
    default: true
  verify:
    description:
      - Read the whole repository and check every file against its checksum (C(pgbackrest verify)). This takes as long as
        reading the
        repository does.
    type: bool
    default: false
extends_documentation_fragment:
  - multimaster.postgresql.attributes.info
  - multimaster.postgresql.pgbackrest
seealso:
  - module: multimaster.postgresql.pgbackrest_restore
"""

EXAMPLES = r"""
- name: What can be restored
  multimaster.postgresql.pgbackrest_info:
    stanza: pg1
  become: true
  become_user: postgres
  register: repository

- name: Nothing is wrong with it
  ansible.builtin.assert:
    that: not repository.problems
    fail_msg: "{{ repository.problems | join(' ') }}"
"""

RETURN = r"""
problems:
  description: The problems of all stanzas.
  returned: always
  type: list
  elements: str
  sample: []
stanzas:
  description: The stanzas.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    status:
      description: pgBackRest's status code, 0 when all is well.
      type: int
    message:
      description: pgBackRest's words for it.
      type: str
    backup_running:
      description: Whether a backup or expire command runs on this host.
      type: bool
    repositories:
      description:
        - Each repository with its address, status, cipher, size of its backups and C(archive), a list with the first and
          last segment,
          unbroken C(ranges) and C(gaps) of each cluster's WAL.
      type: list
      elements: dict
    databases:
      description: The clusters that the stanza belongs and belonged to.
      type: list
      elements: dict
    backups:
      description:
        - Each backup as M(multimaster.postgresql.pgbackrest_backup) returns it, oldest first, with C(age_seconds), C(current)
          (whether it is of the cluster that the stanza belongs to now),
          C(restorable) (all the
          WAL it needs is there), C(recoverable) (from when to when and to what LSN it can be recovered) and, with O(verify),
          C(damaged).
      type: list
      elements: dict
    latest:
      description: Label of the newest backup of each type.
      type: dict
    windows:
      description: Spans of time that can be restored to, with the backups that begin in them.
      type: list
      elements: dict
    problems:
      description: What is wrong, one sentence each, with what to do.
      type: list
      elements: str
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import manage_info

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "stanza": {"type": "str"},
    "archive": {"type": "bool", "default": True},
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, lambda: manage_info(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
