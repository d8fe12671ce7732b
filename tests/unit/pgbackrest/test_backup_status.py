# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What status says of backups: the newest of each type, and every reason to look closer."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._backup_status import backup_status, calendar_days


def backup(label: str, kind: str, age: int, timestamp: str) -> dict[str, t.Any]:
    return {
        "label": label,
        "type": kind,
        "age_seconds": age,
        "timestamp": timestamp,
        "size_bytes": 10,
        "repo_bytes": 1,
        "restorable": True,
    }


STANZA: dict[str, t.Any] = {
    "name": "pg1",
    "problems": [],
    "windows": [{"from": "2026-11-01T00:00:00Z", "to": "2026-11-03T00:00:00Z", "backups": ["F", "I", "J"]}],
    "backups": [
        backup("F", "full", 7200, "2026-11-02T22:00:00Z"),
        backup("I", "incr", 3600, "2026-11-02T23:00:00Z"),
        backup("J", "incr", 60, "2026-11-02T23:59:00Z"),
    ],
}


def failed(timestamp: str, stanza: str = "pg1", kind: str = "diff") -> dict[str, t.Any]:
    return {"stanza": stanza, "status": "failed", "type": kind, "timestamp": timestamp, "error": "no room"}


def test_the_newest_of_each_type_and_how_many() -> None:
    found = backup_status(STANZA, [], 90000)
    assert [(each["type"], each["count"], each["label"]) for each in found["types"]] == [("full", 1, "F"), ("incr", 2, "J")]
    assert found["windows"] == STANZA["windows"]
    assert found["problems"] == []


def test_a_failed_run_is_a_problem_until_a_good_one_follows() -> None:
    found = backup_status(STANZA, [failed("2026-11-03T00:00:00Z")], 90000)
    assert found["problems"] == ["The diff backup of 2026-11-03T00:00:00Z failed: no room"]
    assert [each["error"] for each in found["failures"]] == ["no room"]
    # Only an incremental backup followed, then a full one.
    assert len(backup_status(STANZA, [failed("2026-11-02T23:30:00Z")], 90000)["problems"]) == 1
    assert backup_status(STANZA, [failed("2026-11-02T21:30:00Z")], 90000)["problems"] == []
    assert backup_status(STANZA, [failed("2026-11-03T00:00:00Z", "pg2")], 90000)["problems"] == []


def test_failed_runs_are_seen_without_a_catalogue() -> None:
    record = {**failed("2026-11-03T00:00:00Z"), "label": "failed-20261103"}
    found = backup_status(STANZA, [], 90000, noted=json.dumps([record]))
    assert found["problems"] == ["The diff backup of 2026-11-03T00:00:00Z failed: no room"]
    # The catalogue may know it, too.
    assert backup_status(STANZA, [record], 90000, noted=json.dumps([record]))["problems"] == found["problems"]
    for damaged in ("[{", "{}", "[1]", "[{}]"):
        (problem,) = backup_status(STANZA, [], 90000, noted=damaged)["problems"]
        assert "list of failed backups" in problem


def test_backups_of_a_former_cluster_are_no_backups_of_this_one() -> None:
    former = [{**each, "current": False} for each in STANZA["backups"]]
    new = {**backup("N", "full", 100000, "2026-11-01T00:00:00Z"), "current": True}
    (problem,) = backup_status({**STANZA, "backups": [*former, new]}, [], 90000)["problems"]
    assert "newest backup is 28 hours old" in problem


@pytest.mark.parametrize(
    ("followed", "cured"), [("full", {"full", "diff", "incr"}), ("diff", {"diff", "incr"}), ("incr", {"incr"})]
)
def test_which_backup_ends_which_failure(followed: str, cured: set[str]) -> None:
    stanza = {**STANZA, "backups": [backup("X", followed, 60, "2026-11-03T01:00:00Z")]}
    records = [failed("2026-11-03T00:00:00Z", kind=kind) for kind in ("full", "diff", "incr")]
    assert {each["type"] for each in backup_status(stanza, records, 90000)["failures"]} == {"full", "diff", "incr"} - cured


@pytest.mark.parametrize(
    ("calendar", "days"),
    [
        ("Sun *-*-* 01:{minute}:00", 7),
        ("Mon..Sat *-*-* 01:{minute}:00", 2),
        ("*-*-* 03/6:{minute}:00", 1),
        ("Mon,Thursday 02:00", 4),
        ("Fri..Mon 02:00", 4),
        ("03:00", 1),
        ("weekly", 7),
        ("*-*-01 01:00", None),
        ("2026-01-01", None),
        ("", None),
    ],
)
def test_how_long_a_schedule_lets_a_backup_become(calendar: str, days: int | None) -> None:
    assert calendar_days(calendar) == days


def test_a_full_backup_that_its_schedule_should_have_replaced() -> None:
    schedules = {"full": "Sun *-*-* 01:00:00", "diff": "", "incr": "*-*-* 03/6:00:00"}
    for days, problems in ((7, 0), (9, 1)):
        old = {**STANZA, "backups": [backup("F", "full", days * 86400, "2026-10-25T01:00:00Z"), STANZA["backups"][2]]}
        found = backup_status(old, [], 90000, schedules)["problems"]
        assert [each[:24] for each in found] == ["Its newest full backup is"[:24]] * problems
        assert backup_status(old, [], 90000)["problems"] == []


def test_a_newest_backup_that_is_too_old() -> None:
    assert "hours old" in backup_status(STANZA, [], 30)["problems"][0]


def test_the_repository_s_problems_are_kept() -> None:
    assert backup_status({**STANZA, "backups": [], "problems": ["no backup"]}, [], 1)["problems"] == ["no backup"]
