# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_restore: exactly the rows that were asked for, and nothing where something would go wrong."""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import dataclass, field

import pytest
from host import BINARIES, COPY, COPY_PORT, DATA, NO_RETRY, REPOSITORY, STANZA, VERSION, Host
from servers import wait_until


@dataclass
class Story:
    """Ids committed one by one, and how each moment can be named."""

    full: str
    incr: str = ""
    time: dict[int, str] = field(default_factory=dict)
    xid: dict[int, str] = field(default_factory=dict)
    lsn: dict[int, str] = field(default_factory=dict)


def write(node: Host, story: Story, number: int) -> None:
    """One id in one transaction, with a restore point after it."""
    story.xid[number] = node.sql(f"INSERT INTO rows VALUES ({number}) RETURNING pg_current_xact_id()::xid")
    story.lsn[number], story.time[number] = node.sql("SELECT pg_current_wal_lsn(), clock_timestamp()").split("|")
    node.sql(f"SELECT pg_create_restore_point('after_{number}')")
    time.sleep(0.01)


@pytest.fixture
def story(backed_up: Host) -> Story:
    """A full backup with ids 1 and 2, then 3 to 5, an incremental backup, then 6 to 8."""
    full = backed_up.module("pgbackrest_info", {"stanza": STANZA, "archive": False})["stanzas"][0]["latest"]["full"]
    story = Story(full)
    # the time of a backup is known to the second
    time.sleep(1.1)
    for number in (3, 4, 5):
        write(backed_up, story, number)
    story.incr = backed_up.backup("incr")["label"]
    time.sleep(1.1)
    for number in (6, 7, 8):
        write(backed_up, story, number)
    backed_up.switch_wal()
    return story


def rows_after(node: Host, **arguments: t.Any) -> list[int]:
    node.restore(**arguments)
    node.start_copy()
    rows = node.copy_rows()
    node.stop_copy()
    return rows


def test_latest_and_that_the_copy_is_silent(backed_up: Host, story: Story) -> None:
    told = backed_up.restore(check=True)
    assert told["changed"]
    assert backed_up.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
    done = backed_up.restore()
    assert done["commands"] == told["commands"]
    assert done["before"] == {"state": "empty"}
    restored = done["restored"]
    assert restored["set"] == story.incr
    assert restored["in_place"] is False
    assert restored["wal_segments_verified"] > 0
    assert restored["recovery"]["archive_mode"] == "off"
    assert restored["recovery"]["max_logical_replication_workers"] == "0"
    archived = backed_up.sql("SELECT archived_count FROM pg_stat_archiver")
    backed_up.start_copy()
    assert backed_up.copy_rows() == list(range(1, 9))
    assert backed_up.sql("SHOW archive_mode", COPY_PORT) == "off"
    assert backed_up.sql("SHOW max_logical_replication_workers", COPY_PORT) == "0"
    workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'"
    assert backed_up.sql(workers, COPY_PORT) == "0"
    backed_up.sql("INSERT INTO rows VALUES (999)", COPY_PORT)
    backed_up.sql("SELECT pg_switch_wal()", COPY_PORT)
    assert backed_up.sql("SELECT archived_count FROM pg_stat_archiver") == archived
    assert backed_up.shell(f"ls {REPOSITORY}/archive/{STANZA}/*/ | grep -c 00000002; true").strip() == "0"
    backed_up.stop_copy()


def test_to_each_kind_of_target(backed_up: Host, story: Story) -> None:
    # within what the incremental backup can reach, and before it
    assert rows_after(backed_up, type="time", target=story.time[7]) == list(range(1, 8))
    again: dict[str, t.Any] = {"delta": True}
    assert rows_after(backed_up, type="time", target=story.time[4], **again) == [1, 2, 3, 4]
    assert rows_after(backed_up, type="lsn", target=story.lsn[7], **again) == list(range(1, 8))
    assert rows_after(backed_up, type="lsn", target=story.lsn[3], **again) == [1, 2, 3]
    assert rows_after(backed_up, type="xid", target=story.xid[7], **again) == list(range(1, 8))
    assert rows_after(backed_up, type="xid", target=story.xid[7], target_exclusive=True, **again) == list(range(1, 7))
    assert rows_after(backed_up, type="xid", target=story.xid[4], set=story.full, **again) == [1, 2, 3, 4]
    assert rows_after(backed_up, type="name", target="after_6", **again) == list(range(1, 7))
    assert rows_after(backed_up, type="name", target="after_3", set=story.full, **again) == [1, 2, 3]
    assert rows_after(backed_up, type="set", set=story.full, **again) == [1, 2]
    assert rows_after(backed_up, type="set", set=story.incr, **again) == [1, 2, 3, 4, 5]
    assert rows_after(backed_up, type="immediate", **again) == [1, 2, 3, 4, 5]
    assert rows_after(backed_up, set=story.full, **again) == list(range(1, 9))


@pytest.mark.fault
def test_targets_that_cannot_be_reached(backed_up: Host, story: Story) -> None:
    def refusal(**arguments: t.Any) -> str:
        told = backed_up.restore(fails=True, **arguments)
        assert backed_up.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
        return told["msg"]

    unknown = refusal(set="20200101-000000F")
    assert "has no backup 20200101-000000F" in unknown
    assert story.full in unknown
    assert "before the end of the first backup" in refusal(type="time", target="2001-02-03 04:05:06+00")
    assert "is in the future" in refusal(type="time", target="2099-02-03 04:05:06+00")
    now = backed_up.sql("SELECT clock_timestamp() - interval '1 ms'")
    time.sleep(0.1)
    late = refusal(type="time", target=now)
    assert "cannot be reached" in late
    assert "pg_switch_wal()" in late
    assert "has no time zone" in refusal(type="time", target="2026-02-03 04:05:06")
    assert "is no time" in refusal(type="time", target="yesterday")
    assert "before the end of the first backup" in refusal(type="lsn", target="0/100")
    assert "cannot be reached" in refusal(type="lsn", target="FF/0")
    assert "is no LSN" in refusal(type="lsn", target="12")
    assert "is no transaction id" in refusal(type="xid", target="x")
    assert "after the target" in refusal(type="time", target=story.time[4], set=story.incr)
    assert "needs a target" in refusal(type="name")
    assert "takes no target" in refusal(target="x")
    assert "needs the label" in refusal(type="set")
    assert "does not exist in repository 1" in refusal(stanza="nobody")


def test_a_running_server_and_a_crashed_one(backed_up: Host) -> None:
    told = backed_up.restore(pg_path=DATA, delta=True, fails=True)
    assert f"A PostgreSQL server runs in {DATA}" in told["msg"]
    backed_up.restore()
    backed_up.run("tee", f"{COPY}/postmaster.pid", text="1\n")
    told = backed_up.restore(delta=True, fails=True)
    assert "it crashed" in told["msg"]
    assert told["pid"] == 1


def test_directories_with_something_in_them(backed_up: Host) -> None:
    def refusal(**arguments: t.Any) -> str:
        return backed_up.restore(fails=True, **arguments)["msg"]

    backed_up.shell(f"mkdir -p {COPY}; echo precious >{COPY}/thesis.txt; chown -R postgres {COPY}")
    for delta in (False, True):
        assert "a restore never deletes what it does not know" in refusal(delta=delta)
    assert backed_up.shell(f"ls {COPY}").split() == ["thesis.txt"]
    backed_up.shell(f"rm -rf {COPY}; {BINARIES}/initdb -D {COPY} >/dev/null 2>&1", user="postgres")
    for delta in (False, True):
        assert "holds another PostgreSQL cluster" in refusal(delta=delta)
    backed_up.shell(f"rm -rf {COPY}; echo x >{COPY}")
    assert "is not a directory" in refusal()
    backed_up.run("rm", COPY)
    backed_up.restore()
    assert "Set delta" in refusal()
    assert "may not be written" in refusal(pg_path="/srv/here/and/there")
    root = backed_up.module("pgbackrest_restore", {"stanza": STANZA, "pg_path": COPY}, fails=True, user="root")
    assert "become_user: postgres" in root["msg"]


def test_delta_of_an_unchanged_copy_and_a_restore_that_was_killed(backed_up: Host, story: Story) -> None:
    bundle = backed_up.shell(f"ls -S {REPOSITORY}/backup/{STANZA}/*F/bundle/* | head -1").strip()
    with backed_up.file_kept(bundle):
        # The restore waits for what is in there, and nothing comes: it is under way until it is killed.
        backed_up.shell(f"rm {bundle} && mkfifo {bundle}", user="postgres")
        running = backed_up.background(
            "pgbackrest", f"--stanza={STANZA}", f"--pg1-path={COPY}", "--process-max=1", "--type=immediate", "restore"
        )
        wait_until(
            lambda: backed_up.run("test", "-e", f"{COPY}/backup.manifest", check=False).returncode == 0,
            120,
            "a restore under way",
        )
        running.kill()
        running.wait()
    assert "Set delta" in backed_up.restore(fails=True)["msg"]
    assert backed_up.restore(check=True, delta=True)["before"]["state"] == "half restored"
    assert rows_after(backed_up, delta=True) == list(range(1, 9))
    assert rows_after(backed_up, delta=True, type="set", set=story.full) == [1, 2]


def test_delta_by_time(backed_up: Host) -> None:
    backed_up.make_big()
    table = backed_up.sql("SELECT pg_relation_filepath('big')")
    backed_up.backup("full")
    by_time: dict[str, t.Any] = {"type": "immediate", "delta": True, "delta_by": "time"}
    # There is nothing yet whose time could deceive.
    assert backed_up.restore(**by_time)["changed"]
    whole = backed_up.run("sha1sum", f"{COPY}/{table}").stdout
    flip = f"f=open('{COPY}/{table}','r+b'); f.seek(3*8192+4000); f.write(b'x'*50); f.close(); "
    # What changed a file since, changed its time.
    backed_up.run("python3", "-c", flip)
    assert backed_up.run("sha1sum", f"{COPY}/{table}").stdout != whole
    done = backed_up.restore(**by_time)
    assert "--force" in done["commands"][0].split()
    assert backed_up.run("sha1sum", f"{COPY}/{table}").stdout == whole
    # Damage that left the time alone stays; the proof finds it.
    keep = f"s=os.stat('{COPY}/{table}'); {flip}os.utime('{COPY}/{table}', ns=(0, s.st_mtime_ns))"
    backed_up.run("python3", "-c", f"import os; {keep}")
    backed_up.restore(**by_time)
    assert backed_up.run("sha1sum", f"{COPY}/{table}").stdout != whole
    proof = backed_up.module("pgbackrest_prove", {"pg_path": COPY}, fails=True)
    assert any("big" in each and "invalid page" in each for each in proof["problems"])
    # checksums see it
    backed_up.restore(type="immediate", delta=True)
    assert backed_up.run("sha1sum", f"{COPY}/{table}").stdout == whole


def test_delta_by_time_where_a_time_proves_nothing(backed_up: Host) -> None:
    by_time: dict[str, t.Any] = {"delta": True, "delta_by": "time", "fails": True}
    backed_up.restore(type="immediate")
    backed_up.run("mv", f"{COPY}/global/pg_control", f"{COPY}/global/pg_control.pgbackrest.tmp")
    assert "only half restored" in backed_up.restore(**by_time)["msg"]
    assert backed_up.restore(type="immediate", delta=True)["changed"]
    backed_up.server("stop")
    try:
        assert "refused in place" in backed_up.restore(pg_path=DATA, **by_time)["msg"]
    finally:
        backed_up.server("start")


def test_the_server_that_a_proof_left_is_stopped_and_no_other(backed_up: Host) -> None:
    again: dict[str, t.Any] = {"type": "immediate", "delta": True, "stop_copy": True}
    backed_up.restore(type="immediate")
    # Started by hand: nothing says that it may be stopped.
    backed_up.start_copy()
    assert "A PostgreSQL server runs in" in backed_up.restore(**again, fails=True)["msg"]
    backed_up.stop_copy()
    backed_up.module("pgbackrest_prove", {"pg_path": COPY, "keep_running": True, "amcheck": False})
    # Nothing is stopped for a restore that is refused, or only asked about.
    backed_up.restore(**{**again, "type": "name", "target": ""}, fails=True)
    backed_up.restore(**again, replace_kept=True, check=True)
    # It was left for somebody to look into.
    kept = backed_up.restore(**again, fails=True)
    assert "restore_replace_kept=true" in kept["msg"]
    assert backed_up.sql("SELECT 1", COPY_PORT) == "1"
    backed_up.restore(**again, replace_kept=True)
    backed_up.run("test", "!", "-e", f"{COPY}/postmaster.pid")
    # After a crash of the host the number in the copy's file is the live server's.
    backed_up.module("pgbackrest_prove", {"pg_path": COPY, "amcheck": False})
    live = backed_up.run("head", "-1", f"{DATA}/postmaster.pid").stdout.strip()
    backed_up.run("tee", f"{COPY}/postmaster.pid", text=f"{live}\n{COPY}\n")
    backed_up.restore(**again)
    assert backed_up.run("head", "-1", f"{DATA}/postmaster.pid").stdout.strip() == live
    assert backed_up.sql("SELECT count(*) FROM rows") == "2"


def test_a_disk_that_is_too_small(backed_up: Host) -> None:
    backed_up.shell("mkdir -p /mnt/small; mount -t tmpfs -o size=16m,mode=777 tmpfs /mnt/small")
    path = "/mnt/small/copy"
    told = backed_up.restore(pg_path=path, fails=True)
    assert f"The disk of {path} has 16 MB free, and the restore needs" in told["msg"]
    assert told["needed_bytes"] > told["free_bytes"]
    assert backed_up.shell("ls -A /mnt/small") == ""
    assert backed_up.restore(pg_path=path, check_free_space=False, check=True)["changed"]


def test_a_host_without_the_backup_s_postgresql(backed_up: Host) -> None:
    with backed_up.file_kept(f"{BINARIES}/postgres"):
        backed_up.run("rm", f"{BINARIES}/postgres")
        told = backed_up.restore(require_programs=True, fails=True)
        assert f"is of PostgreSQL {VERSION}, and this host has no {BINARIES}/postgres" in told["msg"]
        assert backed_up.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
    assert backed_up.restore(require_programs=True)["changed"]


def test_archive_mode_has_an_option(backed_up: Host) -> None:
    told = backed_up.restore(recovery_options={"archive_mode": "on"}, fails=True)
    assert "which the option archive decides" in told["msg"]


@pytest.mark.fault
@pytest.mark.core
def test_a_time_in_the_future(backed_up: Host) -> None:
    told = backed_up.restore(type="time", target="2099-02-03 04:05:06+00", fails=True)
    assert "is in the future" in told["msg"]
    assert backed_up.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
    assert backed_up.restore()["changed"]


@pytest.mark.fault
@pytest.mark.core
def test_two_restores_into_one_directory(backed_up: Host) -> None:
    backed_up.shell(f"mkdir -m 700 {COPY}", user="postgres")
    other = backed_up.background("flock", "--exclusive", COPY, "sleep", "120")
    time.sleep(0.3)
    told = backed_up.restore(fails=True)
    assert "Another task restores into" in told["msg"]
    assert backed_up.shell(f"ls -A {COPY}") == ""
    other.kill()
    other.wait()
    # one that somebody started by hand
    other = backed_up.background(
        "bash",
        "-c",
        'exec -a pgbackrest python3 -c "import time; time.sleep(120)" "$@"',
        "bash",
        f"--stanza={STANZA}",
        f"--pg1-path={COPY}",
        "restore",
    )
    time.sleep(0.5)
    told = backed_up.restore(fails=True)
    assert "Another restore into" in told["msg"]
    other.kill()
    other.wait()
    assert backed_up.restore()["changed"]


def test_a_restore_while_a_proof_runs(backed_up: Host) -> None:
    backed_up.restore(type="immediate")
    backed_up.module("pgbackrest_prove", {"pg_path": COPY, "keep_running": True, "amcheck": False})
    other = backed_up.background("flock", "--exclusive", COPY, "sleep", "600")
    wait_until(lambda: backed_up.run("flock", "--nonblock", COPY, "true", check=False).returncode == 1, what="the lock")
    told = backed_up.restore(type="immediate", delta=True, stop_copy=True, replace_kept=True, fails=True)
    assert f"Another task restores into {COPY} or proves" in told["msg"]
    # Its server was not stopped.
    assert backed_up.sql("SELECT 1", COPY_PORT) == "1"
    assert "Another task" in backed_up.module("pgbackrest_prove", {"pg_path": COPY}, fails=True)["msg"]
    other.kill()
    other.wait()
    # A proof that is waiting for a table holds the directory.
    backed_up.sql("CREATE TABLE held AS SELECT 1", COPY_PORT)
    holder = backed_up.background("psql", "-Xqp", str(COPY_PORT), "-c", "BEGIN; LOCK TABLE held; SELECT pg_sleep(600)")
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass AND "
    wait_until(lambda: backed_up.sql(f"{locks} granted", COPY_PORT) == "1", what="the lock on a table")
    arguments = json.dumps({"pg_path": COPY, "keep_running": False, "amcheck": False})
    proof = backed_up.background(
        "bash",
        "-c",
        f"export {' '.join(f'{name}={value}' for name, value in Host.MODULE_ENVIRONMENT.items())}; "
        f"printf %s '{arguments}' | {' '.join(backed_up.module_command('pgbackrest_prove'))}",
    )
    wait_until(lambda: backed_up.sql(f"{locks} NOT granted", COPY_PORT) == "1", what="a proof that waits")
    told = backed_up.restore(type="immediate", delta=True, stop_copy=True, replace_kept=True, fails=True)
    assert "Another task" in told["msg"]
    assert backed_up.sql("SELECT 1", COPY_PORT) == "1"
    holder.kill()
    backed_up.sql(locks.replace("count(*)", "pg_terminate_backend(pid)") + "granted", COPY_PORT)
    assert '"public.held": 1' in proof.wait()
    # It stopped the server, which nobody keeps any more.
    assert backed_up.restore(type="immediate", delta=True, stop_copy=True)["changed"]


@pytest.mark.fault
@pytest.mark.core
def test_missing_wal_on_the_way(backed_up: Host) -> None:
    story = Story("")
    write(backed_up, story, 3)
    first = backed_up.switch_wal()
    backed_up.sql("INSERT INTO rows VALUES (4)")
    second = backed_up.switch_wal()
    backed_up.sql("INSERT INTO rows VALUES (5)")
    backed_up.switch_wal()
    file = backed_up.archived(second)
    with backed_up.file_kept(file):
        backed_up.run("rm", file)
        told = backed_up.restore(fails=True)
        assert "has a gap after WAL segment" in told["msg"]
        assert told["last_wal"] == first
        assert rows_after(backed_up, type="lsn", target=story.lsn[3]) == [1, 2, 3]
    assert rows_after(backed_up, delta=True) == [1, 2, 3, 4, 5]
    needed = backed_up.module("pgbackrest_info", {"stanza": STANZA})["stanzas"][0]["backups"][-1]["wal_start"]
    file = backed_up.archived(needed)
    with backed_up.file_kept(file):
        backed_up.run("rm", file)
        told = backed_up.restore(delta=True, fails=True)
        assert told["missing_wal"] == needed


@pytest.mark.fault
@pytest.mark.core
def test_a_flipped_byte_in_a_segment(backed_up: Host) -> None:
    backed_up.sql("INSERT INTO rows VALUES (3)")
    before = backed_up.sql("SELECT pg_current_wal_lsn()")
    backed_up.switch_wal()
    backed_up.sql("INSERT INTO rows VALUES (4)")
    segment = backed_up.switch_wal()
    backed_up.flip_byte(backed_up.archived(segment))
    told = backed_up.restore(fails=True)
    assert told["damaged_wal"] == segment
    assert "no server will start" in told["msg"]
    # and it does not
    started = backed_up.run(
        f"{BINARIES}/pg_ctl", "-D", COPY, "-w", "-t", "5", "-o", f"-c port={COPY_PORT}", "start", user="postgres", check=False
    )
    assert started.returncode != 0
    # One that cannot be read at all may be sound.
    backed_up.run("chmod", "0", backed_up.archived(segment))
    told = backed_up.restore(delta=True, fails=True)
    assert "Run this again with delta" in told["msg"]
    assert "damaged_wal" not in told
    assert "only half restored" in backed_up.module("pgbackrest_prove", {"pg_path": COPY}, fails=True)["msg"]
    backed_up.run("chmod", "640", backed_up.archived(segment))
    assert rows_after(backed_up, delta=True, type="lsn", target=before) == [1, 2, 3]


def refusal_to_start(node: Host) -> str:
    with pytest.raises(AssertionError):
        node.start_copy()
    return node.shell(f"cat {COPY}.log; rm {COPY}.log")


@pytest.mark.fault
def test_a_target_before_a_damaged_and_before_a_missing_segment(backed_up: Host, story: Story) -> None:
    backed_up.sql("INSERT INTO rows VALUES (9)")
    segment = backed_up.switch_wal()
    xid = backed_up.sql("INSERT INTO rows VALUES (10) RETURNING pg_current_xact_id()::xid")
    moment = backed_up.sql("SELECT clock_timestamp()")
    # within the second of the last segment's arrival, the archive's end is no reason to refuse
    time.sleep(1.1)
    backed_up.switch_wal()
    file = backed_up.archived(segment)
    early: list[dict[str, t.Any]] = [
        {"type": "time", "target": story.time[7]},
        {"type": "xid", "target": story.xid[7]},
        {"type": "name", "target": "after_7"},
    ]
    with backed_up.file_kept(file):
        backed_up.flip_byte(file)
        assert backed_up.restore(fails=True)["damaged_wal"] == segment
        for arguments in early:
            done = backed_up.restore(delta=True, **arguments)
            assert done.warned(segment)
            assert done["restored"]["damaged_wal"] == segment
            backed_up.start_copy()
            assert backed_up.copy_rows() == list(range(1, 8))
            backed_up.stop_copy()
        # One after the damage is not reached, and the server says so instead of opening.
        for kind, target in (("time", moment), ("xid", xid)):
            assert backed_up.restore(delta=True, type=kind, target=target).warned(segment)
            assert "FATAL" in refusal_to_start(backed_up)
    with backed_up.file_kept(file):
        backed_up.run("rm", file)
        for arguments in early[1:]:
            assert backed_up.restore(delta=True, **arguments).warned("has a gap after")
            backed_up.start_copy()
            assert backed_up.copy_rows() == list(range(1, 8))
            backed_up.stop_copy()
        assert backed_up.restore(delta=True, type="xid", target=xid).warned("has a gap after")
        assert "recovery ended before configured recovery target was reached" in refusal_to_start(backed_up)


@pytest.mark.fault
@pytest.mark.core
def test_an_archive_that_fails_during_recovery_stops_the_server(backed_up: Host) -> None:
    """PostgreSQL would take the failure for the end of the archive, open, and lose the rest without a word."""
    backed_up.sql("INSERT INTO rows VALUES (3), (4)")
    backed_up.switch_wal()
    backed_up.restore()
    backed_up.run("chmod", "0", f"{REPOSITORY}/archive")
    with pytest.raises(AssertionError):
        backed_up.start_copy()
    log = backed_up.shell(f"cat {COPY}.log")
    backed_up.run("chmod", "750", f"{REPOSITORY}/archive")
    assert "FATAL" in log
    assert "from archive" in log
    backed_up.start_copy()
    assert backed_up.copy_rows() == [1, 2, 3, 4]
    backed_up.stop_copy()


@pytest.mark.fault
@pytest.mark.core
def test_a_flipped_byte_in_the_backup(backed_up: Host) -> None:
    bundle = backed_up.shell(f"ls -S {REPOSITORY}/backup/{STANZA}/*F/bundle/* | head -1").strip()
    with backed_up.file_kept(bundle):
        backed_up.flip_byte(bundle)
        told = backed_up.restore(fails=True, options=NO_RETRY)
        assert "The backup is damaged" in told["msg"]
    assert backed_up.restore(delta=True)["changed"]


@pytest.fixture
def member(backed_up: Host) -> t.Iterator[Host]:
    """It has the slot and the subscription position of a mesh member."""
    try:
        backed_up.sql("SELECT pg_create_logical_replication_slot('slot_1_to_2', 'pgoutput')")
        backed_up.sql("SELECT pg_replication_origin_create('mesh')")
        backed_up.sql("SELECT pg_replication_origin_advance('mesh', '0/3000000')")
        backed_up.sql("CHECKPOINT")
        yield backed_up
    finally:
        backed_up.server("start")
        backed_up.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        backed_up.sql("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")


@pytest.mark.fault
@pytest.mark.core
def test_a_mesh_member_in_place_is_refused(member: Host) -> None:
    member.sql("INSERT INTO rows VALUES (3)")
    member.server("stop")
    told = member.restore(pg_path=DATA, delta=True, fails=True)
    assert "is a mesh member" in told["msg"]
    assert "slot_1_to_2" in told["msg"]
    assert "1 subscription position(s)" in told["msg"]
    assert "loses rows silently" in told["msg"]
    # Nothing was touched.
    member.server("start")
    assert member.sql("SELECT count(*) FROM rows") == "3"
    assert member.sql("SELECT slot_name FROM pg_replication_slots") == "slot_1_to_2"


def test_a_mesh_member_elsewhere_and_where_its_directory_is_lost(member: Host) -> None:
    backed_up = member
    try:
        backed_up.backup("full")
        backed_up.server("stop")
        # A node that was made from this one's files is no less a member for having another directory.
        backed_up.shell(f"cp -a {DATA} {COPY}")
        told = backed_up.restore(delta=True, fails=True)
        assert f"{COPY} is a mesh member" in told["msg"]
        assert backed_up.shell(f"ls {COPY}/pg_replslot").split() == ["slot_1_to_2"]
        assert backed_up.restore(delta=True, force_mesh_member=True)["changed"]
        # A copy of it has subscription positions and stays replaceable.
        assert backed_up.restore(delta=True)["changed"]
        backed_up.shell(f"rm -rf {COPY}")
        # The directory is lost: the backup tells.
        backed_up.run("mv", DATA, f"{DATA}.away")
        told = backed_up.restore(pg_path=DATA, fails=True)
        assert "is of a mesh member" in told["msg"]
        forced = backed_up.restore(pg_path=DATA, force_mesh_member=True)
        assert forced["restored"]["in_place"] is True
        backed_up.server("start")
        assert backed_up.sql("SHOW max_logical_replication_workers") == "0"
        assert backed_up.sql("SHOW archive_mode") == "off"
        backed_up.server("stop")
        backed_up.shell(f"rm -rf {DATA}; mv {DATA}.away {DATA}")
        # beside the live node nothing is forced
        backed_up.server("start")
        assert backed_up.restore()["changed"]
    finally:
        backed_up.shell(f"if [ -e {DATA}.away ]; then rm -rf {DATA}; mv {DATA}.away {DATA}; fi")


def test_in_place_of_a_server_that_is_alone(backed_up: Host, story: Story) -> None:
    backed_up.server("stop")
    done = backed_up.module(
        "pgbackrest_restore", {"stanza": STANZA, "delta": True, "archive": True, "type": "time", "target": story.time[7]}
    )
    assert done["restored"]["in_place"] is True
    backed_up.server("start")
    backed_up.sql("SELECT 1")
    for _each in range(50):
        if backed_up.sql("SELECT pg_is_in_recovery()") == "f":
            break
        time.sleep(0.2)
    assert backed_up.sql("SELECT count(*), max(id) FROM rows") == "7|7"
    assert backed_up.sql("SHOW archive_mode") == "on"
    # The new timeline is archived and can be restored in its turn.
    backed_up.sql("INSERT INTO rows VALUES (70)")
    backed_up.switch_wal()
    assert backed_up.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []
    assert rows_after(backed_up) == [*range(1, 8), 70]


def test_tablespaces_are_never_shared_with_the_live_node(backed_up: Host) -> None:
    backed_up.shell("mkdir -p /srv/space && chown postgres /srv/space")
    backed_up.sql("CREATE TABLESPACE space LOCATION '/srv/space'")
    try:
        backed_up.sql("CREATE TABLE more TABLESPACE space AS SELECT 1")
        backed_up.backup("full")
        told = backed_up.restore(fails=True)
        assert "space (/srv/space)" in told["msg"]
        # Mapped to where it is, by whatever name, it would be shared as well.
        backed_up.shell("ln -sfn /srv /srv-too")
        for place in ({"tablespace_map": {"space": "/srv-too/space/"}}, {"tablespace_map_all": "/srv-too"}):
            assert "would share with the node" in backed_up.restore(fails=True, **place)["msg"]
        before = backed_up.shell("find /srv/space | sort")
        done = backed_up.restore(tablespace_map={"space": f"{COPY}-space"})
        assert done["changed"]
        backed_up.start_copy()
        assert backed_up.sql("SELECT count(*) FROM more", COPY_PORT) == "1"
        backed_up.stop_copy()
        assert backed_up.shell("find /srv/space | sort") == before
    finally:
        backed_up.sql("DROP TABLE IF EXISTS more")
        backed_up.sql("DROP TABLESPACE space")
