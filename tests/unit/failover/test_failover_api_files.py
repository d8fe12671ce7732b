# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that go with the API: they are whole, and the role and the program agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._source_tree import source_tree

ROLE = Path(__file__).resolve().parents[3] / "roles/failover_api"


def test_a_tree_s_checksum_is_what_a_host_computes(tmp_path: Path) -> None:
    for name in ("b/x.py", "b.py", "a.html", "B/é.md", "b/__pycache__/x.pyc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    command = "find . -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0r sha1sum | sha1sum"
    there = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()[0]
    tree = source_tree(tmp_path)
    assert tree["digest"] == there
    assert sorted(tree["files"]) == ["B/é.md", "a.html", "b.py", "b/x.py"]


def test_the_tree_replaces_the_folder_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    (folder / "old").mkdir(parents=True)
    (folder / "old/gone.py").write_text("")
    files = {"a.py": "é = 1\n", "pages/b.html": "<p>"}
    script = (ROLE / "files/install_tree.py").read_text()
    subprocess.run([sys.executable, "-c", script, str(folder)], input=json.dumps(files), text=True, check=True)
    assert source_tree(folder)["files"] == files
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = (ROLE / "files/grafana/failover_api.json").read_text()
    expressions = [target["expr"] for panel in json.loads(dashboard)["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"failover_api_[a-z_]+", " ".join(expressions)))
    source = (ROLE / "files/python/failover_api/metrics.py").read_text()
    told = {"failover_api_" + name for name in re.findall(r'_gauge\(f?"([a-z_]+)', source)}
    told |= {f"failover_api_pool_{name}" for name in ("size", "free", "waiting")}
    told |= {f"failover_api_replication_lag_{unit}" for unit in ("bytes", "seconds")}
    told |= {"failover_api_events_total", "failover_api_request_seconds_count", "failover_api_request_seconds_bucket"}
    assert asked
    assert asked <= told


def test_what_the_role_lets_one_set_is_what_the_program_takes() -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    source = (ROLE / "files/python/failover_api/configuration.py").read_text()
    block = source[source.index("_TIMES = (") : source.index(")\n", source.index("_TIMES = ("))]
    times = set(re.findall(r'"(\w+)"', block))
    assert set(specs["failover_api_failover"]["options"]) == times | {"auto_failback", "pool_min", "pool_max"}


@pytest.mark.parametrize("page", ["status.html", "docs.html"])
def test_pages_load_nothing_from_elsewhere(page: str) -> None:
    text = (ROLE / "files/python/failover_api/pages" / page).read_text()
    assert not re.search(r"https?://|//[a-z]+\.", text.replace("SPDX-License", ""))
    assert not re.search(r"innerHTML|document\.write|\son[a-z]+=|style=\"", text)
