# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts that read transactions from WAL, over programs that print what PostgreSQL's own do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/postgresql/files"
SEGMENT = "00000001000000000000000A"
RECORD = "rmgr: Transaction len (rec/tot): 34/ 34, tx: {tx:10d}, lsn: {lsn}, prev 0/0A000028, desc: {desc}\n"


def committed(tx: int, lsn: str, time: str, more: str = "") -> str:
    return RECORD.format(tx=tx, lsn=lsn, desc=f"COMMIT 2026-11-24 {time} UTC{more}")


def applied(tx: int, node: int, lsn: str, time: str) -> str:
    return committed(tx, "0/0A000100", "23:00:00.000000", f"; origin: node {node}, lsn {lsn}, at 2026-11-24 {time} UTC")


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A folder with the programs and with WAL that begins with segment 10 of a 16 MB server."""
    (tmp_path / "pg_wal/archive_status").mkdir(parents=True)
    for name in (SEGMENT, "00000001000000000000000B", "000000020000000000000009"):
        with (tmp_path / "pg_wal" / name).open("wb") as file:
            file.truncate(16 << 20)
    return tmp_path


def program(server: Path, name: str, output: str) -> None:
    """What it is called with goes into a file, what it prints ends with an error, as pg_waldump's output does."""
    (server / f"{name}.out").write_text(output)
    (server / name).write_text(f'#!/bin/sh\necho "$@" >{server}/{name}.called\ncat {server}/{name}.out\n[ {name} = psql ]\n')
    (server / name).chmod(0o755)


def run(server: Path, script: str, *arguments: str, stdin: str = "") -> list[str]:
    command = ["sh", str(FILES / script), str(server), str(server), "1", *arguments]
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def test_what_a_subscription_has_applied(server: Path) -> None:
    program(server, "psql", "3|740|slot_x\n")
    program(
        server,
        "pg_waldump",
        applied(736, 3, "0/50", "10:00:00.000001")  # an earlier subscription with the same number
        + committed(740, "0/0A000050", "10:00:01.000000", "; inval msgs: catcache 7")
        + applied(741, 3, "0/60", "10:00:02.000002")
        + applied(742, 4, "0/70", "10:00:03.000003")
        + RECORD.format(tx=743, lsn="0/0A000070", desc="ABORT 2026-11-24 10:00:03.500000 UTC")
        + applied(744, 3, "A/80", "10:00:04.000004"),
    )
    found = run(server, "applied_commits.sh", "/run", "5432", "sub_from_x", "10")
    assert found == ["A/80\t2026-11-24 10:00:04.000004\tslot_x", "0/60\t2026-11-24 10:00:02.000002\tslot_x"]
    assert "--start=0/A000000" in (server / "pg_waldump.called").read_text()
    assert "--set=name=sub_from_x" in (server / "psql.called").read_text()
    assert run(server, "applied_commits.sh", "/run", "5432", "sub_from_x", "1") == found[:1]
    program(server, "psql", "")
    assert run(server, "applied_commits.sh", "/run", "5432", "sub_from_x", "10") == []


def inserted(tx: int, relation: str, desc: str = "INSERT off: 2, flags: 0x08") -> str:
    line = RECORD.format(tx=tx, lsn="0/0A000048", desc=f"{desc}, blkref #0: rel 1663/{relation} blk 0")
    return line.replace("Transaction", "Heap       ")


def own_inserts(server: Path, limit: int = 10) -> list[str]:
    return run(server, "own_inserts.sh", "/run", "5432", str(limit), "slot_1_to_2", "imdb", "pub_imdb")


def test_which_transactions_with_inserts_were_confirmed(server: Path) -> None:
    program(server, "psql", "5/77|0/A000100|slot_1_to_2|77\n5/78|0/A000100|slot_1_to_2|78\n")
    program(
        server,
        "pg_waldump",
        inserted(740, "5/77")
        + committed(740, "0/0A000050", "10:00:00.000000")
        # Another table, another database, another node's row, and nothing but an update
        + inserted(741, "5/79")
        + committed(741, "0/0A000060", "10:00:01.000000")
        + inserted(742, "6/77")
        + committed(742, "0/0A000070", "10:00:02.000000")
        + inserted(743, "5/77")
        + applied(743, 3, "0/50", "10:00:03.000000")
        + inserted(744, "5/77", "HOT_UPDATE old_xmax: 1, old_off: 1, old_infobits: [], flags: 0x20, new_xmax: 0, new_off: 2")
        + committed(744, "0/0A000080", "10:00:04.000000")
        # Rows of a subtransaction, in a transaction that has other things to say
        + inserted(746, "5/78", "MULTI_INSERT+INIT ntuples: 2, flags: 0x0a")
        + committed(745, "0/0A000090", "10:00:05.000000", "; subxacts: 746 747; inval msgs: catcache 7")
        # An insert that found its key taken, one that did not, and one that was taken back
        + inserted(748, "5/77", "INSERT off: 3, flags: 0x0c")
        + committed(748, "0/0A0000A0", "10:00:06.000000")
        + inserted(749, "5/77", "INSERT+INIT off: 3, flags: 0x0C")
        + inserted(749, "5/77", "HEAP_CONFIRM off: 3")
        + committed(749, "0/0A0000B0", "10:00:07.000000")
        + inserted(750, "5/77")
        + RECORD.format(tx=750, lsn="0/0A0000C0", desc="ABORT 2026-11-24 10:00:08.000000 UTC")
        # A table that was written anew
        + RECORD.format(tx=751, lsn="0/0A0000C8", desc="CREATE base/5/78").replace("Transaction", "Storage    ")
        + inserted(751, "5/78")
        + committed(751, "0/0A0000D0", "10:00:09.000000")
        # Not confirmed
        + inserted(752, "5/77")
        + committed(752, "0/0A000100", "10:00:10.000000"),
    )
    found = own_inserts(server)
    assert found == [
        "from:slot_1_to_2\t0/A000000",
        "0/0A0000B0\tslot_1_to_2\t2026-11-24 10:00:07.000000\t77",
        "0/0A000090\tslot_1_to_2\t2026-11-24 10:00:05.000000\t78",
        "0/0A000050\tslot_1_to_2\t2026-11-24 10:00:00.000000\t77",
    ]
    assert own_inserts(server, 1) == found[:2]
    called = (server / "pg_waldump.called").read_text()
    assert "--start=0/A000000 --end=0/A000100" in called
    assert "--dbname=dbname='imdb' --set=slot=slot_1_to_2 --set=publication=pub_imdb" in (server / "psql.called").read_text()


def test_without_a_slot_nothing_is_known(server: Path) -> None:
    program(server, "psql", "")
    program(server, "pg_waldump", "")
    assert own_inserts(server) == []


def test_which_of_them_a_server_has_made(server: Path) -> None:
    program(
        server,
        "pg_waldump",
        committed(7, "0/0A000050", "10:00:02.000002", "; inval msgs: catcache 7")
        + RECORD.format(tx=8, lsn="0/0A000060", desc="ABORT 2026-11-24 10:00:04.000004 UTC")
        + applied(9, 1, "0/10", "10:00:05.000005"),
    )
    commits = "A/80\t2026-11-24 10:00:04.000004\n0/60\t2026-11-24 10:00:02.000002\n0/90\t2026-11-24 10:00:05.000005\n"
    assert run(server, "missing_commits.sh", stdin=commits) == [
        "first\t0/0A000050",
        "A/80\t2026-11-24 10:00:04.000004",
        # When others made what it applied is not when it made something.
        "0/90\t2026-11-24 10:00:05.000005",
    ]
    assert run(server, "missing_commits.sh", stdin="\n") == ["first\t0/0A000050"]
    program(server, "pg_waldump", "")
    assert run(server, "missing_commits.sh", stdin=commits) == []
