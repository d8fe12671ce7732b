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

_PUBLISHED = f"""
SELECT w.schema, w.name, row_security_active(c.oid) AS row_security, pg_relation_size(c.oid) > 0 AS has_size,
       has_schema_privilege(n.oid, 'USAGE')
           AND (SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum = ANY (published.attrs)) AS readable,
       (SELECT jsonb_agg(a.attname) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = ANY (published.attrs)) AS columns
  FROM (SELECT DISTINCT g.relid, g.attrs
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
        )
        for row in rows
    }


def _split(names: t.Collection[TableName]) -> dict[str, list[str]]:
    ordered = sorted(names)
    return {"schemas": [schema for schema, _name in ordered], "names": [name for _schema, name in ordered]}
