# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes one report of what the nodes of a mesh said."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._mesh_status import mesh_status


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"mesh_status": mesh_status}
