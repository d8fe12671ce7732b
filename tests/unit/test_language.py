# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts speak the language of their owners: nothing is decided by the words of a program."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

from ansible.plugins.action import ActionBase

from ansible_collections.multimaster.postgresql.plugins.action.look import ActionModule

ROOT = Path(__file__).resolve().parents[2]
_WORDS_IN_OUTPUT = re.compile(r"""(['"])[^'"]*[A-Za-z]{3}[^'"]*\1 +(?:not +)?in +[\w.]+\.(?:stderr|stdout|msg)""")
_SEARCHED = re.compile(r"\.(?:stderr|msg)\b[^{}\n]*\bis +(?:not +)?(?:search|match|regex)\b")

# Ansible's own words, which are always English.
_OWN = {"roles/failover_api/tasks/absent.yml": "'Could not find' not in __failover_api_stop.msg"}


def test_no_playbook_and_no_role_looks_for_words_in_what_programs_print() -> None:
    found = []
    for path in [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").rglob("*.yml")]:
        name = str(path.relative_to(ROOT))
        for pattern in (_WORDS_IN_OUTPUT, _SEARCHED):
            found += [f"{name}: {match[0]}" for match in pattern.finditer(path.read_text()) if match[0] != _OWN.get(name)]
    assert found == []


def test_a_look_is_always_in_the_same_language() -> None:
    """Numbers, too: awk writes 0,5 where the decimal point is a comma."""
    commands = []

    class Look(ActionModule):
        def __init__(self) -> None:
            pass

        def validate_argument_spec(self, spec: object) -> tuple[object, dict[str, object]]:
            return None, {"argv": ["awk", "BEGIN { print 1 / 2 }"], "stdin": ""}

        def _low_level_execute_command(self, command: str, **_options: object) -> dict[str, object]:
            commands.append(command)
            return {"rc": 0, "stdout": "0.5\n", "stderr": ""}

    # What every action does first needs a task.
    with mock.patch.object(ActionBase, "run", return_value={}):
        assert Look().run()["stdout"] == "0.5\n"
    assert commands == ["LC_ALL=C.UTF-8 awk 'BEGIN { print 1 / 2 }'"]


def test_no_statement_changes_case_by_the_locale_of_a_database() -> None:
    """In Turkish upper('i') is no I: IntervalStyle would be a setting that PostgreSQL does not know."""
    changed = re.compile(r"""(?<![.\w])(?:lower|upper|initcap)\((?!\)|[^()]+ collate "C"\))[^()\n]*\)""", re.IGNORECASE)
    files = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "roles").rglob("*.sql"), *(ROOT / "playbooks").rglob("*.yml")]
    found = [f"{path.relative_to(ROOT)}: {match}" for path in files for match in changed.findall(path.read_text())]
    assert found == []
