# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What makes nodes differ, or rows lose what they refer to, without any conflict: triggers in apply workers, and orphans.

PostgreSQL does not check foreign keys where it applies changes. A row that is inserted on one node while another node deletes the
row that it refers to becomes an orphan on both.
"""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import SCHEMA, TRIGGERS
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.owner import fetch_as
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import sql

# What a trigger before a row can do to it; ours decide conflicts. Those of a partitioned table are listed there.
_CHANGING = """
SELECT n.nspname AS schema, c.relname AS table, g.tgname AS trigger,
       CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END AS enabled
FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled IN ('A', 'R') AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0
  AND g.tgname <> ALL (%(ours)s) AND n.nspname <> %(schema)s
  AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables p JOIN pg_catalog.pg_namespace s ON s.nspname = p.schemaname
              JOIN pg_catalog.pg_class r ON r.relnamespace = s.oid AND r.relname = p.tablename
              WHERE r.oid IN (SELECT c.oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)
                              UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))
ORDER BY 1, 2, 3
"""

# By the operators that the constraint itself compares with. ONLY where no partition can hold rows.
_FOREIGN_KEYS = """
SELECT n.nspname AS schema, c.relname AS table, k.conname AS constraint, pn.nspname AS parent_schema, p.relname AS parent,
       c.relkind = 'r' AS alone, p.relkind = 'r' AS parent_alone, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, b.attname, o.oprname, e.nspname) ORDER BY u.place)
        FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
             WITH ORDINALITY u (child, parent, operator, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
        JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.parent
        JOIN pg_catalog.pg_operator o ON o.oid = u.operator
        JOIN pg_catalog.pg_namespace e ON e.oid = o.oprnamespace) AS columns
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relpersistence = 'p'
  AND coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::boolean, false) = false
ORDER BY 1, 2, 3
"""


def changing_triggers(connection: Connection) -> list[dict[str, t.Any]]:
    """Triggers of users that fire before rows that arrive, and can change them: then nodes differ without a conflict.

    Each with ``schema``, ``table``, ``trigger`` and ``enabled``, which is ALWAYS or REPLICA.
    """
    return connection.fetch(_CHANGING, {"ours": TRIGGERS, "schema": SCHEMA})


def orphans(connection: Connection) -> list[dict[str, t.Any]]:
    """How many rows of each foreign key's table refer to a row that is not there.

    Each with ``schema``, ``table``, ``constraint``, ``parent`` (schema and table), ``orphans``, and where these cannot be
    counted, None and ``why``. It reads whole tables. The connection is a superuser's, and nothing of what it makes stays.
    """
    return [_count(connection, key) for key in connection.fetch(_FOREIGN_KEYS)]


def _count(connection: Connection, key: dict[str, t.Any]) -> dict[str, t.Any]:
    result = {name: key[name] for name in ("schema", "table", "constraint")}
    result["parent"] = f"{key['parent_schema']}.{key['parent']}"
    try:
        (row,) = fetch_as(connection, key["owner"], connection.show(_orphans_of(key)))
    except MultimasterError as error:
        return {**result, "orphans": None, "why": str(error)}
    return {**result, "orphans": row["orphans"], "why": None}


def _orphans_of(key: dict[str, t.Any]) -> sql.Composed:
    matches, present = [], []
    for child, parent, operator, schema in key["columns"]:
        matches.append(
            sql.SQL("p.{} OPERATOR({}.{}) c.{}").format(
                sql.Identifier(parent), sql.Identifier(schema), sql.SQL(operator), sql.Identifier(child)
            )
        )
        present.append(sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(child)))
    return sql.SQL("SELECT count(*) AS orphans FROM {}{} c WHERE {} AND NOT EXISTS (SELECT FROM {}{} p WHERE {})").format(
        sql.SQL("ONLY " if key["alone"] else ""),
        sql.Identifier(key["schema"], key["table"]),
        sql.SQL(" AND ").join(present),
        sql.SQL("ONLY " if key["parent_alone"] else ""),
        sql.Identifier(key["parent_schema"], key["parent"]),
        sql.SQL(" AND ").join(matches),
    )
