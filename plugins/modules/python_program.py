#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: python_program
short_description: Packages of Python as one file that a host runs
version_added: 1.0.0
description:
  - Packs a folder of Python packages into one file that Python runs, and keeps it on the host as it is here.
  - One file is replaced as a whole, so no run that is interrupted leaves half a program.
options:
  src:
    description: Folder on the controller whose packages are packed, with all other files in them.
    type: path
    required: true
  main:
    description: Module in one of the packages whose function C(main) is called. What it returns is how the program ends.
    type: str
    required: true
  dest:
    description: The file on the host. Its folder must be there.
    type: path
    required: true
  owner:
    description: Whose file it is.
    type: str
  group:
    description: Which group's file it is.
    type: str
  mode:
    description: Its mode, as the module M(ansible.builtin.copy) takes it.
    type: raw
    default: "0755"
attributes:
  action:
    description: Has a corresponding action plugin, so some parts of the options can be executed on the controller.
    support: full
  check_mode:
    description: Can run in check mode and returns changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed when in diff mode.
    support: partial
    details: Says that the file differs, not where.
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Install the service's code
  multimaster.postgresql.python_program:
    src: "{{ role_path }}/files/python"
    main: failover_api.__main__
    dest: /usr/local/lib/multimaster/failover_api.pyz
    owner: root
    group: root
"""

RETURN = r"""
dest:
  description: The file on the host.
  returned: success
  type: str
  sample: /usr/local/lib/multimaster/failover_api.pyz
checksum:
  description: The SHA-1 of the file.
  returned: success
  type: str
  sample: 2aae6c35c94fcfb415dbe95f408b9ce91ee846ed
"""
