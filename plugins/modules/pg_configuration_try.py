#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_configuration_try
short_description: Tries a server's configuration before it is written
description:
  - Makes a cluster of its own in a temporary folder, has it read pg_hba.conf and pg_ident.conf, starts it with the files as
    they are to be, and removes it. What it says of them is what the live server would say, which is not touched.
  - The trial listens on no address and archives nothing. It takes a second or two, 40 MB in the folder for temporary files, and
    as much memory as the server reserves at its start.
  - Whether a setting fits what the live server holds, such as its slots, and whether its huge pages are to be had, only its own
    start can tell.
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
options:
  programs:
    description: The folder with C(postgres) and C(initdb).
    type: path
    required: true
  folder:
    description:
      - The folder with C(postgresql.conf), C(pg_hba.conf), C(pg_ident.conf) and what the first one includes from beside it.
    type: path
    required: true
  files:
    description: The new files, each with its C(path) in O(folder) and its C(content). Others stay as they are.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is to be.
        type: path
        required: true
      content:
        description: What it is to hold.
        type: str
        required: true
extends_documentation_fragment:
  - multimaster.postgresql.attributes.info
notes:
  - Run it as the server's user, never as root.
"""

EXAMPLES = r"""
- name: Try who may connect
  multimaster.postgresql.pg_configuration_try:
    programs: /usr/lib/postgresql/16/bin
    folder: /etc/postgresql/16/main
    files:
      - path: /etc/postgresql/16/main/pg_hba.conf
        content: |
          local all all peer
  become: true
  become_user: postgres
  register: tried

- name: Go on only with what works
  ansible.builtin.assert:
    that: not tried.problems
    fail_msg: "{{ tried.problems | join(' ') }}"
"""

RETURN = r"""
problems:
  description: What the server cannot read or would not start with, one sentence each. Empty where all is well.
  returned: success
  type: list
  elements: str
  sample: ["pg_hba.conf would have the line local all all nosuch, with which the server cannot do anything: ..."]
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.configuration import Trial

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "programs": {"type": "path", "required": True},
    "folder": {"type": "path", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"path": {"type": "path", "required": True}, "content": {"type": "str", "required": True}},
    },
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    files = {file["path"]: file["content"] for file in params["files"]}

    def work() -> dict[str, t.Any]:
        trial = Trial(params["programs"], params["folder"], files)
        return {"changed": False, "problems": trial.problems()}

    finish(module, work)


if __name__ == "__main__":
    main()
