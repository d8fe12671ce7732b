# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_publication: the task's arguments become a description, or one clear sentence."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import PUBLICATION_SPEC
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.model import (
    OPERATIONS,
    Table,
    Wanted,
    parenthesised,
    wanted_from,
)
from ansible_collections.multimaster.postgresql.plugins.modules import pg_publication


def described(**arguments: t.Any) -> Wanted:
    defaults = {name: option.get("default") for name, option in PUBLICATION_SPEC.items()}
    return wanted_from({**defaults, "name": "p", **arguments})


def test_all_tables() -> None:
    assert described(all_tables=True) == Wanted("p", all_tables=True)


def test_everything_at_once() -> None:
    wanted = described(
        name='"My Pub"',
        tables=["films", {"name": 'a."B c"', "where": " id > 5 \n"}, {"name": "x.y", "columns": None}],
        tables_in_schema=["zoo", '"S.1"'],
        operations=["truncate", "insert"],
        publish_via_partition_root=True,
        owner="Alice",
        comment="it's",
        replica_identity_missing="full",
    )
    assert wanted == Wanted(
        "My Pub",
        tables=(
            Table(QualifiedName(None, "films")),
            Table(QualifiedName("a", "B c"), where="id > 5"),
            Table(QualifiedName("x", "y")),
        ),
        schemas=("S.1", "zoo"),
        operations=("insert", "truncate"),
        via_root=True,
        owner="Alice",
        comment="it's",
        replica_identity_missing="full",
    )
    assert not wanted.needs_identity


@pytest.mark.parametrize(
    ("operations", "needs"),
    [(OPERATIONS, True), (("update",), True), (("delete",), True), (("insert", "truncate"), False)],
)
def test_identity_matters_to_update_and_delete(operations: tuple[str, ...], needs: bool) -> None:
    assert described(all_tables=True, operations=list(operations)).needs_identity is needs


def test_absent_needs_a_name_only() -> None:
    assert described(state="absent", tables=[]) == Wanted("p", present=False)


def test_a_condition_that_yaml_reads_as_a_boolean() -> None:
    entry = yaml.safe_load("{name: films, where: true}")
    assert described(tables=[entry]).tables[0].where == "true"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Nothing says what the publication p publishes: give tables, tables_in_schema, or all_tables: true"),
        ({"tables": []}, "tables is empty. An empty list never means all tables"),
        ({"tables": [], "tables_in_schema": ["s"]}, "tables is empty"),
        ({"tables": [], "all_tables": True}, "tables is empty"),
        ({"tables_in_schema": []}, "tables_in_schema is empty"),
        ({"tables": ["a"], "all_tables": True}, "all_tables goes with neither tables nor tables_in_schema"),
        ({"tables_in_schema": ["a"], "all_tables": True}, "all_tables goes with neither"),
        ({"all_tables": True, "operations": []}, "operations is empty: name at least one of insert, update"),
        ({"all_tables": True, "name": "p" * 64}, "The publication's name .* has 64 bytes; PostgreSQL permits 63"),
        ({"all_tables": True, "name": ""}, "The publication's name is empty"),
        ({"state": "absent", "name": "é" * 32}, "has 64 bytes"),
        ({"all_tables": True, "owner": "o" * 64}, "The owner's name .* has 64 bytes"),
        ({"all_tables": True, "comment": "a\0b"}, "The comment holds a NUL character"),
        ({"tables": ["a.b.c"]}, "The table's name 'a.b.c' is neither a name nor schema.name"),
        ({"tables": ["t" * 64]}, "The table's name .* has 64 bytes"),
        ({"tables": [5]}, "The table's name must be a string, not 5"),
        ({"tables": [None]}, "The table's name must be a string, not None"),
        ({"tables": [["a"]]}, "The table's name must be a string"),
        ({"tables": ["a", {"columns": ["b"]}]}, "Entry 2 of tables has no name"),
        ({"tables": [{"name": "a", "filter": "x"}]}, "Entry 1 of tables has an unknown key filter: it knows name, col"),
        ({"tables": [{"name": "a", 5: "x"}]}, "unknown key 5"),
        ({"tables": [{"name": "a", "columns": []}]}, "The columns of table a are an empty list"),
        ({"tables": [{"name": "a", "columns": "id, x"}]}, "must be a list of names, not 'id, x'"),
        ({"tables": [{"name": "a", "columns": ["id", 5]}]}, "A column of table a: must be a string, not 5"),
        ({"tables": [{"name": "a", "columns": ["c" * 64]}]}, "A column of table a: .* has 64 bytes"),
        ({"tables": [{"name": "a", "columns": ["x", '"x"']}]}, "x is listed twice in the columns of table a"),
        ({"tables": [{"name": "a", "where": ""}]}, "The row filter .where. of table a must be an SQL condition, not ''"),
        ({"tables": [{"name": "a", "where": " \n"}]}, "must be an SQL condition"),
        ({"tables": [{"name": "a", "where": 1}]}, "must be an SQL condition, not 1"),
        ({"tables": [{"name": "a", "where": "x = '\0'"}]}, "The row filter of table a holds a NUL character"),
        ({"tables": ["a", "b", "a"]}, "a is listed twice in tables"),
        ({"tables": ["x.a", 'x."a"']}, "x.a is listed twice in tables"),
        ({"tables_in_schema": ["s", '"s"']}, "s is listed twice in tables_in_schema"),
        (
            {"tables": [{"name": "a", "columns": ["id"]}, "b"], "tables_in_schema": ["s"]},
            "PostgreSQL permits no column list .a. in a publication that has tables_in_schema",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(MultimasterError, match=sentence):
        described(**arguments)


@pytest.mark.parametrize(
    ("where", "text"),
    [("id > 5", "(id > 5)"), ("id > 5 -- new ones", "(id > 5 -- new ones\n)"), ("a = '{}' AND b % 2 = 0",) * 2],
)
def test_a_comment_does_not_hide_the_parenthesis(where: str, text: str) -> None:
    assert render(parenthesised(where)).strip("()\n") == text.strip("()\n")
    assert render(parenthesised(where)).endswith("\n)" if "--" in where else ")")


def test_documentation_and_specification_agree() -> None:
    documented = yaml.safe_load(pg_publication.DOCUMENTATION)["options"]
    specified = PUBLICATION_SPEC
    assert list(documented) == list(specified)
    for name, option in specified.items():
        described = {key: value for key, value in documented[name].items() if key != "description"}
        assert described == option, name


def test_results_are_documented() -> None:
    documented = yaml.safe_load(pg_publication.RETURN)
    assert set(documented) == {
        "publication",
        "publication_before",
        "recreated",
        "subscribers_must_refresh",
        "without_replica_identity",
        "queries",
    }
