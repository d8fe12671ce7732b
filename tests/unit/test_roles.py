# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every role keeps its promises on paper: argument_specs equal defaults, and the README lists them all."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())

role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def options(role: Path) -> dict[str, dict[str, t.Any]]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


def defaults(role: Path) -> dict[str, t.Any]:
    file = role / "defaults/main.yml"
    return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def test_there_are_roles() -> None:
    assert len(ROLES) >= 4


@role
def test_argument_specs_and_defaults_agree(role: Path) -> None:
    stated = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert stated == defaults(role)


@role
def test_variables_carry_the_role_s_prefix(role: Path) -> None:
    assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


@role
def test_the_readme_lists_every_variable_once(role: Path) -> None:
    listed = re.findall(r"^\| *`(\w+)`", (role / "README.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(options(role))


@role
def test_tasks_name_no_inventory_group(role: Path) -> None:
    offending = [
        file.relative_to(ROOT)
        for folder in ("tasks", "templates", "vars", "handlers", "defaults")
        for file in (role / folder).rglob("*")
        if file.is_file() and re.search(r"\bgroups\b\s*[\[.]|\bgroup_names\b", file.read_text())
    ]
    assert offending == []
