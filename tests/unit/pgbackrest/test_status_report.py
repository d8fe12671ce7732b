# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the playbook status: the schedule that counts is that of the host which takes a node's backups."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._backup_status import backup_status
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._mesh_status import mesh_status

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
BACKUP = {"label": "F", "type": "full", "age_seconds": 20 * 86400, "timestamp": "2026-11-01T00:00:00Z", "restorable": True}
FRESH = {**BACKUP, "label": "I", "type": "incr", "age_seconds": 60, "timestamp": "2026-11-20T00:00:00Z"}


@pytest.mark.parametrize(("of_taker", "problems"), [({}, 2), ({"pgbackrest_schedules": {"full": "monthly", "diff": ""}}, 0)])
def test_a_full_backup_that_is_too_old(of_taker: dict[str, t.Any], problems: int) -> None:
    wired = yaml.safe_load((PLAYBOOKS / "vars/status.yml").read_text())
    usual = yaml.safe_load((PLAYBOOKS.parent / "roles/pgbackrest/defaults/main.yml").read_text())["pgbackrest_schedules"]
    # The collection is not installed where this runs: its filters by short names.
    environment = jinja2.Environment()
    environment.filters |= {"backup_status": backup_status}

    def rendered(text: str, **variables: t.Any) -> t.Any:
        return ast.literal_eval(environment.from_string(text.replace("multimaster.postgresql.", "")).render(variables))

    schedules = rendered(
        wired["status_schedules"], hostvars={"repo": of_taker}, backup_plan={"taker": "repo"}, status_usual_schedules=usual,
    )
    stanza = {"name": "pg1", "backups": [BACKUP, FRESH], "problems": [], "windows": []}
    backups = rendered(
        wired["status_answer"]["backups"], status_stanza=stanza, status_schedules=schedules, status_backup_age_seconds=90000,
    )
    (told,) = mesh_status(
        [{"name": "pg1", "node_id": 1, "address": "192.0.2.1"}], {"pg1": {"error": "It is down.", "backups": backups}}
    )
    # The full one stands for the differential one, which is as late.
    assert [each.split(" backup is ")[0] for each in told["problems"][1:]] == ["Its newest full", "Its newest diff"][:problems]
