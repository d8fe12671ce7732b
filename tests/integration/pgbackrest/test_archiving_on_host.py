# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archiving as the role sets it up, asynchronous and with a bounded queue, while its repository is away or full."""

from __future__ import annotations

import typing as t

import pytest
from host import DATA, REPOSITORY, STANZA, Host
from servers import wait_until

pytestmark = pytest.mark.fault

SEGMENT_MB = 16
SMALL = "/mnt/small"
# A failed segment is tried again by the next run, which comes soon enough.
ASYNC = ("--archive-async", "--job-retry=0")


def archive_with(node: Host, *options: str) -> None:
    node.sql(f"ALTER SYSTEM SET archive_command = 'pgbackrest --stanza={STANZA} {' '.join(options)} archive-push %p'")
    # So that pg_wal holds what is not archived, and little else.
    node.sql("ALTER SYSTEM SET max_wal_size = '64MB'")
    node.sql("ALTER SYSTEM SET min_wal_size = '32MB'")
    node.sql("SELECT pg_reload_conf()")


def write_segments(node: Host, count: int) -> None:
    """As many segments, each closed and with a row of its own."""
    for _each in range(count):
        node.sql("INSERT INTO rows SELECT coalesce(max(id), 0) + 1 FROM rows")
        node.sql("SELECT pg_switch_wal()")


def waiting(node: Host) -> int:
    return int(node.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"))


def archive_all(node: Host) -> None:
    """A further segment, which also wakes an archiver that has given up for a while, and the end of the queue."""
    node.sql("SELECT pg_logical_emit_message(true, 'test', 'so that there is something to archive')")
    node.sql("SELECT pg_switch_wal()")
    wait_until(lambda: waiting(node) == 0, 180, "the end of the queue")


def wal_megabytes(node: Host) -> int:
    return int(node.shell(f"du -sm {DATA}/pg_wal").split()[0])


def problems_of_server(node: Host) -> list[str]:
    asked = {"login_unix_socket": "/var/run/postgresql", "login_user": "postgres", "databases": ["postgres"]}
    return node.module("pg_multimaster_info", asked)["problems"]


@pytest.fixture
def away(backed_up: Host) -> t.Iterator[t.Callable[[bool], None]]:
    """Takes the repository away, and gives it back."""

    def set_away(gone: bool) -> None:
        backed_up.run("chmod", "000" if gone else "750", f"{REPOSITORY}/archive/{STANZA}")

    yield set_away
    set_away(False)


@pytest.fixture
def small(backed_up: Host) -> t.Iterator[Host]:
    """A second folder for a repository that is nearly full."""
    backed_up.shell(f"mkdir -p {SMALL}; mount -t tmpfs -o size=2m tmpfs {SMALL}; chown postgres {SMALL}")
    yield backed_up
    backed_up.sql("ALTER SYSTEM RESET archive_command")
    backed_up.sql("SELECT pg_reload_conf()")
    # The asynchronous process of a last push may still look at it.
    backed_up.run("umount", "--lazy", SMALL)


@pytest.mark.core
def test_an_outage_that_the_queue_holds_loses_nothing(backed_up: Host, away: t.Callable[[bool], None]) -> None:
    archive_with(backed_up, *ASYNC, "--archive-push-queue-max=1GiB")
    away(True)
    write_segments(backed_up, 8)
    wait_until(lambda: bool(problems_of_server(backed_up)), 120, "a word about archiving that fails")
    (told,) = problems_of_server(backed_up)
    assert "Archiving fails" in told
    assert waiting(backed_up) >= 8
    away(False)
    archive_all(backed_up)
    assert problems_of_server(backed_up) == []
    assert backed_up.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []
    backed_up.restore()
    backed_up.start_copy()
    assert backed_up.copy_rows() == list(range(1, 11))
    backed_up.stop_copy()


def test_beyond_the_queue_the_disk_is_kept_free_and_the_hole_is_told(backed_up: Host, away: t.Callable[[bool], None]) -> None:
    queue_mb = 4 * SEGMENT_MB
    archive_with(backed_up, "--archive-async", f"--archive-push-queue-max={queue_mb}MiB")
    away(True)
    written = 24
    write_segments(backed_up, written)
    # pgBackRest lets go of the oldest, so that the node goes on.
    wait_until(lambda: waiting(backed_up) <= queue_mb // SEGMENT_MB + 1, 120, "a queue that is within its limit")
    backed_up.sql("CHECKPOINT")
    assert wal_megabytes(backed_up) < 2 * queue_mb + 128 < written * SEGMENT_MB
    assert backed_up.sql("SELECT max(id) FROM rows") == str(written + 2)
    away(False)
    archive_all(backed_up)

    survey = backed_up.module("pgbackrest_info", {"stanza": STANZA})
    (told,) = survey["problems"]
    assert "lacks" in told
    assert "Take a new backup" in told
    refused = backed_up.restore(fails=True)
    assert "has a gap after WAL segment" in refused["msg"]
    # A new backup needs nothing of what is missing.
    backed_up.backup("incr")
    archive_all(backed_up)
    # It was asked for, and it is done. What is missing is still told as data.
    survey = backed_up.module("pgbackrest_info", {"stanza": STANZA})
    assert survey["problems"] == []
    assert len(survey["stanzas"][0]["repositories"][0]["archive"][0]["gaps"]) >= 1
    backed_up.restore()
    backed_up.start_copy()
    assert backed_up.copy_rows() == list(range(1, written + 3))
    backed_up.stop_copy()


def test_a_full_repository_holds_archiving_up_until_there_is_room(small: Host) -> None:
    options = {"repo1-path": SMALL}
    small.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})
    archive_with(small, f"--repo1-path={SMALL}")
    small.shell(f"cat /dev/zero >{SMALL}/filler 2>/dev/null; true")
    write_segments(small, 3)
    wait_until(lambda: bool(problems_of_server(small)), 120, "a word about archiving that fails")
    assert "Archiving fails" in problems_of_server(small)[0]
    told = small.module(
        "pgbackrest_stanza", {"stanza": STANZA, "state": "checked", "archive_timeout": 2, "options": options}, fails=True
    )
    assert "is full" in told["msg"] or "did not arrive" in told["msg"]
    small.run("rm", f"{SMALL}/filler")
    small.shell(f"mount -o remount,size=200m {SMALL}")
    archive_all(small)
    small.module("pgbackrest_stanza", {"stanza": STANZA, "state": "checked", "options": options})
    assert problems_of_server(small) == []
