# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_conflict_policy without a server: plan(), selection, and the SQL of a table."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.manager import check_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.plan import ConflictPlan, make_plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.read import (
    FunctionState,
    OwnColumn,
    Shared,
    State,
    Table,
    TableTrigger,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.selection import Selection
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import (
    BASE,
    COLUMN_COMMENTS,
    HISTORY,
    HISTORY_COLUMNS,
    KEPT,
    VERSION,
    VIEWS,
    Settings,
    shared_functions,
    view_mark,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.table import KeyColumn, Shape, literal, quoted
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

SETTINGS = Settings(node_id=2, history_days=30, delete_window=3600)
KEY = (KeyColumn("id", "int8"),)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=63)


def plain(schema: str = "public", name: str = "t", **properties: t.Any) -> Table:
    return Table(schema, name, **{"oid": hash((schema, name)) & 0xFFFF, "key": KEY, **properties})


def governed(table: Table) -> Table:
    """The table with everything that last_update_wins puts on it."""
    triggers = {
        each.name: TableTrigger(each.name, each.type, each.enabled, each.function, bool(each.condition), each.arguments)
        for each in table.shape.triggers
    }
    columns = {
        VERSION: OwnColumn("bigint", False, table.shape.default, COLUMN_COMMENTS[VERSION]),
        BASE: OwnColumn("bigint", False, None, COLUMN_COMMENTS[BASE]),
    }
    return replace(table, own_columns=columns, triggers=triggers, column_numbers=table.column_numbers + len(columns))


def shared(*tables: Table, settings: Settings = SETTINGS) -> Shared:
    functions = [*shared_functions(settings), *(function for table in tables for function in table.shape.functions)]
    return Shared(
        schema=True,
        usable=True,
        functions={each.name: FunctionState(each.arguments, each.properties, each.body) for each in functions},
        relations={HISTORY: "r", f"{HISTORY}_id_seq": "S", **dict.fromkeys(VIEWS, "v")},
        views={name: (view_mark(name, "text"), "text") for name in VIEWS},
        history_columns=tuple(HISTORY_COLUMNS),
        guard="R",
        truncate_guard="A",
    )


def plan(state: State, policy: str = "last_update_wins", **options: t.Any) -> ConflictPlan:
    selection = Selection.of({"tables": None, "schemas": None, "exclude": [], **options})
    return make_plan(selection, policy, SETTINGS if policy == "last_update_wins" else None, state)


def commands(made: ConflictPlan) -> list[str]:
    return [render(statement.command) for statement in made.statements]


def test_everything_is_made_for_the_first_table() -> None:
    made = plan(State((plain(),), Shared()))
    text = "\n".join(commands(made))
    assert text.index('CREATE SCHEMA "multimaster"') < text.index("GRANT USAGE") < text.index('CREATE TABLE "multimaster"')
    assert text.index('CREATE TABLE "multimaster"') < text.index('FUNCTION "multimaster"."summarize_conflicts"')
    assert 'ALTER TABLE "public"."t" ADD COLUMN "_mm_version" bigint, ADD COLUMN "_mm_base" bigint' in text
    assert text.count('ALTER TABLE "public"."t" ENABLE REPLICA TRIGGER') == 3
    assert made.differences.after["table public.t"] == "last_update_wins"
    assert made.differences.before["table public.t"] == "error"
    assert made.results["counts"] == {"last_update_wins": 1, "changed": 1}
    # Each table is done whole or not at all, and alone.
    assert [statement.own_transaction for statement in made.statements].count(True) == 1


@pytest.mark.parametrize(
    "table",
    [
        plain(),
        plain(key=(KeyColumn("a", "text"), KeyColumn("b", "citext", "ext", "="))),
        plain(kind="p", columns=("a", "id")),
        plain(generated=("g",), columns=("id",)),
        plain(large_values=False, has_insert_triggers=True),
    ],
)
def test_nothing_to_do(table: Table) -> None:
    made = plan(State((governed(table),), shared(table)))
    assert commands(made) == []
    assert not made.differences


def altered(table: Table, **changes: t.Any) -> list[str]:
    made = plan(State((replace(table, **changes),), shared(plain())))
    assert set(made.differences.names) == {"table public.t"}
    return commands(made)


def test_each_kind_of_drift_is_repaired_alone() -> None:
    table = governed(plain())
    version, base = table.own_columns[VERSION], table.own_columns[BASE]
    insert, stamp = "00_multimaster_insert", "zz_multimaster_stamp"
    disabled = {**table.triggers, insert: replace(table.triggers[insert], enabled="D")}
    assert altered(table, triggers=disabled) == ['ALTER TABLE "public"."t" ENABLE REPLICA TRIGGER "00_multimaster_insert"']
    disabled = {**table.triggers, stamp: replace(table.triggers[stamp], enabled="mixed")}
    assert altered(table, triggers=disabled) == ['ALTER TABLE "public"."t" ENABLE TRIGGER "zz_multimaster_stamp"']
    others = {**table.triggers, stamp: replace(table.triggers[stamp], function=None)}
    (dropped,) = altered(table, triggers=others)
    assert dropped.startswith('DROP TRIGGER "zz_multimaster_stamp" ON "public"."t"; CREATE TRIGGER')
    (dropped,) = altered(table, own_columns={VERSION: version})
    assert dropped.startswith('ALTER TABLE "public"."t" ADD COLUMN "_mm_base" bigint; COMMENT')
    assert altered(table, own_columns={VERSION: replace(version, not_null=True), BASE: base}) == [
        'ALTER TABLE "public"."t" ALTER COLUMN "_mm_version" DROP NOT NULL'
    ]
    (default,) = altered(table, own_columns={VERSION: replace(version, default="1"), BASE: base})
    assert re.fullmatch(
        r'ALTER TABLE "public"."t" ALTER COLUMN "_mm_version" SET DEFAULT "multimaster"."new_version"\(\d+\)', default
    )
    assert altered(table, own_columns={VERSION: version, BASE: replace(base, default="1")}) == [
        'ALTER TABLE "public"."t" ALTER COLUMN "_mm_base" DROP DEFAULT'
    ]


def test_another_nodes_copy_is_named_as_one() -> None:
    table = governed(plain())
    made = plan(State((table,), shared(table, settings=replace(SETTINGS, node_id=1))))
    assert made.differences.before["node_id"] == "1"
    assert made.differences.after["node_id"] == "2"
    assert not any("ALTER TABLE" in command for command in commands(made))


def test_removal_takes_the_shared_objects_with_the_last_table() -> None:
    one, two = governed(plain()), governed(plain(name="u"))
    state = State((one, two), shared(one, two))
    kept = plan(state, "error", tables=["t"])
    assert kept.results["counts"] == {"last_update_wins": 1, "changed": 1}
    assert not any("DROP TABLE" in command or "DROP SCHEMA" in command for command in commands(kept))
    assert 'ALTER TABLE "public"."t" DROP COLUMN "_mm_base", DROP COLUMN "_mm_version"' in commands(kept)[0]
    gone = commands(plan(state, "error"))
    assert gone[-1] == 'DROP SCHEMA "multimaster"'
    assert 'DROP TABLE "multimaster"."conflict"' in gone
    others = replace(state.shared, functions={**state.shared.functions, "mine": FunctionState("", ())})
    assert commands(plan(replace(state, shared=others), "error"))[-1] != 'DROP SCHEMA "multimaster"'


def test_functions_of_tables_that_are_gone_go() -> None:
    table, gone = governed(plain()), plain(name="gone")
    made = plan(State((table,), shared(table, gone)))
    assert sorted(commands(made)) == sorted(f'DROP FUNCTION "multimaster"."{f.name}"()' for f in gone.shape.functions)


def test_the_diff_of_a_thousand_stays_readable() -> None:
    tables = tuple(plain(name=f"t{number}") for number in range(1000))
    made = plan(State(tables, shared()))
    assert made.differences.after["950 more tables"] == "as wanted"
    assert len(made.results["tables"]) == 1000


REFUSED: dict[str, dict[str, t.Any]] = {
    "is a view": {"kind": "v"},
    "is a foreign table": {"kind": "f"},
    "is unlogged": {"persistence": "u"},
    "in no publication": {"is_published": False},
    "has no key": {"key": ()},
    r"inherits from public\.p, \"S\"\.q": {"parents": (("public", "p"), ("S", "q"))},
    r"is inherited by public\.c": {"children": (("public", "c"),)},
    "deferrable": {"key_is_immediate": False},
    "column list": {"column_list_of": "pub"},
    "typed table": {"is_typed": True},
    "has a column _mm_base of its own": {"own_columns": {BASE: OwnColumn("bigint", False, None, None)}},
    "has a column _mm_version of its own": {"own_columns": {VERSION: OwnColumn("text", False, None, COLUMN_COMMENTS[VERSION])}},
    "1599 of the 1600 columns": {"column_numbers": 1599},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_have_the_policy_is_refused(message: str) -> None:
    with pytest.raises(MultimasterError, match=message) as failed:
        plan(State((plain(**REFUSED[message]),), Shared()), tables=["t"])
    assert list(failed.value.details["tables"]) == ["public.t"]
    assert "Nothing was changed" in str(failed.value)


def test_a_partition_is_set_through_its_parent() -> None:
    root = plain(name="root", kind="p", oid=1)
    leaf, other = plain(name="leaf", oid=2, root=1), plain(name="other", oid=3)
    made = plan(State((root, leaf, other), shared()))
    assert [each["name"] for each in made.results["tables"]] == ["public.root", "public.other"]
    with pytest.raises(MultimasterError, match=r"is a partition of public\.root"):
        plan(State((root, leaf, other), shared()), tables=["leaf"])
    # Without a key over all of them, each partition has its own.
    made = plan(State((replace(root, key=()), leaf), shared()))
    assert [each["name"] for each in made.results["tables"]] == ["public.leaf"]


def test_what_inherits_its_columns_loses_them_with_the_parents() -> None:
    parent = governed(plain(name="z_parent", children=(("public", "child"),)))
    child = governed(plain(name="child", parents=(("public", "z_parent"),), children=(("public", "a_grandchild"),)))
    grandchild = governed(plain(name="a_grandchild", parents=(("public", "child"),)))
    state = State((grandchild, child, parent), shared(parent, child, grandchild))
    dropped = [command for command in commands(plan(state, "error")) if "DROP COLUMN" in command]
    assert ["z_parent" in dropped[0], '"child"' in dropped[1], "a_grandchild" in dropped[2]] == [True] * 3
    assert ["IF EXISTS" in command for command in dropped] == [False, True, True]
    for options in ({"tables": ["child"]}, {"exclude": ["z_parent"]}):
        with pytest.raises(MultimasterError, match=r"public\.child has its columns from public\.z_parent"):
            plan(state, "error", **options)


def test_selection() -> None:
    tables = (plain(), plain("s", "a"), governed(plain("s", "b")), governed(plain("s", "c", is_published=False)))
    state = State(tables, replace(shared(*tables[2:]), known_schemas=frozenset(["s"])))
    assert [each["name"] for each in plan(state, schemas=["s"]).results["tables"]] == ["s.a"]
    excluded = plan(state, exclude=["s.b", "t"])
    assert [(each["name"], each["after"]) for each in excluded.results["tables"]] == [
        ("s.a", "last_update_wins"),
        ("s.b", "error"),
    ]
    # What is no longer published is left alone, unless it is named or all of it is to go.
    assert [each["name"] for each in plan(state, "error").results["tables"]] == ["s.b", "s.c"]
    for options, message in (
        ({"tables": ["nowhere"]}, "no table public.nowhere"),
        ({"schemas": ["nowhere"]}, "no schema nowhere"),
        ({"tables": ["pg_catalog.pg_class"]}, "system's own"),
        ({"tables": []}, "tables is empty"),
        ({"tables": ["t"], "exclude": ["t"]}, "does not go with tables"),
    ):
        with pytest.raises(MultimasterError, match=message):
            plan(state, **options)


def test_triggers_that_fire_too_early_give_a_warning() -> None:
    made = plan(State((plain(before_ours=("!audit",)),), Shared()))
    assert "!audit on public.t" in made.warnings[0]
    assert "No table of the database is published" in plan(State()).warnings[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": None},
        {"node_id": 0},
        {"node_id": 1024},
        {"history_days": 0},
        {"delete_window": -1},
        {"lock_timeout": float("nan")},
        {"drain_timeout": float("inf")},
        {"lock_timeout": -1.0},
        {"history_days": 1, "delete_window": 86401},
    ],
)
def test_parameters_out_of_range(changes: dict[str, t.Any]) -> None:
    good = {
        "policy": "last_update_wins",
        "node_id": 1,
        "history_days": 30,
        "delete_window": 60,
        "lock_timeout": 1.0,
        "drain_timeout": 1.0,
    }
    check_parameters(good)
    with pytest.raises(MultimasterError):
        check_parameters({**good, **changes})


@given(NAMES, NAMES, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_any_name_ends_up_quoted_in_the_functions(schema: str, name: str, key: list[str]) -> None:
    shape = Shape(schema, name, tuple(KeyColumn(column, "text") for column in key), generated=(name,), columns=(*key, "v"))
    insert, update = (function.body for function in shape.functions)
    table = f"{quoted(schema)}.{quoted(name)}"
    for body in (insert, update):
        assert f"mine {table}%ROWTYPE" in body
        assert ", ".join(literal(column) for column in key) in body
        # Every name stands in quotes: without the quoted parts, nothing of it is left that could close one.
        rest = re.sub(r'"(?:[^"]|"")*"|E\'(?:\\.|[^\'\\])*\'|\'(?:[^\']|\'\')*\'', "", body, flags=re.DOTALL)
        assert '"' not in rest
        assert "'" not in rest
    assert f"INSERT INTO {table} ({', '.join(quoted(column) for column in (*key, 'v'))})" in insert
    assert re.fullmatch(r"insert_[0-9a-f]{16}", shape.functions[0].name)
    assert 0 < shape.lock < 2**63


@given(NAMES, NAMES, NAMES, NAMES)
def test_two_tables_never_share_their_functions(schema: str, name: str, other_schema: str, other_name: str) -> None:
    same = (schema, name) == (other_schema, other_name)
    assert (Shape(schema, name, KEY).suffix == Shape(other_schema, other_name, KEY).suffix) == same


@given(NAMES)
def test_key_columns_reach_the_trigger_as_one_array(name: str) -> None:
    (argument,) = Shape("s", "t", (KeyColumn(name, "int4"),)).triggers[2].arguments
    assert argument.startswith('{"')
    assert argument.endswith('"}')
    assert re.sub(r"\\(.)", r"\1", argument[2:-2], flags=re.DOTALL) == name


def test_the_event_trigger_keeps_every_trigger_as_it_has_to_be() -> None:
    for table in (plain(), plain(kind="p", columns=("id",))):
        for trigger in table.shape.triggers:
            assert KEPT[trigger.name][0] == trigger.enabled


def test_only_a_superuser_makes_the_event_trigger() -> None:
    tables = (governed(plain()),)
    cases = ((True, "absent", True), (True, "altered", True), (True, "enabled", False), (False, "absent", False))
    for superuser, keeper, is_made in cases:
        made = plan(State(tables, replace(shared(*tables), superuser=superuser, keeper=keeper)))
        assert ("event trigger multimaster_keep_policy" in made.differences.names) == is_made
        assert any("CREATE EVENT TRIGGER" in command for command in commands(made)) == is_made
