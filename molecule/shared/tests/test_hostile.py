# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema with all that real ones hold, in a database whose owner has put traps and settings in the way: tests/hostile."""

from __future__ import annotations

import pytest
from mesh import HOSTILE, SHOP, Node, eventually, hostile

pytestmark = pytest.mark.skipif(not HOSTILE, reason="the scenario's inventory is not that of the hostile world")


def test_rows_of_every_table_arrive_both_ways(nodes: list[Node]) -> None:
    published = {name for (name,) in nodes[0].query(hostile.PUBLISHED, db=SHOP)} - {"public.scratch"}
    assert len(published) > 30
    for what in ("insert", "update", "delete"):
        for node in nodes[:2]:
            for row in range(0, 40, 10):
                for statement in hostile.statements(what, row + node.node_id):
                    node.query(statement, db=SHOP)
        for table in published:
            whole = hostile.whole_table(table)
            eventually(
                lambda whole=whole: nodes[0].query(whole, db=SHOP) == nodes[1].query(whole, db=SHOP), f"{table} after the {what}"
            )
