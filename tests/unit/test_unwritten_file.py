# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that role postgresql cannot write: which one, and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_why_a_file_could_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("")
    path = f"{tmp_path}/no folder/pg_hba.conf"
    files = [{"path": f"{tmp_path}/{name}", "content": "x\n"} for name in ("written", "no folder/pg_hba.conf")]
    play = tmp_path / "play.yml"
    tasks = [{"ansible.builtin.include_tasks": str(ROOT / "roles/postgresql/tasks/files.yml")}]
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    there = [f"folder:{Path(file['path']).parent}" for file in files]
    given = {
        "__postgresql_part_files": files, "__postgresql_unready": [], "__postgresql_host": there,
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(play), "-e", json.dumps(given)], text=True, capture_output=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"localhost: {path} could not be written and is as it was: " in said
    reason = said.rpartition("could not be written and is as it was: ")[2]
    assert "no folder" in reason.partition('"}')[0], reason
    assert "traceback" not in reason
