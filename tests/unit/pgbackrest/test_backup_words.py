# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbook backup says when the host's program did not end well."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

VARIABLES = Path(__file__).resolve().parents[3] / "playbooks/vars/backup.yml"


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"stdout": json.dumps({"errors": ["No room.", "No lock."]}), "stderr": "ERROR: x", "msg": "x"}, "No room. No lock."),
        ({"msg": "[Errno 2] No such file or directory: b'/usr'", "stdout": "", "stderr": ""}, "no program for backups on repo"),
        ({"stdout": "", "stderr": "ModuleNotFoundError: json", "msg": "non-zero return code"}, "ModuleNotFoundError: json"),
        ({"msg": "Missing sudo password"}, "Missing sudo password"),
    ],
)
def test_why_there_is_no_backup(run: dict[str, t.Any], words: str) -> None:
    loader = DataLoader()
    written = loader.load_from_file(str(VARIABLES), trusted_as_template=True)
    variables = {**written, "backup_plan": {"taker": "repo"}, "backup_run": run}
    told = Templar(loader, variables=variables).template(variables["backup_failure"])
    assert words in told
    assert ("Run the playbook site" in told) == ("no program" in words)
