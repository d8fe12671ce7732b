# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The functions and triggers that one table gets, written for its key and its columns."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import (
    DELETE_TRIGGER,
    INSERT_TRIGGER,
    KEY_TRIGGER,
    SCHEMA,
    STAMP_TRIGGER,
    UPDATE_TRIGGER,
    Function,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql

# What pg_trigger.tgtype and tgenabled say.
ROW_BEFORE_INSERT, ROW_BEFORE_UPDATE, ROW_BEFORE_DELETE = 1 | 2 | 4, 1 | 2 | 16, 1 | 2 | 8
ORIGIN, REPLICA = "O", "R"

# Keys whose text form reads back as the same value and whose order is that of the index.
_ORDERED_TYPES = {"int2", "int4", "int8", "uuid", "text", "varchar"}

_FIRST_LOCK = int.from_bytes(b"MM\0\0\0\0\0\0", "big")

# Rows that arrive in ascending order, beyond all others that there are, need no look at the index: then the
# worker inserts by itself, at twice the speed. That holds while no transaction has ended since the largest key
# was read (the snapshot is the same) and no insert by others is under way (nobody else has the lock). Were an
# insert to slip in between and commit first, the worker would try again and find its row.
_FAST = """
    IF {beyond} AND pg_catalog.current_setting('{snapshot}', true) = pg_catalog.pg_current_snapshot()::text
       AND pg_catalog.pg_try_advisory_lock({lock}) AND pg_catalog.pg_advisory_unlock({lock})
    THEN
        RETURN new;
    END IF;"""
_BEYOND = "{key} OPERATOR(pg_catalog.>) nullif(pg_catalog.current_setting('{above}', true), '')::pg_catalog.{type}"

# The largest key is read at the third row after the transaction's first write. A worker that acts as the
# table's owner, who could not act as the subscription's, loses its settings after each row: it never gets there.
_LOOK_AHEAD = """
    IF pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL THEN
        seen := pg_catalog.current_setting('{snapshot}', true);
        IF seen IS NULL OR seen IN ('', '.') THEN
            IF pg_catalog.pg_has_role(session_user, 'SET') THEN
                seen := pg_catalog.set_config('{snapshot}', coalesce(seen, '') || '.', true);
            END IF;
        ELSIF seen = '..' OR {beyond} AND seen <> pg_catalog.pg_current_snapshot()::text THEN
            seen := pg_catalog.set_config('{snapshot}', pg_catalog.pg_current_snapshot()::text, true);
            seen := pg_catalog.set_config('{above}',
                (SELECT l.{column}::text FROM {only} l ORDER BY l.{column} DESC LIMIT 1), true);
        END IF;
    END IF;"""

# The nested insert waits for an insert of the same key that is under way, and is the row's own insert where
# there is none. A row that is already there goes out of the way of a newer one. Every expression costs anew in
# each transaction, and every variable in each call: there are few on the way of a row without a conflict. OLD
# is NULL in an insert's trigger, and to return it skips the row without an expression.
_INSERT = """
#variable_conflict use_column
DECLARE
    seen text;
BEGIN{fast}
    IF pg_catalog.pg_trigger_depth() > 1
       OR (pg_catalog.pg_try_advisory_xact_lock_shared({lock})
           OR pg_catalog.pg_try_advisory_xact_lock_shared({lock})) IS NULL{or_renamed}
       OR {is_stale}
    THEN{renamed}
        IF pg_catalog.pg_trigger_depth() > 1 THEN
            RETURN new;
        END IF;{try_anew}
    ELSE{look_ahead}{try_first}
    END IF;
    DECLARE
        mine {table}%ROWTYPE;
    BEGIN
        FOR attempt IN 1 .. 100 LOOP
            SELECT * INTO mine FROM {only} l WHERE {same_key} FOR UPDATE;
            EXIT WHEN FOUND;
            IF {is_stale} THEN
                {insert_anew};
            ELSE
                {nested_insert};
            END IF;
            IF FOUND THEN
                RETURN old;
            END IF;
            IF attempt = 100 THEN
                RETURN new;
            END IF;
        END LOOP;
        IF mine._mm_version = new._mm_version
           OR mine._mm_version IS NULL AND new._mm_version IS NULL
              AND {mine_json} - {hidden} = {new_json} - {hidden}
        THEN
            RETURN old;
        END IF;
        IF {new_wins} THEN
            PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden}, 'insert_insert', 'remote',
                {mine_json}, {new_json}, mine._mm_version, new._mm_version);
            DELETE FROM {only} l WHERE {same_key};
            RETURN new;
        END IF;
        PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden}, 'insert_insert', 'local',
            {mine_json}, {new_json}, mine._mm_version, new._mm_version);
        RETURN old;
    END;
END
"""

# Not where triggers of the user's fire in apply workers: they would see the row, whether it gets in or not.
_TRY_FIRST = """
        {insert};
        IF FOUND THEN
            RETURN old;
        END IF;"""

# The table has got columns since, or lost some, which the nested insert does not list, or lists in vain. A column that does not
# exist has no privileges at all; to ask for them costs less than a look into the catalogue.
_HAS_NEW = "pg_catalog.has_column_privilege({relation}, ({column_numbers} + 1)::pg_catalog.int2, 'SELECT') IS NOT NULL"
_LACKS = "pg_catalog.num_nulls({each}) > 0"
_LACKS_ONE = "pg_catalog.has_column_privilege({relation}, {number}::pg_catalog.int2, 'SELECT')"
# Without a list, only a generated column is in the way.
_HAS_NEW_GENERATED = "({has_new} AND multimaster.has_generated(tg_relid))"
_INSERT_ANEW = "PERFORM FROM multimaster.insert_anew({literal}, {conflict}, new) inserted WHERE inserted"

# The old row is locked by the worker before the trigger fires. An update that moves a row to another key is
# a delete of the old one, which wins, and meets whatever has the new one.
_UPDATE = """
#variable_conflict use_column
DECLARE
    moved boolean;
BEGIN
    IF new._mm_base = old._mm_version AND {key_kept} THEN
        RETURN new;
    END IF;
    IF pg_catalog.pg_trigger_depth() > 1{or_renamed} THEN{renamed}
        RETURN new;
    END IF;
    moved := NOT ({key_kept});{arrived}
    IF new._mm_base IS DISTINCT FROM old._mm_version AND new._mm_version IS DISTINCT FROM old._mm_version
       AND old._mm_version IS NOT NULL
    THEN
        IF NOT moved AND coalesce(new._mm_version, 0) < old._mm_version THEN
            PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden}, 'update_update', 'local',
                multimaster.row_as_json(old), {new_json}, old._mm_version, new._mm_version);
            RETURN NULL;
        END IF;
        PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden},
            CASE WHEN moved THEN 'update_key' ELSE 'update_update' END, 'remote',
            multimaster.row_as_json(old), {new_json}, old._mm_version, new._mm_version);
    END IF;
    IF NOT moved THEN
        RETURN new;
    END IF;
    DECLARE
        mine {table}%ROWTYPE;
    BEGIN
        SELECT * INTO mine FROM {only} l WHERE {same_key} FOR UPDATE;
        IF NOT FOUND THEN
            RETURN new;
        END IF;
        IF coalesce(new._mm_version, 0) > coalesce(mine._mm_version, 0) THEN
            PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden}, 'update_key', 'remote',
                {mine_json}, {new_json}, mine._mm_version, new._mm_version);
            DELETE FROM {only} l WHERE {same_key};
            RETURN new;
        END IF;
        PERFORM multimaster.record_conflict(tg_relid, {keys}, {hidden}, 'update_key', 'local',
            {mine_json}, {new_json}, mine._mm_version, new._mm_version);
        DELETE FROM {only} l WHERE {same_old_key};
        RETURN NULL;
    END;
END
"""

_ARRIVED = """
    IF moved THEN
        PERFORM multimaster.key_arrived(new._mm_version);
    END IF;"""

_IS_RENAMED = "tg_table_name <> {name} OR tg_table_schema <> {schema}"
_RENAMED = """
        IF {is_renamed} THEN
            RAISE EXCEPTION 'table %.% was renamed: run pg_conflict_policy again', tg_table_schema, tg_table_name;
        END IF;"""

# Two rows from before the policy: a copy takes the source's, otherwise all nodes choose the same one of the two.
_NEW_WINS = """(CASE WHEN mine._mm_version IS NULL AND new._mm_version IS NULL
            THEN EXISTS (SELECT FROM pg_catalog.pg_stat_get_subscription(NULL) w
                         WHERE w.pid = pg_catalog.pg_backend_pid() AND w.relid IS NOT NULL)
                 OR ({new_json} - {hidden})::text COLLATE "C" > ({mine_json} - {hidden})::text COLLATE "C"
            ELSE coalesce(new._mm_version, 0) > coalesce(mine._mm_version, 0) END)"""


@dataclass(frozen=True)
class KeyColumn:
    """A column of the key with its type and the operator that its index calls equal."""

    name: str
    type: str
    equals_schema: str = "pg_catalog"
    equals: str = "="
    default_collation: bool = True


@dataclass(frozen=True)
class Trigger:
    """A trigger as it has to be."""

    name: str
    type: int
    enabled: str
    function: str
    arguments: tuple[str, ...] = ()
    condition: str = ""

    def create(self, table: tuple[str, str]) -> list[sql.Composed]:
        event = {ROW_BEFORE_INSERT: "INSERT", ROW_BEFORE_UPDATE: "UPDATE", ROW_BEFORE_DELETE: "DELETE"}[self.type]
        arguments = sql.SQL(", ").join(sql.Literal(argument) for argument in self.arguments)
        commands = [
            compose(
                "CREATE TRIGGER {} BEFORE {} ON {} FOR EACH ROW {}EXECUTE FUNCTION {}({})",
                self.name,
                sql.SQL(event),
                table,
                sql.SQL(f"WHEN ({self.condition}) " if self.condition else ""),
                (SCHEMA, self.function),
                arguments,
            )
        ]
        if self.enabled == REPLICA:
            commands.append(self.enable(table))
        return commands

    def enable(self, table: tuple[str, str]) -> sql.Composed:
        how = sql.SQL("ENABLE REPLICA" if self.enabled == REPLICA else "ENABLE")
        return compose("ALTER TABLE {} {} TRIGGER {}", table, how, self.name)


@dataclass(frozen=True)
class Shape:
    """What the functions of a table depend on."""

    schema: str
    name: str
    key: tuple[KeyColumn, ...]
    # Only where they must be listed: with generated columns, or where partitions may order them otherwise.
    columns: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    partitioned: bool = False
    large_values: bool = True
    # How many columns the table ever had, and which of them, by number, are in the list.
    column_numbers: int = 1
    numbers: tuple[int, ...] = ()
    # Triggers of the user's that fire in apply workers too: an insert that finds a row has fired them already.
    has_insert_triggers: bool = False

    @cached_property
    def suffix(self) -> str:
        """The same on all nodes and in a restored copy, unlike the table's oid."""
        return hashlib.sha256(f"{self.schema}\0{self.name}".encode()).hexdigest()[:16]

    @cached_property
    def lock(self) -> int:
        return _FIRST_LOCK | int(self.suffix[:12], 16)

    @cached_property
    def functions(self) -> tuple[Function, Function]:
        values = self._values()
        fast, look_ahead = self._look_ahead(values)
        return (
            Function(
                f"insert_{self.suffix}",
                _INSERT.format(
                    fast=fast,
                    look_ahead=look_ahead,
                    try_first=self._try_first(values["nested_insert"]),
                    try_anew=self._try_first(values["insert_anew"]),
                    **values,
                ),
            ),
            Function(f"update_{self.suffix}", _UPDATE.format(**values)),
        )

    def _try_first(self, insert: str) -> str:
        return "" if self.has_insert_triggers else _TRY_FIRST.format(insert=insert)

    def _is_stale(self, table: str) -> str:
        relation = literal(table) if self.partitioned else "tg_relid"
        has_new = _HAS_NEW.format(relation=relation, column_numbers=self.column_numbers)
        if not self.columns:
            return _HAS_NEW_GENERATED.format(has_new=has_new)
        each = ", ".join(_LACKS_ONE.format(relation=relation, number=number) for number in self.numbers)
        return f"{has_new} OR {_LACKS.format(each=each)}" if each else has_new

    def _look_ahead(self, values: dict[str, t.Any]) -> tuple[str, str]:
        first = self.key[0]
        if self.partitioned or first.type not in _ORDERED_TYPES or not first.default_collation:
            return "", ""
        more = {
            "key": f"new.{quoted(first.name)}",
            "column": quoted(first.name),
            "type": first.type,
            "above": f"multimaster.above_{self.suffix}",
            "snapshot": f"multimaster.snapshot_{self.suffix}",
        }
        more["beyond"] = _BEYOND.format(**more)
        return _FAST.format(**more, **values), _LOOK_AHEAD.format(**more, **values)

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        key = "{" + ",".join(_array_element(column.name) for column in self.key) + "}"
        stamp = "stamp_whole" if self.large_values else "stamp"
        # A row that moves to another partition is deleted and inserted, also where it arrives.
        key_changed = f"NOT ({self._equal('new', 'old')})"
        noted = () if self.partitioned else (Trigger(KEY_TRIGGER, ROW_BEFORE_UPDATE, ORIGIN, "note_key", (key,), key_changed),)
        return (
            Trigger(INSERT_TRIGGER, ROW_BEFORE_INSERT, REPLICA, f"insert_{self.suffix}"),
            Trigger(UPDATE_TRIGGER, ROW_BEFORE_UPDATE, REPLICA, f"update_{self.suffix}"),
            Trigger(DELETE_TRIGGER, ROW_BEFORE_DELETE, REPLICA, "resolve_delete", (key,)),
            Trigger(STAMP_TRIGGER, ROW_BEFORE_UPDATE, ORIGIN, stamp),
            *noted,
        )

    @property
    def default(self) -> str:
        """As pg_get_expr shows it."""
        return f"{SCHEMA}.new_version('{self.lock}'::bigint)"

    def _values(self) -> dict[str, t.Any]:
        table = f"{quoted(self.schema)}.{quoted(self.name)}"
        values: dict[str, t.Any] = {
            "table": table,
            # Another table could inherit from it later, and its rows are not this one's.
            "only": table if self.partitioned else f"ONLY {table}",
            "lock": self.lock,
            "keys": _texts(column.name for column in self.key),
            "hidden": _texts(["_mm_version", "_mm_base", *self.generated]),
            "same_key": self._equal("l", "new"),
            "same_old_key": self._equal("l", "old"),
            "key_kept": self._equal("new", "old"),
            "mine_json": "multimaster.row_as_json(mine)",
            "new_json": "multimaster.row_as_json(new)",
            "arrived": "" if self.partitioned else _ARRIVED,
            "renamed": "",
            "or_renamed": "",
        }
        if not self.partitioned:
            is_renamed = _IS_RENAMED.format(name=literal(self.name), schema=literal(self.schema))
            values["or_renamed"] = f" OR {is_renamed}"
            values["renamed"] = _RENAMED.format(is_renamed=is_renamed)
        values["new_wins"] = _NEW_WINS.format(**values)
        conflict = f"ON CONFLICT ({', '.join(quoted(c.name) for c in self.key)}) DO NOTHING"
        values["nested_insert"] = self._nested_insert(table, conflict)
        values["insert_anew"] = _INSERT_ANEW.format(literal=literal(table), conflict=literal(conflict))
        values["is_stale"] = self._is_stale(table)
        return values

    def _equal(self, left: str, right: str) -> str:
        # The worker's search_path is empty, so an operator of an extension's type needs its schema.
        return " AND ".join(
            f"{left}.{quoted(c.name)} OPERATOR({quoted(c.equals_schema)}.{c.equals}) {right}.{quoted(c.name)}" for c in self.key
        )

    def _nested_insert(self, table: str, conflict: str) -> str:
        if not self.columns:
            return f"INSERT INTO {table} OVERRIDING SYSTEM VALUE VALUES (new.*) {conflict}"
        # The second arm yields nothing. It makes the statement fail, rather than forget a column, when one
        # was added to the table that these functions do not know yet.
        names = ", ".join(quoted(name) for name in self.columns)
        values = ", ".join(f"n.{quoted(name)}" for name in self.columns)
        nulls = ", ".join(["NULL"] * (len(self.columns) + len(self.generated)))
        return (
            f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} "
            f"FROM (SELECT new.* UNION ALL SELECT {nulls} WHERE false) n {conflict}"
        )


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A literal that reads the same under every setting of a session."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return ("E" if "\\" in text else "") + f"'{escaped}'"


def _texts(names: t.Iterable[str]) -> str:
    return f"ARRAY[{', '.join(literal(name) for name in names)}]::pg_catalog.text[]"


def _array_element(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
