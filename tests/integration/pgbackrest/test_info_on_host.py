# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_info: what can be restored, and everything that is wrong."""

from __future__ import annotations

import re
import typing as t

import pytest
from host import COPY, NO_RETRY, REPOSITORY, STANZA, Host


def survey(node: Host, **arguments: object) -> dict[str, t.Any]:
    result = node.module("pgbackrest_info", {"stanza": STANZA, **arguments})
    assert result["changed"] is False
    assert result["problems"] == result["stanzas"][0]["problems"]
    return result["stanzas"][0]


def test_a_sound_repository_as_data(backed_up: Host) -> None:
    incr = backed_up.backup("incr")
    found = survey(backed_up)
    assert found["problems"] == []
    assert found["status"] == 0
    assert [each["type"] for each in found["backups"]] == ["full", "incr"]
    newest = found["backups"][-1]
    assert {name: newest[name] for name in incr} == incr
    assert newest["restorable"] is True
    assert newest["damaged"] is None
    assert newest["recoverable"]["to_wal"] >= incr["wal_stop"]
    assert found["latest"] == {"full": found["backups"][0]["label"], "diff": None, "incr": incr["label"]}
    (window,) = found["windows"]
    assert window["backups"] == [each["label"] for each in found["backups"]]
    assert window["from"] == found["backups"][0]["timestamp"]
    (archive,) = found["repositories"][0]["archive"]
    assert archive["gaps"] == []
    assert len(archive["ranges"]) == 1
    assert archive["segment_size"] == 16 << 20


def test_an_empty_stanza_and_an_unknown_one(node: Host) -> None:
    assert "has no backup" in survey(node)["problems"][0]
    unknown = node.module("pgbackrest_info", {"stanza": "nobody"})
    assert "does not exist in repository 1" in unknown["problems"][0]
    assert [each["name"] for each in node.module("pgbackrest_info", {})["stanzas"]] == [STANZA]


def test_root_may_look(backed_up: Host) -> None:
    assert backed_up.module("pgbackrest_info", {"stanza": STANZA}, user="root")["problems"] == []


@pytest.mark.fault
@pytest.mark.core
def test_a_missing_segment_in_the_middle(backed_up: Host) -> None:
    segments = [backed_up.switch_wal() for _each in range(4)]
    with backed_up.file_kept(file := backed_up.archived(segments[1])):
        backed_up.run("rm", file)
        problems = survey(backed_up)["problems"]
        assert any(segments[1] in each and "no further" in each for each in problems)
        later = backed_up.backup("incr")
        found = survey(backed_up)
        (gap,) = found["repositories"][0]["archive"][0]["gaps"]
        first = found["backups"][0]["label"]
        assert gap == {"first": segments[1], "last": segments[1], "count": 1, "unrestorable": [], "cut_short": [first]}
        # The backup that was asked for is there.
        assert found["problems"] == []
        assert [each["backups"] for each in found["windows"]] == [[first], [later["label"]]]
        assert found["windows"][0]["to_wal"] == segments[0]
        assert found["backups"][0]["recoverable"]["broken_after"] is True
    assert survey(backed_up)["problems"] == []


def test_a_missing_segment_of_the_backup_itself(backed_up: Host) -> None:
    label = survey(backed_up)["latest"]["full"]
    needed = survey(backed_up)["backups"][0]["wal_start"]
    with backed_up.file_kept(file := backed_up.archived(needed)):
        backed_up.run("rm", file)
        found = survey(backed_up)
        assert found["backups"][0]["restorable"] is False
        assert any(label in each and needed in each and "cannot be restored" in each for each in found["problems"])


@pytest.mark.fault
@pytest.mark.core
def test_one_flipped_byte_in_a_backup_and_in_a_segment(backed_up: Host) -> None:
    segment = backed_up.switch_wal()
    assert survey(backed_up, verify=True)["problems"] == []
    file = backed_up.archived(segment)
    bundle = backed_up.shell(f"ls -S {REPOSITORY}/backup/{STANZA}/*F/bundle/* | head -1").strip()
    with backed_up.file_kept(file):
        backed_up.flip_byte(file)
        found = survey(backed_up, verify=True, options=NO_RETRY)
        assert any(segment in each for each in found["problems"]), found["problems"]
        assert found["backups"][0]["damaged"] is False
    with backed_up.file_kept(bundle):
        backed_up.flip_byte(bundle)
        found = survey(backed_up, verify=True, options=NO_RETRY)
        assert any(re.search(r"invalid checksum|invalid result", each) for each in found["problems"]), found["problems"]
        assert found["backups"][0]["damaged"] is True


@pytest.mark.fault
@pytest.mark.core
def test_a_wrong_cipher_key(node: Host) -> None:
    options = {"repo1-path": f"{REPOSITORY}/encrypted", "repo1-cipher-type": "aes-256-cbc", "archive-check": False}
    right = {"options": options, "secrets": {"repo1-cipher-pass": "the right one"}}
    wrong = {"options": options, "secrets": {"repo1-cipher-pass": "another"}}
    node.module("pgbackrest_stanza", {"stanza": STANZA, **right})
    taken = node.backup("full", **right)
    assert "cannot be read with this cipher key" in node.module("pgbackrest_info", {"stanza": STANZA, **wrong})["problems"][0]
    for module, arguments in (("pgbackrest_backup", {"type": "incr"}), ("pgbackrest_restore", {"pg_path": COPY})):
        told = node.module(module, {"stanza": STANZA, **arguments, **wrong}, fails=True)
        assert "cannot be read with this cipher key" in told["msg"]
    assert node.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
    # nothing is lost
    assert [each["label"] for each in survey(node, **right)["backups"]] == [taken["label"]]


def test_two_servers_archiving_into_one_stanza(backed_up: Host) -> None:
    segment = backed_up.switch_wal()
    file = backed_up.archived(segment)
    double = re.sub(r"-[0-9a-f]{40}", "-" + "0" * 40, file)
    backed_up.run("cp", "--archive", file, double)
    assert any("twice" in each and segment in each for each in survey(backed_up)["problems"])


def test_one_repository_of_two_is_unreadable(backed_up: Host) -> None:
    options = {"repo2-path": "/var/lib/pgbackrest/second"}
    backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})
    found = survey(backed_up, options=options)
    assert [each["status"] for each in found["repositories"]] == [0, 2]
    assert [each for each in found["problems"] if "has no backup in repository 2" in each]
    backed_up.backup("full", repo=2, options={**options, "archive-check": False})
    found = survey(backed_up, options=options)
    assert sorted(each["repo"] for each in found["backups"]) == [1, 2]
