# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for all playbooks and all roles' tasks: their wording makes no warning, and they take no variable of a user's."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._api_problems import api_problems
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._node_descriptions import node_descriptions

ROOT = Path(__file__).resolve().parents[2]
TASK_FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/**/*.yml")])


def tasks(entries: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every task of a file, of its plays and blocks too."""
    for entry in entries or []:
        if isinstance(entry, dict):
            yield entry
            for key in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                yield from tasks(entry.get(key))


def test_no_task_takes_a_template_for_its_options() -> None:
    """Ansible warns of that wherever inject_facts_as_vars is on, as it is for whoever installs the collection."""
    found = [
        f"{file.relative_to(ROOT)}: {task.get('name')}"
        for file in TASK_FILES
        if "vars" not in file.relative_to(ROOT).parts
        for task in tasks(yaml.safe_load(file.read_text()))
        if isinstance(task.get("args"), str)
    ]
    assert found == []


@pytest.mark.parametrize("kind", ["publications", "conflict_policies", "sequences", "subscriptions"])
def test_a_description_is_handed_over_whole(kind: str) -> None:
    database = {
        "name": "a", "tables": ["t"], "tables_in_schema": ["s"], "operations": [], "publish_via_partition_root": True,
        "conflict_policy_tables": {"public.u": "error"},
    }
    subscription = {
        "owner": "o", "record_publisher": True, "uncopied_rows": "fail", "streaming": "on", "binary": False,
        "synchronous_commit": "off", "disable_on_error": False, "slot_timeout": 1, "wait_timeout": 1,
    }
    described = node_descriptions(
        [database], [{"name": "pg1", "node_id": 1, "address": "x", "port": 1}], node_id=2, max_nodes=8, seed="pg1", user="r",
        tls_directory="/", replica_identity_missing="fail", warn_below_percent=1, conflict_policy="last_update_wins",
        conflict_settings={"history_days": 1, "history_owner": "o", "history_readers": []}, subscription=subscription,
    )[kind]
    (task, *_rest) = yaml.safe_load((ROOT / f"roles/multimaster/tasks/{kind}.yml").read_text())
    (options,) = [value for key, value in task.items() if key.startswith("multimaster.postgresql.")]
    for each in described:
        assert set(each) <= set(options), kind


def test_what_playbooks_add_takes_no_variable_of_a_user() -> None:
    """One that extends the user's own list is lost as soon as the user sets that on the command line."""
    extended = [
        f"{file.name}: {name}"
        for file in sorted((ROOT / "playbooks/vars").glob("*.yml"))
        for name, value in (yaml.safe_load(file.read_text()) or {}).items()
        if re.search(rf"\['{name}'\].*(\+|combine|union)|(\+|combine|union).*\['{name}'\]", str(value), flags=re.DOTALL)
    ]
    assert extended == []


def inventory(**changes: t.Any) -> tuple[dict[str, list[str]], dict[str, dict[str, t.Any]]]:
    nodes = ["pg1", "pg2"]
    groups = {"postgresql": nodes, "api": nodes, "imdb": nodes, **changes}
    return groups, {name: {"multimaster_databases": [{"name": "imdb"}, {"name": "shop"}]} for name in nodes}


def test_an_api_that_finds_its_tables_has_no_problems() -> None:
    assert api_problems(*inventory()) == []
    assert api_problems(*inventory(api=[], imdb=[])) == []


def test_an_api_without_the_tables_that_it_serves_is_told_before_anything_changes() -> None:
    (problem,) = api_problems(*inventory(imdb=[]))
    assert "which pg1, pg2 would not get" in problem
    (problem,) = api_problems(*inventory(imdb=["pg1"]))
    assert "which pg2 would not get" in problem


def test_an_api_on_another_database_than_its_tables_is_told() -> None:
    groups, hostvars = inventory()
    for host in hostvars.values():
        host["failover_api_database"] = "shop"
    (problem,) = api_problems(groups, hostvars)
    assert "in the database imdb (imdb_database)" in problem
    for host in hostvars.values():
        host["failover_api_database"] = "films"
    assert "failover_api_database is films, which multimaster_databases does not have." in api_problems(groups, hostvars)


def test_hosts_of_the_api_that_differ_are_told_without_their_secrets() -> None:
    groups, hostvars = inventory()
    hostvars["pg1"]["failover_api_database_password"] = "s3cret"
    (problem,) = api_problems(groups, hostvars)
    assert "failover_api_database_password is not the same for all of pg1, pg2." in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_an_inventory_without_hosts_for_it_is_an_error(path: Path) -> None:
    """A run that did nothing would end as well as one that did everything: of a backup, for example."""
    first, second = yaml.safe_load(path.read_text())[:2]
    (task,) = first["tasks"]
    assert first["hosts"] == "localhost"
    assert task["ansible.builtin.import_tasks"] == "tasks/need_group.yml"
    assert task["vars"]["needed_group"] in str(second.get("hosts", "postgresql"))


def test_nothing_to_back_up_is_said(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("postgresql: {hosts: {pg1: {}}}\n")
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(ROOT / "playbooks/backup.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    assert "has no hosts in the group backup" in " ".join(done.stdout.split())
