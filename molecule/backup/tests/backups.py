# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is backed up: its backups, its catalogue, and copies restored from them."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from mesh import DEPLOYMENT, Node, PlaybookRun, eventually, run_playbook

from ansible_collections.multimaster.postgresql.plugins.module_utils._catalog import Entries
from ansible_collections.multimaster.postgresql.plugins.module_utils._catalog_server import Address, CatalogServer

Result = t.TypeVar("Result")

COPY_PORT = 5499
MARKER = "readable-marker-in-a-row"


@dataclass
class Story:
    """Rows by what to restore: arguments of restore.yml and the ids that the copy must have then, exactly."""

    chapters: dict[str, tuple[dict[str, str], list[int]]] = field(default_factory=dict)
    peer_rows: int = 0


@dataclass
class BackedUp:
    node: Node
    taker: str
    """The host that takes its backups."""
    repository: str
    """The folder on that host."""

    @property
    def name(self) -> str:
        return self.node.name

    @staticmethod
    def at_once(nodes: list[BackedUp], work: t.Callable[[BackedUp], Result]) -> list[Result]:
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            return list(pool.map(work, nodes))

    # --- on the hosts -----------------------------------------------------------------------------------------------

    def on_taker(self, command: str, user: str = "root", check: bool = True) -> str:
        return run_on(self.taker, command, user, check)

    def on_node(self, command: str, user: str = "root", check: bool = True) -> str:
        return run_on(self.name, command, user, check)

    def unit(self, kind: str) -> str:
        return f"multimaster-backup-{kind}@{self.name}"

    def stop_timers(self) -> None:
        """A test that runs while a timer's hour strikes must not meet a backup of its own accord."""
        self.on_taker("systemctl stop 'multimaster-backup-*.timer'")

    def start_timers(self) -> None:
        self.on_taker("cd /etc/systemd/system && systemctl start multimaster-backup-*.timer")

    def backup(self, kind: str) -> None:
        """As its timer does it."""
        self.on_taker(f"systemctl start {self.unit(kind)}.service")

    def info(self) -> dict[str, t.Any]:
        return json.loads(self.on_taker(f"pgbackrest --stanza={self.name} --output=json info", "postgres"))[0]

    def backups(self) -> list[dict[str, t.Any]]:
        return self.info()["backup"]

    # --- the story ----------------------------------------------------------------------------------------------------

    def tell_story(self) -> Story:
        story = Story()
        self.stop_timers()
        ids: list[int] = []
        # A table of this node alone: what the copies of the two nodes hold must differ.
        self.sql("CREATE TABLE story (id integer PRIMARY KEY, note text NOT NULL)")

        def write(count: int) -> None:
            for _number in range(count):
                ids.append(len(ids) + 1)
                self.sql(f"INSERT INTO story VALUES ({ids[-1]}, '{MARKER} {self.name}')")

        label = ""
        for kind in ("full", "diff", "incr"):
            write(3)
            self.backup(kind)
            label = self.backups()[-1]["label"]
            story.chapters[kind] = ({"type": "set", "set": label}, list(ids))
        write(1)
        time.sleep(0.05)
        moment = self.sql("SELECT clock_timestamp()")
        time.sleep(0.05)
        story.chapters["time"] = ({"type": "time", "target": moment}, list(ids))
        ids.append(len(ids) + 1)
        xid = self.sql(f"INSERT INTO story VALUES ({ids[-1]}, '{MARKER}') RETURNING pg_current_xact_id()::xid")
        story.chapters["xid"] = ({"type": "xid", "target": xid, "set": label}, list(ids))
        write(1)
        story.chapters["lsn"] = ({"type": "lsn", "target": self.sql("SELECT pg_current_wal_insert_lsn()")}, list(ids))
        write(1)
        self.sql("SELECT pg_create_restore_point('before the accident')")
        story.chapters["name"] = ({"type": "name", "target": "before the accident", "set": label}, list(ids))
        write(1)
        self.archive_all()
        story.chapters["latest"] = ({"type": "latest"}, list(ids))
        return story

    def sql(self, command: str, db: str = "postgres") -> str:
        # psql shows a command's tag after the rows that it returns.
        return self.node.admin(command, db).splitlines()[0]

    def archive_all(self) -> None:
        segment = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        archived = f"SELECT coalesce(last_archived_wal >= '{segment}', false) FROM pg_stat_archiver"
        eventually(lambda: self.sql(archived) == "t", f"archiving of {segment}", 30)

    # --- copies -------------------------------------------------------------------------------------------------------

    def restore(self, arguments: dict[str, str], expect_success: bool = True, **further: str) -> PlaybookRun:
        given = {"restore_node": self.name, "restore_keep_running": "true"}
        given |= {f"restore_{name}": value for name, value in {**arguments, **further}.items()}
        return run_playbook("restore", "-e", json.dumps(given), expect_success=expect_success)

    def in_copy(self, command: str, host: str | None = None, port: int = COPY_PORT) -> str:
        return run_on(host or self.name, f'psql -XAt -p {port} postgres -c "{command}"', "postgres").strip()

    def rows_of_copy(self, host: str | None = None, port: int = COPY_PORT) -> list[int]:
        return [int(line) for line in self.in_copy("SELECT id FROM story ORDER BY id", host, port).split()]

    # --- the catalogue -------------------------------------------------------------------------------------------------

    def catalogue(self, server: Node) -> Entries:
        password = (DEPLOYMENT / "secrets/backup_catalog").read_text().strip()
        address = Address(server.address, user="catalog", password=password, ca_certs=str(DEPLOYMENT / "ca/ca.crt"))
        client = CatalogServer(address)
        try:
            return client.entries(self.name)
        finally:
            client.close()


def run_on(host: str, command: str, user: str = "root", check: bool = True) -> str:
    done = subprocess.run(
        ["docker", "exec", "--user", user, host, "sh", "-c", command], text=True, capture_output=True, check=False
    )
    if check:
        assert done.returncode == 0, f"{command} on {host}: {done.stdout}{done.stderr}"
    return done.stdout
