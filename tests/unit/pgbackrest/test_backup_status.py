# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What status says of backups: the newest of each type, and every reason to look closer."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._backup_status import backup_status


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


STANZA = {
    "name": "pg1",
    "problems": [],
    "windows": [{"from": "2026-11-01T00:00:00Z", "to": "2026-11-03T00:00:00Z", "backups": ["F", "I", "J"]}],
    "backups": [
        backup("F", "full", 7200, "2026-11-02T22:00:00Z"),
        backup("I", "incr", 3600, "2026-11-02T23:00:00Z"),
        backup("J", "incr", 60, "2026-11-02T23:59:00Z"),
    ],
}


def failed(timestamp: str, stanza: str = "pg1") -> dict[str, t.Any]:
    return {"stanza": stanza, "status": "failed", "type": "diff", "timestamp": timestamp, "error": "no room"}


def test_the_newest_of_each_type_and_how_many() -> None:
    found = backup_status(STANZA, [], 90000)
    assert [(each["type"], each["count"], each["label"]) for each in found["types"]] == [("full", 1, "F"), ("incr", 2, "J")]
    assert found["windows"] == STANZA["windows"]
    assert found["problems"] == []


def test_a_failed_run_is_a_problem_until_a_good_one_follows() -> None:
    found = backup_status(STANZA, [failed("2026-11-03T00:00:00Z")], 90000)
    assert found["problems"] == ["The diff backup of 2026-11-03T00:00:00Z failed: no room"]
    assert found["failure"]["error"] == "no room"
    assert backup_status(STANZA, [failed("2026-11-02T23:30:00Z")], 90000)["problems"] == []
    assert backup_status(STANZA, [failed("2026-11-03T00:00:00Z", "pg2")], 90000)["problems"] == []


def test_a_newest_backup_that_is_too_old() -> None:
    assert "hours old" in backup_status(STANZA, [], 30)["problems"][0]


def test_the_repository_s_problems_are_kept() -> None:
    assert backup_status({**STANZA, "backups": [], "problems": ["no backup"]}, [], 1)["problems"] == ["no backup"]
