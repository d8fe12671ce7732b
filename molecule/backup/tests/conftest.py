# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "collections"))

from backups import BackedUp, Story
from mesh import SHOP, eventually, mesh_nodes, read_inventory
from traps import lay, settings


@pytest.fixture(scope="session")
def nodes() -> t.Iterator[list[BackedUp]]:
    """The first node keeps its own backups, those of the second are on a repository host."""
    first, second = mesh_nodes()
    (keeper,) = read_inventory()["backup_repository"]["hosts"]
    found = [BackedUp(first, first.name, "/srv/backup disk/Prod.A"), BackedUp(second, keeper, "/srv/backups")]
    for each in found:
        each.first_backup = each.backups()[0]["label"]
    lay([first, second], {SHOP: "articles"})
    yield found
    for each in found:
        each.node.close()


@pytest.fixture(scope="session")
def spare() -> str:
    """A host that has nothing yet."""
    (name,) = read_inventory()["spare"]["hosts"]
    return name


@pytest.fixture(scope="session")
def stories(nodes: list[BackedUp]) -> dict[str, Story]:
    """Of each node a full, a differential and an incremental backup, and moments after them, each with the rows it had."""
    for each in nodes:
        each.write_shared_rows()
        each.node.close()
    with settings([each.node for each in nodes], SHOP):
        return tell_stories(nodes)


def tell_stories(nodes: list[BackedUp]) -> dict[str, Story]:
    eventually(lambda: all(len(each.shared_rows()) == 2 * (5 + 4 + 5 + 5) for each in nodes), "each node's rows on the other")
    assert nodes[0].shared_rows() == nodes[1].shared_rows()
    return {each.name: story for each, story in zip(nodes, BackedUp.at_once(nodes, BackedUp.tell_story))}
