# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""How many conflicts a database has had, for pg_multimaster_info."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection

# Its rows are the tables' rows, so not everybody may count them.
_IS_THERE = """
SELECT to_regclass('multimaster.conflict_summary') IS NOT NULL
   AND has_table_privilege('multimaster.conflict_summary', 'select') AND has_table_privilege('multimaster.conflict', 'select')
"""
_COUNTS = """
SELECT table_schema AS schema, table_name AS table, kind, winner, count, last::text
FROM multimaster.conflict_summary
"""


def conflict_counts(connection: Connection) -> list[dict[str, t.Any]] | None:
    """Per table, kind and winner: how many conflicts are in the history, and when the last one was.

    ``None`` where no table of the database has the policy, or the role may not read the history.
    """
    if not connection.fetch_value(_IS_THERE):
        return None
    return connection.fetch(_COUNTS)
