# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The schema multimaster of a database is this collection's own, and nothing in it is taken from anybody else."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

if t.TYPE_CHECKING:
    from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection

# What runs as whoever calls or reads it. The history and the functions that write to it have another owner, and run as him.
_OTHERS = """
SELECT found.what, r.rolname::text AS owner
FROM (
    SELECT 1 AS place, 'schema multimaster' AS what, n.nspowner AS owner FROM pg_namespace n WHERE n.nspname = 'multimaster'
    UNION ALL
    SELECT 2, format('function multimaster.%I', f.proname), f.proowner
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE n.nspname = 'multimaster' AND NOT f.prosecdef
    UNION ALL
    SELECT 3, format('view multimaster.%I', c.relname), c.relowner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'multimaster' AND c.relkind IN ('v', 'm')
) found JOIN pg_roles r ON r.oid = found.owner
WHERE NOT r.rolsuper AND r.rolname <> current_user
ORDER BY found.place, found.what LIMIT 1
"""


def require_own_schema(connection: Connection) -> None:
    """Refuse a schema that the owner of the database, say, has made beforehand: he could change it at any time."""
    for other in connection.fetch(_OTHERS):
        raise MultimasterError(
            f"In {connection.where} the {other['what']} belongs to {other['owner']}, and this collection takes nothing that is "
            "not a superuser's. Look at it, and rename or drop it."
        )
