# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a restore goes to and what it starts from."""

from __future__ import annotations

import dataclasses
import datetime
import re

import pytest
from ansible.parsing.splitter import parse_kv
from backups import BASE, backup, stanza
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Backup, Database, Stanza
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import Archive, Segment, parse_lsn
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.target import (
    Target,
    backups_to_try,
    loses_silently,
    parse_target,
    refuse_unreachable,
)

NOW = BASE + 100_000


def choose_backup(found: Stanza, repos: list[int], target: Target, label: str | None) -> Backup:
    return backups_to_try(found, repos, target, label)[0]


def three() -> Stanza:
    """Complete at 10, 20 and 30 seconds, LSN 0/3, 0/6, 0/9 (millions)."""
    return stanza(
        [
            backup(
                label=f"2026112{n}-000000F",
                start=BASE + 10 * n - 5,
                stop=BASE + 10 * n,
                lsn_start=f"0/{3 * n - 1}000028",
                lsn_stop=f"0/{3 * n}000000",
                wal_start=Segment(1, 48 * n - 16).name(),
                wal_stop=Segment(1, 48 * n - 16).name(),
            )
            for n in (1, 2, 3)
        ]
    )


def at(seconds: float) -> Target:
    return Target("time", "then", time=BASE + seconds)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-11-24 04:05:06+00", "2026-11-24 04:05:06.000000+00"),
        ("2026-11-24T04:05:06Z", "2026-11-24 04:05:06.000000+00"),
        ("2026-11-24 04:05:06 UTC", "2026-11-24 04:05:06.000000+00"),
        ("2026-11-24 04:05:06.5+02", "2026-11-24 02:05:06.500000+00"),
        ("2026-11-24 04:05:06.123456-0330", "2026-11-24 07:35:06.123456+00"),
        (" 2026-11-24 04:05:06+05:45 ", "2026-11-23 22:20:06.000000+00"),
    ],
)
def test_times(text: str, canonical: str) -> None:
    target = parse_target("time", text, None, 4e9)
    assert target.value == canonical
    assert target.time == datetime.datetime.fromisoformat(canonical + ":00").timestamp()


@pytest.mark.parametrize(
    ("kind", "value", "label", "words"),
    [
        ("time", "2026-11-24 04:05:06", None, "no time zone"),
        ("time", "2026-13-24 04:05:06+00", None, "is no time"),
        ("time", "24.11.2026 04:05:06+00", None, "is no time"),
        ("time", "2026-11-24 04:05:06+00'; DROP", None, "is no time"),
        ("time", "2999-11-24 04:05:06+00", None, "is in the future"),
        ("time", None, None, "needs a target"),
        ("latest", "x", None, "takes no target"),
        ("set", None, None, "needs the label"),
        ("lsn", "17", None, "is no LSN"),
        ("xid", "2", None, "is no transaction id"),
        ("xid", "4294967296", None, "is no transaction id"),
        ("name", "a\nb", None, "cannot be a restore point"),
        ("name", "it's", None, "cannot be a restore point"),
        ("name", "x" * 64, None, "cannot be a restore point"),
    ],
)
def test_targets_that_are_none(kind: str, value: str | None, label: str | None, words: str) -> None:
    with pytest.raises(MultimasterError, match=words):
        parse_target(kind, value, label, NOW)


def test_pgbackrests_options() -> None:
    assert Target("latest").arguments("promote", False, None) == ["--type=default"]
    assert Target("set").arguments("pause", False, None) == ["--type=immediate", "--target-action=pause"]
    assert Target("xid", "7").arguments("promote", True, "2") == [
        "--type=xid",
        "--target=7",
        "--target-exclusive",
        "--target-action=promote",
        "--target-timeline=2",
    ]


@pytest.mark.parametrize(("seconds", "number"), [(11, 1), (20, 1), (20.9, 1), (21, 2), (31, 3), (9999, 3)])
def test_the_newest_backup_that_is_complete_before_a_time(seconds: float, number: int) -> None:
    assert choose_backup(three(), [1], at(seconds), None).label == f"2026112{number}-000000F"


@pytest.mark.parametrize(("lsn", "number"), [("0/3000000", 1), ("0/5FFFFFF", 1), ("0/6000000", 2), ("F/0", 3)])
def test_the_newest_backup_that_is_complete_before_an_lsn(lsn: str, number: int) -> None:
    assert choose_backup(three(), [1], Target("lsn", lsn, lsn=parse_lsn(lsn)), None).label == f"2026112{number}-000000F"


@pytest.mark.parametrize("target", [at(10), at(-5), Target("lsn", "0/2FFFFFF", lsn=0x2FFFFFF)])
def test_before_the_first_backup(target: Target) -> None:
    with pytest.raises(MultimasterError, match="before the end of the first backup"):
        choose_backup(three(), [1], target, None)


def test_a_named_backup() -> None:
    assert choose_backup(three(), [1], Target("latest"), "20261122-000000F").stop == BASE + 20
    with pytest.raises(MultimasterError, match="It has: 20261121-000000F, 20261122-000000F"):
        choose_backup(three(), [1], Target("latest"), "20261129-000000F")
    with pytest.raises(MultimasterError, match="after the target"):
        choose_backup(three(), [1], at(15), "20261122-000000F")
    with pytest.raises(MultimasterError, match="has no backup to restore"):
        choose_backup(three(), [2], Target("latest"), None)


def test_backups_of_a_former_cluster_are_not_the_latest() -> None:
    former = stanza([backup(label="20261121-000000F", database_id=0)])
    with pytest.raises(MultimasterError, match="before it was upgraded"):
        choose_backup(former, [1], Target("latest"), None)
    assert choose_backup(former, [1], Target("set"), "20261121-000000F").database_id == 0


@pytest.mark.parametrize(
    "target", [Target("xid", "731"), Target("lsn", "F/0", lsn=15 << 32), Target("name", "x"), Target("immediate")]
)
def test_only_a_time_or_a_label_leads_to_a_former_cluster(target: Target) -> None:
    """After an upgrade of the stanza, before and after the first backup of the new cluster."""
    former = backup(label="20261121-000000F", database_id=1)
    upgraded = dataclasses.replace(stanza([former]), databases=(Database(1, 1, 77, "16"), Database(2, 1, 78, "16")))
    with pytest.raises(MultimasterError, match="before it was upgraded"):
        choose_backup(upgraded, [1], target, None)
    assert choose_backup(upgraded, [1], at(5), None) == former
    assert choose_backup(upgraded, [1], target, former.label) == former
    # By another clock, say: the former cluster's is not the newest because of its time.
    present = backup(label="20261122-000000F", database_id=2, start=BASE - 20, stop=BASE - 10)
    assert choose_backup(dataclasses.replace(upgraded, backups=(present, former)), [1], target, None) == present


def test_a_backup_without_damaged_pages_comes_before_one_with() -> None:
    first, second, third = three().backups
    damaged = dataclasses.replace(third, has_errors=True)
    found = stanza([first, second, damaged])
    assert backups_to_try(found, [1], Target("latest"), None) == [second, damaged]
    assert backups_to_try(found, [1], at(25), None) == [second]
    assert backups_to_try(found, [1], Target("latest"), damaged.label) == [damaged]
    assert backups_to_try(stanza([damaged]), [1], Target("latest"), None) == [damaged]


def archive(*numbers: int) -> Archive:
    listing = {f"x/{Segment(1, n).name()}-{'a' * 40}.zst": {"type": "file", "time": BASE + n} for n in numbers}
    return Archive.from_listing("16-1", listing)


def check(target: Target, *numbers: int) -> Segment | None:
    found = three()
    return refuse_unreachable(found, found.backups[0], target, archive(*numbers), "repository 1 (/r)")


def test_the_archive_leads_there() -> None:
    assert check(Target("latest"), 32, 33, 34) == Segment(1, 34)
    assert check(Target("set"), 32, 33, 34) == Segment(1, 32)
    assert check(at(34), 32, 33, 34) == Segment(1, 34)
    # The repository tells whole seconds.
    assert check(at(34.9), 32, 33, 34) == Segment(1, 34)
    assert check(Target("lsn", "x", lsn=33 << 24), 32, 33, 34) == Segment(1, 33)


@pytest.mark.parametrize(
    ("target", "numbers", "words"),
    [
        (Target("latest"), (33, 34), "is missing"),
        (Target("set"), (33, 34), "is missing"),
        (Target("latest"), (32, 34), "has a gap"),
        (at(34), (32, 34), "cannot be reached"),
        (at(35), (32, 33, 34), "cannot be reached"),
        (at(36), (32, 33, 34), "cannot be reached"),
        (Target("lsn", "0/99", lsn=36 << 24), (32, 33, 34), "cannot be reached"),
        (Target("lsn", "0/99", lsn=34 << 24), (32, 34), "cannot be reached"),
    ],
)
def test_the_archive_does_not_lead_there(target: Target, numbers: tuple[int, ...], words: str) -> None:
    with pytest.raises(MultimasterError, match=words):
        check(target, *numbers)


@pytest.mark.parametrize("target", [Target("name", "x"), Target("xid", "9")])
def test_a_target_that_may_be_before_a_gap(target: Target) -> None:
    """PostgreSQL 13 and newer stop where they do not reach it, earlier ones open."""
    found = three()
    told: list[str] = []
    last = refuse_unreachable(found, found.backups[0], target, archive(32, 33, 35), "repository 1 (/r)", told.append)
    assert last == Segment(1, 33)
    assert len(told) == 1
    assert f"{target.type} {target.value} is later" in told[0]
    assert refuse_unreachable(found, found.backups[0], target, archive(32, 33), "", told.append) == Segment(1, 33)
    assert len(told) == 1
    old = dataclasses.replace(found, databases=(dataclasses.replace(found.databases[0], version="12"),))
    with pytest.raises(MultimasterError, match="has a gap"):
        refuse_unreachable(old, old.backups[0], target, archive(32, 34), "repository 1 (/r)", told.append)


@pytest.mark.parametrize(
    ("version", "kind", "silent"),
    [("16", "time", False), ("13", "xid", False), ("9.6", "name", True), ("16", "lsn", True), ("16", "latest", True)],
)
def test_what_a_server_loses_without_a_word(version: str, kind: str, silent: bool) -> None:
    assert loses_silently(Target(kind), Database(1, 1, 77, version)) == silent
    assert loses_silently(Target(kind), None)


def test_the_end_of_a_backup_needs_nothing_after_it() -> None:
    assert check(Target("immediate"), 32, 40) == Segment(1, 32)


@given(st.floats(-50, 200))
def test_whatever_the_time_the_backup_is_complete_before(seconds: float) -> None:
    try:
        chosen = choose_backup(three(), [1], at(seconds), None)
    except MultimasterError:
        assert seconds < 11
    else:
        # the time of a backup is the whole second in which it ended
        assert chosen.stop + 1 <= BASE + seconds


def test_the_times_that_are_advised_can_be_given_on_a_command_line() -> None:
    """Ansible splits -e name=value at spaces."""
    for value in ("yesterday", "2026-11-24 04:05:06.5"):
        with pytest.raises(MultimasterError) as refusal:
            parse_target("time", value, None, NOW)
        found = re.search(r"(2026-\S+\+00)( is UTC)?[.]", str(refusal.value))
        assert found
        given = parse_kv(f"restore_target={found.group(1)}")["restore_target"]
        assert parse_target("time", given, None, BASE + 1_000_000_000).time == parse_target(
            "time", given.replace("T", " "), None, BASE + 1_000_000_000
        ).time
