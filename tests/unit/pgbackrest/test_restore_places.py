# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore is told of its tablespaces, timeline and settings, against what there is."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from backups import backup

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import run_process
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import Archive
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import restore
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.live import live_places, touched
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.mapping import refuse_places, refuse_unknown_names

FOUND = [{"name": name, "oid": oid, "destination": f"/nowhere/{name}"} for oid, name in enumerate(("a", "b"), start=16400)]


def places(copy: Path, mapped: dict[str, str], mapped_all: str | None = None) -> None:
    refuse_places("20261124-040003F", str(copy), FOUND, mapped, mapped_all)


def test_a_name_that_the_backup_does_not_have() -> None:
    refuse_unknown_names("x", FOUND, {"a": "/a"})
    with pytest.raises(MultimasterError, match=r"tablespace_map has c, which backup x does not have; its tablespaces are a, b\."):
        refuse_unknown_names("x", FOUND, {"a": "/a", "c": "/c"})
    with pytest.raises(MultimasterError, match=r"its tablespaces are none\."):
        refuse_unknown_names("x", [], {"c": "/c"})


def test_two_in_one_directory_and_one_in_the_copy_itself(tmp_path: Path) -> None:
    copy, folder = tmp_path / "copy", tmp_path / "spaces"
    places(copy, {"a": str(folder), "b": str(tmp_path / "b")})
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    for other in (tmp_path / "link", folder / "b", tmp_path):
        with pytest.raises(MultimasterError, match="Tablespaces a and b would be restored into the same directory"):
            places(copy, {"a": str(folder), "b": str(other)})
    for inside in (copy, copy / "in"):
        with pytest.raises(MultimasterError, match="in the copy's own data directory"):
            places(copy, {"a": str(inside), "b": str(folder)})
    # A copy may be in the directory of one of its tablespaces: what is the server's there is in a folder of its own.
    places(folder / "copy", {"a": str(folder), "b": str(tmp_path / "b")})


def test_what_is_there_is_another_s(tmp_path: Path) -> None:
    """Also with delta, with which pgBackRest itself would replace it."""
    copy, spaces = tmp_path / "copy", tmp_path / "spaces"
    (spaces / "a" / "PG_16_202307071" / "5").mkdir(parents=True)
    (spaces / "b").mkdir()
    (spaces / "b" / "thesis.txt").touch()
    with pytest.raises(MultimasterError, match=f"{spaces}/a, which holds a tablespace already .PG_16_202307071."):
        places(copy, {}, str(spaces))
    (copy / "pg_tblspc").mkdir(parents=True)
    (copy / "pg_tblspc" / "16400").symlink_to(spaces / "a")
    places(copy, {}, str(spaces))
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(MultimasterError, match=r"dangling is a symbolic link to .*nothing, which is not there"):
        places(copy, {"b": str(tmp_path / "dangling")}, str(spaces))
    with pytest.raises(MultimasterError, match="file is not a directory"):
        places(copy, {"b": str(tmp_path / "file" / "b")}, str(spaces))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(MultimasterError, match="closed may not be written by this user"):
        places(tmp_path / "copy", {}, str(tmp_path / "closed"))


def test_beside_a_live_tablespace_there_is_room(tmp_path: Path) -> None:
    """It can be a whole disk: what is the server's is the folder of its version."""
    pg, disk = tmp_path / "pg", tmp_path / "disk"
    (pg / "pg_tblspc").mkdir(parents=True)
    (disk / "PG_16_202307071").mkdir(parents=True)
    (pg / "pg_tblspc" / "16400").symlink_to(disk)
    live = live_places([str(pg)], str(disk / "copy"))
    assert touched(str(disk / "copy"), live) is None
    for path in (disk, disk / "PG_16_202307071", disk / "PG_16_202307071" / "5", tmp_path):
        assert touched(str(path), live) is not None


@pytest.fixture
def archive() -> Archive:
    """On timeline 3, and 4 branched off it without a segment yet."""
    segment = "16-1/0000000300000000/000000030000000000000002-" + "a" * 40 + ".zst"
    listing = {segment: {"type": "file"}}
    return Archive.from_listing("16-1", {**listing, **{f"16-1/0000000{each}.history": {"type": "file"} for each in (2, 3, 4)}})


@pytest.mark.parametrize("timeline", [None, "latest", "current", "3", "4", "0x4"])
def test_a_timeline_to_go_along(archive: Archive, timeline: str | None) -> None:
    restore.refuse_unknown_timeline(timeline, backup(wal_start="000000030000000000000002"), archive, "repository 1")


@pytest.mark.parametrize("timeline", ["2", "5", "99"])
def test_a_timeline_that_leads_nowhere(archive: Archive, timeline: str) -> None:
    taken = backup(label="x", wal_start="000000030000000000000002")
    told = f"target_timeline is {timeline}, and recovery from backup x in repository 1 can go along timeline 3, 4"
    with pytest.raises(MultimasterError, match=told):
        restore.refuse_unknown_timeline(timeline, taken, archive, "repository 1")


def test_settings_that_the_server_does_not_take(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[t.Sequence[str]] = []

    def answers(argv: t.Sequence[str], environment: t.Mapping[str, str], keep_open: t.Sequence[int]) -> tuple[int, str, str]:
        asked.append(argv)
        return 1, "", 'FATAL:  invalid value for parameter "port": "abc"\n'

    monkeypatch.setattr(restore, "programs_folder", lambda version: str(tmp_path))
    # without programs it is not known
    restore.refuse_wrong_settings(answers, "16", {"port": "abc"})
    (tmp_path / "postgres").touch()
    with pytest.raises(MultimasterError, match=r'16 does not take recovery_options: invalid value for parameter "port": "abc"\.'):
        restore.refuse_wrong_settings(answers, "16", {"port": "abc", "fsync": False})
    assert "port=abc" in asked[0]
    assert "fsync=off" in asked[0]


def test_a_program_that_cannot_be_run() -> None:
    with pytest.raises(MultimasterError, match=r"/etc/passwd cannot be run \(Permission denied\)"):
        run_process(["/etc/passwd"], {})
