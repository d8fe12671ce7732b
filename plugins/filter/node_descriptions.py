# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of role multimaster: what a node has to be, as options of the modules."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._joining import join_problems, seen
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._node_descriptions import (
    database_problems,
    node_descriptions,
    node_pairs,
    slot_suffixes,
)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "database_problems": database_problems,
            "join_problems": join_problems,
            "join_seen": seen,
            "node_descriptions": node_descriptions,
            "node_pairs": node_pairs,
            "slot_suffixes": slot_suffixes,
        }
