# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the disk has room for the WAL that may wait for the archive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PgBackRest
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import MEBIBYTE, queue_problems


def cluster(folder: Path, limit: str) -> PgBackRest:
    status = folder / "data/pg_wal/archive_status"
    status.mkdir(parents=True)
    (folder / "pgbackrest.conf").write_text(f"[global]\narchive-push-queue-max={limit}\n[pg1]\npg1-path={folder}/data\n")
    return PgBackRest(stanza="pg1", config=str(folder / "pgbackrest.conf"))


@pytest.mark.parametrize(
    ("limit", "problems"), [("1MiB", 0), ("1048576", 0), ("8000000MiB", 1), ("4000TB", 1), ("4p", 1), ("", 0)]
)
def test_the_disk_must_hold_what_may_wait(tmp_path: Path, limit: str, problems: int) -> None:
    found = queue_problems(cluster(tmp_path, limit))
    assert len(found) == problems
    assert all("lower archive-push-queue-max" in each for each in found)


def test_what_waits_already_needs_no_more_room(tmp_path: Path) -> None:
    room = os.statvfs(tmp_path)
    total = room.f_blocks * room.f_frsize
    pgbackrest = cluster(tmp_path, str(total + 64 * MEBIBYTE))
    assert queue_problems(pgbackrest)
    wal = tmp_path / "data/pg_wal"
    with (wal / "000000010000000000000001").open("wb") as segment:
        # Without taking room on the disk.
        segment.truncate(total)
    # What is archived takes nothing off.
    (wal / "archive_status/000000010000000000000001.done").touch()
    assert queue_problems(pgbackrest)
    (wal / "archive_status/000000010000000000000001.done").rename(wal / "archive_status/000000010000000000000001.ready")
    assert (queue_problems(pgbackrest) == []) == (os.statvfs(tmp_path).f_bavail * room.f_frsize >= 64 * MEBIBYTE)


def test_a_cluster_on_another_host_has_another_disk() -> None:
    assert queue_problems(PgBackRest(stanza="pg1", config="/none")) == []
