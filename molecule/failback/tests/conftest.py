# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))

import pytest
from mesh import SHOP, Node, mesh_nodes
from traps import lay, settings


@pytest.fixture(scope="session")
def nodes() -> t.Iterator[list[Node]]:
    """In both databases their owners have laid all that they can."""
    found = mesh_nodes()
    lay(found, {"imdb": "generos", SHOP: "articles"})
    with settings(found, "imdb", SHOP):
        yield found
    for node in found:
        node.close()
