# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user runs once the mesh is there: data is loaded, the status is read."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from mesh import Node, run_playbook

TABLES = ("titles", "names", "generos", "title_generos", "title_principals")


def counts(node: Node) -> dict[str, int]:
    return {table: node.value(f"SELECT count(*) FROM {table}") for table in TABLES}


def test_the_sample_is_loaded_once_and_arrives(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    assert run_playbook("load_imdb").changed() > 0
    loaded = counts(first)
    assert min(loaded.values()) > 0
    assert loaded["titles"] >= 1000
    assert counts(second) == loaded
    assert run_playbook("load_imdb").changed() == 0
    assert counts(first) == loaded
    assert first.value("SELECT count(*) FROM title_generos tg LEFT JOIN generos g USING (id_genero) WHERE g.genero IS NULL") == 0


def test_the_status_as_a_table_and_as_json(nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    run = run_playbook("status", "-e", f"status_file={file}")
    assert run.changed() == 0
    report: list[dict[str, t.Any]] = json.loads(file.read_text())
    assert [node["name"] for node in report] == [node.name for node in nodes]
    for node in report:
        assert node["up"]
        assert node["problems"] == []
        assert {subscription["database"] for subscription in node["subscriptions"]} == {"imdb", "shop"}
        assert node["name"] in run.output
    assert "No problems." in run.output


def test_the_status_names_a_subscription_that_does_not_run(nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    node = nodes[1]
    name = f"sub_from_{nodes[0].name}"
    node.admin(f'ALTER SUBSCRIPTION "{name}" DISABLE')
    try:
        run_playbook("status", "-e", f"status_file={file}")
    finally:
        node.admin(f'ALTER SUBSCRIPTION "{name}" ENABLE')
    problems = {entry["name"]: entry["problems"] for entry in json.loads(file.read_text())}
    assert any(name in problem and "disabled" in problem for problem in problems[node.name])
