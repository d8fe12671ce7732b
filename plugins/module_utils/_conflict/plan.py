# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""From what is and what is wanted to statements and a diff. Pure: no server is asked."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.read import Shared, State, Table
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.selection import Selection, parents_first
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import (
    BASE,
    COLUMN_COMMENTS,
    GUARD_TRIGGER,
    HISTORY,
    HISTORY_COLUMNS,
    INSERT_TRIGGER,
    KEEPER,
    RECORDERS,
    SCHEMA,
    TRUNCATE_TRIGGER,
    VERSION,
    VIEWS,
    Function,
    Settings,
    create_history,
    create_keeper,
    create_view,
    give_history,
    shared_functions,
    view_mark,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.table import Trigger
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement, compose, sql

LAST_UPDATE_WINS, ERROR = "last_update_wins", "error"

# A diff of more tables than a person reads says how many there are.
_SHOWN_TABLES = 50
_TABLE_FUNCTION = re.compile(r"(?:insert|update)_[0-9a-f]{16}")
_RELATIONS = {HISTORY, f"{HISTORY}_id_seq", *VIEWS}


@dataclass(frozen=True)
class TableChange:
    """What one table needs, as one command that is done whole or not at all."""

    table: Table
    before: str
    after: str
    commands: tuple[sql.Composable, ...]

    @property
    def statement(self) -> Statement:
        return Statement(sql.SQL("; ").join(self.commands), own_transaction=True)


@dataclass
class ConflictPlan(Plan):
    first: list[Statement] = field(default_factory=list)
    changes: list[TableChange] = field(default_factory=list)
    last: list[Statement] = field(default_factory=list)


def make_plan(selection: Selection, policy: str, settings: Settings | None, state: State) -> ConflictPlan:
    plan = ConflictPlan()
    wanted, unwanted = selection.choose(state, policy)
    if settings is not None:
        # What tables share is made for tables: without any it would be removed again below.
        if _governed_after(state, wanted, unwanted):
            plan.first = _shared_statements(settings, state.shared, plan.differences)
        plan.changes = [change for change in (_give(table, state.shared) for table in wanted) if change.commands]
        plan.warnings += _warnings(wanted, selection)
    plan.changes += [_take(table, state.shared) for table in parents_first(unwanted)]
    _describe_tables(plan)
    plan.last = _cleanup(state, wanted, unwanted, plan.differences)
    plan.statements = [*plan.first, *(change.statement for change in plan.changes), *plan.last]
    plan.results = {
        "tables": [{"name": change.table.shown, "before": change.before, "after": change.after} for change in plan.changes],
        "unchecked_foreign_keys": [
            {"table": table.shown, "constraint": name} for table in wanted for name in table.foreign_keys
        ],
        "counts": {
            "last_update_wins": len(_governed_after(state, wanted, unwanted)),
            "changed": len(plan.changes),
        },
    }
    return plan


def _shared_statements(settings: Settings, shared: Shared, differences: Differences) -> list[Statement]:
    commands: list[sql.Composable] = []
    if differences.add(f"schema {SCHEMA}", "present", "present" if shared.schema else "absent"):
        commands.append(compose("CREATE SCHEMA {}", SCHEMA))
    if not shared.usable:
        # Whoever writes to the tables evaluates the default of the version column.
        if shared.schema:
            differences.add(f"usage of the schema {SCHEMA}", "granted to all", "not granted")
        commands.append(compose("GRANT USAGE ON SCHEMA {} TO PUBLIC", SCHEMA))
    if differences.add(f"table {SCHEMA}.{HISTORY}", "present", _history_state(shared)):
        if HISTORY in shared.relations:
            commands.append(compose("DROP TABLE {} CASCADE", (SCHEMA, HISTORY)))
        commands.append(create_history())
        shared = _without_history(shared)
    _settings_diff(settings, shared, differences)
    altered = [f for f in shared_functions(settings) if not _is_as_wanted(shared, f.name, f.properties)]
    if altered:
        is_new = not any(function.name in shared.functions for function in altered)
        current = "absent" if is_new else "altered: " + ", ".join(function.name for function in altered)
        differences.add(f"functions of the schema {SCHEMA}", "as described", current)
    commands += [function.create for function in altered]
    commands += _grants(shared_functions(settings), shared, differences)
    if differences.add(f"trigger {GUARD_TRIGGER} on {SCHEMA}.{HISTORY}", "enabled for replicas", _guard_state(shared)):
        commands += [
            compose("DROP TRIGGER IF EXISTS {} ON {}", GUARD_TRIGGER, (SCHEMA, HISTORY)),
            compose(
                "CREATE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                GUARD_TRIGGER,
                (SCHEMA, HISTORY),
                (SCHEMA, "guard"),
            ),
            compose("ALTER TABLE {} ENABLE REPLICA TRIGGER {}", (SCHEMA, HISTORY), GUARD_TRIGGER),
        ]
    truncate = {None: "absent", "A": "always enabled"}.get(shared.truncate_guard, "not always enabled")
    if differences.add(f"trigger {TRUNCATE_TRIGGER} on {SCHEMA}.{HISTORY}", "always enabled", truncate):
        commands += [
            compose("DROP TRIGGER IF EXISTS {} ON {}", TRUNCATE_TRIGGER, (SCHEMA, HISTORY)),
            compose(
                "CREATE TRIGGER {} BEFORE TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}()",
                TRUNCATE_TRIGGER,
                (SCHEMA, HISTORY),
                (SCHEMA, "guard"),
            ),
            compose("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", (SCHEMA, HISTORY), TRUNCATE_TRIGGER),
        ]
    are_there = HISTORY in shared.relations and len(shared.owners) == 1 + len(RECORDERS)
    owners = sorted(set(shared.owners)) if are_there else ["absent"]
    if settings.history_owner and differences.add("history_owner", settings.history_owner, ", ".join(owners)):
        commands += give_history(settings.history_owner)
    # Others can set the policy, too. Their tables are not kept.
    if shared.superuser and differences.add(f"event trigger {KEEPER}", "enabled", shared.keeper):
        commands += create_keeper()
    readers = shared.readers
    for name in VIEWS:
        if differences.add(f"view {SCHEMA}.{name}", "present", _view_state(shared, name)):
            commands += create_view(name)
            readers = ()
    missing = [role for role in settings.history_readers if role not in readers]
    if missing:
        differences.add("history_readers", sorted({*readers, *missing}), sorted(readers))
        read = sql.SQL(", ").join(compose("{}", (SCHEMA, name)) for name in (HISTORY, *VIEWS))
        commands += [compose("GRANT SELECT ON {} TO {}", read, role) for role in missing]
    return [Statement(command) for command in commands]


def _grants(functions: list[Function], shared: Shared, differences: Differences) -> list[sql.Composable]:
    """Default privileges can have taken the right that a new function gives to all. One of ours that is new may lack it."""
    called = [function for function in functions if function.is_called]
    kept = [f.name for f in called if f.name in shared.functions and not shared.functions[f.name].is_callable]
    if kept:
        differences.add(f"execution of functions of the schema {SCHEMA}", "granted to all", f"not granted: {', '.join(kept)}")
    wanting = [f.signature for f in called if f.name not in shared.functions or f.name in kept]
    return [compose("GRANT EXECUTE ON FUNCTION {} TO PUBLIC", sql.SQL(", ").join(wanting))] if wanting else []


def _view_state(shared: Shared, name: str) -> str:
    if name not in shared.relations:
        return "absent"
    comment, digest = shared.views.get(name, (None, ""))
    return "present" if comment == view_mark(name, digest) else "altered"


def _history_state(shared: Shared) -> str:
    if HISTORY not in shared.relations:
        return "absent"
    return "present" if set(HISTORY_COLUMNS) <= set(shared.history_columns) else "altered"


def _without_history(shared: Shared) -> Shared:
    return Shared(
        shared.schema,
        shared.usable,
        shared.functions,
        known_schemas=shared.known_schemas,
        keeper=shared.keeper,
        superuser=shared.superuser,
    )


def _guard_state(shared: Shared) -> str:
    return {None: "absent", "R": "enabled for replicas"}.get(shared.guard, "disabled")


def _settings_diff(settings: Settings, shared: Shared, differences: Differences) -> None:
    """The two settings that can be read back, so that a copy of another node's database shows as one."""
    for name, function, wanted in (
        ("node_id", "node_id", str(settings.node_id)),
        ("history_days", "history_kept", str(settings.history_days)),
    ):
        if function in shared.functions:
            number = re.search(r"\d+", shared.functions[function].source or "")
            differences.add(name, wanted, number[0] if number else "altered")


def _is_as_wanted(shared: Shared, name: str, properties: tuple[t.Any, ...]) -> bool:
    return name in shared.functions and shared.functions[name].properties == properties


def _give(table: Table, shared: Shared) -> TableChange:
    """What a table lacks of last_update_wins."""
    shape, name = table.shape, table.qualified
    commands: list[sql.Composable] = []
    altered: list[str] = []
    missing = [column for column in (VERSION, BASE) if column not in table.own_columns]
    if missing:
        added = sql.SQL(", ").join(compose("ADD COLUMN {} bigint", column) for column in missing)
        commands.append(compose("ALTER TABLE {} {}", name, added))
        altered += [f"column {column} is missing" for column in missing]
    for column, comment in COLUMN_COMMENTS.items():
        if column in missing or table.own_columns[column].comment != comment:
            commands.append(compose("COMMENT ON COLUMN {} IS {}", (*name, column), sql.Literal(comment)))
            if column not in missing:
                altered.append(f"comment of column {column} differs")
        if column not in missing and table.own_columns[column].not_null:
            commands.append(compose("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", name, column))
            altered.append(f"column {column} is NOT NULL")
    for function in shape.functions:
        if not _is_as_wanted(shared, function.name, function.properties):
            commands.append(function.create)
            altered.append(f"function {function.name} {'differs' if function.name in shared.functions else 'is missing'}")
    for trigger in shape.triggers:
        commands += _trigger_commands(table, trigger, altered)
    version = table.own_columns.get(VERSION)
    if version is None or version.default != shape.default:
        commands.append(
            compose(
                "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}({})",
                name,
                VERSION,
                (SCHEMA, "new_version"),
                sql.Literal(shape.lock),
            )
        )
        if version is not None:
            altered.append(f"default of column {VERSION} differs")
    base = table.own_columns.get(BASE)
    if base is not None and base.default is not None:
        commands.append(compose("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", name, BASE))
        altered.append(f"default of column {BASE} differs")
    before = f"{LAST_UPDATE_WINS}, altered: {', '.join(altered)}" if table.is_governed else ERROR
    return TableChange(table, before, LAST_UPDATE_WINS, tuple(commands))


def _trigger_commands(table: Table, wanted: Trigger, altered: list[str]) -> list[sql.Composable]:
    name, current = table.qualified, table.triggers.get(wanted.name)
    if current is None:
        altered.append(f"trigger {wanted.name} is missing")
        return list(wanted.create(name))
    is_same = (current.type, current.function, current.has_condition, current.arguments) == (
        wanted.type,
        wanted.function,
        bool(wanted.condition),
        wanted.arguments,
    )
    if not is_same:
        altered.append(f"trigger {wanted.name} differs")
        return [compose("DROP TRIGGER {} ON {}", wanted.name, name), *wanted.create(name)]
    if current.enabled != wanted.enabled:
        altered.append(f"trigger {wanted.name} is {'disabled' if current.enabled == 'D' else 'not enabled as it should be'}")
        return [wanted.enable(name)]
    return []


def _take(table: Table, shared: Shared) -> TableChange:
    """All of it goes, and the table is as its owner made it."""
    name = table.qualified
    commands: list[sql.Composable] = [
        compose("DROP TRIGGER {} ON {}", trigger.name, name) for trigger in table.triggers.values() if trigger.function
    ]
    if table.has_our_columns:
        # What it has from a parent has gone with the parent's.
        drop = "DROP COLUMN IF EXISTS {}" if table.parents else "DROP COLUMN {}"
        dropped = sql.SQL(", ").join(compose(drop, column) for column in sorted(table.own_columns))
        commands.append(compose("ALTER TABLE {} {}", name, dropped))
    suffix = table.shape.suffix
    commands += [
        compose("DROP FUNCTION {}()", (SCHEMA, function))
        for function in (f"insert_{suffix}", f"update_{suffix}")
        if function in shared.functions
    ]
    return TableChange(table, LAST_UPDATE_WINS, ERROR, tuple(commands))


def _governed_after(state: State, wanted: t.Sequence[Table], unwanted: t.Sequence[Table]) -> set[int]:
    # A partition has its parent's columns; only its parent counts.
    governed = {table.oid for table in state.tables if table.is_governed and (table.root is None or table.triggers)}
    return governed - {table.oid for table in unwanted} | {table.oid for table in wanted}


def _cleanup(state: State, wanted: t.Sequence[Table], unwanted: t.Sequence[Table], differences: Differences) -> list[Statement]:
    """Functions of tables that are gone or renamed; everything, when no table is left that needs it."""
    shared = state.shared
    needed = {function.name for table in wanted for function in table.shape.functions}
    chosen = {table.oid for table in (*wanted, *unwanted)}
    for table in state.tables:
        if table.oid not in chosen:
            needed |= {trigger.function for trigger in table.triggers.values() if trigger.function}
    dropped_already = {f"{kind}_{table.shape.suffix}" for table in unwanted for kind in ("insert", "update")}
    stale = [name for name in shared.functions if _TABLE_FUNCTION.fullmatch(name) and name not in needed | dropped_already]
    commands: list[sql.Composable] = [compose("DROP FUNCTION {}()", (SCHEMA, name)) for name in stale]
    if stale:
        differences.add("functions of tables that are gone", 0, len(stale))
    if not _governed_after(state, wanted, unwanted):
        commands += _drop_shared(shared, differences)
    return [Statement(command) for command in commands]


def _drop_shared(shared: Shared, differences: Differences) -> list[sql.Composable]:
    ours = shared_functions(Settings(1, 1, 1))
    commands: list[sql.Composable] = [
        compose("DROP VIEW {}", (SCHEMA, name)) for name in reversed(list(VIEWS)) if name in shared.relations
    ]
    if shared.keeper != "absent":
        commands.append(compose("DROP EVENT TRIGGER {}", KEEPER))
    if HISTORY in shared.relations:
        commands.append(compose("DROP TABLE {}", (SCHEMA, HISTORY)))
    present = [function for function in ours if function.name in shared.functions]
    commands += [
        compose("DROP FUNCTION {}({})", (SCHEMA, function.name), sql.SQL(function.arguments)) for function in reversed(present)
    ]
    if commands:
        differences.add("history and shared functions", "absent", "present")
        names = {function.name for function in ours}
        others = [name for name in shared.functions if name not in names and not _TABLE_FUNCTION.fullmatch(name)]
        if not others and not set(shared.relations) - _RELATIONS:
            differences.add(f"schema {SCHEMA}", "absent", "present")
            commands.append(compose("DROP SCHEMA {}", SCHEMA))
    return commands


def _describe_tables(plan: ConflictPlan) -> None:
    for change in plan.changes[:_SHOWN_TABLES]:
        plan.differences.add(f"table {change.table.shown}", change.after, change.before)
    more = len(plan.changes) - _SHOWN_TABLES
    if more > 0:
        plan.differences.add(f"{more} more tables", "as wanted", "differing")


def _warnings(wanted: t.Sequence[Table], selection: Selection) -> t.Iterator[str]:
    early = [table for table in wanted if table.before_ours]
    if early:
        named = ", ".join(f"{name} on {table.shown}" for table in early[:10] for name in table.before_ours)
        yield (
            f"These triggers fire in apply workers before conflicts are decided, also for rows that lose: {named}. "
            f"A name that sorts after {INSERT_TRIGGER} puts them behind."
        )
    changing = [table for table in wanted if table.changing]
    if changing:
        named = ", ".join(f"{name} on {table.shown}" for table in changing[:10] for name in table.changing)
        yield (
            "These triggers fire in apply workers as well. Where they change rows, nodes come to differ without a conflict: "
            f"{named}. ALTER TABLE .. ENABLE TRIGGER makes them fire where a row is written, and nowhere else."
        )
    if not wanted and selection.tables is None:
        yield "No table of the database is published, so there is nothing to set the policy on."
