# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is backed up: its backups, its catalogue, and copies restored from them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import shlex
import subprocess
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from mesh import DEPLOYMENT, SHOP, SUPERUSER, Node, PlaybookRun, conninfo, eventually, run_playbook, secret

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog import Entries
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_server import Address, CatalogServer

Result = t.TypeVar("Result")

DATA = "/srv/data disk/Prod.A"
COPY_PORT = 5499
MARKER = "readable-marker-in-a-row"
# What was written on both nodes before their stories, and nothing afterwards.
SHARED_ROWS = """
SELECT 'article ' || sku FROM articles WHERE sku LIKE 'seed %'
UNION ALL SELECT pg_catalog.concat_ws(' ', 'line', "Order", "Line", article) FROM "Order Lines"
UNION ALL SELECT 'on a tablespace ' || id || ' ' || v FROM elsewhere
UNION ALL SELECT 'of a partition ' || id || ' ' || twice FROM measured ORDER BY 1
"""


@dataclass
class Story:
    """Rows by what to restore: arguments of restore.yml and the ids that the copy must have then, exactly."""

    chapters: dict[str, tuple[dict[str, str], list[int]]] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    """Replicated rows that the node had from the beginning, its own and its peer's."""


@dataclass
class BackedUp:
    node: Node
    taker: str
    """The host that takes its backups."""
    repository: str
    """The folder on that host."""
    first_backup: str = ""
    """Of site.yml, before there was the tablespace."""

    @property
    def folder(self) -> str:
        """Its repository, as a shell takes it."""
        return shlex.quote(self.repository)

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

    def begin_backup(self, kind: str) -> None:
        """As its timer does it, without waiting for its end."""
        self.on_taker(f"systemctl start --no-block {self.unit(kind)}.service")

    @contextlib.contextmanager
    def half_way(self, kind: str) -> t.Iterator[None]:
        """A backup that has begun and stands still; it goes on afterwards, to its end."""
        self.begin_backup(kind)
        # The brackets keep the shell that asks from finding itself.
        at_work = "pgrep --full '[p]gbackrest .*--type=.* backup$'"
        self.on_taker(f"for n in $(seq 600); do {at_work} && exec pkill -STOP -x pgbackrest; sleep 0.05; done; exit 1")
        try:
            yield
            self.on_taker(at_work)
        finally:
            self.on_taker("pkill -CONT -x pgbackrest")
            # Waits for the run that is under way.
            self.backup(kind)

    def info(self) -> dict[str, t.Any]:
        return json.loads(self.on_taker(f"pgbackrest --stanza={self.name} --output=json info", "postgres"))[0]

    def backups(self) -> list[dict[str, t.Any]]:
        return self.info()["backup"]

    # --- the story ----------------------------------------------------------------------------------------------------

    def write_shared_rows(self) -> None:
        """Into the replicated tables, with a change and a removal."""
        number = self.node.node_id
        self.node.query(f"INSERT INTO articles (sku) SELECT 'seed {self.name} ' || n FROM generate_series(1, 5) n", db=SHOP)
        self.node.query(f'INSERT INTO "Order Lines" SELECT {number}, n, n FROM generate_series(1, 5) n', db=SHOP)
        self.node.query(f'UPDATE "Order Lines" SET article = 77 WHERE "Order" = {number} AND "Line" = 2', db=SHOP)
        self.node.query(f'DELETE FROM "Order Lines" WHERE "Order" = {number} AND "Line" = 3', db=SHOP)
        self.node.query(f"INSERT INTO elsewhere SELECT 10 * {number} + n, 'größer' FROM generate_series(1, 5) n", db=SHOP)
        values = f"'nörd', '2026-05-01', 10 * {number} + n, n FROM generate_series(1, 5) n"
        self.node.query(f"INSERT INTO measured (place, day, id, value) SELECT {values}", db=SHOP)

    def shared_rows(self) -> list[str]:
        return [row for (row,) in self.node.query(SHARED_ROWS, db=SHOP)]

    def tell_story(self) -> Story:
        story = Story(shared=self.shared_rows())
        self.stop_timers()
        ids: list[int] = []
        # A table of this node alone: what the copies of the two nodes hold must differ.
        self.sql("CREATE TABLE public.story (id integer PRIMARY KEY, note text NOT NULL)")

        def write_article() -> None:
            """The next id, first into a replicated table."""
            ids.append(len(ids) + 1)
            self.node.query(f"INSERT INTO articles (sku) VALUES ('{self.name} {ids[-1]}')", db=SHOP)

        def write(count: int) -> None:
            for _number in range(count):
                write_article()
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
        write_article()
        xid = self.sql(f"INSERT INTO story VALUES ({ids[-1]}, '{MARKER}') RETURNING pg_current_xact_id()::xid")
        story.chapters["xid"] = ({"type": "xid", "target": xid, "set": label}, list(ids))
        write(1)
        story.chapters["lsn"] = ({"type": "lsn", "target": self.sql("SELECT pg_current_wal_insert_lsn()")}, list(ids))
        write(1)
        self.sql("SELECT pg_create_restore_point('before the accident')")
        story.chapters["name"] = ({"type": "name", "target": "before the accident", "set": label}, list(ids))
        write(1)
        self.archive_all()
        # From before there was the tablespace: it comes with the WAL.
        story.chapters["latest"] = ({"type": "latest", "set": self.first_backup}, list(ids))
        return story

    def sql(self, command: str, db: str = "postgres") -> str:
        # psql shows a command's tag after the rows that it returns.
        return self.node.admin(command, db).splitlines()[0]

    def close_segment(self) -> str:
        """End the current segment, with a row in it; its name."""
        self.node.query("INSERT INTO articles (sku) VALUES ('one more segment')", db=SHOP)
        segment = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        return segment

    def archive(self) -> set[str]:
        """Names of the segments and histories in the repository."""
        command = f"pgbackrest --stanza={self.name} --output=json repo-ls --recurse archive/{self.name}"
        files = [Path(file).name for file in json.loads(self.on_taker(command, "postgres"))]
        # Beside them are the archive's own files and folders.
        return {file.split("-")[0] for file in files if re.match("[0-9A-F]{8}[0-9A-F.]", file)}

    def archive_all(self) -> None:
        segment = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        archived = f"SELECT coalesce(last_archived_wal >= '{segment}', false) FROM pg_stat_archiver"
        eventually(lambda: self.sql(archived) == "t", f"archiving of {segment}", 180)

    # --- copies -------------------------------------------------------------------------------------------------------

    def restore(self, arguments: dict[str, str], expect_success: bool = True, **further: str) -> PlaybookRun:
        given = {"restore_node": self.name, "restore_keep_running": "true", "restore_replace_kept": "true"}
        given |= {f"restore_{name}": value for name, value in {**arguments, **further}.items()}
        return run_playbook("restore", "-e", json.dumps(given), expect_success=expect_success)

    def in_copy(self, command: str, host: str | None = None, port: int = COPY_PORT, db: str = "postgres") -> str:
        asked = f"PGOPTIONS={shlex.quote(SUPERUSER)} psql -XAt -p {port} -d {shlex.quote(conninfo(dbname=db))}"
        return run_on(host or self.name, f"{asked} -c {shlex.quote(command)}", "postgres").strip()

    def rows_of_copy(self, host: str | None = None, port: int = COPY_PORT) -> list[int]:
        return [int(line) for line in self.in_copy("SELECT id FROM story ORDER BY id", host, port).split()]

    def check_copy(self, what: str, story: Story, host: str | None = None, port: int = COPY_PORT) -> None:
        """The copy has exactly what the node held then: in its own table, and in the tables that are replicated."""
        ids = story.chapters[what][1]
        assert self.rows_of_copy(host, port) == ids, f"{what} on {self.name}"
        written = f"SELECT split_part(sku, ' ', 2)::integer FROM articles WHERE sku LIKE '{self.name} %' ORDER BY 1"
        found = [int(line) for line in self.in_copy(written, host, port, SHOP).split()]
        assert found == ids, f"{what} on {self.name}: articles"
        assert self.in_copy(SHARED_ROWS, host, port, SHOP).splitlines() == story.shared, f"{what} on {self.name}: shared rows"

    # --- the catalogue -------------------------------------------------------------------------------------------------

    def catalogue(self, server: Node) -> Entries:
        password = secret("backup_catalog")
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
