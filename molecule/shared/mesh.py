# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployed mesh as its users reach it: SQL over TLS as the application, and administration on the hosts."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import psycopg2.extensions
import testinfra
from psycopg2 import sql

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/hostile"))
hostile = importlib.import_module("hostile")
DEPLOYMENT = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "deployment"
INVENTORY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "inventory"
# Where a scenario's inventory is not that of the hostile world, molecule.yml says why.
HOSTILE = (INVENTORY / "group_vars").resolve().parent == hostile.FOLDER
# Beside imdb the mesh has this database.
SHOP = hostile.DATABASE if HOSTILE else "shop"
SHOP_PUBLICATION = f"pub_{SHOP}"
CLUSTER, PORT = (hostile.CLUSTER, hostile.PORT) if HOSTILE else ("main", 5432)
OWNERS = {SHOP: hostile.OWNER if HOSTILE else "shop"}
# How soon a row arrives is measured by the benchmarks. This is a limit that only a mesh which never gets there reaches.
PATIENCE = 180
# What the superuser of the tests states for his sessions.
SUPERUSER = f"{hostile.APPLICATION} -c search_path=pg_catalog,public"


@dataclass
class Node:
    """One node. ``query`` speaks over TLS as the owner of the tables, as an application does."""

    name: str
    node_id: int
    address: str
    _sessions: dict[str, t.Any] = field(default_factory=dict)

    def session(self, db: str = "imdb", **parameters: t.Any) -> t.Any:
        password = secret("hostile_owner" if HOSTILE and db == SHOP else db)
        wanted = {
            "host": self.address, "port": PORT, "dbname": db, "user": OWNERS.get(db, db), "password": password,
            "sslmode": "verify-full", "sslrootcert": str(DEPLOYMENT / "ca" / "ca.crt"), "connect_timeout": 60,
            "options": f"{hostile.APPLICATION} -c search_path=public",
            **parameters,
        }
        session = psycopg2.connect(**wanted)
        session.autocommit = True
        return session

    def query(self, command: str | sql.Composable, parameters: t.Any = None, db: str = "imdb") -> list[tuple[t.Any, ...]]:
        if db not in self._sessions or self._sessions[db].closed:
            self._sessions[db] = self.session(db)
        with self._sessions[db].cursor() as cursor:
            cursor.execute(command, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, command: str | sql.Composable, parameters: t.Any = None, db: str = "imdb") -> t.Any:
        return self.query(command, parameters, db)[0][0]

    def host(self, user: str = "root") -> t.Any:
        """The container, through testinfra."""
        return testinfra.get_host(f"docker://{user}@{self.name}")

    def admin(self, command: str, db: str = "imdb") -> str:
        """One or more statements as the superuser on the host, without a transaction around them."""
        done = subprocess.run(
            ["docker", "exec", "-i", "-u", "postgres", "-e", f"PGOPTIONS={SUPERUSER}", self.name,
             "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-p", str(PORT), "-d", conninfo(dbname=db)],
            input=command, text=True, capture_output=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()


def secret(kind: str) -> str:
    """The password or token of that kind, as the deployment has it."""
    return kind + hostile.SECRET if HOSTILE else (DEPLOYMENT / "secrets" / kind).read_text().strip()


def conninfo(**parameters: str) -> str:
    return psycopg2.extensions.make_dsn(**parameters)


def eventually(condition: t.Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    limit = time.monotonic() + seconds
    pause = 0.02
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(pause)
        # What takes long is not made to take longer by asking.
        pause = min(pause * 1.2, 0.5)


@dataclass
class PlaybookRun:
    """One ansible-playbook run: its return code, what it printed, and the recap per host."""

    returncode: int
    output: str
    stats: dict[str, dict[str, int]]

    def changed(self) -> int:
        return sum(host["changed"] for host in self.stats.values())


def run_playbook(playbook: str, *arguments: str, expect_success: bool = True) -> PlaybookRun:
    """Run a playbook on the scenario's hosts, as the user would: ``run_playbook("site", "--check", "--diff")``."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks" / f"{playbook}.yml"), *arguments],
        cwd=ROOT, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False,
    )
    output = done.stdout + done.stderr
    if expect_success:
        assert done.returncode == 0, output[-6000:]
    return PlaybookRun(done.returncode, output, _recap(done.stdout))


def _recap(output: str) -> dict[str, dict[str, int]]:
    stats = {}
    _before, _title, recap = output.rpartition("PLAY RECAP")
    for line in recap.splitlines()[1:]:
        host, colon, counts = line.partition(" : ")
        if colon:
            stats[host.strip()] = {key: int(value) for key, value in (pair.split("=") for pair in counts.split())}
    return stats


def read_inventory() -> dict[str, t.Any]:
    """As ansible-inventory prints it: groups by name, each with its hosts, and all variables in _meta."""
    done = subprocess.run(
        ["ansible-inventory", "-i", str(INVENTORY), "--list"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def mesh_nodes() -> list[Node]:
    """The nodes of the scenario, from its inventory."""
    inventory = read_inventory()
    hostvars = inventory["_meta"]["hostvars"]
    nodes = [
        Node(name, int(hostvars[name]["multimaster_node_id"]), hostvars[name]["multimaster_address"])
        for name in inventory["postgresql"]["hosts"]
    ]
    return sorted(nodes, key=lambda node: node.node_id)
