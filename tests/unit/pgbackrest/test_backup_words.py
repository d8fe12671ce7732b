# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbooks say of the host's program."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

VARIABLES = Path(__file__).resolve().parents[3] / "playbooks/vars"


def words_of(name: str, **given: t.Any) -> str:
    """A variable of the playbooks, as it is with these."""
    loader = DataLoader()
    files = [
        loader.load_from_file(str(VARIABLES / file), trusted_as_template=True) for file in ("backup.yml", "backup_cycle.yml")
    ]
    variables = {**files[0], **files[1], "inventory_hostname": "pg1", "backup_plan": {"taker": "repo"}, **given}
    return Templar(loader, variables=variables).template(variables[name])


@pytest.mark.parametrize(
    ("run", "there", "words"),
    [
        ({"stdout": json.dumps({"errors": ["No room."]}), "stderr": "ERROR: x", "msg": "x", "rc": 1}, True, "No room."),
        # Whatever the host's language calls it.
        ({"msg": "Datei oder Verzeichnis nicht gefunden", "rc": 2, "stdout": ""}, False, "no program for backups on repo"),
        ({"msg": "sudo: unbekannter Benutzer postgres", "rc": 1}, False, "no program for backups on repo"),
        ({"stdout": "", "rc": 2, "stderr": "multimaster-backup: Fehler: unbekanntes Kommando"}, True, "older release"),
        ({"stdout": "", "rc": 1, "stderr": "ModuleNotFoundError: json", "msg": "rc"}, True, "ModuleNotFoundError: json"),
        ({"msg": "Missing sudo password"}, True, "Missing sudo password"),
    ],
)
def test_why_there_is_no_backup(run: dict[str, t.Any], there: bool, words: str) -> None:
    told = words_of("backup_failure", backup_run=run, backup_program_found={"stat": {"exists": there}})
    assert words in told
    assert ("Run the playbook site" in told) == ("no program" in words or "older release" in words)


@pytest.mark.parametrize("warnings", [[], ["Redis on a does not answer.", "The backup was taken as a full one."]])
def test_what_a_run_warned_of_is_shown(warnings: list[str]) -> None:
    taken = {"label": "20261124-000000F", "type": "full", "repo_bytes": 2048, "duration_seconds": 3}
    outcome = {"backups": [taken], "expired": [], "recorded": [], "errors": [], "warnings": warnings}
    told = words_of("backup_line", backup_type="full", ansible_check_mode=False, backup_run={"stdout": json.dumps(outcome)})
    assert told.startswith("20261124-000000F (full, 2.00 KB in 3 s), expired: none, recorded on: none")
    assert all(each in told for each in warnings)
    assert ("Warning" in told) == bool(warnings)


@pytest.mark.parametrize(
    ("types", "expired", "words"),
    [
        (["incr", "incr"], [], "a backup of type incr would be taken, expired would be: none"),
        (["incr"], ["A", "B"], "a backup of type incr would be taken, expired would be: A, B"),
        (["full"], [], "a backup of type full would be taken, since there is no full one to build one of type incr on, expired"),
        (["incr", "full"], [], "a backup of type incr or full would be taken, since there is no full one to build"),
    ],
)
def test_check_mode_says_what_would_be_taken_and_what_would_expire(types: list[str], expired: list[str], words: str) -> None:
    outcome = {"backups": [], "expired": expired, "types": types}
    told = words_of("backup_line", backup_type="incr", ansible_check_mode=True, backup_run={"stdout": json.dumps(outcome)})
    assert told.startswith(words)
    assert "\n" not in told


@pytest.mark.parametrize(
    ("expired", "words"),
    [
        ([], "and none of those that are there expires."),
        (["A"], "expire A and the WAL that only they need"),
        (["A", "B"], "expire A, B: nothing before the cycle can be restored any more"),
    ],
)
def test_a_cycle_says_what_it_would_push_out(expired: list[str], words: str) -> None:
    told = words_of("cycle_question", backup_run={"stdout": json.dumps({"backups": ["A", "B"], "expired": expired})})
    assert told.startswith("pg1 has 2 backup(s). The cycle takes 9 more, 2 of them full,")
    assert words in told
    assert "\n" not in told
    assert "writes 45 rows into public.generos of the database imdb" in told
    assert "say so: -e cycle_confirm=true. Nothing was changed." in told
