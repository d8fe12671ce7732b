# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles were given is checked before anything changes, also what only the last of them needs."""

from __future__ import annotations

import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.multimaster.postgresql.plugins.action.variables_check import ActionModule

ROOT = Path(__file__).resolve().parents[2]


class Check(ActionModule):
    """Without a task and a templar: the variables are values."""

    def __init__(self, role: str, facts: t.Mapping[str, t.Any]) -> None:
        self._arguments = {"role_path": str(ROOT / "roles" / role), "facts": facts}
        self._templar = mock.Mock(template=lambda value: value)

    def validate_argument_spec(self, *_arguments: object, **_more: object) -> t.Any:
        return None, self._arguments


def problems(role: str, facts: t.Mapping[str, t.Any] | None = None, **changes: t.Any) -> list[str]:
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())
    with mock.patch.object(ActionBase, "run", return_value={}):
        result = Check(role, facts or {}).run(task_vars={**defaults, **changes, "inventory_hostname": "pg1"})
    return t.cast("list[str]", result.get("problems", []))


def test_passphrases_of_backups_are_checked_without_a_host() -> None:
    stated: dict[str, t.Any] = {"pgbackrest_stanzas": [{"name": "pg1", "node": "pg1", "pg_path": "/pg"}]}
    repository = {"type": "posix", "path": "/backups", "cipher_passphrase": "long enough for it"}
    assert problems("pgbackrest", **stated, pgbackrest_repositories=[repository]) == []
    (problem,) = problems("pgbackrest", **stated, pgbackrest_repositories=[{**repository, "cipher_passphrase": "short"}])
    assert "fewer than 16 characters" in problem
    (problem,) = problems("pgbackrest", **stated, pgbackrest_repositories=[repository], pgbackrest_repositries=[])
    assert "pgbackrest_repositries" in problem


@pytest.mark.parametrize("role", ["failover_api", "multimaster", "pgbackrest", "postgresql", "redis"])
def test_the_first_play_of_site_checks_what_its_roles_were_given(role: str) -> None:
    _inventory, first, *others = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())

    def roles(play: t.Mapping[str, t.Any]) -> list[str]:
        ways = ("ansible.builtin.include_role", "ansible.builtin.import_role")
        return [task[way]["name"].rpartition(".")[2] for task in play["tasks"] for way in ways if way in task]

    assert role in roles(first)
    assert any(role in roles(play) for play in others)
