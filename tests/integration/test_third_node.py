# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node joins two that are in use, as role multimaster has it: it is compared first, and subscribes to the seed first."""

from __future__ import annotations

import typing as t

import pytest
from psycopg2 import sql
from servers import REPLICATOR_PASSWORD, Authority, Server, wait_until
from subscriptions import OWNER, Mesh

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._node_descriptions import node_descriptions

RunModule = t.Callable[..., t.Any]
OPTIONS = {"owner": OWNER, "uncopied_rows": "fail", "slot_timeout": 60, "wait_timeout": 120}


class Nodes:
    """Three servers under their names in a mesh."""

    def __init__(self, mesh: Mesh, third: Server, run_module: RunModule) -> None:
        self.db, self._run = mesh.db, run_module
        self.servers = {"n1": mesh.a, "n2": mesh.b, "n3": third}

    def described(self, name: str, among: t.Sequence[str], seed: str = "n1") -> list[dict[str, t.Any]]:
        """The subscriptions of a node to those of these nodes that are others."""
        numbers = {each: number for number, each in enumerate(self.servers, 1)}
        peers = [
            {"name": peer, "node_id": numbers[peer], "address": "127.0.0.1", "port": self.servers[peer].port}
            for peer in among
            if peer != name
        ]
        found = node_descriptions(
            [{"name": self.db, "publication": "pub", "slot_suffix": f"_{self.db}"}], peers, node_id=numbers[name], max_nodes=8,
            seed=seed, user="replicator", tls_directory=str(self.servers[name].certificates), replica_identity_missing="fail",
            warn_below_percent=1, conflict_policy="error", conflict_settings={}, subscription=OPTIONS,
        )["subscriptions"]
        for each in found:
            peer = self.servers[each["name"].removeprefix("sub_from_")]
            each["peer"] = peer.as_peer(self.servers[name])
        return found

    def compare(self, name: str, among: t.Sequence[str], **options: t.Any) -> list[dict[str, t.Any]]:
        server = self.servers[name]
        arguments = {"subscriptions": self.described(name, among, **options), "peer_password": REPLICATOR_PASSWORD}
        found = self._run("pg_node_differences", {**server.login(), **arguments})
        return t.cast("list[dict[str, t.Any]]", found["differences"])

    def join(self, name: str, among: t.Sequence[str]) -> None:
        for each in self.described(name, among):
            # What the role does once the copy is there.
            options = {**each, "uncopied_rows": "fail", "peer_password": REPLICATOR_PASSWORD}
            self._run("pg_subscription_mm", {**self.servers[name].login(self.db), **options})

    def ids(self, name: str) -> list[int]:
        return [number for (number,) in self.servers[name].query("SELECT id FROM t ORDER BY id", db=self.db)]

    def wait_for_ids(self, name: str, wanted: list[int]) -> None:
        wait_until(lambda: self.ids(name) == wanted, what=f"rows on {name}")


@pytest.fixture
def nodes(mesh: Mesh, authority: Authority, run_module: RunModule) -> t.Iterator[Nodes]:
    third = Server("c", authority)
    try:
        third.create()
        third.query(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(mesh.db)))
        third.query(f"GRANT CREATE ON DATABASE {mesh.db} TO {OWNER}")
        third.query("GRANT pg_read_all_data TO replicator")
        for name in ("t", "u"):
            mesh.create_table(name, third)
        third.query("CREATE PUBLICATION pub FOR ALL TABLES", db=mesh.db)
        yield Nodes(mesh, third, run_module)
        for server in (mesh.a, mesh.b):
            for (name,) in server.query("SELECT subname FROM pg_subscription", db=mesh.db):
                for change in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                    command = change.replace("{}", "SUBSCRIPTION {}")
                    server.query(sql.SQL(command).format(sql.Identifier(name)), db=mesh.db)
    finally:
        third.destroy()


def test_a_third_node_joins_two_in_use_and_gets_the_rows_once(nodes: Nodes) -> None:
    two, three = ("n1", "n2"), ("n1", "n2", "n3")
    for name in two:
        nodes.join(name, two)
    nodes.servers["n1"].query("INSERT INTO t VALUES (1), (2)", db=nodes.db)
    nodes.servers["n2"].query("INSERT INTO t VALUES (11), (12)", db=nodes.db)
    for name in two:
        nodes.wait_for_ids(name, [1, 2, 11, 12])
    # Two subscriptions are missing, and neither would leave rows behind: the first one copies those of both.
    found = nodes.compare("n3", three)
    assert [(each["name"], each["loses_rows"]) for each in found] == [("sub_from_n1", False), ("sub_from_n2", False)]
    assert not any("copy_data" in why for each in found for why in each["why"])
    for name in ("n3", "n1", "n2"):
        nodes.join(name, three)
    assert nodes.ids("n3") == [1, 2, 11, 12]
    for number, name in enumerate(three, 101):
        nodes.servers[name].query("INSERT INTO t VALUES (%s)", [number], nodes.db)
    for name in three:
        nodes.wait_for_ids(name, [1, 2, 11, 12, 101, 102, 103])
        assert nodes.compare(name, three) == []


def test_a_new_node_that_is_the_seed_itself_would_lose_rows_and_is_told_so(nodes: Nodes) -> None:
    nodes.servers["n1"].query("INSERT INTO t VALUES (1)", db=nodes.db)
    found = nodes.compare("n3", ("n1", "n2", "n3"), seed="n3")
    assert [each["name"] for each in found if each["loses_rows"]] == ["sub_from_n1"]
