# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that make pgBackRest's configuration file, and say what is wrong with the data for it."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_settings import (
    configuration_file,
    configuration_problems,
)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "pgbackrest_configuration": configuration_file,
            "pgbackrest_configuration_problems": configuration_problems,
        }
