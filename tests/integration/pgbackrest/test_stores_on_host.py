# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories in S3, Azure and SFTP, on real servers: backups, restores, wrong credentials, and a store that is gone in between.

pgBackRest's configuration is what the role makes of pgbackrest_repositories.
"""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

import pytest
from host import COPY, COPY_PORT, STANZA, Background, Host
from servers import wait_until
from stores import CONFIGURATION, S3, Azure, Sftp, Store

STORES: dict[str, type[Store]] = {"s3": S3, "azure": Azure, "sftp": Sftp}


# By default pgBackRest tries again for many minutes.
SHORT = {"job-retry": 0, "io-timeout": 5}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, node: Host, tmp_path: Path) -> t.Iterator[Store]:
    """A stanza without a backup, in the store."""
    store = STORES[request.param](node, tmp_path)
    with node.file_kept(CONFIGURATION):
        try:
            store.start()
            store.configure()
            node.module("pgbackrest_stanza", {"stanza": STANZA})
            yield store
        finally:
            store.reachable()
            store.stop()


def rows(node: Host) -> int:
    proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})
    return next(each["rows"]["public.rows"] for each in proof["databases"] if "public.rows" in each["rows"])


@pytest.mark.fault
def test_backup_restore_and_wrong_credentials(store: Store) -> None:
    node = store.host
    node.sql("CREATE TABLE rows AS SELECT n AS id FROM generate_series(1, 1000) n")
    full = node.backup("full")
    assert full["location"].startswith(f"{store.kind}://")
    node.sql("INSERT INTO rows SELECT generate_series(1001, 1500)")
    assert node.backup("incr")["prior"] == full["label"]
    node.sql("INSERT INTO rows VALUES (1501)")
    node.switch_wal()
    assert node.restore()["restored"]["wal_segments_verified"] > 0
    assert rows(node) == 1501
    assert node.module("pgbackrest_info", {"stanza": STANZA, "verify": True})["problems"] == []

    # An answer that it does not accept is told in one sentence, and shows neither the right secret nor the wrong one.
    wrong: dict[str, t.Any] = {store.secret: store.wrong}
    if store.kind == "sftp":
        wrong["public_key_file"] = f"{store.wrong}.pub"
    store.configure(**wrong)
    right = store.repository()[store.secret]
    told = [
        node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full"}, fails=True),
        node.restore(delta=True, fails=True),
        node.module("pgbackrest_stanza", {"stanza": STANZA}, fails=True),
    ]
    for each in told:
        assert f"{'SFTP server' if store.kind == 'sftp' else 'store'} of repository 1" in each["msg"]
        if store.kind != "sftp":
            assert right not in each.output
            assert store.wrong not in each.output
            assert "403" in each["msg"]
    info = node.module("pgbackrest_info", {"stanza": STANZA})
    assert len(info["problems"]) >= 1
    store.configure()
    assert node.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []


def begin(node: Host, module: str, **arguments: t.Any) -> Background:
    """A module that is at work while the test goes on."""
    environment = " ".join(f"{name}={value}" for name, value in Host.MODULE_ENVIRONMENT.items())
    given = shlex.quote(json.dumps({"stanza": STANZA, **arguments}))
    return node.background("bash", "-c", f"export {environment}; printf %s {given} | {shlex.join(node.module_command(module))}")


def refusal(running: Background) -> str:
    """The one sentence with which it ended."""
    output = running.wait()
    assert "Traceback" not in output
    result = json.loads(output)
    assert result["failed"], result
    assert "\n" not in result["msg"]
    return t.cast(str, result["msg"])


@pytest.mark.fault
def test_a_store_that_is_gone_in_the_middle_of_a_backup(store: Store) -> None:
    node = store.host
    node.sql("CREATE TABLE rows AS SELECT n AS id FROM generate_series(1, 10) n")
    first = node.backup("full")["label"]
    # It ends with the arrival of the last WAL, which does not come: the backup is under way until the store is gone.
    # pgBackRest wants to see its name in there.
    node.sql("ALTER SYSTEM SET archive_command = 'false pgbackrest'")
    node.sql("SELECT pg_reload_conf()")
    backup = begin(node, "pgbackrest_backup", type="full", archive_timeout=600, options=SHORT)
    locked = "ls /tmp/pgbackrest/*backup*.lock"
    store.cut_off_when(f"{locked} && pgrep -f 'pgbackrest.* backup$' >/dev/null")
    try:
        assert "repository 1" in refusal(backup)
        # What is asked of it from now on need not wait so long.
        store.configure(io_timeout=1)
        assert "repository 1" in node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full"}, fails=True)["msg"]
        assert "repository 1" in node.restore(fails=True)["msg"]
        assert node.shell(f"ls -A {COPY} 2>/dev/null; true") == ""
        node.sql("ALTER SYSTEM RESET archive_command")
        node.sql("INSERT INTO rows VALUES (11); SELECT pg_reload_conf(), pg_switch_wal()")
        failed = node.sql("SELECT failed_count FROM pg_stat_archiver")
        wait_until(lambda: node.sql("SELECT failed_count FROM pg_stat_archiver") != failed, 300, "archiving that fails")
    finally:
        store.reachable()
    store.configure()
    # What waited is archived, what was there before is whole, and what was half done is none.
    node.switch_wal()
    labels = [each["label"] for each in node.backups()]
    assert labels == [first]
    node.restore()
    assert rows(node) == 11
    assert node.backup("full")["status"] == "ok"
    assert node.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []


@pytest.mark.fault
def test_a_store_that_is_gone_in_the_middle_of_a_restore(store: Store) -> None:
    node = store.host
    node.sql("CREATE TABLE rows AS SELECT n AS id FROM generate_series(1, 100000) n")
    node.backup("full")
    node.switch_wal()
    restore = begin(node, "pgbackrest_restore", pg_path=COPY, options=SHORT)
    store.cut_off_when(f"[ -e {COPY}/backup.manifest ]")
    try:
        told = refusal(restore)
        assert "repository 1" in told
        # No server starts in what is there, whether much of it is there or little, and the live one has noticed nothing.
        refused = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT}, fails=True)["msg"]
        assert any(words in refused for words in ("is only half restored", "holds no restored cluster"))
        assert node.sql("SELECT count(*) FROM rows") == "100000"
    finally:
        store.reachable()
    node.restore(delta=True)
    assert rows(node) == 100000
