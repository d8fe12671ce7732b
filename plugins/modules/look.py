#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: A command that only reads, without Python on the host
version_added: 0.1.0
description:
  - Runs a command on the host and returns what it prints, like M(ansible.builtin.command). It needs no Python on the host and
    so answers several times sooner, which counts in roles whose usual run finds nothing to change.
  - It runs in check mode too and never reports a change. The command must only read.
  - The command's locale is C(C.UTF-8), whatever the host's is.
options:
  argv:
    description: The command and its arguments. Each is passed as one word, whatever characters it holds.
    type: list
    elements: str
    required: true
  stdin:
    description: What the command reads from its standard input, for example a script. It shows in no list of processes.
    type: str
    default: ''
attributes:
  action:
    description: Has a corresponding action plugin, so some parts of the options can be executed on the controller.
    support: full
  check_mode:
    description: Can run in check mode and returns the same as otherwise.
    support: full
  diff_mode:
    description: Returns details on what has changed when in diff mode.
    support: none
    details: Nothing changes.
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Read how much room there is
  multimaster.postgresql.look:
    argv: [df, -Pm, /var/lib/postgresql]

- name: Read what a script of the role finds
  multimaster.postgresql.look:
    argv: [sh, -s, --, /etc/motd]
    stdin: "{{ lookup('ansible.builtin.file', 'host.sh') }}"
  register: host_look
"""

RETURN = r"""
rc:
  description: How the command ended. Anything but 0 fails the task.
  returned: always
  type: int
  sample: 0
stdout:
  description: What it printed.
  returned: always
  type: str
  sample: trixie
stdout_lines:
  description: The same by lines.
  returned: always
  type: list
  elements: str
  sample: [trixie]
pairs:
  description: The lines of a name, a tab and a value as a dictionary.
  returned: always
  type: dict
  sample: {codename: trixie}
stderr:
  description: What it said on its standard error.
  returned: always
  type: str
  sample: ''
"""
