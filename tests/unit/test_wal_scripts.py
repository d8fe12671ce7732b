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
    program(server, "psql", "3|740\n")
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
    assert found == ["A/80\t2026-11-24 10:00:04.000004", "0/60\t2026-11-24 10:00:02.000002"]
    assert "--start=0/A000000" in (server / "pg_waldump.called").read_text()
    assert "--set=name=sub_from_x" in (server / "psql.called").read_text()
    assert run(server, "applied_commits.sh", "/run", "5432", "sub_from_x", "1") == found[:1]
    program(server, "psql", "")
    assert run(server, "applied_commits.sh", "/run", "5432", "sub_from_x", "10") == []


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
