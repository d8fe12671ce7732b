# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Waiting for locks without holding up others, and who holds them."""

from __future__ import annotations

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection

# SQLSTATEs of what can happen while others work with the same relations.
LOCK_NOT_AVAILABLE, DEADLOCK, UNDEFINED_TABLE = "55P03", "40P01", "42P01"

# Shorter than deadlock_timeout (1 s): where an application's transaction and a task would wait for each
# other, the task gives way and tries again. While it waits for a sequence, nobody else gets a value.
LOCK_TIMEOUT_MS = 300
PAUSE_SECONDS = 0.2

_HOLDERS = """
SELECT a.pid, a.usename, a.application_name, a.state, extract(epoch FROM now() - a.xact_start)::int AS seconds
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.relation = ANY (%(relations)s) OR %(relations)s IS NULL AND l.mode = 'AccessExclusiveLock')
ORDER BY a.xact_start
LIMIT 1
"""


def holder(connection: Connection, relations: list[int] | None = None) -> str:
    """In words: the oldest transaction that has a lock on these (None: that keeps even readers off)."""
    rows = connection.fetch(_HOLDERS, {"relations": relations})
    if not rows:
        return "a transaction"
    row = rows[0]
    return (
        f'a transaction of user "{row["usename"]}" that has been open for {row["seconds"]} s '
        f'(pid {row["pid"]}, {row["state"]}, application "{row["application_name"]}")'
    )
