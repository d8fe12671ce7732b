# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that go with the API: they are whole, and the role and the program agree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._program import program

ROLE = Path(__file__).resolve().parents[3] / "roles/failover_api"


def packages(folder: Path) -> Path:
    (folder / "app/pages").mkdir(parents=True)
    (folder / "app/__init__.py").write_text("")
    (folder / "app/pages/é.html").write_text("<p>é</p>")
    (folder / "app/start.py").write_text(
        "import importlib.resources\n\n\ndef main():\n"
        "    print((importlib.resources.files(__package__) / 'pages' / 'é.html').read_text(encoding='utf-8'))\n    return 3\n"
    )
    return folder


def test_packages_become_one_file_that_python_runs(tmp_path: Path) -> None:
    file = tmp_path / "app.pyz"
    file.write_bytes(program(packages(tmp_path / "python"), "app.start"))
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, env={"PYTHONUTF8": "1"})
    assert (done.returncode, done.stdout, done.stderr) == (3, "<p>é</p>\n", "")


def test_the_same_sources_are_the_same_bytes(tmp_path: Path) -> None:
    one, other = packages(tmp_path / "one"), packages(tmp_path / "other")
    (other / "app/__pycache__").mkdir()
    (other / "app/__pycache__/start.pyc").write_bytes(b"compiled")
    os.utime(other / "app/start.py", (1, 1))
    assert program(one, "app.start") == program(other, "app.start")
    (other / "app/start.py").write_text("def main(): ...\n")
    assert program(one, "app.start") != program(other, "app.start")


def test_the_service_is_such_a_file(tmp_path: Path) -> None:
    file = tmp_path / "failover_api.pyz"
    file.write_bytes(program(ROLE / "files/python", "failover_api.__main__"))
    done = subprocess.run([sys.executable, str(file), "--help"], capture_output=True, text=True, check=False)
    assert "The HTTP API over several masters." in done.stdout, done.stderr


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
