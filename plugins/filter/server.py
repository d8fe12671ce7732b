# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of role postgresql: what it wants, compared with what one look at a host and its server brought."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._access import access_lines
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._database_access import database_access
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._files import files_differing
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_differences import (
    privileges_unknown_named,
    privileges_wanted,
    server_differences,
)
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_settings import (
    replication_problems,
    settings_problems,
    settings_restarting,
    settings_written,
)
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_variables import (
    host_problems,
    server_problems,
    server_variable_problems,
)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "access_lines": access_lines,
            "database_access": database_access,
            "files_differing": files_differing,
            "host_problems": host_problems,
            "privileges_unknown_named": privileges_unknown_named,
            "privileges_wanted": privileges_wanted,
            "server_differences": server_differences,
            "server_problems": server_problems,
            "server_variable_problems": server_variable_problems,
            "replication_problems": replication_problems,
            "settings_problems": settings_problems,
            "settings_restarting": settings_restarting,
            "settings_written": settings_written,
        }
