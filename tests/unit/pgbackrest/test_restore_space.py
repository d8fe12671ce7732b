# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a restore fits, and who is stopped for one: without PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import read_data_directory
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import space as _restore_space
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.copy_stop import (
    is_restored_copy,
    processes_in,
    stop_server,
)

MB = 1 << 20
WAL = 16 * MB


def test_what_is_there_already_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 100 * MB
    monkeypatch.setattr(_restore_space, "free_bytes", lambda path: free)

    def fits(size: int, segments: int = 0) -> bool:
        try:
            _restore_space.refuse_too_little_space(str(tmp_path / "copy"), [str(tmp_path / "space")], size, segments, WAL)
        except MultimasterError:
            return False
        return True

    # besides four segments in any case
    assert fits(36 * MB)
    assert not fits(36 * MB + 1)
    assert fits(4 * MB, segments=2)
    assert not fits(4 * MB + 1, segments=2)
    # recovery keeps no more than max_wal_size
    free = 100 * MB + (1 << 30)
    assert fits(36 * MB, segments=10_000)
    free = 100 * MB
    for place in ("copy/base/1", "space/PG_16"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").write_bytes(os.urandom(MB))
    # A folder within the directory counts once, and what a link points to does not.
    (tmp_path / "copy/link").symlink_to(tmp_path / "space")
    assert _restore_space.used_bytes(str(tmp_path / "copy"), [str(tmp_path / "copy/base")]) == MB
    assert fits(38 * MB)
    assert not fits(38 * MB + 1)


def test_free_space_of_what_is_not_there_yet(tmp_path: Path) -> None:
    assert _restore_space.free_bytes(str(tmp_path / "a/b/c")) > 0
    assert _restore_space.used_bytes(str(tmp_path / "a")) == 0


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/restored_copy.conf").touch()
    return tmp_path / "copy"


@pytest.fixture
def start(tmp_path: Path) -> t.Iterator[t.Callable[[Path], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def program(place: Path) -> subprocess.Popen[bytes]:
        # A job of a shell's background would ignore the signal, and so would what it starts.
        started.append(subprocess.Popen(["env", "--default-signal=INT", "sleep", "600"], cwd=place))
        return started[-1]

    yield program
    for each in started:
        each.kill()
        each.wait()


def test_only_a_server_of_the_directory_is_stopped(
    copy: Path, tmp_path: Path, start: t.Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    file = copy / "postmaster.pid"
    server = start(copy)
    assert processes_in(str(copy)) == {server.pid}
    file.write_text(f"{server.pid}\n{copy}\n")
    directory = read_data_directory(str(copy))
    assert is_restored_copy(directory)
    stop_server(directory)
    assert server.wait() == -signal.SIGINT

    # The number is that of another program by now.
    other = start(tmp_path)
    file.write_text(f"{other.pid}\n{copy}\n")
    stop_server(read_data_directory(str(copy)))
    assert other.poll() is None
    assert not file.exists()
    stop_server(read_data_directory(str(copy)))


def test_what_outlived_a_server_is_named(copy: Path, tmp_path: Path, start: t.Callable[[Path], subprocess.Popen[bytes]]) -> None:
    left, other = start(copy), start(tmp_path)
    (copy / "postmaster.pid").write_text(f"{other.pid}\n{copy}\n")
    with pytest.raises(MultimasterError, match=f"left processes \\({left.pid}\\)"):
        stop_server(read_data_directory(str(copy)))
    assert left.poll() is None
    assert other.poll() is None
    assert (copy / "postmaster.pid").exists()


def test_any_other_directory_is_no_copy(tmp_path: Path) -> None:
    assert not is_restored_copy(read_data_directory(str(tmp_path)))
    assert not is_restored_copy(read_data_directory(str(tmp_path / "none")))
