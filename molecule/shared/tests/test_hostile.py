# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema with all that real ones hold, in a database whose owner has put traps and settings in the way: tests/hostile."""

from __future__ import annotations

from functools import partial

from mesh import SHOP, Node, eventually, hostile


def are_equal(nodes: list[Node], whole_table: str) -> bool:
    return nodes[0].query(whole_table, db=SHOP) == nodes[1].query(whole_table, db=SHOP)


def test_rows_of_every_table_arrive_both_ways(nodes: list[Node]) -> None:
    published = {name for (name,) in nodes[0].query(hostile.PUBLISHED, db=SHOP)} - {"public.scratch"}
    assert len(published) > 30
    for what in ("insert", "update", "delete"):
        for node in nodes[:2]:
            for row in range(0, 40, 10):
                for statement in hostile.statements(what, row + node.node_id):
                    node.query(statement, db=SHOP)
        for table in published:
            eventually(partial(are_equal, nodes, hostile.whole_table(table)), f"{table} after the {what}")
