# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories in S3 and SFTP, on real servers: backups, restores, wrong credentials, and a store that is gone in between.

pgBackRest's configuration is what the role makes of pgbackrest_repositories.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from host import COPY, COPY_PORT, STANZA, Host
from servers import wait_until
from stores import CONFIGURATION, S3, Sftp, Store

STORES: dict[str, type[Store]] = {"s3": S3, "sftp": Sftp}


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
    assert node.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []

    # An answer that it does not accept is told in one sentence, and shows neither the right secret nor the wrong one.
    wrong = "/etc/pgbackrest/other_key" if store.kind == "sftp" else "aVeryWrongSecretIndeed"
    store.configure(**{store.secret: wrong, **({"public_key_file": f"{wrong}.pub"} if store.kind == "sftp" else {})})
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
            assert wrong not in each.output
            assert "403" in each["msg"]
    info = node.module("pgbackrest_info", {"stanza": STANZA})
    assert len(info["problems"]) >= 1
    store.configure()
    assert node.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []


@pytest.mark.fault
def test_a_store_that_is_gone_in_the_middle(store: Store) -> None:
    node = store.host
    node.sql("CREATE TABLE rows AS SELECT n AS id FROM generate_series(1, 10) n")
    node.backup("full")
    node.sql("CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((n * 7)::text) AS note FROM generate_series(1, 400000) n")
    backup = node.background(
        "bash",
        "-c",
        f"export {' '.join(f'{name}={value}' for name, value in Host.MODULE_ENVIRONMENT.items())}; "
        f"""printf %s '{{"stanza": "{STANZA}", "type": "full"}}' | {' '.join(node.module_command('pgbackrest_backup'))}""",
    )
    sending = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgBackRest [backup]%'"
    wait_until(lambda: node.sql(sending) != "0", 120, "a backup under way")
    store.cut_off()
    try:
        output = backup.wait()
        assert '"failed": true' in output
        assert "Traceback" not in output
        told = node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full"}, fails=True)
        assert "repository 1" in told["msg"]
        assert "repository 1" in node.restore(fails=True)["msg"]
        node.sql("INSERT INTO rows VALUES (11); SELECT pg_switch_wal()")
        failed = node.sql("SELECT failed_count FROM pg_stat_archiver")
        wait_until(lambda: node.sql("SELECT failed_count FROM pg_stat_archiver") != failed, 180, "archiving that fails")
    finally:
        store.reachable()
    # What waited is archived, and what was there before is whole.
    node.switch_wal()
    assert node.backup("full")["status"] == "ok"
    node.restore()
    assert rows(node) == 11
