# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter api_problems: whether an inventory's hosts can serve the API."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._api_problems import api_problems


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"api_problems": api_problems}
