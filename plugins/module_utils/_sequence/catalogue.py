# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The query that reads how all sequences of a database are defined and which columns they feed."""

from __future__ import annotations

# One row per sequence and column. What an index serves, and what reading a column without one
# would cost, is asked of every partition and child, since any of them may hold values.
CATALOGUE = r"""
WITH RECURSIVE me AS (
    SELECT rolsuper FROM pg_roles WHERE rolname = current_user
), place AS (
    -- Who owns a schema can put another relation in the place of one that is in it.
    SELECT n.oid, NOT r.rolsuper AS is_others
    FROM pg_namespace n
    JOIN pg_roles r ON r.oid = CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN
        (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database()) ELSE n.nspowner END
), fed AS (
    -- Identity columns, and columns that own a sequence without having a default.
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum
    FROM pg_depend d
    JOIN pg_sequence s ON s.seqrelid = d.objid
    LEFT JOIN pg_attrdef f ON f.adrelid = d.refobjid AND f.adnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjsubid > 0 AND (d.deptype = 'i' OR d.deptype = 'a' AND f.oid IS NULL)
    UNION
    -- Columns whose default is nextval() and nothing more. What an expression makes of it says
    -- nothing about the sequence.
    SELECT d.refobjid, f.adrelid, f.adnum
    FROM pg_depend d
    JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    JOIN pg_sequence s ON d.refclassid = 'pg_class'::regclass AND s.seqrelid = d.refobjid
    WHERE pg_get_expr(f.adbin, f.adrelid) ~ E'^nextval\\(''([^'']|'''')*''::regclass\\)$'
), child AS (
    -- A partition or child is read with its parent.
    SELECT i.inhrelid, parent.sequence FROM pg_inherits i JOIN fed parent ON parent.relation = i.inhparent
), typed AS (
    SELECT fed.sequence, fed.relation, a.attname, n.nspname, c.relname, c.relkind,
           o.rolname::text AS owner, o.rolsuper AS owner_is_superuser, p.is_others,
           c.relkind = 'r' AND c.relrowsecurity AS is_secured, c.relforcerowsecurity AND NOT o.rolbypassrls AS is_forced,
           coalesce(nullif(y.typbasetype, 0), y.oid) AS type
    FROM fed
    JOIN pg_attribute a ON a.attrelid = fed.relation AND a.attnum = fed.attnum
    JOIN pg_type y ON y.oid = a.atttypid
    JOIN pg_class c ON c.oid = fed.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN place p ON p.oid = n.oid
    JOIN pg_roles o ON o.oid = c.relowner
    LEFT JOIN child ON child.inhrelid = fed.relation AND child.sequence = fed.sequence
    WHERE coalesce(nullif(y.typbasetype, 0), y.oid)
          IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
      AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND child.inhrelid IS NULL
), member AS (
    SELECT relation AS top, attname, relation FROM typed
    UNION
    SELECT m.top, m.attname, i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.relation
), served AS (
    -- 403: btree
    SELECT i.indrelid, count(*) AS indexes,
           array_agg(i.indkey[0]) FILTER (WHERE i.indisvalid AND i.indpred IS NULL AND x.relam = 403) AS columns
    FROM pg_index i
    JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid IN (SELECT relation FROM member)
    GROUP BY i.indrelid
), cost AS (
    SELECT m.top, m.attname, count(*) + coalesce(sum(served.indexes), 0) AS relations,
           bool_or(c.relkind = 'f') AS has_foreign, bool_or(NOT r.rolsuper) AS has_others,
           sum(CASE WHEN c.relkind <> 'r' OR a.attnum = ANY (served.columns) THEN 0
                    ELSE pg_relation_size(c.oid) END) AS scanned_bytes
    FROM member m
    JOIN pg_class c ON c.oid = m.relation
    JOIN pg_roles r ON r.oid = c.relowner
    JOIN pg_attribute a ON a.attrelid = m.relation AND a.attname = m.attname
    LEFT JOIN served ON served.indrelid = m.relation
    GROUP BY m.top, m.attname
), cost_of AS (
    SELECT typed.*, cost.relations::int AS relations,
           CASE WHEN NOT cost.has_foreign THEN coalesce(cost.scanned_bytes, 0)::bigint END AS scanned_bytes,
           -- As whom its rows are read, where that is another role than the superuser's own.
           CASE WHEN NOT (SELECT rolsuper FROM me) THEN NULL WHEN NOT typed.owner_is_superuser THEN typed.owner
                WHEN typed.is_others OR cost.has_others THEN 'pg_database_owner' END AS reader
    FROM typed
    JOIN cost ON cost.top = typed.relation AND cost.attname = typed.attname
)
SELECT s.seqrelid AS oid, n.nspname AS schema, c.relname AS name, s.seqstart AS start, s.seqincrement AS increment,
       s.seqmin AS minimum, s.seqmax AS maximum, s.seqcycle AS cycle,
       CASE WHEN c.relpersistence = 't' THEN 'temporary'
            WHEN c.relpersistence = 'u' THEN 'unlogged'
            WHEN e.objid IS NOT NULL THEN 'belongs to an extension' END AS out_of_scope,
       CASE WHEN NOT (SELECT rolsuper FROM me) THEN NULL WHEN NOT o.rolsuper THEN o.rolname::text
            WHEN p.is_others THEN 'pg_database_owner' END AS reader,
       t.nspname AS column_schema, t.relname AS column_table, t.attname AS column_name, t.type AS column_type,
       t.relations, t.scanned_bytes, t.reader AS column_reader,
       coalesce(t.is_secured AND CASE WHEN t.owner_is_superuser THEN t.reader IS NOT NULL ELSE t.is_forced END, false)
           AS column_hides
FROM pg_sequence s
JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN place p ON p.oid = n.oid
JOIN pg_roles o ON o.oid = c.relowner
LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = s.seqrelid AND e.deptype = 'e'
LEFT JOIN cost_of t ON t.sequence = s.seqrelid
ORDER BY n.nspname, c.relname, s.seqrelid, t.nspname, t.relname, t.attname
"""
