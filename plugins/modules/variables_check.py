#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: variables_check
short_description: What is wrong with the variables of a role of this collection
version_added: 1.0.0
description:
  - Compares the variables that begin with the role's name with C(meta/argument_specs.yml), and fails with one sentence for each
    that is misspelt, of another type, or that does not go together with others.
  - Ansible's own validation sees no misspelt variable, and takes a string for a list.
options:
  role_path:
    description: Folder of the role, which Ansible's variable of this name holds in the role's tasks.
    type: path
    required: true
  facts:
    description: What else the role's own checks need to know.
    type: dict
    default: {}
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
- name: Check the variables
  multimaster.postgresql.variables_check:
    role_path: "{{ role_path }}"
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  returned: when something is
  type: list
  elements: str
  sample: ["There is no variable redis_prot (did you mean redis_port?)."]
"""
