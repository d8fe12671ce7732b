# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own program for backups: with Debian's Python alone, and with the repository away for a while."""

from __future__ import annotations

import json
import signal
import subprocess
import typing as t

import pytest
from host import REPOSITORY, ROOT, STANZA, Host
from servers import wait_until

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._host_program import host_program

PROGRAM, SETTINGS = "/tmp/multimaster-backup", "/tmp/multimaster-backup.json"


@pytest.fixture
def program(node: Host, catalog: dict[str, t.Any]) -> Host:
    settings = {
        "stanzas": {STANZA: {"node": STANZA, "repositories": [1]}},
        "retention": {"full": 1, "diff": 1, "incr": 1},
        "catalog": catalog,
        "failures_path": "/var/lib/postgresql/failures.json",
    }
    node.run("tee", PROGRAM, text=host_program("_backup.program", ROOT / "plugins/module_utils"))
    node.run("tee", SETTINGS, text=json.dumps(settings))
    node.shell(f"chmod 755 {PROGRAM}; rm -f /var/lib/postgresql/failures.json")
    return node


def run(node: Host, kind: str, *further: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, f"--settings={SETTINGS}", "run", "--json", f"--stanza={STANZA}", f"--type={kind}", *further]
    return node.run(*command, user="postgres", check=False)


def test_backs_up_expires_and_records(program: Host, catalog: dict[str, t.Any]) -> None:
    outcomes = [json.loads(run(program, kind).stdout) for kind in ("full", "incr", "diff", "incr", "full")]
    assert [outcome["backups"][0]["type"] for outcome in outcomes] == ["full", "incr", "diff", "incr", "full"]
    assert all(outcome["recorded"] == ["localhost:6391", "localhost:6392"] for outcome in outcomes)
    # One of each is kept: the first incremental one went when the second came, all of the first set with the second full one.
    labels = [outcome["backups"][0]["label"] for outcome in outcomes]
    assert outcomes[3]["expired"] == [labels[1]]
    assert set(outcomes[4]["expired"]) == {labels[0], labels[2], labels[3]}
    read = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})
    assert [each["label"] for each in read["backups"]] == [labels[4]]
    assert read["consistent"]
    assert json.loads(run(program, "full", "--only-if-none").stdout)["changed"] is False


def test_what_a_row_of_backups_would_push_out_is_foretold(program: Host) -> None:
    def foretell(*kinds: str) -> dict[str, t.Any]:
        command = [PROGRAM, f"--settings={SETTINGS}", "foretell", f"--stanza={STANZA}", "--types", *kinds]
        done = program.run(*command, user="postgres", check=False)
        assert (done.returncode == 0) == (json.loads(done.stdout)["errors"] == [])
        return json.loads(done.stdout)

    assert foretell("incr", "full") == {"backups": [], "expired": [], "errors": []}
    for kind in ("full", "diff", "incr"):
        run(program, kind)
    before = [each["label"] for each in program.backups()]
    kinds = ("diff", "incr")
    told = foretell(*kinds)
    assert told["backups"] == before
    for kind in kinds:
        run(program, kind)
    left = [each["label"] for each in program.backups()]
    assert told["expired"] == [label for label in before if label not in left] != []
    assert foretell("full")["expired"] == left
    program.run("chmod", "0", f"{REPOSITORY}/backup")
    try:
        assert foretell("full")["errors"] != []
    finally:
        program.run("chmod", "750", f"{REPOSITORY}/backup")


def test_check_mode_says_what_would_be_taken_and_what_would_expire(program: Host) -> None:
    told = json.loads(run(program, "incr", "--check").stdout)
    assert (told["changed"], told["types"], told["expired"]) == (True, ["full"], [])
    assert program.backups() == []
    taken = [json.loads(run(program, kind).stdout)["backups"][0]["label"] for kind in ("full", "incr", "diff")]
    for kind in ("incr", "full"):
        told = json.loads(run(program, kind, "--check").stdout)
        done = json.loads(run(program, kind).stdout)
        assert told["types"] == [done["backups"][0]["type"]] == [kind]
        assert set(told["expired"]) == set(done["expired"]) != set()
        taken.append(done["backups"][0]["label"])
    assert [each["label"] for each in program.backups()] == taken[-1:]


def test_a_backup_after_which_nothing_expires_is_told_and_in_the_catalogue(program: Host, catalog: dict[str, t.Any]) -> None:
    old = json.loads(run(program, "full").stdout)["backups"][0]["label"]
    # It can be read, and not be removed.
    program.run("chown", "-R", "root", f"{REPOSITORY}/backup/{STANZA}/{old}")
    program.run("chmod", "-R", "a+rX", f"{REPOSITORY}/backup/{STANZA}/{old}")
    done = run(program, "full")
    assert done.returncode == 1
    outcome = json.loads(done.stdout)
    new = outcome["backups"][0]["label"]
    assert outcome["errors"][0].startswith(
        f"Backup {new} was taken; expiring older ones failed: {REPOSITORY}/backup/{STANZA}/{old}/"
    )
    read = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})
    assert read["latest"] == {STANZA: {"full": new}}
    assert {each["status"] for each in read["backups"]} == {"ok", "failed"}


@pytest.mark.fault
def test_backups_of_damaged_pages_fail_the_run_and_push_out_no_good_one(program: Host, catalog: dict[str, t.Any]) -> None:
    good = json.loads(run(program, "full").stdout)["backups"][0]["label"]
    program.sql("CREATE TABLE rotten AS SELECT generate_series(1, 10000) i")
    program.damage_table("rotten")
    # Of each type one is kept, by this host's settings and by pgBackRest's.
    program.run("sed", "-i", "s/^repo1-retention-full=.*/repo1-retention-full=1/", "/etc/pgbackrest/pgbackrest.conf")
    try:
        failed = [run(program, kind) for kind in ("full", "full", "incr")]
        sound = [each["label"] for each in program.backups() if not each["error"]]
        read = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})
        program.sql("DROP TABLE rotten")
        program.sql("CHECKPOINT")
        mended = run(program, "full")
        left = [each["label"] for each in program.backups()]
    finally:
        program.run("sed", "-i", "s/^repo1-retention-full=.*/repo1-retention-full=9/", "/etc/pgbackrest/pgbackrest.conf")
    assert [each.returncode for each in failed] == [1, 1, 1]
    told = [json.loads(each.stdout) for each in failed]
    assert all("checksum is wrong" in outcome["errors"][0] and outcome["expired"] == [] for outcome in told)
    assert sound == [good]
    assert {each["status"] for each in read["backups"]} == {"ok", "error", "failed"}
    # The first good one afterwards takes their place.
    assert mended.returncode == 0
    assert left == [json.loads(mended.stdout)["backups"][0]["label"]]


def test_a_failure_is_recorded_and_told(program: Host, catalog: dict[str, t.Any]) -> None:
    program.server("stop")
    try:
        failed = run(program, "full")
    finally:
        program.server("start")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    (error,) = json.loads(failed.stdout)["errors"]
    (record,) = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})["backups"]
    assert (record["status"], record["type"]) == ("failed", "full")
    assert record["error"][:40] == error[:40]


@pytest.mark.fault
def test_the_repository_is_away_for_a_while(program: Host) -> None:
    """Archiving catches up by itself; nothing that was written meanwhile is missing."""
    run(program, "full")
    program.run("chmod", "000", f"{REPOSITORY}/archive/{STANZA}")
    try:
        program.sql("CREATE TABLE more (id integer)")
        for number in range(3):
            program.sql(f"INSERT INTO more VALUES ({number})")
            program.sql("SELECT pg_switch_wal()")
        wait_until(lambda: program.sql("SELECT failed_count > 0 FROM pg_stat_archiver") == "t", what="archiving that fails")
    finally:
        program.run("chmod", "750", f"{REPOSITORY}/archive/{STANZA}")
    program.switch_wal()
    info = program.module("pgbackrest_info", {"stanza": STANZA})
    assert info["problems"] == []
    program.restore()
    program.start_copy()
    assert program.sql("SELECT count(*) FROM more", 5499) == "3"
    program.stop_copy()


def test_a_repository_that_is_not_mounted_is_not_taken_for_an_empty_one(program: Host, catalog: dict[str, t.Any]) -> None:
    label = json.loads(run(program, "full").stdout)["backups"][0]["label"]
    command = [PROGRAM, f"--settings={SETTINGS}"]
    assert program.run(*command, "lost", f"--stanza={STANZA}", user="postgres").returncode == 0
    # What is left is the folder that it would be mounted on.
    program.shell(f"mkdir /var/lib/away && mv {REPOSITORY}/* /var/lib/away/")
    try:
        lost = program.run(*command, "lost", f"--stanza={STANZA}", user="postgres", check=False)
        rebuilt = program.run(*command, "catalog", user="postgres")
        read = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})
        forgotten = program.module(
            "backup_catalog", {"action": "rebuild", "stanza": STANZA, **catalog, "forget_lost_backups": True}, check=True
        )
    finally:
        program.shell(f"mv /var/lib/away/* {REPOSITORY}/ && rmdir /var/lib/away")
    assert lost.returncode == 1
    assert lost.stderr.startswith(f"ERROR: The catalogue knows 1 backups of stanza {STANZA} in repository 1 ({REPOSITORY})")
    assert "Mount the repository" in rebuilt.stderr
    assert [each["label"] for each in read["backups"]] == [label]
    assert read["latest"] == {STANZA: {"full": label}}
    assert forgotten["backups"] == []


def test_a_run_that_is_told_to_stop_says_so_and_is_recorded(program: Host, catalog: dict[str, t.Any]) -> None:
    lock = program.background("flock", "--exclusive", f"/tmp/pgbackrest/{STANZA}-backup-1.lock", "sleep", "120")
    started = program.background(PROGRAM, f"--settings={SETTINGS}", "run", f"--stanza={STANZA}", "--type=full")

    def listens() -> bool:
        """It waits for the lock, and no longer ends at once of the signal."""
        status = program.shell("cat /proc/$(cat /tmp/started.1)/status")
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)

    wait_until(listens, what="a run that waits")
    program.shell("kill -TERM $(cat /tmp/started.1)")
    told = started.wait()
    lock.kill()
    assert "ERROR: The run was stopped from outside" in told
    (record,) = program.module("backup_catalog", {"action": "read", "stanza": STANZA, **catalog})["backups"]
    assert record["status"] == "failed"
    assert "stopped from outside" in record["error"]
