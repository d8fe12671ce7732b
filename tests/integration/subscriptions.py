# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of pg_subscription_mm share: a pair that publishes, and one side's arguments."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t

from servers import PATIENCE, REPLICATOR_PASSWORD, ROOT, Pair, Server, wait_until

MODULE = "ansible_collections.multimaster.postgresql.plugins.modules.pg_subscription_mm"
NAME = "sub_from_peer"
OWNER = "subscription_owner"

# Its pieces, too: a password that is shown in part is shown.
SECRETS = (REPLICATOR_PASSWORD, REPLICATOR_PASSWORD.replace("'", "\\'"), "s3cret")


class Mesh:
    """A pair whose tables t and u belong to an ordinary role and are published on both sides."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.a, self.b, self.db = pair, pair.a, pair.b, pair.db
        self.create_table("t")
        self.create_table("u")
        pair.both("CREATE PUBLICATION pub FOR ALL TABLES")

    def create_table(self, name: str, *servers: Server) -> None:
        for server in servers or (self.a, self.b):
            server.query(f"CREATE TABLE {name} (id int PRIMARY KEY, v text); ALTER TABLE {name} OWNER TO app", db=self.db)

    def other(self, server: Server) -> Server:
        return self.b if server is self.a else self.a

    def slot(self, server: Server) -> str:
        """The slot on the peer that this server's subscription uses, unique across the tests' databases."""
        return f"slot_{self.db}_to_{server.name}"

    def arguments(self, server: Server, *, peer: dict[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
        """This server subscribes to the other one."""
        return {
            **self.pair.login(server),
            "name": NAME,
            "slot_name": self.slot(server),
            "publications": ["pub"],
            "owner": OWNER,
            "wait_timeout": PATIENCE,
            "slot_timeout": PATIENCE,
            "peer": self.other(server).as_peer(server, **(peer or {})),
            "peer_password": REPLICATOR_PASSWORD,
            **options,
        }

    def insert(self, server: Server, *ids: int, table: str = "t", value: str = "") -> None:
        for number in ids:
            server.query(f"INSERT INTO {table} VALUES (%s, %s)", [number, value or server.name], self.db)

    def ids(self, server: Server, table: str = "t") -> list[int]:
        return [number for (number,) in server.query(f"SELECT id FROM {table} ORDER BY id", db=self.db)]

    def wait_for_ids(self, server: Server, ids: t.Iterable[int], table: str = "t") -> None:
        expected = sorted(ids)
        wait_until(lambda: self.ids(server, table) == expected, what=f"{table} on {server.name} = {expected}")

    def slots(self, server: Server) -> list[str]:
        """The slots of this database on the server."""
        rows = server.query("SELECT slot_name FROM pg_replication_slots WHERE database = %s ORDER BY 1", [self.db])
        return [name for (name,) in rows]

    def wait_for_slot(self, server: Server, *, active: bool) -> None:
        query = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
        slot = self.slot(self.other(server))
        wait_until(lambda: server.query(query, [slot]) == [(active,)], what=f"slot {slot} active = {active}")

    def subscription(self, server: Server) -> dict[str, t.Any]:
        """The subscription as the server holds it; empty where there is none."""
        rows = server.query(
            "SELECT row_to_json(s) FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid AND datname = %s"
            " WHERE subname = %s",
            [self.db, NAME],
        )
        return rows[0][0] if rows else {}

    def alter(self, server: Server, change: str) -> None:
        server.query(f"ALTER SUBSCRIPTION {NAME} {change}", db=self.db)

    def drop_subscription_only(self, server: Server) -> None:
        """As a removal with the peer down does it: the slot stays."""
        for change in ("DISABLE", "SET (slot_name = NONE)"):
            self.alter(server, change)
        server.query(f"DROP SUBSCRIPTION {NAME}", db=self.db)
        self.wait_for_slot(self.other(server), active=False)

    def markers(self, server: Server) -> int:
        return server.value(
            "SELECT count(*) FROM pg_replication_origin WHERE roname LIKE 'multimaster%%' AND roname LIKE %s", [f"%{self.db}"]
        )

    def assert_flows_both_ways(self, first_id: int = 1000) -> None:
        before_a, before_b = self.ids(self.a), self.ids(self.b)
        self.insert(self.a, first_id)
        self.insert(self.b, first_id + 1)
        self.wait_for_ids(self.a, {*before_a, first_id, first_id + 1})
        self.wait_for_ids(self.b, {*before_b, first_id, first_id + 1})


def start(arguments: dict[str, t.Any]) -> subprocess.Popen[str]:
    """The module in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[str], seconds: float = 600) -> dict[str, t.Any]:
    output, errors = process.communicate(timeout=seconds)
    assert output, errors
    return json.loads(output)


def run(arguments: dict[str, t.Any], seconds: float = 600) -> dict[str, t.Any]:
    return finish(start(arguments), seconds)


def warnings_of(result: dict[str, t.Any]) -> list[str]:
    """The texts, whatever ansible-core wraps them in."""
    found: list[str] = []

    def collect(value: t.Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            collect(value.get("msg") or value.get("event"))
        elif isinstance(value, list):
            for each in value:
                collect(each)

    collect(result.get("warnings") or [])
    return found


def foreign_slot_user(server: Server, slot: str, db: str) -> subprocess.Popen[bytes]:
    """Another subscriber of the slot, until its process is ended."""
    from servers import as_server_user, binaries

    dsn = f"host=127.0.0.1 port={server.port} user=postgres dbname={db} application_name=someone_else"
    command = [str(binaries() / "pg_recvlogical"), "-d", dsn, "-S", slot, "--start", "-f", "-", "-o", "proto_version=1"]
    process = subprocess.Popen(
        as_server_user(*command, "-o", "publication_names=pub"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    active = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
    wait_until(lambda: server.query(active, [slot]) == [(True,)], what=f"a user of slot {slot}")
    return process


@contextlib.contextmanager
def frozen(server: Server) -> t.Iterator[None]:
    """A server that accepts connections and never answers."""
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    processes = [postmaster]
    try:
        # Once stopped, it starts no more children; one that has just ended is no matter.
        os.kill(postmaster, signal.SIGSTOP)
        children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=True).stdout.split()
        processes += map(int, children)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def open_transaction(server: Server, db: str, **parameters: t.Any) -> t.Any:
    """A session with a transaction that has written and stays open; close it to end it."""
    session = server.session(db, **parameters)
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    return session
