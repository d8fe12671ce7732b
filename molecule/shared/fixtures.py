# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixtures that scenarios share."""

from __future__ import annotations

import typing as t

import pytest
from mesh import Node, mesh_nodes


@pytest.fixture(scope="session")
def nodes() -> t.Iterator[list[Node]]:
    found = mesh_nodes()
    yield found
    for node in found:
        node.close()


@pytest.fixture(params=["first to second", "second to first"])
def direction(request: pytest.FixtureRequest, nodes: list[Node]) -> tuple[Node, Node]:
    """The writing node and the one on which its rows must appear, both ways round."""
    first, second = nodes[:2]
    return (first, second) if request.param == "first to second" else (second, first)


def in_order(items: list[t.Any]) -> None:
    """Whatever the order of the folders: what fell into traps is looked for after all else, and then the mesh is taken away."""
    last = ("test_traps.py", "test_destroy.py", "test_3_destroy.py")
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
