# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures import direction, in_order, nodes

__all__ = ["direction", "nodes"]


def pytest_collection_modifyitems(items: list[t.Any]) -> None:
    in_order(items)
