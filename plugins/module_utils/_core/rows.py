# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether tables hold rows, asked so that their owners gain nothing: by COPY, which runs no code of theirs, see _core.owner.

COPY has no end but the table's. So it gets a session of its own, which is closed at the first row.
"""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql

# As where row security would leave rows out, or a partition may not be read though its parent may.
_MAY_NOT_READ = "42501"
# What takes up space: the table itself, or the partitions that hold its rows; and a column that may be read, if it has any.
_HOLDERS = """
SELECT w.number - 1 AS number, n.nspname AS schema, c.relname AS name,
       (SELECT a.attname FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum LIMIT 1) AS column
  FROM unnest(%(schemas)s::name[], %(names)s::name[]) WITH ORDINALITY w (schema, name, number)
  JOIN pg_namespace s ON s.nspname = w.schema
  JOIN pg_class t ON t.relnamespace = s.oid AND t.relname = w.name
 CROSS JOIN LATERAL (SELECT p.relid FROM pg_partition_tree(t.oid) p WHERE t.relkind = 'p'
                     UNION ALL SELECT t.oid WHERE t.relkind = 'r') l
  JOIN pg_class c ON c.oid = l.relid AND c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE pg_relation_size(c.oid) > 0
 ORDER BY w.number
"""


class _Enough(Exception):
    """A row has come."""


class _FirstRow:
    """What COPY writes to."""

    def write(self, _row: bytes) -> None:
        raise _Enough


def holding(connection: Connection, tables: t.Sequence[tuple[str, str]], lock_timeout: int) -> frozenset[tuple[str, str]]:
    """Which of these tables hold a row; one that may not be read does when it takes up space.

    A table that is locked elsewhere is not waited for without a limit, of seconds.
    """
    found: set[tuple[str, str]] = set()
    wanted = {"schemas": [schema for schema, _name in tables], "names": [name for _schema, name in tables]}
    session: Connection | None = None
    try:
        for holder in connection.fetch(_HOLDERS, wanted):
            table = tables[holder["number"]]
            if table in found:
                continue
            if session is None:
                session = connection.another()
                session.execute(f"SET lock_timeout = '{lock_timeout}s'")
            if _has_row(session, holder):
                found.add(table)
                session.close()
                session = None
    finally:
        if session is not None:
            session.close()
    return frozenset(found)


def _has_row(session: Connection, holder: t.Mapping[str, t.Any]) -> bool:
    column = compose(" ({})", holder["column"]) if holder["column"] else sql.SQL("")
    try:
        session.copy_out(compose("COPY {}{} TO STDOUT", (holder["schema"], holder["name"]), column), _FirstRow())
    except _Enough:
        return True
    except MultimasterError as error:
        if error.details.get("sqlstate") == _MAY_NOT_READ:
            return True
        raise
    return False
