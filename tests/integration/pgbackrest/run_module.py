# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one module of the collection with the arguments on standard input; used inside a test host.

A task through Ansible's engine takes a second; this takes a quarter of one and runs the same module code.
"""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils.testing import patch_module_args

if __name__ == "__main__":
    main = importlib.import_module(f"ansible_collections.multimaster.postgresql.plugins.modules.{sys.argv[1]}").main
    with patch_module_args(json.load(sys.stdin)):
        main()
