# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument lists, secrets, configuration: without running pgBackRest."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest
from backups import BASE, backup, recorded, stanza
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import (
    Configuration,
    is_secret,
    parse_into,
    read_configuration,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import DataDirectory
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    PgBackRest,
    from_parameters,
    option_text,
    run_process,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import Archive, Segment
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import mapping
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import restore as _pgbackrest_restore
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.live import live_places
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.target import Target

SECRET = "s3cret word"


class Recorder:
    """Stands for the program: answers what it is told to, and remembers how it was called."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[list[str], dict[str, str]]] = []

    def __call__(
        self, argv: t.Sequence[str], environment: t.Mapping[str, str], keep_open: t.Sequence[int]
    ) -> tuple[int, str, str]:
        self.calls.append((list(argv), dict(environment)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def command(*answers: tuple[int, str, str], **more: t.Any) -> tuple[PgBackRest, Recorder]:
    run = Recorder(*answers)
    return PgBackRest(stanza="bk", config="/nowhere", run=run, sleep=lambda seconds: None, **more), run


def test_secrets_go_through_the_environment_only() -> None:
    pgbackrest, run = command((0, recorded("info_no_backup.json"), ""), secrets={"repo1-cipher-pass": SECRET})
    pgbackrest.info()
    argv, environment = run.calls[0]
    assert SECRET not in " ".join(argv)
    assert environment == {"PGBACKREST_REPO1_CIPHER_PASS": SECRET}


def test_a_secret_in_what_it_says_is_hidden() -> None:
    pgbackrest, _run = command((37, "", f"ERROR: [104]: it said {SECRET} aloud"), secrets={"repo1-s3-key": SECRET})
    with pytest.raises(MultimasterError) as failure:
        pgbackrest.execute(pgbackrest.argv("backup"))
    assert SECRET not in str(failure.value)
    assert SECRET not in json.dumps(failure.value.details)
    assert failure.value.details["pgbackrest_code"] == 104


def test_options_as_the_environment_has_them() -> None:
    assert [option_text(each) for each in (True, False, 7, ["a", "b"], {"a": "b", "c": 1})] == ["y", "n", "7", "a:b", "a=b:c=1"]


def test_words_that_are_no_options_come_after_the_command() -> None:
    pgbackrest, _run = command((0, "", ""))
    assert pgbackrest.argv("repo-ls", "--recurse", "archive/bk", repo=2) == [
        "pgbackrest",
        "--config=/nowhere",
        "--stanza=bk",
        "--repo=2",
        "--log-level-console=off",
        "--log-level-stderr=warn",
        "--recurse",
        "repo-ls",
        "archive/bk",
    ]


def test_a_lock_is_waited_for_and_no_longer() -> None:
    locked = (50, "", "ERROR: [050]: unable to acquire lock")
    ticks = iter(range(100))
    pgbackrest, run = command(locked, locked, (0, "ok", ""), clock=lambda: next(ticks))
    assert pgbackrest.execute(pgbackrest.argv("expire"), lock_wait=10) == "ok"
    assert len(run.calls) == 3
    pgbackrest, run = command(locked, clock=lambda: next(ticks))
    with pytest.raises(MultimasterError, match="lock_wait"):
        pgbackrest.execute(pgbackrest.argv("expire"), lock_wait=3)


@pytest.mark.parametrize(
    ("limited", "told", "named"),
    [
        (2, "ERROR: [041]: unable to open file '/two/x' for read: [13] Permission denied", "/two"),
        (None, "ERROR: [041]: unable to get 0001:\n       repo2: 16-1/0001.zst [FileOpenError] [13] Permission denied", "/two"),
        (None, "ERROR: [041]: unable to open file '/one/x' for read: [13] Permission denied", "/one"),
    ],
)
def test_a_failure_names_the_repository_it_happened_in(limited: int | None, told: str, named: str) -> None:
    pgbackrest, _run = command((41, "", told), options={"repo1-path": "/one", "repo2-path": "/two"})
    where = pgbackrest._repository_of(pgbackrest.argv("repo-get", "x", repo=limited), told)
    assert pgbackrest.where(where) == f"repository {where} ({named})"


def test_an_expiry_says_what_failed_not_how_much() -> None:
    told = (
        "ERROR: [060]: repo2: unable to remove '/two/backup/bk/x/backup.manifest': [13] Permission denied\n"
        "ERROR: [104]: expire command encountered 1 error(s), check the log file for details"
    )
    pgbackrest, _run = command((104, "", told), options={"repo1-path": "/one", "repo2-path": "/two"})
    with pytest.raises(MultimasterError, match=r"^/two/backup/bk/x/backup\.manifest is not accessible") as failure:
        pgbackrest.execute(pgbackrest.argv("expire", repo=2))
    assert failure.value.details["pgbackrest_code"] == 60
    assert "repo2: " not in str(failure.value)


def test_what_is_read_of_a_repository_names_it_when_that_fails() -> None:
    told = (55, "", "ERROR: [055]: unable to open missing file '/two/backup/bk/x' for read")
    reads: list[t.Callable[[PgBackRest], object]] = [
        lambda each: each.content("backup/bk/x", 2),
        lambda each: each.listing("archive/bk", 2),
    ]
    for read in reads:
        pgbackrest, _run = command(told, options={"repo1-path": "/one", "repo2-path": "/two"})
        with pytest.raises(MultimasterError) as failure:
            read(pgbackrest)
        assert "repository 1" not in str(failure.value)
        assert "--repo=2" in failure.value.details["command"]


@pytest.mark.parametrize(
    ("damaged", "places"), [((1,), "repository 1 (/one)"), ((1, 2), "repository 1 (/one) and repository 2 (/two)")]
)
def test_damaged_wal_is_said_to_be_where_it_is(tmp_path: Path, damaged: tuple[int, ...], places: str) -> None:
    """The backup is in repository 2, and recovery takes WAL from the first repository that has it."""
    for folder in ("global", "pg_wal"):
        (tmp_path / folder).mkdir()
    (tmp_path / "global/pg_control").touch()

    def fetch(argv: t.Sequence[str], environment: t.Mapping[str, str], keep_open: t.Sequence[int]) -> tuple[int, str, str]:
        key = next((int(word.partition("=")[2]) for word in argv if word.startswith("--repo=")), 1)
        Path(argv[-1]).write_bytes(b"damaged" if key in damaged else b"sound")
        return 0, "", ""

    sound = hashlib.sha1(b"sound", usedforsecurity=False).hexdigest()
    archive = Archive("16-1", segments={1: {2: 0, 3: 0}}, checksums={Segment(1, number): sound for number in (2, 3)})
    pgbackrest = PgBackRest(stanza="bk", config="/nowhere", run=fetch, options={"repo1-path": "/one", "repo2-path": "/two"})
    restore = _pgbackrest_restore.Restore(
        target=Target("latest"),
        backup=backup(repo=2),
        path=str(tmp_path),
        in_place=False,
        argv=[],
        recovery={},
        archive=archive,
        last_segment=Segment(1, 3),
        damage_is_silent=True,
        before=DataDirectory(str(tmp_path)),
        repos=(1, 2),
    )
    with pytest.raises(MultimasterError, match="is damaged") as failure:
        _pgbackrest_restore.verify_wal(pgbackrest, restore)
    assert f" in {places} is damaged" in str(failure.value)


@pytest.mark.parametrize(("segments", "label"), [((2, 3, 4), "sound"), ((2, 4), "damaged"), ((4,), "damaged")])
def test_damaged_pages_are_restored_only_where_nothing_else_leads_to_the_target(segments: tuple[int, ...], label: str) -> None:
    sound = backup(label="sound", wal_start=Segment(1, 2).name(), wal_stop=Segment(1, 2).name())
    damaged = backup(label="damaged", wal_start=Segment(1, 4).name(), wal_stop=Segment(1, 4).name(), has_errors=True)
    listing = {f"x/{Segment(1, each).name()}-{'a' * 40}.zst": {"type": "file", "time": BASE + each} for each in segments}
    pgbackrest, _run = command((0, json.dumps(listing), ""))
    found, _archive, last = _pgbackrest_restore._reachable(
        pgbackrest, stanza([sound, damaged]), [sound, damaged], Target("latest"), pytest.fail
    )
    assert (found.label, last) == (label, Segment(1, 4))


def test_warnings_are_passed_on_in_one_line() -> None:
    warnings: list[str] = []
    pgbackrest, _run = command((0, "", "WARN: no prior backup exists\n      HINT: none"), warn=warnings.append)
    pgbackrest.execute(pgbackrest.argv("backup"))
    assert warnings == ["pgBackRest: no prior backup exists HINT: none"]


def test_unreadable_repositories_in_words() -> None:
    for file, words in (
        ("info_missing_stanza.json", "does not exist in repository 1"),
        ("info_cipher_header.json", "no cipher header"),
        ("info_wrong_key.bin", "are encrypted"),
    ):
        pgbackrest, _run = command((0, recorded(file), ""))
        with pytest.raises(MultimasterError, match=words):
            pgbackrest.require_readable(pgbackrest.stanza_info())
    pgbackrest, _run = command((0, recorded("info_no_backup.json"), ""))
    pgbackrest.require_readable(pgbackrest.stanza_info())


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(MultimasterError, match="There is no /nowhere/pgbackrest"):
        run_process(["/nowhere/pgbackrest"], {})


def parameters(**more: t.Any) -> dict[str, t.Any]:
    return {"stanza": "bk", "repo": None, "config": "/nowhere", "options": {}, "secrets": {}, "executable": "pgbackrest", **more}


def test_secrets_and_options_are_not_mixed_up() -> None:
    with pytest.raises(MultimasterError, match="repo3-azure-key is a secret"):
        from_parameters(parameters(options={"repo3-azure-key": "x"}), print)
    with pytest.raises(MultimasterError, match="repo1-path is no secret"):
        from_parameters(parameters(secrets={"repo1-path": "x"}), print)
    made = from_parameters(parameters(secrets={"repo1-cipher-pass": 12, "repo1-s3-key": ""}), print)
    assert made.secrets == {"repo1-cipher-pass": "12"}
    assert is_secret("repo12-sftp-private-key-passphrase")
    assert not is_secret("repo1-s3-key-type")


CONFIGURATION = f"""
# comment
[global]
repo1-path=/backup
repo1-cipher-pass={SECRET}
repo2-type=s3
repo2-s3-bucket=bucket
repo2-path=/there
repo2-s3-key-secret={SECRET}
repo3-host=vault
[global:backup]
repo1-path = /for/backup
[bk]
pg1-path=/data
repo4-type=azure
repo4-azure-container=box
"""


def test_configuration_files(tmp_path: t.Any) -> None:
    file = tmp_path / "pgbackrest.conf"
    file.write_text(CONFIGURATION)
    found = read_configuration(
        str(file), {"repo3-path": "/given"}, {"PGBACKREST_PG1_PORT": "1", "PGBACKREST_REPO1_CIPHER_PASS": SECRET}
    )
    assert SECRET not in repr(found)
    assert found.value("bk", "pg1-path") == "/data"
    assert found.value("other", "pg1-path") is None
    assert found.value("bk", "pg1-port") == "1"
    assert found.value("bk", "repo1-path", "backup") == "/for/backup"
    assert [found.address("bk", key) for key in (1, 2, 3, 4)] == [
        "/backup",
        "s3://bucket/there",
        "vault:/given",
        "azure://box/var/lib/pgbackrest",
    ]
    assert found.local_path("bk", 1) == "/backup"
    assert found.local_path("bk", 2) is None
    assert found.local_path("bk", 3) is None
    assert found.repositories("bk") == [1, 2, 3, 4]
    assert Configuration().repositories("bk") == [1]


@given(st.text())
def test_any_file_can_be_read(text: str) -> None:
    sections: dict[str, dict[str, str]] = {}
    parse_into(sections, text)
    assert not any(is_secret(name) for values in sections.values() for name in values)


def test_a_directory_that_a_repository_host_cannot_be_asked_for_is_refused() -> None:
    """pgBackRest: '"/srv/data disk/copy"' must begin with / for 'pg1-path' option."""
    host = {"repo2-host": "192.0.2.9", "repo2-host-type": "tls"}
    there, _run = command((0, "", ""), options=host)
    with pytest.raises(MultimasterError, match=r"/srv/data disk/copy has a space .* repository 2 \(192\.0\.2\.9:"):
        _pgbackrest_restore.refuse_space_in_name(there, "/srv/data disk/copy")
    _pgbackrest_restore.refuse_space_in_name(there, "/srv/copy")
    # Nor are those of a folder, or over SSH, where a shell takes the quotes away.
    for other in ({}, {"repo1-host": "192.0.2.9", "repo1-host-type": "ssh"}, {**host, "repo1-path": "/here"}):
        here, _run = command((0, "", ""), options=other, repo=1)
        _pgbackrest_restore.refuse_space_in_name(here, "/srv/data disk/copy")


def test_the_restore_command_tells_the_end_from_a_failure() -> None:
    pgbackrest, _run = command(
        (0, "", ""), options={"repo1-path": "/with space/it's 100%", "process-max": 3, "repo1-retention-full": 2}
    )
    copy = _pgbackrest_restore.archive_get_command(pgbackrest, "/copy", in_place=False)
    assert 'archive-get %f "%p" || exit $(($? > 1 ? 255 : 1)); ' in copy
    # A copy looks through each segment; a server in its own place has its own tablespaces.
    assert copy.endswith(' /copy/restored_copy_wal.py %f "%p" || exit 255')
    assert "--no-archive-async" in copy
    assert "process-max" not in copy
    assert "retention" not in copy
    assert "100%%" in copy
    # a value between quotes in postgresql.auto.conf
    assert "'" not in copy.replace("''", "")
    in_place = _pgbackrest_restore.archive_get_command(pgbackrest, "/copy", in_place=True)
    assert "--no-archive-async" not in in_place
    assert in_place.endswith('archive-get %f "%p" || exit $(($? > 1 ? 255 : 1))')
    assert _pgbackrest_restore.setting_text("it's a\\b") == "it''s a\\\\b"


def test_subscriptions_in_a_manifest() -> None:
    line = 'pg_data/pg_logical/replorigin_checkpoint={"checksum":"aa","size":%d,"timestamp":1}'
    assert _pgbackrest_restore.origins_in_manifest("x=1\n" + line % 8) == 0
    assert _pgbackrest_restore.origins_in_manifest("x=1\n" + line % 40) == 2
    assert _pgbackrest_restore.origins_in_manifest("") == 0


def test_tablespaces_of_a_backup() -> None:
    info = json.loads(recorded("info_three_backups.json"))
    assert mapping.tablespaces(json.dumps(info)) == []
    info[0]["backup"][0]["tablespace"] = [{"name": "s", "destination": "/s", "oid": 1}]
    assert [each["name"] for each in mapping.tablespaces(json.dumps(info))] == ["s"]


def test_a_tablespace_is_never_the_live_one_s(tmp_path: Path) -> None:
    """By whatever way its directory is stated."""
    old, now, pg = tmp_path / "old", tmp_path / "now", tmp_path / "pg"
    for folder in (old, now, pg / "pg_tblspc"):
        folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(old)
    (pg / "pg_tblspc" / "16400").symlink_to(now)
    found = [{"name": "old", "oid": 16400, "destination": str(old)}]

    def shared(mapped: dict[str, str], mapped_all: str | None = None) -> bool:
        live = live_places([str(pg)], str(tmp_path / "copy"))
        try:
            mapping.refuse_places("a", str(tmp_path / "copy"), found, mapped, mapped_all, live)
        except MultimasterError:
            return True
        return False

    assert shared({})
    assert shared({"another": "/elsewhere"})
    assert shared({"old": f"{old}/"})
    assert shared({"old": str(tmp_path / "link")})
    assert shared({}, str(tmp_path))
    # where the live node's is since the backup
    assert shared({"old": str(now)})
    assert not shared({"old": str(tmp_path / "new")})
    assert not shared({}, str(tmp_path / "copy_tablespaces"))
    assert not shared({"old": str(tmp_path / "new")}, str(tmp_path))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((49, "", "ERROR: [049]: unable to connect to 'backup:8432': [111] Connection refused"), "cannot be reached"),
        ((-9, "", ""), "was ended by signal 9"),
    ],
)
def test_a_segment_that_cannot_be_fetched_is_not_called_damaged(tmp_path: Path, answer: tuple[int, str, str], says: str) -> None:
    for folder in ("global", "pg_wal"):
        (tmp_path / folder).mkdir()
    (tmp_path / "global/pg_control").touch()
    last = Segment(1, 3)
    archive = Archive("16-1", segments={1: {2: 0, 3: 0}}, checksums={Segment(1, number): "0" * 40 for number in (2, 3)})
    pgbackrest, _run = command(answer)
    restore = _pgbackrest_restore.Restore(
        target=Target("latest"),
        backup=backup(),
        path=str(tmp_path),
        in_place=False,
        argv=[],
        recovery={},
        archive=archive,
        last_segment=last,
        damage_is_silent=True,
        before=DataDirectory(str(tmp_path)),
    )
    with pytest.raises(MultimasterError) as failure:
        _pgbackrest_restore.verify_wal(pgbackrest, restore)
    assert says in str(failure.value)
    assert "Run this again with delta" in str(failure.value)
    assert "earlier target" not in str(failure.value)
    assert "damaged_wal" not in failure.value.details
    # What is not verified does not start.
    assert not (tmp_path / "global/pg_control").exists()
