# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules with nothing to do, beside the modules of community.postgresql, on two servers of their own on loopback."""

from __future__ import annotations

import json
import sys
import typing as t

from timing import ROOT, in_turns, run, summary

sys.path.insert(0, str(ROOT / "tests/integration"))

from servers import REPLICATOR_PASSWORD, Authority, Server

OURS = "ansible_collections.multimaster.postgresql.plugins.modules."
THEIRS = "ansible_collections.community.postgresql.plugins.modules."
DB = "bench"

# One module in a process of its own, as on a host; its arguments come as JSON. Hosts have psycopg2 alone, and community's
# modules would take the slower psycopg 3, which the tests bring.
RUNNER = """
import importlib, json, sys
sys.modules["psycopg"] = None
sys.path.insert(0, "collections")
from ansible.module_utils.testing import patch_module_args
with patch_module_args(json.loads(sys.argv[2])):
    importlib.import_module(sys.argv[1]).main()
"""


def module(name: str, arguments: dict[str, t.Any]) -> t.Callable[[], None]:
    def once() -> None:
        output = run(sys.executable, "-W", "ignore", "-c", RUNNER, name, json.dumps(arguments))
        if json.loads(output)["changed"]:
            raise SystemExit(f"{name} changed something where there was nothing to do")

    return once


def make_true(name: str, arguments: dict[str, t.Any]) -> t.Callable[[], None]:
    """Run the module once, so that nothing is left to do; returns what is measured."""
    run(sys.executable, "-W", "ignore", "-c", RUNNER, name, json.dumps(arguments))
    return module(name, arguments)


def nothing_to_do(rounds: int) -> list[dict[str, t.Any]]:
    authority = Authority()
    servers = [Server(name, authority) for name in ("a", "b")]
    try:
        for server in servers:
            server.create()
            server.query(f"CREATE DATABASE {DB}")
            server.query(f"GRANT CREATE ON DATABASE {DB} TO subscription_owner; GRANT pg_read_all_data TO replicator")
        return [
            _publication(servers[0], rounds),
            _subscription(servers[0], servers[1], rounds),
            _sequences(servers[0], rounds),
        ]
    finally:
        for server in servers:
            server.destroy()


def _result(title: str, ours: t.Callable[[], None], theirs: t.Callable[[], None], asked: float, rounds: int) -> dict[str, t.Any]:
    taken = in_turns({"multimaster": ours, "community": theirs}, rounds)
    sides = {name: summary(values) for name, values in taken.items()}
    return {
        "title": title,
        "unit": "s",
        "sides": sides,
        "ratio": sides["multimaster"]["median"] / sides["community"]["median"],
        "asked": asked,
    }


def _publication(server: Server, rounds: int) -> dict[str, t.Any]:
    tables = [f"t{number}" for number in range(10)]
    for table in tables:
        server.query(f"CREATE TABLE {table} (id bigint PRIMARY KEY, note text)", db=DB)
    wanted = {**server.login(DB), "name": "pub_bench", "tables": [f"public.{table}" for table in tables]}
    ours = make_true(OURS + "pg_publication", wanted)
    theirs = make_true(THEIRS + "postgresql_publication", wanted)
    return _result("pg_publication with nothing to do, against community's", ours, theirs, 1.0, rounds)


def _subscription(here: Server, peer: Server, rounds: int) -> dict[str, t.Any]:
    for number in range(10):
        peer.query(f"CREATE TABLE t{number} (id bigint PRIMARY KEY, note text)", db=DB)
    peer.query("CREATE PUBLICATION pub_bench FOR ALL TABLES", db=DB)
    here.query("GRANT postgres TO subscription_owner")
    wanted = {
        **here.login(DB),
        "name": "sub_bench",
        "publications": ["pub_bench"],
        "peer": peer.as_peer(here),
        "peer_password": REPLICATOR_PASSWORD,
        "owner": "subscription_owner",
    }
    ours = make_true(OURS + "pg_subscription_mm", wanted)
    # community's module cannot read a connection string with a quoted password: it gets a subscription with a plain one.
    plain = {"host": "127.0.0.1", "port": peer.port, "user": "postgres", "dbname": DB}
    conninfo = " ".join(f"{name}={value}" for name, value in plain.items())
    options = "connect = false, slot_name = NONE"
    here.query(f"CREATE SUBSCRIPTION sub_plain CONNECTION %s PUBLICATION pub_bench WITH ({options})", [conninfo], db=DB)
    theirs = module(
        THEIRS + "postgresql_subscription",
        {**here.login(DB), "name": "sub_plain", "publications": ["pub_bench"], "connparams": plain},
    )
    title = "pg_subscription_mm with nothing to do (it also looks at the peer, over TLS), against community's"
    return _result(title, ours, theirs, 1.0, rounds)


def _sequences(server: Server, rounds: int) -> dict[str, t.Any]:
    server.query("CREATE SEQUENCE free_standing", db=DB)
    server.query("DO $$ BEGIN FOR n IN 1..249 LOOP EXECUTE format('CREATE SEQUENCE s%s', n); END LOOP; END $$", db=DB)
    ours = make_true(OURS + "pg_sequence_mm", {**server.login(DB), "node_id": 1})
    theirs = module(THEIRS + "postgresql_sequence", {**server.login(DB), "sequence": "free_standing"})
    title = "pg_sequence_mm on 250 sequences with nothing to do, against one task of community's"
    return _result(title, ours, theirs, 1.5, rounds)
