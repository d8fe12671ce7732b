# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A data directory as its files tell."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._data_directory import (
    origins_in_file_of,
    read_data_directory,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._errors import MultimasterError


def cluster(path: Path, held: bool = False) -> Path:
    (path / "global").mkdir(parents=True)
    (path / "PG_VERSION").write_text("16\n")
    name = "pg_control.pgbackrest.tmp" if held else "pg_control"
    (path / "global" / name).write_bytes(struct.pack("=QIII", 7711582785606944337, 1300, 202307071, 6) + bytes(8172))
    return path


def test_nothing_and_something_else(tmp_path: Path) -> None:
    assert not read_data_directory(str(tmp_path / "none")).exists
    found = read_data_directory(str(tmp_path))
    assert (found.exists, found.empty, found.system_id) == (True, True, None)
    (tmp_path / "file").touch()
    assert not read_data_directory(str(tmp_path)).empty
    with pytest.raises(MultimasterError, match="is not a directory"):
        read_data_directory(str(tmp_path / "file"))


def test_a_cluster(tmp_path: Path) -> None:
    found = read_data_directory(str(cluster(tmp_path / "data")))
    assert (found.version, found.system_id, found.half_restored) == ("16", 7711582785606944337, False)
    assert found.mesh_evidence == []
    assert found.postmaster is None


def test_a_restore_that_did_not_end(tmp_path: Path) -> None:
    found = read_data_directory(str(cluster(tmp_path / "data", held=True)))
    assert found.half_restored
    assert found.system_id == 7711582785606944337
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "backup.manifest").touch()
    assert read_data_directory(str(tmp_path / "other")).half_restored


def test_a_server_that_runs_and_one_that_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cluster(tmp_path / "data")
    pid = data / "postmaster.pid"
    pid.write_text("999999999\n/data\n")
    found = read_data_directory(str(data)).postmaster
    assert found is not None
    assert not found.alive
    # a process that works in that directory
    monkeypatch.chdir(data)
    pid.write_text(f"{os.getpid()}\n")
    found = read_data_directory(str(data)).postmaster
    assert found is not None
    assert found.alive
    # the number has been given to another program since
    monkeypatch.chdir(tmp_path)
    found = read_data_directory(str(data)).postmaster
    assert found is not None
    assert not found.alive
    pid.write_text("")
    assert read_data_directory(str(data)).postmaster is not None


def test_what_shows_a_mesh_member(tmp_path: Path) -> None:
    data = cluster(tmp_path / "data")
    for name, database in (("slot_1_to_2", 5), ("standby", 0)):
        (data / "pg_replslot" / name).mkdir(parents=True)
        state = struct.pack("=16x64sI", name.encode(), database) + bytes(100)
        (data / "pg_replslot" / name / "state").write_bytes(state)
    (data / "pg_replslot" / "broken").mkdir()
    (data / "pg_logical").mkdir()
    origins = struct.pack("=I", 0x1257DADE) + b"".join(struct.pack("=H6xQ", n, 1 << 30) for n in (1, 2)) + bytes(4)
    (data / "pg_logical" / "replorigin_checkpoint").write_bytes(origins)
    found = read_data_directory(str(data))
    assert found.slots == ("slot_1_to_2",)
    assert found.origins == (1, 2)
    assert len(found.mesh_evidence) == 2
    assert origins_in_file_of(len(origins)) == 2
    (data / "pg_logical" / "replorigin_checkpoint").write_bytes(bytes(8))
    assert read_data_directory(str(data)).origins == ()
    assert origins_in_file_of(8) == origins_in_file_of(0) == 0
