# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark of a run of failback: one at a time, and nobody takes another's away."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "playbooks/files/failback_mark.sh"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Beside the programs that the script asks: a server that is up, and no unit on its way."""
    program(tmp_path, "pg_isready", "exit 0")
    program(tmp_path, "systemctl", "exit 0")
    program(tmp_path, "chown", "exit 0")
    return tmp_path / "mark"


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def call(mark: Path, action: str, run: str) -> int:
    # As the playbook calls it
    command = ["sh", "-c", SCRIPT.read_text(), SCRIPT.name, action, str(mark), run]
    path = f"{mark.parent}:{os.environ['PATH']}"
    more = ["60", "5432"] if action != "leave" else []
    return subprocess.run([*command, *more], env={**os.environ, "PATH": path}, check=False).returncode


def grow_old(mark: Path, seconds: int = 61) -> None:
    os.utime(mark, (time.time() - seconds,) * 2)


def test_one_run_at_a_time(mark: Path) -> None:
    assert call(mark, "take", "one") == 0
    assert call(mark, "take", "two") == 3
    grow_old(mark)
    assert call(mark, "take", "one") == 0
    assert call(mark, "take", "two") == 3, "its own mark is fresh again"


def test_the_mark_of_a_run_that_was_killed_grows_old(mark: Path) -> None:
    assert call(mark, "take", "one") == 0
    grow_old(mark)
    assert call(mark, "take", "two") == 0
    assert call(mark, "take", "one") == 3, "the first one finds out before its next step"


@pytest.mark.parametrize(
    ("name", "says"), [("pg_isready", "exit 1"), ("systemctl", "echo postgresql@16-main.service loaded deactivating stop")]
)
def test_a_server_on_its_way_is_not_restarted_under_another_run(mark: Path, name: str, says: str) -> None:
    assert call(mark, "take", "one") == 0
    grow_old(mark)
    program(mark.parent, name, says)
    assert call(mark, "take", "two") == 4
    assert call(mark, "take", "one") == 0


def test_a_look_sees_what_take_would_and_sets_nothing(mark: Path) -> None:
    assert call(mark, "look", "two") == 0
    assert not mark.exists()
    assert call(mark, "take", "one") == 0
    assert call(mark, "look", "two") == 3
    grow_old(mark)
    assert call(mark, "look", "two") == 0
    assert time.time() - mark.stat().st_mtime > 60, "it is not made fresh"
    program(mark.parent, "pg_isready", "exit 1")
    assert call(mark, "look", "two") == 4
    assert mark.read_text() == "one"


def test_a_run_takes_only_its_own_mark_away(mark: Path) -> None:
    assert call(mark, "take", "one") == 0
    assert call(mark, "leave", "two") == 0
    assert mark.read_text() == "one"
    assert call(mark, "leave", "one") == 0
    assert not mark.exists()
    assert call(mark, "leave", "one") == 0
