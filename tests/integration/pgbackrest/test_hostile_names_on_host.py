# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose names and places are as awkward as real ones: backed up, restored beside itself, and proved."""

from __future__ import annotations

import typing as t

import pytest
from host import VERSION, Host
from servers import wait_until

STANZA = "Prod.A"
PORT = 5433
MOUNT = "/srv/another disk"
DATA = f"{MOUNT}/data of Prod.A"
WAL = "/srv/wal of Prod.A"
COPY = f"{MOUNT}/a copy, 100% 'it'"
DATABASE = "Käse-Shop=1 'x'"
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"
SETTINGS = f"/etc/postgresql/{VERSION}/{STANZA}/conf.d/test.conf"


def query(node: Host, command: str, port: int = PORT, database: str = DATABASE) -> str:
    words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-p", str(port), "-c", command]
    # Against what the database has set.
    options = "-c default_transaction_read_only=off -c statement_timeout=0 -c search_path=public"
    environment = {"PGDATABASE": database, "PGOPTIONS": options}
    return node.run(*words, user="postgres", environment=environment).stdout.strip()


@pytest.fixture
def prod(node: Host) -> t.Iterator[Host]:
    """Its data directory is on a mount of its own and has spaces, pg_wal is a link, and its roles and databases have settings."""
    with node.file_kept(CONFIGURATION):
        try:
            node.shell(
                f"""
                set -e
                mkdir -p '{MOUNT}' '/srv/space of Prod.A' /srv/late
                mount -t tmpfs -o size=1g tmpfs '{MOUNT}'
                install -d -o postgres -m 700 '{WAL}'
                chown postgres '{MOUNT}' '/srv/space of Prod.A' /srv/late
                pg_createcluster {VERSION} {STANZA} -d '{DATA}' -p {PORT} --locale C.UTF-8 -- -k -X '{WAL}' >/dev/null
                cat >{SETTINGS} <<S
                wal_level=logical
                archive_mode=on
                archive_command='pgbackrest --stanza={STANZA} archive-push "%p"'
                datestyle='SQL, DMY'
                timezone='America/St_Johns'
                autovacuum=off
S
                printf '[{STANZA}]\\npg1-path={DATA}\\npg1-port={PORT}\\n' >>{CONFIGURATION}
                systemctl start postgresql@{VERSION}-{STANZA}
                """
            )
            query(node, f"""CREATE DATABASE "{DATABASE}" """, database="postgres")
            for setting in ("statement_timeout = 200", "default_transaction_read_only = on", "search_path = nowhere"):
                query(node, f"""ALTER DATABASE "{DATABASE}" SET {setting}""", database="postgres")
            node.module("pgbackrest_stanza", {"stanza": STANZA})
            yield node
        finally:
            node.shell(
                f"""
                [ ! -e "{COPY}/postmaster.pid" ] || kill -QUIT $(head -1 "{COPY}/postmaster.pid")
                pg_dropcluster --stop {VERSION} {STANZA}
                umount '{MOUNT}'
                rm -rf '{WAL}' '/srv/space of Prod.A' /srv/late
                """,
                check=False,
            )


def switch(node: Host) -> None:
    name = query(node, "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())")
    query(node, "SELECT pg_catalog.pg_switch_wal()")
    archived = f"SELECT last_archived_wal >= '{name}' FROM pg_catalog.pg_stat_archiver"
    wait_until(lambda: query(node, archived) == "t", 120, f"archiving of {name}")


def test_backup_restore_and_proof(prod: Host) -> None:
    node = prod
    query(node, "CREATE TABLESPACE \"a space\" LOCATION '/srv/space of Prod.A'", database="postgres")
    query(node, """CREATE TABLE "Ta'bel %s" TABLESPACE "a space" AS SELECT n AS id FROM generate_series(1, 500) n""")
    note = {"Käse": "100% = 'ja'", "a:b": "c"}
    wanted = {"stanza": STANZA, "type": "full", "pg_path": DATA, "annotations": note, "node": "DB-Node.One"}
    taken = node.module("pgbackrest_backup", wanted)
    assert taken["backup"]["annotations"] == {**note, "node": "DB-Node.One"}
    query(node, """INSERT INTO "Ta'bel %s" SELECT generate_series(501, 600)""")
    point = query(node, "SELECT pg_catalog.pg_create_restore_point('before the %p accident')")
    assert point
    query(node, "CREATE TABLESPACE late LOCATION '/srv/late'", database="postgres")
    query(node, """CREATE TABLE later TABLESPACE late AS SELECT 1 AS id; DELETE FROM "Ta'bel %s" """)
    switch(node)
    # The live server has written what it had to.
    query(node, "CHECKPOINT")
    live = node.shell(f"find '/srv/space of Prod.A' /srv/late '{WAL}' -printf '%p %T@\\n' | sort")
    restore: dict[str, t.Any] = {
        "stanza": STANZA,
        "pg_path": COPY,
        "tablespace_map_all": f"{COPY} spaces",
        "check_free_space": False,
        "recovery_options": {"application_name": "it's \\ 100%"},
    }
    for arguments, rows in (({"type": "name", "target": "before the %p accident"}, 600), ({"delta": True, "stop_copy": True}, 0)):
        done = node.module("pgbackrest_restore", {**restore, **arguments})
        assert done["restored"]["in_place"] is False
        proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": 5499, "keep_running": True})
        found = {each["name"]: each["rows"] for each in proof["databases"]}
        assert found[DATABASE]['public."Ta\'bel %s"'] == rows
        assert query(node, "SHOW application_name", 5499) in ("psql", "it's \\ 100%")
        node.module("pgbackrest_prove", {"pg_path": COPY, "port": 5499, "amcheck": False})
    assert [each["directory"] for each in done["restored"]["tablespaces_inside"]] == ["/srv/late"]
    # Archiving goes on beside it; nothing else has changed on the live node.
    after = node.shell("find '/srv/space of Prod.A' /srv/late -printf '%p %T@\\n' | sort")
    assert after == "".join(line for line in live.splitlines(keepends=True) if not line.startswith(WAL))
    assert node.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []
