# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Reads what a publication is and what its description names: one query, two with row filters."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.owner import value_as
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, joined, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.model import (
    OPERATIONS,
    Identity,
    Publication,
    Relation,
    RowFilter,
    State,
    Table,
    Wanted,
    WantedOwner,
    in_order,
    parenthesised,
)

# Row filters, column lists and schemas came with 15.
OLDEST_VERSION = 150000
UNDEFINED_COLUMN = "42703"

# `covered` holds every table whose changes the wanted publication sends, leaf partitions in place of
# partitioned tables; an index serves as identity under the conditions of RelationGetIndexList(). Where a
# table has no key, a subscriber finds a row by comparing all of its columns: `parts` are their types and
# what these consist of, `incomparable` the columns for which that is an error, since a type that they
# consist of has no equality (json, xml, point), under the conditions of lookup_type_cache().
# Objects below 16384 are the system's own and are never published.
READ = """
WITH RECURSIVE publication AS (
  SELECT p.*, to_jsonb(p) ->> 'pubgencols' AS generated FROM pg_publication p WHERE pubname = %(name)s
), wanted AS (
  SELECT position - 1 AS position, item ->> 0 AS nspname, (item ->> 1)::name AS relname, (item ->> 2)::bool AS detailed
  FROM jsonb_array_elements(%(tables)s) WITH ORDINALITY AS listed(item, position)
), named AS (
  SELECT DISTINCT ON (position) position, detailed, c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relowner,
    c.relhassubclass, count(*) OVER (PARTITION BY position) AS candidates
  FROM wanted w JOIN pg_class c USING (relname) JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND CASE WHEN w.nspname IS NULL THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ELSE n.nspname = w.nspname END
  ORDER BY position, n.nspname <> 'public', n.nspname
), schemas AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname IN (SELECT jsonb_array_elements_text(%(schemas)s)) AND nspname !~ '^pg_' AND nspname <> 'information_schema'
), roots AS (
  SELECT oid, relkind, NULL::bigint AS position FROM pg_class WHERE %(all_tables)s AND relkind = 'r'
  UNION ALL
  SELECT c.oid, relkind, NULL FROM schemas s JOIN pg_class c ON c.relnamespace = s.oid WHERE relkind IN ('r', 'p')
  UNION ALL
  SELECT oid, relkind, CASE WHEN detailed THEN position END FROM named
), covered AS (
  SELECT oid, position FROM roots WHERE relkind = 'r'
  UNION
  SELECT relid, position FROM roots, pg_partition_tree(oid) WHERE relkind = 'p' AND isleaf
), keyless AS (
  SELECT oid FROM covered
  WHERE %(identities)s
    AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = oid AND indisprimary AND indisvalid AND indimmediate)
), parts(attrelid, attnum, type) AS (
  SELECT attrelid, attnum, atttypid FROM keyless JOIN pg_attribute ON attrelid = oid
  WHERE attnum > 0 AND NOT attisdropped AND attgenerated = ''
  UNION
  SELECT p.attrelid, p.attnum, inner_type FROM parts p JOIN pg_type t ON t.oid = p.type CROSS JOIN LATERAL (
    SELECT typbasetype WHERE typtype = 'd'
    UNION ALL SELECT typelem WHERE typtype = 'b' AND typsubscript = 'array_subscript_handler'::regproc
    UNION ALL SELECT a.atttypid FROM pg_attribute a
    WHERE typtype = 'c' AND a.attrelid = typrelid AND a.attnum > 0 AND NOT attisdropped
  ) inner_types(inner_type)
), incomparable AS (
  SELECT a.attrelid, json_agg(format('%%s (%%s)', attname, format_type(atttypid, atttypmod)) ORDER BY a.attnum) AS columns
  FROM (
    SELECT DISTINCT attrelid, attnum FROM parts JOIN pg_type t ON t.oid = type
    WHERE typtype = 'b' AND typsubscript <> 'array_subscript_handler'::regproc AND NOT EXISTS (
      SELECT FROM pg_opclass JOIN pg_am am ON am.oid = opcmethod WHERE opcdefault AND amname IN ('btree', 'hash') AND (
        opcintype = t.oid OR EXISTS (
          SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = opcintype AND castmethod = 'b' AND castcontext = 'i')))
  ) without JOIN pg_attribute a USING (attrelid, attnum)
  GROUP BY a.attrelid
), identities AS (
  SELECT position, n.nspname, relname, relreplident, relowner, i.indexrelid, incomparable.columns AS incomparable,
    CASE WHEN position IS NOT NULL THEN (
      SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (i.indkey[:i.indnkeyatts - 1])
    ) END AS columns
  FROM covered JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON indrelid = c.oid AND indisvalid AND indisunique AND indimmediate AND indpred IS NULL
    AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident ELSE false END
  LEFT JOIN incomparable ON attrelid = c.oid
  WHERE %(identities)s AND relkind = 'r' AND relpersistence = 'p' AND c.oid >= 16384
    AND (position IS NOT NULL OR i.indexrelid IS NULL AND (relreplident <> 'f' OR incomparable.columns IS NOT NULL))
)
SELECT
  current_setting('wal_level') AS wal_level,
  pg_is_in_recovery() AS standby,
  current_database() AS database,
  current_user AS "user",
  current_setting('is_superuser')::bool AS superuser,
  has_database_privilege(current_database(), 'CREATE') AS may_create,
  EXISTS (SELECT FROM pg_partitioned_table) AS has_partitions,
  (SELECT json_build_object(
    'owner', pg_get_userbyid(pubowner), 'owned', pg_has_role(pubowner, 'USAGE'),
    'owner_is_superuser', (SELECT rolsuper FROM pg_roles r WHERE r.oid = pubowner),
    'comment', obj_description(oid, 'pg_publication'),
    'all_tables', puballtables, 'via_root', pubviaroot, 'generated', generated,
    'insert', pubinsert, 'update', pubupdate, 'delete', pubdelete, 'truncate', pubtruncate) FROM publication) AS publication,
  (SELECT json_agg(json_build_object(
    'schema', nspname, 'name', relname, 'where', pg_get_expr(prqual, prrelid),
    'columns', CASE WHEN prattrs IS NOT NULL THEN (
      SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs)
    ) END,
    'kind', relkind, 'parent', relhassubclass,
    'depends_on', CASE WHEN prqual IS NOT NULL THEN (
      SELECT json_agg(attname) FROM pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
      WHERE classid = 'pg_publication_rel'::regclass AND objid = pr.oid
        AND refclassid = 'pg_class'::regclass AND refobjid = prrelid
    ) END))
    FROM publication p JOIN pg_publication_rel pr ON prpubid = p.oid
    JOIN pg_class c ON c.oid = prrelid JOIN pg_namespace n ON n.oid = relnamespace) AS tables,
  (SELECT json_agg(nspname) FROM publication p JOIN pg_publication_namespace ON pnpubid = p.oid
    JOIN pg_namespace n ON n.oid = pnnspid) AS schemas,
  (SELECT json_agg(json_build_object(
    'position', position, 'schema', nspname, 'name', relname, 'kind', relkind, 'persistence', relpersistence,
    'system', oid < 16384, 'owned', pg_has_role(relowner, 'USAGE'), 'owner', pg_get_userbyid(relowner), 'candidates', candidates,
    'parent', relhassubclass,
    'columns', CASE WHEN detailed THEN (
      SELECT json_object_agg(attname, attgenerated ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = named.oid AND attnum > 0 AND NOT attisdropped
    ) END)) FROM named) AS relations,
  (SELECT json_agg(nspname) FROM schemas) AS existing_schemas,
  (SELECT json_agg(json_build_object(
    'position', position, 'schema', nspname, 'name', relname, 'kind', relreplident, 'columns', columns,
    'incomparable', incomparable, 'owned', pg_has_role(relowner, 'USAGE'))) FROM identities) AS identities,
  (SELECT json_build_object(
    'superuser', rolsuper, 'may_create', has_database_privilege(oid, current_database(), 'CREATE'),
    'reachable', pg_has_role(oid, 'MEMBER')) FROM pg_roles WHERE rolname = %(owner)s) AS wanted_owner
"""

# The planner's own form of each expression, or why there is none. EXPLAIN plans and runs nothing: no
# row is read and no lock is kept. A cursor holds one command and no more, so that an
# expression which tries to end its statement and begin another is refused. After an error the loop
# goes on behind the command that failed: variables keep their values, and one block for all is faster
# than one for each.
EXPLAIN = """
DECLARE
  commands text[] := ARRAY(SELECT json_array_elements_text({commands}::json));
  explained json;
  answers json[] := '{{}}';
BEGIN
  WHILE cardinality(answers) < cardinality(commands) LOOP
    BEGIN
      FOR number IN cardinality(answers) + 1 .. cardinality(commands) LOOP
        FOR explained IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) ' || commands[number] LOOP
          answers[number] := json_build_object(
            'forms', explained -> 0 -> 'Plan' -> 'Output',
            'subquery', strpos(explained::text, '"Subplan Name": ') > 0);
        END LOOP;
      END LOOP;
    EXCEPTION WHEN OTHERS THEN
      answers := answers || json_build_object('error', SQLERRM, 'sqlstate', SQLSTATE);
    END;
  END LOOP;
  {finish};
END
"""
# A superuser plans as the tables' owners; all others as themselves, who need not be able to make a function.
AS_OWNER = "RETURN array_to_json(answers)"
AS_ONESELF = "PERFORM set_config('multimaster.answers', array_to_json(answers)::text, true)"


def read(connection: Connection, wanted: Wanted) -> State:
    """What is. Nothing on the server is changed, and no WAL is written."""
    if connection.server_version < OLDEST_VERSION:
        raise MultimasterError(f"PostgreSQL 15 or later is needed, {connection.where} runs {connection.server_version // 10000}.")
    row = connection.fetch_one(
        READ,
        {
            "name": wanted.name,
            "tables": _json([[*table.name, bool(table.columns or table.where)] for table in wanted.tables]),
            "schemas": _json(wanted.schemas),
            "all_tables": wanted.all_tables,
            "owner": wanted.owner,
            "identities": wanted.needs_identity,
        },
    )
    state = _state(row, connection.server_version)
    if any(table.where for table in wanted.tables):
        state = state._replace(row_filters=_row_filters(connection, wanted, state, _stored_filters(row["tables"] or [])))
    return state


def _json(value: t.Any) -> str:
    """Letters as they are: a database of another encoding than UTF8 cannot read them as escapes."""
    return json.dumps(value, ensure_ascii=False)


def _state(row: dict[str, t.Any], version: int) -> State:
    publication = row["publication"]
    tables = row["tables"] or []
    return State(
        version=version,
        database=row["database"],
        wal_level=row["wal_level"],
        standby=row["standby"],
        user=row["user"],
        superuser=row["superuser"],
        may_create=row["may_create"],
        has_partitions=row["has_partitions"],
        publication=publication and _publication(publication, tables, row["schemas"]),
        owns_publication=publication is None or publication["owned"],
        owner_is_superuser=publication is None or publication["owner_is_superuser"],
        generated_columns=publication and publication["generated"],
        parents=frozenset(
            QualifiedName(each["schema"], each["name"])
            for each in [*tables, *(row["relations"] or [])]
            if each["parent"] and each["kind"] == "r"
        ),
        partitioned=frozenset(QualifiedName(each["schema"], each["name"]) for each in tables if each["kind"] == "p"),
        wanted_owner=row["wanted_owner"] and WantedOwner(**row["wanted_owner"]),
        relations={each["position"]: _relation(each) for each in row["relations"] or []},
        existing_schemas=frozenset(row["existing_schemas"] or []),
        identities=tuple(map(_identity, row["identities"] or [])),
    )


def _publication(row: dict[str, t.Any], tables: list[dict[str, t.Any]], schemas: list[str] | None) -> Publication:
    return Publication(
        owner=row["owner"],
        comment=row["comment"] or "",
        all_tables=row["all_tables"],
        tables=in_order(
            Table(QualifiedName(each["schema"], each["name"]), _names(each["columns"]), each["where"]) for each in tables
        ),
        schemas=tuple(sorted(schemas or [], key=str.encode)),
        operations=tuple(each for each in OPERATIONS if row[each]),
        via_root=row["via_root"],
    )


def _relation(row: dict[str, t.Any]) -> Relation:
    known = ("schema", "name", "kind", "persistence", "system", "owned", "owner", "candidates")
    return Relation(**{key: row[key] for key in known}, columns=row["columns"] or {})


def _identity(row: dict[str, t.Any]) -> Identity:
    name = QualifiedName(row["schema"], row["name"])
    return Identity(name, row["kind"], _names(row["columns"]), row["owned"], row["position"], _names(row["incomparable"]) or ())


def _names(columns: list[str] | None) -> tuple[str, ...] | None:
    return None if columns is None else tuple(columns)


_Key = t.TypeVar("_Key")


class _Stored(t.NamedTuple):
    """A row filter that the publication has."""

    where: str
    # None where the columns of the row filter cannot be told from those of a column list.
    columns: frozenset[str] | None


def _stored_filters(tables: list[dict[str, t.Any]]) -> dict[QualifiedName, _Stored]:
    return {
        QualifiedName(each["schema"], each["name"]): _Stored(
            each["where"], frozenset(each["depends_on"] or []) if each["columns"] is None else None
        )
        for each in tables
        if each["where"]
    }


def _row_filters(
    connection: Connection, wanted: Wanted, state: State, stored: dict[QualifiedName, _Stored]
) -> dict[int, RowFilter]:
    """Each wanted row filter beside the stored one, and beside the replica identity."""
    filters = _compared(connection, wanted, state, stored)
    unknown = {}
    for number, identity in enumerate(state.identities):
        position = identity.position
        if position is None or position not in filters or filters[position].error or identity.columns is None:
            continue
        relation = state.relations[position]
        current = stored.get(relation.qualified_name)
        if not filters[position].same or current is None or current.columns is None:
            unknown[number, position] = (
                relation.owner, _narrowed(wanted.tables[position].where or "", identity, relation)
            )
        elif not current.columns <= set(identity.columns):
            filters[position] = _uncovered(filters[position], identity)
    for (number, position), answer in _explained(connection, state, unknown).items():
        if answer.get("sqlstate") == UNDEFINED_COLUMN:
            filters[position] = _uncovered(filters[position], state.identities[number])
        elif "error" in answer:
            filters[position] = filters[position]._replace(error=answer["error"])
    return filters


def _compared(connection: Connection, wanted: Wanted, state: State, stored: dict[QualifiedName, _Stored]) -> dict[int, RowFilter]:
    """Texts that are equal need no planner; where they differ, ``id>5`` and ``(id > 5)`` still come out alike."""
    filters = {}
    differing = {}
    for position, relation in state.relations.items():
        where = wanted.tables[position].where
        if where and relation.kind in ("r", "p"):
            current = stored.get(relation.qualified_name)
            filters[position] = RowFilter(same=True)
            if current is None or current.where not in (where, f"({where})"):
                differing[position] = relation.owner, _forms(where, current, relation)
    for position, answer in _explained(connection, state, differing).items():
        forms = answer.get("forms") or []
        error = "a row filter may hold no subquery" if answer.get("subquery") else answer.get("error")
        filters[position] = RowFilter(error, same=len(forms) == 2 and forms[0] == forms[1])
    return filters


def _uncovered(row_filter: RowFilter, identity: Identity) -> RowFilter:
    return row_filter._replace(uncovered=row_filter.uncovered | {identity.table})


def _forms(where: str, stored: _Stored | None, relation: Relation) -> t.Any:
    """In the target list a condition stays whole; in WHERE it must be what a row filter may be."""
    table = compose("ONLY {}", relation.qualified_name)
    if stored is None:
        return compose("SELECT {0} IS TRUE FROM {1} WHERE {0}", parenthesised(where), table)
    return compose("SELECT {0} IS TRUE, {2} IS TRUE FROM {1} WHERE {0}", parenthesised(where), table, parenthesised(stored.where))


def _narrowed(where: str, identity: Identity, relation: Relation) -> t.Any:
    """The condition over the replica identity's columns alone."""
    columns = joined([compose("{}", column) for column in identity.columns or ()])
    return compose(
        "SELECT FROM (SELECT {} FROM ONLY {}) AS {} WHERE {}", columns, identity.table, relation.name, parenthesised(where)
    )


def _explained(connection: Connection, state: State, commands: dict[_Key, tuple[str, t.Any]]) -> dict[_Key, dict[str, t.Any]]:
    """What EXPLAIN answers to each command, under the same keys. With each command goes the owner of its table: to plan a query
    runs what is constant in the table's indexes, and in the row filter itself."""
    answers: dict[_Key, dict[str, t.Any]] = {}
    for owner in sorted({owner for owner, _command in commands.values()}):
        keys = [key for key, (by, _command) in commands.items() if by == owner]
        shown = _json([connection.show(commands[key][1]) for key in keys])
        finish = sql.SQL(AS_OWNER if state.superuser else AS_ONESELF)
        body = compose(EXPLAIN, commands=sql.Literal(shown), finish=finish)
        if state.superuser:
            found = value_as(connection, owner, connection.show(body))
        else:
            run = compose("DO {}; SELECT current_setting('multimaster.answers')::json", sql.Literal(connection.show(body)))
            found = connection.fetch_value(run)
        answers.update(zip(keys, found))
    return answers
