# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Last update wins among three nodes, each of which replicates to both others."""

from __future__ import annotations

import itertools
import typing as t
from functools import partial

import pytest
from psycopg2 import sql
from servers import Authority, Pair, Server, wait_until

RunModule = t.Callable[..., t.Any]


class ThreeNodes:
    """Every direction has a slot and a subscription named after both of its ends."""

    def __init__(self, nodes: t.Sequence[Server], db: str) -> None:
        self.nodes, self.db = nodes, db
        self.directions = list(itertools.permutations(nodes, 2))

    def subscribe(self) -> None:
        for publisher, subscriber in self.directions:
            name = self.name(publisher, subscriber)
            publisher.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [name], self.db)
            options = "create_slot = false, copy_data = false, origin = none"
            command = f"CREATE SUBSCRIPTION {{}} CONNECTION {{}} PUBLICATION pub WITH ({options})"
            conninfo = f"host=127.0.0.1 port={publisher.port} user=postgres dbname={self.db}"
            subscriber.query(sql.SQL(command).format(sql.Identifier(name), sql.Literal(conninfo)), db=self.db)

    def name(self, publisher: Server, subscriber: Server) -> str:
        return f"{self.db}_{publisher.name}_to_{subscriber.name}"

    def alter(self, what: str) -> None:
        for publisher, subscriber in self.directions:
            name = sql.Identifier(self.name(publisher, subscriber))
            subscriber.query(sql.SQL(f"ALTER SUBSCRIPTION {{}} {what}").format(name), db=self.db)
        if what == "DISABLE":
            for node in self.nodes:

                def is_still(node: Server = node) -> bool:
                    return self._workers(node) == 0

                wait_until(is_still, what="end of the apply workers")

    def _workers(self, node: Server) -> int:
        return node.value(
            "SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND subname LIKE %s", [f"{self.db}_%"], self.db
        )

    def meet(self) -> None:
        confirmed = "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
        for publisher, subscriber in self.directions:
            lsn = publisher.value("SELECT pg_logical_emit_message(true, 'test', '')::text")
            slot = self.name(publisher, subscriber)
            wait_until(partial(publisher.value, confirmed, [lsn, slot]), what=f"all of {slot}")

    def drop(self) -> None:
        for publisher, subscriber in self.directions:
            name = sql.Identifier(self.name(publisher, subscriber))
            for command in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                subscriber.query(sql.SQL(command.replace("{}", "SUBSCRIPTION {}")).format(name), db=self.db)


@pytest.fixture
def three(pair: Pair, authority: Authority, run_module: RunModule) -> t.Iterator[ThreeNodes]:
    third = Server("c", authority)
    try:
        third.create()
        third.query(f"CREATE DATABASE {pair.db}")
        mesh = ThreeNodes((pair.a, pair.b, third), pair.db)
        for number, node in enumerate(mesh.nodes, 1):
            node.query("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES", db=mesh.db)
            run_module("pg_conflict_policy", {**node.login(mesh.db), "policy": "last_update_wins", "node_id": number})
        mesh.subscribe()
        yield mesh
        mesh.drop()
    finally:
        third.destroy()


def test_three_nodes_that_write_the_same_rows_agree(three: ThreeNodes) -> None:
    first, second, third = three.nodes
    first.query("INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x')", db=three.db)
    three.meet()
    three.alter("DISABLE")
    # The last write of each row, by turns on every node
    for order, row in ((three.nodes, 1), ((second, third, first), 2), ((third, first, second), 3)):
        for node in order:
            node.query("UPDATE t SET v = %s WHERE id = %s", [f"from {node.name}", row], three.db)
            node.query("INSERT INTO t VALUES (%s, %s)", [row + 10, f"from {node.name}"], three.db)
    three.alter("ENABLE")
    three.meet()
    expected = [(1, "from c"), (2, "from a"), (3, "from b"), (11, "from c"), (12, "from a"), (13, "from b")]
    for node in three.nodes:
        assert node.query("SELECT id, v FROM t ORDER BY id", db=three.db) == expected, node.name
        # Each node decided against two others' versions of each row, and kept the ones that lost here.
        lost = node.query("SELECT kind, count(*)::int FROM multimaster.conflict_history GROUP BY 1 ORDER BY 1", db=three.db)
        assert [kind for kind, _count in lost] == ["insert_insert", "update_update"]
        errors = "SELECT coalesce(sum(apply_error_count), 0) FROM pg_stat_subscription_stats WHERE subname LIKE %s"
        assert node.value(errors, [f"{three.db}_%"]) == 0
    # Every version that lost is in some history.
    texts = "SELECT DISTINCT r ->> 'v' FROM multimaster.conflict_history, LATERAL (VALUES (local_row), (remote_row)) x (r)"
    assert {text for node in three.nodes for (text,) in node.query(texts, db=three.db)} == {"from a", "from b", "from c"}
