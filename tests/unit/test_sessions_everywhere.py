# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No session is opened without the one definition of how it begins: tasks, scripts and programs, read as data."""

from __future__ import annotations

import ast
import re
import typing as t
from functools import lru_cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# What gives a session the definition, in tasks and in Python.
DEFINITION = re.compile(r"session_options")
# Programs of PostgreSQL that open a session.
PROGRAMS = re.compile(
    r"(?<![\w.-])(psql|pg_dump|pg_dumpall|pg_restore|vacuumdb|reindexdb|clusterdb|pgbench|createdb|dropdb)(?![\w.])"
)
# Modules that open none.
WITHOUT_SESSION = {"postgresql_pg_hba"}
DRIVERS = {"psycopg2", "psycopg"}
# Where a driver's connect is called with it; and the benchmarks, whose sessions are those of an application.
OPENERS = {
    "plugins/module_utils/_core/connection.py",
    "plugins/module_utils/_restore/copy.py",
    "roles/failover_api/files/python/multimaster_failover/connection.py",
}

Task = t.Mapping[str, t.Any]


def yaml_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.yml") if "meta" not in file.parts)


@lru_cache
def variables() -> dict[str, str]:
    """The text of every variable of the roles and playbooks, by name."""
    found: dict[str, str] = {}
    for file in [*ROOT.glob("roles/*/vars/**/*.yml"), *ROOT.glob("roles/*/defaults/*.yml"), *ROOT.glob("playbooks/vars/*.yml")]:
        for name, value in (yaml.safe_load(file.read_text()) or {}).items():
            found[name] = str(value)
    return found


def expanded(text: str) -> str:
    """A task's text, with those of the variables in it, and of the role's files that it looks up."""
    seen: set[str] = set()
    todo = [text]
    while todo:
        for name in set(re.findall(r"\w+", todo.pop())) - seen:
            seen.add(name)
            if name in variables():
                todo.append(variables()[name])
                text += variables()[name]
    return text


def tasks(node: t.Any, outer: str = "") -> t.Iterator[tuple[Task, str]]:
    """Every task below, with the text of the defaults and variables that count for it."""
    if isinstance(node, list):
        for each in node:
            yield from tasks(each, outer)
    elif isinstance(node, dict):
        here = outer + str(node.get("module_defaults", "")) + str(node.get("vars", "")) + str(node.get("environment", ""))
        inner = [key for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers") if key in node]
        for key in inner:
            yield from tasks(node[key], here)
        if not inner:
            yield node, here


def opens_a_session(task: Task, outer: str) -> bool:
    """By a module of community.postgresql, or by a program that its command runs."""
    for name, arguments in task.items():
        if name.startswith("community.postgresql.") and name.rsplit(".", 1)[1] not in WITHOUT_SESSION:
            return True
        is_command = name.endswith((".command", ".shell", ".look", ".script", ".raw"))
        if is_command and PROGRAMS.search(commands(str(arguments) + outer)):
            return True
    return False


def commands(text: str) -> str:
    """What a command's text comes to, with the scripts that it looks up."""
    text = expanded(text)
    scripts = [file for file in [*ROOT.glob("roles/*/files/*.sh"), *ROOT.glob("playbooks/files/*.sh")] if file.name in text]
    return text + "".join(file.read_text() for file in scripts)


def inherited(file: Path) -> str:
    """What counts for the tasks of a file wherever it is included: the defaults of all places that include it, if all have it."""
    outers = [
        outer
        for other in file.parent.glob("*.yml")
        for document in yaml.safe_load_all(other.read_text())
        for task, outer in tasks(document)
        if any(name.endswith(("include_tasks", "import_tasks")) and value == file.name for name, value in task.items())
    ]
    return "".join(outers) if outers and all(DEFINITION.search(expanded(outer)) for outer in outers) else ""


def without_definition(files: t.Iterable[Path]) -> list[str]:
    found = []
    for file in files:
        for document in yaml.safe_load_all(file.read_text()):
            for task, outer in tasks(document, inherited(file)):
                if opens_a_session(task, outer) and not DEFINITION.search(expanded(str(task) + outer)):
                    found.append(f"{file.relative_to(ROOT)}: {task.get('name')}")
    return found


def test_every_task_that_opens_a_session_gives_it_the_definition() -> None:
    assert without_definition(yaml_files("roles", "playbooks")) == []


def test_sessions_are_found_at_all() -> None:
    """So that the test above does not pass because nothing is recognized any more."""
    files = yaml_files("roles", "playbooks")
    found = [
        task.get("name")
        for file in files
        for document in yaml.safe_load_all(file.read_text())
        for task, outer in tasks(document)
        if opens_a_session(task, outer)
    ]
    assert len(found) >= 20
    for name in ("Ask | Ask the server", "Own inserts | Read them from the server's WAL", "Write five rows"):
        assert name in found


@pytest.mark.parametrize(
    "text",
    [
        "- {name: x, community.postgresql.postgresql_query: {query: SELECT 1}}",
        "- {name: x, ansible.builtin.command: {argv: [psql, -c, SELECT 1]}}",
        "- {name: x, multimaster.postgresql.look: {argv: [sh, -s], stdin: \"{{ lookup('file', 'own_inserts.sh') }}\"}}",
        "- {block: [{name: x, ansible.builtin.shell: pg_dump imdb}]}",
    ],
)
def test_one_without_it_is_found(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tasks.yml"
    file.write_text(text)
    (document,) = yaml.safe_load_all(file.read_text())
    ((task, outer),) = tasks(document)
    assert opens_a_session(task, outer)
    assert not DEFINITION.search(expanded(str(task) + outer))


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def connects(tree: ast.AST) -> bool:
    """Whether a driver's own connect is called, by whatever name the driver was imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if (node.module or "").partition(".")[0] in DRIVERS and names & {"connect", "Connection", "AsyncConnection", "pool"}:
                return True
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).split(".")
            if called[0] in DRIVERS and called[-1] == "connect":
                return True
    return False


def test_only_what_has_the_definition_opens_a_driver_s_session() -> None:
    found = [
        str(file.relative_to(ROOT))
        for file in python_files("plugins", "roles", "playbooks")
        if connects(ast.parse(file.read_text()))
    ]
    assert set(found) == OPENERS


@pytest.mark.parametrize("file", sorted(OPENERS))
def test_what_opens_one_gives_it_options(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names & {"options", "SETTINGS"}


def test_programs_that_open_a_session_have_it_in_their_environment() -> None:
    """Of Python: a program's argument list names none of them."""
    found = [
        f"{file.relative_to(ROOT)}: {node.value}"
        for file in python_files("plugins")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PROGRAMS.fullmatch(node.value)
    ]
    assert found == []
