# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))

from fixtures import in_order, nodes
from instances import Instance, Mesh
from mesh import Node

__all__ = ["nodes"]


def pytest_collection_modifyitems(items: list[t.Any]) -> None:
    in_order(items)


@pytest.fixture(scope="session")
def mesh(nodes: list[Node]) -> t.Iterator[Mesh]:
    """The nodes with the API's instances on their hosts."""
    found = Mesh(nodes, [Instance(node.name, node.address) for node in nodes])
    yield found
    for instance in found.instances:
        instance.http.close()


@pytest.fixture
def healthy(mesh: Mesh) -> Mesh:
    """Both nodes up for both instances: a fault finds somewhere to go to."""
    mesh.wait_until_up()
    return mesh
