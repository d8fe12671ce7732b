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
from mesh import eventually, mesh_nodes


@pytest.fixture(scope="session")
def nodes() -> t.Iterator[list[BackedUp]]:
    """The first node keeps its own backups, those of the second are on a repository host."""
    first, second = mesh_nodes()
    found = [BackedUp(first, first.name, "/var/lib/pgbackrest"), BackedUp(second, "mm-backup-repo", "/srv/backups")]
    yield found
    for each in found:
        each.node.close()


@pytest.fixture(scope="session")
def stories(nodes: list[BackedUp]) -> dict[str, Story]:
    """Of each node a full, a differential and an incremental backup, and moments after them, each with the rows it had."""
    for each in nodes:
        each.write_shared_rows()
    eventually(lambda: all(len(each.shared_rows()) == 2 * (5 + 4) for each in nodes), "each node's rows on the other")
    assert nodes[0].shared_rows() == nodes[1].shared_rows()
    return {each.name: story for each, story in zip(nodes, BackedUp.at_once(nodes, BackedUp.tell_story))}
