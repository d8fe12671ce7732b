# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_publication: what is asked of the server, and what is made of its answers."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from psycopg2 import sql
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication import read as publication_read
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
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.read import read

FILMS = QualifiedName("public", "films")

ROW: dict[str, t.Any] = {
    "wal_level": "logical",
    "standby": False,
    "database": "imdb",
    "user": "postgres",
    "superuser": True,
    "may_create": True,
    "has_partitions": False,
    "publication": None,
    "tables": None,
    "schemas": None,
    "relations": None,
    "existing_schemas": None,
    "identities": None,
    "wanted_owner": None,
}

PUBLICATION = {
    "owner": "boss",
    "owned": True,
    "owner_is_superuser": True,
    "comment": None,
    "all_tables": False,
    "via_root": True,
    "generated": None,
    "insert": True,
    "update": False,
    "delete": True,
    "truncate": False,
}

RELATION = {
    "position": 0,
    "schema": "public",
    "name": "films",
    "kind": "r",
    "persistence": "p",
    "system": False,
    "owned": True,
    "owner": "boss",
    "candidates": 1,
    "parent": False,
    "columns": {"id": "", "year": ""},
}

IDENTITY = {
    "position": 0, "schema": "public", "name": "films", "kind": "d", "columns": ["id"], "owned": True, "incomparable": None,
}  # fmt: skip


def stored(where: str | None, columns: list[str] | None = None, depends_on: list[str] | None = None) -> dict[str, t.Any]:
    return {
        "schema": "public",
        "name": "films",
        "where": where,
        "columns": columns,
        "kind": "r",
        "parent": False,
        "depends_on": depends_on,
    }


class Planner:
    """Stands in for the connection: one row for the first query, one answer for each explained command."""

    server_version = 160014
    where = 'database "imdb"'

    def __init__(self, answers: dict[str, dict[str, t.Any]] | None = None, **row: t.Any) -> None:
        self._row = {**ROW, **row}
        self._answers = answers or {}
        self.asked: list[str] = []
        self.parameters: dict[str, t.Any] = {}
        self.round_trips = 0

    def fetch_one(self, _query: str, parameters: dict[str, t.Any]) -> dict[str, t.Any]:
        self.round_trips += 1
        self.parameters = parameters
        return self._row

    def explain(self, owner: str, body: str) -> list[dict[str, t.Any]]:
        assert owner == "boss", "the table's owner plans, and not the superuser"
        self.round_trips += 1
        found = re.search(r"json_array_elements_text\( ?E?'(.*)'::json\)", body, re.DOTALL)
        assert found is not None
        commands = json.loads(found[1].replace("''", "'").replace("\\\\", "\\"))
        self.asked += commands
        return [self._answers[command] for command in commands]

    @staticmethod
    def show(command: sql.Composable) -> str:
        return render(command)


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication_read, "value_as", lambda planner, owner, body: planner.explain(owner, body))


def filtered(where: str) -> Wanted:
    return Wanted("p", tables=(Table(FILMS, where=where),))


def state_of(planner: Planner, wanted: Wanted) -> State:
    return read(t.cast(t.Any, planner), wanted)


BOTH = 'SELECT (id>5) IS TRUE, ((id > 5)) IS TRUE FROM ONLY "public"."films" WHERE (id>5)'
ALONE = 'SELECT (id>5) IS TRUE FROM ONLY "public"."films" WHERE (id>5)'
COVERED = 'SELECT FROM (SELECT "id" FROM ONLY "public"."films") AS "films" WHERE (id>5)'


def test_one_round_trip_without_row_filters() -> None:
    planner = Planner()
    wanted = Wanted(
        "p", tables=(Table(QualifiedName(None, "é")), Table(FILMS, ("id",))), schemas=("s",), owner="o", operations=("insert",)
    )
    assert state_of(planner, wanted) == State(160014, "imdb")
    assert planner.round_trips == 1
    assert planner.parameters == {
        "name": "p",
        "tables": '[[null, "é", false], ["public", "films", true]]',
        "schemas": '["s"]',
        "all_tables": False,
        "owner": "o",
        "identities": False,
    }


def test_what_the_server_holds() -> None:
    planner = Planner(
        publication=PUBLICATION,
        tables=[{**stored(None, ["id"]), "name": "zoo", "kind": "p"}, {**stored(None), "parent": True}],
        schemas=["z", "Z", "a"],
        relations=[RELATION],
        existing_schemas=["s"],
        identities=[{**IDENTITY, "position": None, "columns": None}],
        wanted_owner={"superuser": False, "may_create": True, "reachable": False},
        has_partitions=True,
    )
    zoo = QualifiedName("public", "zoo")
    assert state_of(planner, Wanted("p", tables=(Table(FILMS),))) == State(
        160014,
        "imdb",
        has_partitions=True,
        publication=Publication(
            "boss", "", False, (Table(FILMS), Table(zoo, ("id",))), ("Z", "a", "z"), ("insert", "delete"), True
        ),
        parents=frozenset({FILMS}),
        partitioned=frozenset({zoo}),
        wanted_owner=WantedOwner(False, True, False),
        relations={0: Relation("public", "films", owner="boss", columns={"id": "", "year": ""})},
        existing_schemas=frozenset({"s"}),
        identities=(Identity(FILMS, "d", None),),
    )


def test_only_operations_that_need_it_ask_for_identities() -> None:
    for operation in OPERATIONS:
        planner = Planner()
        state_of(planner, Wanted("p", all_tables=True, operations=(operation,)))
        assert planner.parameters["identities"] is (operation in ("update", "delete"))
    planner = Planner()
    state_of(planner, Wanted("p", present=False))
    assert planner.parameters["identities"] is False


def test_an_old_server() -> None:
    planner = Planner()
    planner.server_version = 140012
    with pytest.raises(MultimasterError, match=r'PostgreSQL 15 or later is needed, database "imdb" runs 14\.'):
        state_of(planner, Wanted("p", all_tables=True))
    assert planner.round_trips == 0


@pytest.mark.parametrize("where", ["(id > 5)", "id > 5"])
def test_equal_texts_need_no_planner(where: str) -> None:
    planner = Planner(
        publication=PUBLICATION, tables=[stored("(id > 5)", depends_on=["id"])], relations=[RELATION], identities=[IDENTITY]
    )
    assert state_of(planner, filtered(where)).row_filters == {0: RowFilter(same=True)}
    assert planner.round_trips == 1


@pytest.mark.parametrize(("form", "same"), [("(id > 5)", True), ("(id > 6)", False)])
def test_other_texts_are_compared_by_the_planner(form: str, same: bool) -> None:
    planner = Planner(
        {BOTH: {"forms": ["(id > 5)", form]}, COVERED: {"forms": []}},
        publication=PUBLICATION,
        tables=[stored("(id > 5)", depends_on=["id"])],
        relations=[RELATION],
        identities=[IDENTITY],
    )
    assert state_of(planner, filtered("id>5")).row_filters == {0: RowFilter(same=same)}
    assert planner.asked == [BOTH, *([] if same else [COVERED])]


def test_a_new_row_filter_is_checked() -> None:
    planner = Planner({ALONE: {"error": "bad", "sqlstate": "42601"}}, relations=[RELATION], identities=[IDENTITY])
    assert state_of(planner, filtered("id>5")).row_filters == {0: RowFilter("bad")}
    assert planner.asked == [ALONE]
    planner = Planner({ALONE: {"forms": ["x"], "subquery": True}}, relations=[RELATION])
    assert state_of(planner, filtered("id>5")).row_filters == {0: RowFilter("a row filter may hold no subquery")}


@pytest.mark.parametrize(
    ("answer", "row_filter"),
    [
        ({"forms": []}, RowFilter()),
        ({"error": "column does not exist", "sqlstate": "42703"}, RowFilter(uncovered=frozenset({FILMS}))),
        ({"error": "cannot tell", "sqlstate": "42P01"}, RowFilter("cannot tell")),
    ],
)
def test_a_new_row_filter_beside_the_replica_identity(answer: dict[str, t.Any], row_filter: RowFilter) -> None:
    planner = Planner({ALONE: {"forms": ["x"]}, COVERED: answer}, relations=[RELATION], identities=[IDENTITY])
    assert state_of(planner, filtered("id>5")).row_filters == {0: row_filter}


@pytest.mark.parametrize(
    ("depends_on", "uncovered"), [(["id"], frozenset()), (None, frozenset()), (["id", "year"], frozenset({FILMS}))]
)
def test_the_columns_of_a_stored_row_filter_are_known(depends_on: list[str] | None, uncovered: frozenset[t.Any]) -> None:
    planner = Planner(
        publication=PUBLICATION, tables=[stored("(id > 5)", None, depends_on)], relations=[RELATION], identities=[IDENTITY]
    )
    assert state_of(planner, filtered("id > 5")).row_filters == {0: RowFilter(same=True, uncovered=uncovered)}


def test_beside_a_column_list_the_planner_tells_which_columns_a_row_filter_uses() -> None:
    planner = Planner(
        {COVERED: {"error": "column does not exist", "sqlstate": "42703"}, BOTH: {"forms": ["a", "a"]}},
        publication=PUBLICATION,
        tables=[stored("(id > 5)", ["id", "year"], ["id", "year"])],
        relations=[RELATION],
        identities=[IDENTITY],
    )
    wanted = Wanted("p", tables=(Table(FILMS, ("id", "year"), "id>5"),))
    assert state_of(planner, wanted).row_filters == {0: RowFilter(same=True, uncovered=frozenset({FILMS}))}


def test_views_are_not_asked_for_row_filters() -> None:
    planner = Planner(relations=[{**RELATION, "kind": "v"}])
    assert state_of(planner, filtered("id>5")).row_filters == {}
    assert planner.round_trips == 1


def test_a_table_that_is_not_there_is_not_asked() -> None:
    planner = Planner()
    assert state_of(planner, filtered("id>5")).row_filters == {}
    assert planner.round_trips == 1
