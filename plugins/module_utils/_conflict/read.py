# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a database says about conflict policies: tables, shared functions, history. Two queries."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import (
    BASE,
    COLUMN_COMMENTS,
    HISTORY,
    INSERT_TRIGGER,
    RECORDERS,
    SCHEMA,
    TRIGGERS,
    VERSION,
    VIEW_DIGEST,
    VIEWS,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.table import KeyColumn, Shape
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName, shown

# The operator that an index calls equal is number 3 of a B-tree operator family.
_TABLES = """
WITH published AS (
    SELECT bool_or(puballtables) AS everything FROM pg_publication
), wanted AS (
    SELECT c.oid FROM unnest(%(schemas)s::text[], %(names)s::text[]) w (schema, name)
    JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
), governed AS (
    SELECT tgrelid AS oid FROM pg_trigger WHERE tgname = ANY (%(triggers)s) AND NOT tgisinternal
    UNION
    SELECT attrelid FROM pg_attribute WHERE attname IN (%(version)s, %(base)s) AND NOT attisdropped
), candidate AS (
    SELECT c.oid,
           c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND (
           coalesce(p.everything, false)
           OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnnspid = c.relnamespace)
           OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prrelid = c.oid)
           OR c.relispartition AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a
           JOIN pg_publication_rel r ON r.prrelid = a.relid)
           OR c.relkind = 'p' AND EXISTS (SELECT FROM pg_partition_tree(c.oid) a
           JOIN pg_publication_rel r ON r.prrelid = a.relid)) AS is_published
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN published p
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %(schema)s)
)
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
       c.relnatts AS column_numbers, c.reloftype <> 0 AS is_typed,
       CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END AS root,
       (SELECT json_agg(json_build_array(pn.nspname, p.relname) ORDER BY i.inhseqno) FROM pg_inherits i
        JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid AND NOT c.relispartition) AS parents,
       (SELECT json_agg(json_build_array(hn.nspname, h.relname) ORDER BY hn.nspname, h.relname) FROM pg_inherits i
        JOIN pg_class h ON h.oid = i.inhrelid JOIN pg_namespace hn ON hn.oid = h.relnamespace
        WHERE i.inhparent = c.oid AND c.relkind <> 'p') AS children,
       c.oid IN (SELECT oid FROM wanted) AS is_named,
       d.is_published,
       (SELECT min(u.pubname) FROM pg_publication_rel r JOIN pg_publication u ON u.oid = r.prpubid
        WHERE r.prrelid = c.oid AND r.prattrs IS NOT NULL) AS column_list_of,
       -- What can be stored out of line: inherited by partitions, so seen at their parent.
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attlen = -1 AND a.attstorage <> 'p') AS large_values,
       k.indimmediate AS key_is_immediate, k.columns AS key,
       CASE WHEN c.relkind = 'p' OR g.columns IS NOT NULL THEN
           (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              AND a.attname NOT IN (%(version)s, %(base)s)) END AS columns,
       CASE WHEN c.relkind = 'p' OR g.columns IS NOT NULL THEN
           (SELECT array_agg(a.attnum ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND a.attname NOT IN (%(version)s, %(base)s)) END AS numbers,
       (SELECT array_agg(k.conname::text ORDER BY k.conname) FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0) AS foreign_keys,
       g.columns AS generated, own.columns AS own_columns, t.triggers, t.before_ours, t.changing, t.has_insert_triggers
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN candidate d ON d.oid = c.oid
LEFT JOIN LATERAL (
    SELECT i.indimmediate,
           (SELECT json_agg(json_build_array(a.attname, CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace THEN y.typname END,
                                             e.nspname, o.oprname, a.attcollation IN (0, 100)) ORDER BY u.place)
            FROM unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY u (attnum, class, place)
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
            JOIN pg_type y ON y.oid = a.atttypid
            JOIN pg_opclass f ON f.oid = u.class
            JOIN pg_amop m ON m.amopfamily = f.opcfamily AND m.amopstrategy = 3
             AND m.amoplefttype = f.opcintype AND m.amoprighttype = f.opcintype
            JOIN pg_operator o ON o.oid = m.amopopr
            JOIN pg_namespace e ON e.oid = o.oprnamespace
            WHERE u.place <= i.indnkeyatts) AS columns
    FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND (i.indisprimary OR i.indisreplident)
    ORDER BY i.indisprimary DESC LIMIT 1) k ON true
LEFT JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY a.attnum) AS columns FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> '') g ON true
LEFT JOIN LATERAL (
    SELECT json_object_agg(a.attname, json_build_array(format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid), s.description)) AS columns
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_description s ON s.classoid = 'pg_class'::regclass AND s.objoid = a.attrelid AND s.objsubid = a.attnum
    WHERE a.attrelid = c.oid AND a.attname IN (%(version)s, %(base)s) AND NOT a.attisdropped) own ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(g.tgname, g.tgtype,
               CASE WHEN c.relkind = 'p' AND EXISTS (
                        SELECT FROM pg_trigger l WHERE l.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid))
                        AND l.tgname = g.tgname AND l.tgenabled <> g.tgenabled) THEN 'mixed' ELSE g.tgenabled::text END,
               CASE WHEN f.pronamespace = to_regnamespace(%(schema)s) THEN f.proname END,
               g.tgqual IS NOT NULL OR g.tgattr <> '', encode(g.tgargs, 'hex')))
               FILTER (WHERE g.tgname = ANY (%(triggers)s)) AS triggers,
           bool_or(g.tgenabled IN ('R', 'A') AND g.tgtype & 7 = 7 AND g.tgname <> ALL (%(triggers)s)) AS has_insert_triggers,
           array_agg(g.tgname::text) FILTER (WHERE g.tgname < %(triggers_first)s COLLATE "C" AND g.tgenabled IN ('R', 'A')
                                             AND g.tgname <> ALL (%(triggers)s)
                                             AND g.tgtype & 3 = 3) AS before_ours,
           array_agg(g.tgname::text ORDER BY g.tgname) FILTER (WHERE g.tgenabled IN ('R', 'A') AND g.tgname <> ALL (%(triggers)s)
                                             AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0) AS changing
    FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0) t ON true
WHERE d.is_published OR c.oid IN (SELECT oid FROM wanted) OR c.oid IN (SELECT oid FROM governed)
ORDER BY n.nspname, c.relname
"""

_SHARED = """
SELECT n.oid IS NOT NULL AS schema,
       n.oid IS NOT NULL AND has_schema_privilege('public', n.oid, 'USAGE') AS usable,
       (SELECT json_object_agg(nspname, true) FROM pg_namespace WHERE nspname = ANY (%(schemas)s)) AS schemas,
       (SELECT json_agg(json_build_array(f.proname, pg_get_function_identity_arguments(f.oid),
                   encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex'), l.lanname, f.provolatile, f.prosecdef, f.proconfig,
                   CASE WHEN f.proname IN ('node_id', 'history_kept') THEN f.prosrc END,
                   has_function_privilege('public', f.oid, 'EXECUTE')))
        FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang WHERE f.pronamespace = n.oid) AS functions,
       (SELECT json_object_agg(c.relname, c.relkind) FROM pg_class c
        WHERE c.relnamespace = n.oid AND c.relkind <> 'i') AS relations,
       (SELECT json_object_agg(c.relname, json_build_array(obj_description(c.oid, 'pg_class'), {digest}))
        FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'v') AS views,
       (SELECT json_agg(a.attname) FROM pg_attribute a
        WHERE a.attrelid = to_regclass(%(history)s) AND a.attnum > 0 AND NOT a.attisdropped) AS history_columns,
       (SELECT g.tgenabled FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
        WHERE g.tgrelid = to_regclass(%(history)s) AND g.tgname = 'multimaster_guard' AND g.tgtype = 31
          AND f.proname = 'guard' AND f.pronamespace = n.oid) AS guard,
       (SELECT g.tgenabled FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
        WHERE g.tgrelid = to_regclass(%(history)s) AND g.tgname = 'multimaster_guard_truncate' AND g.tgtype = 34
          AND f.proname = 'guard' AND f.pronamespace = n.oid) AS truncate_guard,
       ARRAY(SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c WHERE c.oid = to_regclass(%(history)s)
             UNION ALL
             SELECT pg_get_userbyid(f.proowner) FROM pg_proc f
             WHERE f.pronamespace = n.oid AND f.proname = ANY (%(recorders)s)) AS owners,
       (SELECT CASE WHEN e.evtevent <> 'ddl_command_end' OR e.evttags IS DISTINCT FROM '{ALTER TABLE}'
                      OR f.proname <> 'keep_policy' OR f.pronamespace <> n.oid
                      OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = f.proowner AND r.rolsuper) THEN 'altered'
                    WHEN e.evtenabled <> 'O' THEN 'not enabled as it should be' ELSE 'enabled' END
        FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid WHERE e.evtname = 'multimaster_keep_policy') AS keeper,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       ARRAY(SELECT pg_get_userbyid(a.grantee)::text FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
             WHERE c.relnamespace = n.oid AND c.relname = ANY (%(read)s) AND a.privilege_type = 'SELECT'
             GROUP BY a.grantee HAVING count(DISTINCT c.oid) = cardinality(%(read)s)) AS readers
FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = %(schema)s
""".replace("{digest}", VIEW_DIGEST.format("c.oid"))


@dataclass(frozen=True)
class OwnColumn:
    """One of the two columns of ours, or another that bears its name."""

    type: str
    not_null: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True)
class TableTrigger:
    """A trigger with one of our names as it is; ``function`` None: not one of ours."""

    name: str
    type: int
    enabled: str
    function: str | None
    has_condition: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table (or what is no table but was named) as it is."""

    schema: str
    name: str
    oid: int = 0
    kind: str = "r"
    persistence: str = "p"
    column_numbers: int = 1
    is_typed: bool = False
    root: int | None = None
    # By INHERITS, and not as partitions.
    parents: tuple[tuple[str, str], ...] = ()
    children: tuple[tuple[str, str], ...] = ()
    is_named: bool = False
    is_published: bool = True
    column_list_of: str | None = None
    large_values: bool = True
    key_is_immediate: bool = True
    key: tuple[KeyColumn, ...] = ()
    columns: tuple[str, ...] = ()
    # Of these and the generated ones.
    numbers: tuple[int, ...] = ()
    generated: tuple[str, ...] = ()
    own_columns: t.Mapping[str, OwnColumn] = field(default_factory=dict)
    triggers: t.Mapping[str, TableTrigger] = field(default_factory=dict)
    before_ours: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    # Triggers of users that fire before rows that arrive.
    changing: tuple[str, ...] = ()
    has_insert_triggers: bool | None = False

    @property
    def shown(self) -> str:
        return shown(self.schema, self.name)

    @property
    def qualified(self) -> tuple[str, str]:
        return (self.schema, self.name)

    @cached_property
    def shape(self) -> Shape:
        return Shape(
            self.schema,
            self.name,
            self.key,
            (*self.columns, VERSION, BASE) if self.columns else (),
            self.generated,
            self.kind == "p",
            self.large_values,
            self.column_numbers + sum(column not in self.own_columns for column in (VERSION, BASE)),
            self.numbers,
            bool(self.has_insert_triggers),
        )

    @cached_property
    def has_our_columns(self) -> bool:
        """By the comment, or where that is lost by what else is ours: then they are no user's."""
        is_marked = any(column.comment == COLUMN_COMMENTS[name] for name, column in self.own_columns.items())
        is_used = any(trigger.function for trigger in self.triggers.values()) or any(
            (column.default or "").startswith(f"{SCHEMA}.new_version(") for column in self.own_columns.values()
        )
        return bool(self.own_columns) and (is_marked or is_used) and all(c.type == "bigint" for c in self.own_columns.values())

    @property
    def is_governed(self) -> bool:
        """Whether anything of the policy is on it."""
        return self.has_our_columns or any(trigger.function for trigger in self.triggers.values())


@dataclass(frozen=True)
class FunctionState:
    arguments: str
    properties: tuple[t.Any, ...]
    source: str | None = None
    # By whoever writes to the tables.
    is_callable: bool = True


@dataclass(frozen=True)
class Shared:
    """The schema and what all tables share in it."""

    schema: bool = False
    usable: bool = False
    functions: t.Mapping[str, FunctionState] = field(default_factory=dict)
    relations: t.Mapping[str, str] = field(default_factory=dict)
    history_columns: tuple[str, ...] = ()
    guard: str | None = None
    truncate_guard: str | None = None
    # Comment, and digest of the text that the server shows
    views: t.Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    known_schemas: frozenset[str] = frozenset()
    # Of the history and of the function that writes to it.
    owners: tuple[str, ...] = ()
    # Who may read the history and its views.
    readers: tuple[str, ...] = ()
    # The event trigger; and whether the role may make one.
    keeper: str = "absent"
    superuser: bool = False


@dataclass(frozen=True)
class State:
    tables: tuple[Table, ...] = ()
    shared: Shared = Shared()


def read(connection: Connection, names: t.Sequence[QualifiedName], schemas: t.Sequence[str]) -> State:
    parameters = {
        "schemas": [name.schema for name in names],
        "names": [name.name for name in names],
        "triggers": TRIGGERS,
        "triggers_first": INSERT_TRIGGER,
        "version": VERSION,
        "base": BASE,
        "schema": SCHEMA,
    }
    tables = tuple(_table(row) for row in connection.fetch(_TABLES, parameters))
    history = f"{SCHEMA}.{HISTORY}"
    shared = connection.fetch_one(
        _SHARED,
        {
            **parameters,
            "schemas": list(schemas),
            "history": history,
            "read": [HISTORY, *VIEWS],
            "recorders": list(RECORDERS),
        },
    )
    return State(tables, _shared(shared))


def _table(row: dict[str, t.Any]) -> Table:
    return Table(
        **{
            **row,
            "key": tuple(KeyColumn(*column) for column in row["key"] or ()),
            "parents": tuple((schema, name) for schema, name in row["parents"] or ()),
            "children": tuple((schema, name) for schema, name in row["children"] or ()),
            "columns": tuple(row["columns"] or ()),
            "numbers": tuple(row["numbers"] or ()),
            "generated": tuple(row["generated"] or ()),
            "own_columns": {name: OwnColumn(*column) for name, column in (row["own_columns"] or {}).items()},
            "triggers": {each[0]: _trigger(each) for each in row["triggers"] or ()},
            "before_ours": tuple(row["before_ours"] or ()),
            "foreign_keys": tuple(row["foreign_keys"] or ()),
            "changing": tuple(row["changing"] or ()),
        }
    )


def _trigger(row: list[t.Any]) -> TableTrigger:
    name, kind, enabled, function, has_condition, arguments = row
    parts = bytes.fromhex(arguments).decode(errors="replace").split("\0")[:-1]
    return TableTrigger(name, kind, enabled, function, has_condition, tuple(parts))


def _shared(row: dict[str, t.Any]) -> Shared:
    functions = {
        name: FunctionState(arguments, (digest, language, volatility, definer, tuple(config or ())), source, is_callable)
        for name, arguments, digest, language, volatility, definer, config, source, is_callable in row["functions"] or ()
    }
    return Shared(
        row["schema"],
        row["usable"],
        functions,
        row["relations"] or {},
        tuple(row["history_columns"] or ()),
        row["guard"],
        row["truncate_guard"],
        {name: (comment, digest) for name, (comment, digest) in (row["views"] or {}).items()},
        frozenset(row["schemas"] or ()),
        tuple(row["owners"]),
        tuple(row["readers"]),
        row["keeper"] or "absent",
        bool(row["superuser"]),
    )
