# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))

from fixtures import direction, nodes

__all__ = ["direction", "nodes"]


def pytest_collection_modifyitems(items: list[t.Any]) -> None:
    """What takes the mesh away comes after all that needs it, whatever the order of the folders."""
    items.sort(key=lambda item: item.path.name == "test_destroy.py")
