# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of role pgbackrest: what it asks a host, and what the answers mean."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_host import pgbackrest_look, pgbackrest_state


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"pgbackrest_look": pgbackrest_look, "pgbackrest_state": pgbackrest_state}
