# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The tables that a subscription would newly take up: read from both nodes only when there are any."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import TableName
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import LocalTable, PublishedTable

_WANTED = "unnest(%(schemas)s::name[], %(names)s::name[]) w(schema, name)"

_LOCAL = f"""
SELECT w.schema, w.name, c.relkind::text AS kind, o.rolname AS owner, o.rolsuper AS owner_is_superuser,
       pg_has_role(r.oid, c.relowner, 'SET') AS owner_reachable,
       (SELECT bool_and(has_table_privilege(r.oid, c.oid, p)) FROM unnest('{{INSERT,UPDATE,DELETE,TRUNCATE}}'::text[]) p)
           AS owner_may_write,
       c.relrowsecurity AND CASE WHEN %(run_as_owner)s
           THEN NOT r.rolsuper AND NOT r.rolbypassrls AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
           ELSE NOT o.rolsuper AND NOT o.rolbypassrls AND c.relforcerowsecurity END AS row_security,
       (SELECT jsonb_agg(attname) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
  FROM {_WANTED}
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_roles o ON o.oid = c.relowner
  LEFT JOIN pg_roles r ON r.rolname = %(owner)s
"""

# A table is copied by COPY, which runs no code of its owner; one with a row filter, and a partitioned one as a whole, by a query,
# whose planning evaluates what the expressions of indexes, statistics, checks and partitions hold: as the subscription's user.
_CODE = """
SELECT format('%%s.%%I', f.pronamespace::regnamespace::text, f.proname)
  FROM (SELECT c.oid UNION SELECT p.relid FROM pg_partition_tree(c.oid) p) m
 CROSS JOIN LATERAL (
       SELECT 'pg_class'::regclass AS class, m.oid AS object
       UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i WHERE i.indrelid = m.oid
       UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k WHERE k.conrelid = m.oid
       UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s WHERE s.stxrelid = m.oid) o
  JOIN pg_depend d ON d.classid = o.class AND d.objid = o.object
  LEFT JOIN pg_operator x ON d.refclassid = 'pg_operator'::regclass AND x.oid = d.refobjid
  JOIN pg_proc f ON f.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE x.oprcode END
  JOIN pg_roles r ON r.oid = f.proowner AND NOT r.rolsuper
 ORDER BY 1 LIMIT 1
"""

_PUBLISHED = f"""
SELECT w.schema, w.name, row_security_active(c.oid) AS row_security, pg_relation_size(c.oid) > 0 AS has_size,
       has_schema_privilege(n.oid, 'USAGE')
           AND (SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum = ANY (published.attrs)) AS readable,
       (SELECT jsonb_agg(a.attname) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = ANY (published.attrs)) AS columns,
       CASE WHEN published.filtered OR c.relkind <> 'r' THEN ({_CODE}) END AS code
  FROM (SELECT DISTINCT g.relid, g.attrs, g.qual IS NOT NULL AS filtered
          FROM (SELECT array_agg(pubname::text) AS names FROM pg_publication WHERE pubname = ANY (%(publications)s)) p,
               pg_get_publication_tables(VARIADIC p.names) g) published
  JOIN pg_class c ON c.oid = published.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN {_WANTED} ON w.schema = n.nspname AND w.name = c.relname
"""


def read_local(
    connection: Connection, names: t.Collection[TableName], owner: str, run_as_owner: bool
) -> dict[TableName, LocalTable]:
    rows = connection.fetch(_LOCAL, {**_split(names), "owner": owner, "run_as_owner": run_as_owner})
    return {
        (row["schema"], row["name"]): LocalTable(
            kind=row["kind"],
            columns=frozenset(row["columns"] or ()),
            owner=row["owner"],
            owner_is_superuser=row["owner_is_superuser"],
            owner_reachable=bool(row["owner_reachable"]),
            owner_may_write=bool(row["owner_may_write"]),
            row_security=bool(row["row_security"]),
        )
        for row in rows
    }


def read_published(
    connection: Connection, names: t.Collection[TableName], publications: t.Sequence[str]
) -> t.Mapping[TableName, PublishedTable]:
    rows = connection.fetch(_PUBLISHED, {**_split(names), "publications": list(publications)})
    return {
        (row["schema"], row["name"]): PublishedTable(
            columns=frozenset(row["columns"] or ()),
            readable=row["readable"] is not False,
            row_security=row["row_security"],
            has_size=row["has_size"],
            code=row["code"],
        )
        for row in rows
    }


def _split(names: t.Collection[TableName]) -> dict[str, list[str]]:
    ordered = sorted(names)
    return {"schemas": [schema for schema, _name in ordered], "names": [name for _schema, name in ordered]}
