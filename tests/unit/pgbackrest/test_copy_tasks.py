# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell in tasks about restored copies: which process is a server of which directory, and which is somebody else's."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def task(file: str, name: str) -> list[str]:
    def every(items: t.Any) -> t.Iterator[dict[str, t.Any]]:
        for each in items:
            yield each
            yield from every(each.get("tasks") or each.get("block") or [])

    tasks = yaml.safe_load((ROOT / file).read_text())
    return next(each for each in every(tasks) if each["name"] == name)["ansible.builtin.command"]["argv"]


Running = tuple[Path, "subprocess.Popen[bytes]", Path]


@pytest.fixture
def copy(tmp_path: Path) -> t.Iterator[Running]:
    """A directory with the programs of its version, a process that works in it, and what pg_ctl was told."""
    directory, told = tmp_path / "a copy", tmp_path / "told"
    programs = tmp_path / "programs/16/bin"
    for folder in (directory, programs):
        folder.mkdir(parents=True)
    (directory / "PG_VERSION").write_text("16\n")
    (programs / "pg_ctl").write_text(f'#!/bin/sh\necho "$@" >"{told}"\n')
    (programs / "pg_ctl").chmod(0o755)
    with subprocess.Popen(["sleep", "300"], cwd=directory) as server:
        yield directory, server, told
        server.kill()


@pytest.mark.parametrize(("whose", "stopped"), [("its own", True), ("another's", False), ("nobody's", False)])
def test_only_the_server_of_a_copy_is_stopped(copy: Running, whose: str, stopped: bool) -> None:
    directory, server, told = copy
    pid = {"its own": server.pid, "another's": os.getpid(), "nobody's": 2**22 + 1}[whose]
    (directory / "postmaster.pid").write_text(f"{pid}\n{directory}\n")
    shell, option, script, *_rest = task("roles/pgbackrest/tasks/absent.yml", "Absent | Stop restored copies")
    script = script.replace("/usr/lib/postgresql", str(directory.parent / "programs"))
    subprocess.run([shell, option, script, "sh", directory], check=True)
    assert told.exists() == stopped
    if stopped:
        assert told.read_text() == f"--pgdata={directory} --mode=immediate --wait stop\n"


@pytest.mark.parametrize(
    ("whose", "elsewhere", "refused"),
    [("its own", True, True), ("its own", False, False), ("another's", True, False), ("nobody's", True, False)],
)
def test_a_port_of_another_directory_s_server_is_found_before_the_restore(
    copy: Running, whose: str, elsewhere: bool, refused: bool
) -> None:
    directory, server, _told = copy
    pid = {"its own": server.pid, "another's": os.getpid(), "nobody's": 2**22 + 1}[whose]
    (directory.parent / ".s.PGSQL.5499.lock").write_text(f"{pid}\n{directory}\n1795492800\n5499\n")
    shell, option, script, *_rest = task("playbooks/restore.yml", "Look who has the copy's port")
    script = script.replace("/var/run/postgresql", str(directory.parent))
    wanted = directory.parent / "new" if elsewhere else directory
    for port, holder in (("5499", directory if refused else ""), ("5498", "")):
        done = subprocess.run([shell, option, script, "sh", port, wanted], capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (str(holder), "")
