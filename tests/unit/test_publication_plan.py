# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_publication: from what is and what is wanted to the fewest statements, without a server."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
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
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.plan import plan

WITH_DEFAULTS = "WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = false)"


def table(name: str, columns: t.Iterable[str] | None = None, where: str | None = None, schema: str | None = "public") -> Table:
    return Table(QualifiedName(schema, name), None if columns is None else tuple(columns), where)


def publication(*tables: Table, **changes: t.Any) -> Publication:
    defaults: dict[str, t.Any] = {
        "owner": "postgres",
        "comment": "",
        "all_tables": False,
        "schemas": (),
        "operations": OPERATIONS,
        "via_root": False,
    }
    return Publication(**{**defaults, "tables": tables, **changes})


def wanted(*tables: Table, **changes: t.Any) -> Wanted:
    return Wanted("p", tables=tables, **changes)


COLUMNS = {"id": "", "title": "", "year": "", "slug": "s"}


def state(what: Wanted, **changes: t.Any) -> State:
    """A server on which everything that is wanted exists, with a primary key on ``id``."""
    relations = {
        position: Relation(each.name.schema or "public", each.name.name, columns=COLUMNS)
        for position, each in enumerate(what.tables)
    }
    defaults: dict[str, t.Any] = {
        "version": 160014,
        "database": "imdb",
        "relations": relations,
        "row_filters": {position: RowFilter() for position, each in enumerate(what.tables) if each.where},
        "existing_schemas": frozenset(what.schemas),
        "wanted_owner": WantedOwner() if what.owner else None,
    }
    return State(**{**defaults, **changes})


def queries(result: Plan) -> list[str]:
    return [render(statement.command) for statement in result.statements]


def planned(what: Wanted, **changes: t.Any) -> list[str]:
    return queries(plan(what, state(what, **changes)))


def refused(what: Wanted, **changes: t.Any) -> str:
    with pytest.raises(MultimasterError) as caught:
        plan(what, state(what, **changes))
    return str(caught.value)


# Creating


def test_create_for_all_tables() -> None:
    assert planned(wanted(all_tables=True)) == [f'CREATE PUBLICATION "p" FOR ALL TABLES {WITH_DEFAULTS}']


def test_create_with_everything() -> None:
    what = wanted(
        table("films", where="id > 5"),
        table('Ta "b" le', schema="My Schema"),
        schemas=("archive", "s 2"),
        operations=("insert", "delete"),
        via_root=True,
        owner="alice",
        comment="it's",
    )
    assert planned(what, wanted_owner=WantedOwner()) == [
        'CREATE PUBLICATION "p" FOR TABLE "My Schema"."Ta ""b"" le", "public"."films" WHERE (id > 5), '
        'TABLES IN SCHEMA "archive", "s 2" '
        "WITH (publish = 'insert, delete', publish_via_partition_root = true)",
        "COMMENT ON PUBLICATION \"p\" IS 'it''s'",
        'ALTER PUBLICATION "p" OWNER TO "alice"',
    ]


def test_create_with_column_list_in_the_order_of_the_table() -> None:
    what = wanted(table("films", ["year", "id"], "id > 1"))
    assert planned(what) == [f'CREATE PUBLICATION "p" FOR TABLE "public"."films" ("id", "year") WHERE (id > 1) {WITH_DEFAULTS}']


def test_an_owner_who_creates_it_needs_no_statement() -> None:
    assert len(planned(wanted(all_tables=True, owner="postgres"))) == 1


def test_create_reports_what_was_and_what_will_be() -> None:
    what = wanted(table("films", ["id"], "id > 5"), comment="c")
    result = plan(what, state(what))
    assert result.results == {
        "publication": {
            "name": "p",
            "all_tables": False,
            "tables": [{"name": "public.films", "columns": ["id"], "where": "id > 5"}],
            "tables_in_schema": [],
            "operations": ["insert", "update", "delete", "truncate"],
            "publish_via_partition_root": False,
            "owner": "postgres",
            "comment": "c",
        },
        "publication_before": None,
        "recreated": False,
        "subscribers_must_refresh": False,
        "without_replica_identity": [],
    }
    assert result.differences.before["state"] == "absent"
    assert result.differences.after["tables"] == result.results["publication"]["tables"]


# Nothing to do


@pytest.mark.parametrize(
    ("what", "is_now"),
    [
        (wanted(all_tables=True), publication(all_tables=True)),
        (wanted(table("a"), table("b")), publication(table("a"), table("b"))),
        (wanted(table("b"), table("a")), publication(table("a"), table("b"))),
        (wanted(table("a", schema=None)), publication(table("a"))),
        (wanted(table("a", ["year", "id"])), publication(table("a", ["id", "year"]))),
        (wanted(schemas=("s",)), publication(schemas=("s",))),
        (wanted(table("a"), schemas=("s",)), publication(table("a"), schemas=("s",))),
        # What the task leaves out stays as it is.
        (wanted(table("a")), publication(table("a"), owner="alice", comment="text")),
        (wanted(table("a"), owner="alice", comment="x"), publication(table("a"), owner="alice", comment="x")),
    ],
)
def test_nothing_to_do(what: Wanted, is_now: Publication) -> None:
    result = plan(what, state(what, publication=is_now))
    assert result.statements == []
    assert not result.differences
    assert result.warnings == []
    assert result.results["publication"] == result.results["publication_before"] == is_now.as_result("p")
    assert not result.results["recreated"]
    assert not result.results["subscribers_must_refresh"]


def test_nothing_to_do_needs_no_privilege() -> None:
    what = wanted(all_tables=True)
    assert (
        planned(
            what,
            publication=publication(all_tables=True, owner="x"),
            superuser=False,
            may_create=False,
            owns_publication=False,
            user="nobody",
            standby=True,
        )
        == []
    )


def test_a_row_filter_of_the_same_meaning() -> None:
    what = wanted(table("a", where="id>5"))
    is_now = publication(table("a", where="(id > 5)"))
    result = plan(what, state(what, publication=is_now, row_filters={0: RowFilter(same=True)}))
    assert result.statements == []
    assert not result.differences
    assert result.results["publication"]["tables"][0]["where"] == "(id > 5)"


# Repairing


@pytest.mark.parametrize(
    ("is_now", "what", "statements", "refresh"),
    [
        (publication(table("a")), wanted(table("a"), table("b")), ['ADD TABLE "public"."b"'], True),
        (publication(table("a"), table("b")), wanted(table("b")), ['DROP TABLE "public"."a"'], True),
        (
            publication(table("a"), table("b")),
            wanted(table("b"), table("c"), table("d")),
            ['DROP TABLE "public"."a"', 'ADD TABLE "public"."c", "public"."d"'],
            True,
        ),
        (
            publication(table("a", ["id"])),
            wanted(table("a")),
            ['DROP TABLE "public"."a"', 'ADD TABLE "public"."a"'],
            False,
        ),
        (
            publication(table("a", ["id", "title"])),
            wanted(table("a", ["id", "year"])),
            ['DROP TABLE "public"."a"', 'ADD TABLE "public"."a" ("id", "year")'],
            False,
        ),
        (
            publication(table("a", where="(id > 1)"), table("b")),
            wanted(table("a", where="id > 2"), table("b")),
            ['DROP TABLE "public"."a"', 'ADD TABLE "public"."a" WHERE (id > 2)'],
            False,
        ),
        (
            publication(table("a", where="(id > 1)")),
            wanted(table("a")),
            ['DROP TABLE "public"."a"', 'ADD TABLE "public"."a"'],
            False,
        ),
        (publication(schemas=("s",)), wanted(schemas=("s", "x y")), ['ADD TABLES IN SCHEMA "x y"'], True),
        (publication(schemas=("s", "t")), wanted(schemas=("t",)), ['DROP TABLES IN SCHEMA "s"'], True),
        (
            publication(table("a"), schemas=("s",)),
            wanted(table("b"), schemas=("t",)),
            [
                'DROP TABLE "public"."a", TABLES IN SCHEMA "s"',
                'ADD TABLE "public"."b", TABLES IN SCHEMA "t"',
            ],
            True,
        ),
        (
            publication(table("a"), operations=("insert",)),
            wanted(table("a")),
            ["SET (publish = 'insert, update, delete, truncate')"],
            False,
        ),
        (
            publication(table("a")),
            wanted(table("a"), via_root=True),
            ["SET (publish_via_partition_root = true)"],
            False,
        ),
        (
            publication(table("a")),
            wanted(table("a"), operations=("insert",), via_root=True),
            ["SET (publish = 'insert', publish_via_partition_root = true)"],
            False,
        ),
        (publication(table("a")), wanted(table("a"), owner="Alice"), ['OWNER TO "Alice"'], False),
    ],
)
def test_repair(is_now: Publication, what: Wanted, statements: list[str], refresh: bool) -> None:
    result = plan(what, state(what, publication=is_now))
    assert queries(result) == [f'ALTER PUBLICATION "p" {statement}' for statement in statements]
    assert result.differences
    assert result.results["subscribers_must_refresh"] is refresh
    assert result.results["publication_before"] == is_now.as_result("p")
    assert not any(statement.own_transaction for statement in result.statements)


@pytest.mark.parametrize(("comment", "literal"), [("", "NULL"), ("it's", "'it''s'"), ("new", "'new'")])
def test_repair_of_the_comment(comment: str, literal: str) -> None:
    what = wanted(table("a"), comment=comment)
    assert planned(what, publication=publication(table("a"), comment="old")) == [f'COMMENT ON PUBLICATION "p" IS {literal}']


def test_row_filters_of_partitioned_tables_come_after_via_root_and_go_before_it() -> None:
    with_filter = wanted(table("m", where="id > 5"), via_root=True)
    parted = {0: Relation("public", "m", "p", columns=COLUMNS)}
    assert planned(with_filter, publication=publication(table("m")), relations=parted) == [
        'ALTER PUBLICATION "p" SET (publish_via_partition_root = true)',
        'ALTER PUBLICATION "p" DROP TABLE "public"."m"',
        'ALTER PUBLICATION "p" ADD TABLE "public"."m" WHERE (id > 5)',
    ]
    is_now = publication(table("m", where="(id > 5)"), via_root=True)
    assert planned(wanted(table("m")), publication=is_now, relations=parted) == [
        'ALTER PUBLICATION "p" DROP TABLE "public"."m"',
        'ALTER PUBLICATION "p" ADD TABLE "public"."m"',
        'ALTER PUBLICATION "p" SET (publish_via_partition_root = false)',
    ]


def test_tables_that_others_inherit_from_are_meant_alone() -> None:
    what = wanted(table("b"))
    names = frozenset({QualifiedName("public", "a"), QualifiedName("public", "b")})
    assert planned(what, publication=publication(table("a")), parents=names) == [
        'ALTER PUBLICATION "p" DROP TABLE ONLY "public"."a"',
        'ALTER PUBLICATION "p" ADD TABLE ONLY "public"."b"',
    ]


def test_the_diff_shows_what_differs_and_nothing_else() -> None:
    what = wanted(table("a"), table("b"))
    result = plan(what, state(what, publication=publication(table("a"), comment="stays")))
    assert result.differences.as_diff() == {
        "before": {"tables": [{"name": "public.a", "columns": None, "where": None}]},
        "after": {
            "tables": [
                {"name": "public.a", "columns": None, "where": None},
                {"name": "public.b", "columns": None, "where": None},
            ]
        },
    }


@pytest.mark.parametrize(
    ("changes", "refresh"),
    [
        ({"partitioned": frozenset({QualifiedName("public", "a")})}, True),
        ({"has_partitions": True}, False),
        ({}, False),
    ],
)
def test_via_root_renames_partitions_for_subscribers(changes: dict[str, t.Any], refresh: bool) -> None:
    what = wanted(table("a"), via_root=True)
    result = plan(what, state(what, publication=publication(table("a")), **changes))
    assert result.results["subscribers_must_refresh"] is refresh


@pytest.mark.parametrize("has_partitions", [True, False])
def test_via_root_with_all_tables(has_partitions: bool) -> None:
    what = wanted(all_tables=True, via_root=True)
    is_now = publication(all_tables=True)
    result = plan(what, state(what, publication=is_now, has_partitions=has_partitions))
    assert result.results["subscribers_must_refresh"] is has_partitions


# From all tables to a list and back


@pytest.mark.parametrize(
    ("what", "is_now", "definition"),
    [
        (wanted(table("a")), publication(all_tables=True), 'TABLE "public"."a"'),
        (wanted(schemas=("s",)), publication(all_tables=True), 'TABLES IN SCHEMA "s"'),
        (wanted(all_tables=True), publication(table("a")), "ALL TABLES"),
        (wanted(all_tables=True), publication(), "ALL TABLES"),
    ],
)
def test_recreate(what: Wanted, is_now: Publication, definition: str) -> None:
    is_now = is_now._replace(owner="boss", comment="keep me")
    result = plan(what, state(what, publication=is_now))
    assert queries(result) == [
        'DROP PUBLICATION "p"',
        f'CREATE PUBLICATION "p" FOR {definition} {WITH_DEFAULTS}',
        "COMMENT ON PUBLICATION \"p\" IS 'keep me'",
        'ALTER PUBLICATION "p" OWNER TO "boss"',
    ]
    assert not any(statement.own_transaction for statement in result.statements)
    assert result.results["recreated"]
    assert result.results["subscribers_must_refresh"]
    assert len(result.warnings) == 1
    assert "every subscriber keeps its own list" in result.warnings[0]
    assert "REFRESH PUBLICATION" in result.warnings[0]
    assert set(result.differences.names) <= {"all_tables", "tables", "tables_in_schema"}


def test_recreate_with_other_owner_and_no_comment() -> None:
    what = wanted(all_tables=True, owner="alice", comment="")
    assert planned(what, publication=publication(owner="boss", comment="old")) == [
        'DROP PUBLICATION "p"',
        f'CREATE PUBLICATION "p" FOR ALL TABLES {WITH_DEFAULTS}',
        'ALTER PUBLICATION "p" OWNER TO "alice"',
    ]


def test_recreate_keeps_what_a_later_version_has() -> None:
    what = wanted(all_tables=True)
    assert "publish_generated_columns = stored" in planned(what, publication=publication(), generated_columns="s")[1]


# Removing


def test_absent() -> None:
    what = Wanted("p", present=False)
    is_now = publication(table("a"), comment="c")
    result = plan(what, state(what, publication=is_now, wal_level="replica"))
    assert queries(result) == ['DROP PUBLICATION "p"']
    assert result.results["publication"] is None
    assert result.results["publication_before"] == is_now.as_result("p")
    assert result.differences.before["state"] == "present"
    assert result.differences.after == dict.fromkeys(result.differences.before) | {"state": "absent"}


def test_absent_already() -> None:
    what = Wanted("p", present=False)
    result = plan(what, state(what))
    assert result.statements == []
    assert not result.differences
    assert result.results["publication"] is result.results["publication_before"] is None


# Names that are not there, things that cannot be published


def test_missing_tables_are_named() -> None:
    what = wanted(table("a"), table("B c"), table("d", schema=None))
    sentence = refused(what, relations={0: Relation("public", "a")})
    assert 'There is no table public."B c", d in database "imdb"' in sentence


def test_missing_schemas_are_named() -> None:
    sentence = refused(wanted(schemas=("s", "X y")), existing_schemas=frozenset({"s"}))
    assert 'There is no schema "X y" of users in database "imdb"' in sentence


def test_missing_columns_are_named() -> None:
    assert 'Table public.a has no column "Nope", x' in refused(wanted(table("a", ["id", "Nope", "x"])))


def test_missing_owner_is_named() -> None:
    sentence = refused(wanted(all_tables=True, owner="Nobody"), wanted_owner=None)
    assert 'role "Nobody", does not exist' in sentence


@pytest.mark.parametrize(
    ("relation", "what"),
    [
        (Relation("public", "a", kind="v"), "a view"),
        (Relation("public", "a", kind="m"), "a materialized view"),
        (Relation("public", "a", kind="f"), "a foreign table"),
        (Relation("public", "a", kind="S"), "a sequence"),
        (Relation("public", "a", persistence="u"), "an unlogged table"),
        (Relation("public", "a", persistence="t"), "a temporary table"),
        (Relation("pg_catalog", "a", system=True), "a part of the system catalog"),
        (Relation("information_schema", "a", kind="v", system=True), "a part of the system catalog"),
    ],
)
def test_what_cannot_be_published(relation: Relation, what: str) -> None:
    sentence = refused(wanted(table("a")), relations={0: relation})
    assert sentence == f"{relation.schema}.a cannot be published: it is {what}."


def test_an_ambiguous_name() -> None:
    what = wanted(table("a", schema=None))
    assert "write schema.table" in refused(what, relations={0: Relation("x", "a", candidates=2)})
    assert planned(what, relations={0: Relation("public", "a", candidates=2)})
    assert '"x"."a"' in planned(what, relations={0: Relation("x", "a")})[0]


def test_one_table_under_two_names() -> None:
    assert "public.a is listed twice" in refused(wanted(table("a"), table("a", schema=None)))


@pytest.mark.parametrize(
    ("version", "kind", "permitted"),
    [(160014, "s", False), (170000, "s", False), (180000, "s", True), (180000, "v", False), (160014, "", True)],
)
def test_generated_columns(version: int, kind: str, permitted: bool) -> None:
    what = wanted(table("a", ["id", "slug"]))
    changes = {"version": version, "relations": {0: Relation("public", "a", columns={"id": "", "slug": kind})}}
    if permitted:
        assert '("id", "slug")' in planned(what, **changes)[0]
    else:
        assert "Column slug of table public.a is generated" in refused(what, **changes)


def test_a_bad_row_filter() -> None:
    what = wanted(table("a", where="x >"))
    sentence = refused(what, row_filters={0: RowFilter(error='syntax error at or near ")"')})
    assert sentence == 'The server refuses the row filter of table public.a, (x >): syntax error at or near ")".'


def test_a_row_filter_that_a_schema_would_void() -> None:
    sentence = refused(wanted(table("a", where="id > 1"), schemas=("public",)))
    assert "would have no effect" in sentence


@pytest.mark.parametrize("each", [table("a", where="id > 1"), table("a", ["id"])])
def test_partitioned_tables_need_via_root(each: Table) -> None:
    parted = {0: Relation("public", "a", "p", columns=COLUMNS)}
    assert "publish_via_partition_root: true" in refused(wanted(each), relations=parted)
    assert planned(wanted(each, via_root=True), relations=parted)


# The server and the role


@pytest.mark.parametrize("level", ["replica", "minimal"])
@pytest.mark.parametrize("is_now", [None, publication(all_tables=True)])
def test_wal_level(level: str, is_now: Publication | None) -> None:
    sentence = refused(wanted(all_tables=True), wal_level=level, publication=is_now)
    assert f"wal_level of this server is {level}" in sentence
    assert "restart" in sentence


def test_a_standby() -> None:
    assert "is a standby" in refused(wanted(all_tables=True), standby=True)
    assert "is a standby" in refused(Wanted("p", present=False), standby=True, publication=publication())


UNPRIVILEGED = {"user": "alice", "superuser": False}


@pytest.mark.parametrize(
    ("what", "changes", "sentence"),
    [
        (wanted(table("a")), {"may_create": False}, 'Role alice may not create publications in database "imdb"'),
        (wanted(all_tables=True), {}, "Role alice is not a superuser: only a superuser may publish all tables"),
        (wanted(schemas=("s",)), {}, "only a superuser may publish all tables or whole schemas"),
        (wanted(schemas=("s", "t")), {"publication": publication(schemas=("s",), owner="alice")}, "not a superuser"),
        (wanted(all_tables=True), {"publication": publication(owner="alice")}, "not a superuser"),
        (
            wanted(table("a")),
            {"publication": publication(owner="bob"), "owns_publication": False},
            "Publication p belongs to bob, not to role alice",
        ),
        (
            Wanted("p", present=False),
            {"publication": publication(owner="bob"), "owns_publication": False},
            "Publication p belongs to bob, not to role alice",
        ),
        (
            wanted(table("a")),
            {"publication": publication(all_tables=True, owner="alice"), "may_create": False},
            "may not create publications",
        ),
        (
            wanted(table("a"), table("b")),
            {"relations": {0: Relation("public", "a"), 1: Relation("public", "b", owned=False)}},
            "Role alice is not the owner of table public.b: connect as its owner",
        ),
        (
            wanted(table("a"), owner="bob"),
            {"wanted_owner": WantedOwner(reachable=False)},
            "Role alice may not hand the publication to bob",
        ),
        (
            wanted(table("a"), owner="bob"),
            {"wanted_owner": WantedOwner(may_create=False)},
            "Role bob cannot own a publication: it needs the privilege CREATE",
        ),
    ],
)
def test_without_privilege(what: Wanted, changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in refused(what, **UNPRIVILEGED, **changes)


def test_tables_that_are_there_already_need_not_be_owned() -> None:
    what = wanted(table("a"), table("b"))
    relations = {0: Relation("public", "a", owned=False), 1: Relation("public", "b")}
    assert planned(what, **UNPRIVILEGED, publication=publication(table("a"), owner="alice"), relations=relations)


@pytest.mark.parametrize("what", [wanted(all_tables=True, owner="bob"), wanted(schemas=("s",), owner="bob")])
def test_who_may_own_everything(what: Wanted) -> None:
    assert "Role bob is not a superuser" in refused(what, wanted_owner=WantedOwner(superuser=False))


def test_the_old_owner_must_be_able_to_own_everything() -> None:
    is_now = publication(table("a"), owner="bob")
    what = wanted(all_tables=True)
    assert "belongs to bob, which is not a superuser" in refused(what, publication=is_now, owner_is_superuser=False)
    what = wanted(all_tables=True, owner="boss")
    assert planned(what, publication=is_now, owner_is_superuser=False)


# Replica identity

A = QualifiedName("public", "a")
B = QualifiedName("public", "b")
NO_KEY = Identity(A, "d", None)


@pytest.mark.parametrize(
    ("what", "identity", "row_filter", "reason"),
    [
        (wanted(all_tables=True), NO_KEY, None, "has no primary key and no other replica identity"),
        (wanted(table("a")), NO_KEY, None, "has no primary key and no other replica identity"),
        (wanted(all_tables=True), Identity(A, "n", None), None, "has REPLICA IDENTITY NOTHING"),
        (wanted(all_tables=True), Identity(A, "i", None), None, "has lost the index of its replica identity"),
        (
            wanted(table("a", ["title"])),
            Identity(A, "d", ("id",), position=0),
            None,
            "has a column list that lacks columns of its replica identity (id)",
        ),
        (
            wanted(table("a", ["id"])),
            Identity(A, "f", None, position=0),
            None,
            "has a column list, which REPLICA IDENTITY FULL does not permit",
        ),
        (
            wanted(table("a", where="year > 1")),
            Identity(A, "d", ("id",), position=0),
            RowFilter(uncovered=frozenset({A})),
            "has a row filter over columns outside its replica identity (id)",
        ),
    ],
)
def test_without_replica_identity(what: Wanted, identity: Identity, row_filter: RowFilter | None, reason: str) -> None:
    changes: dict[str, t.Any] = {"identities": (identity,)}
    if row_filter:
        changes["row_filters"] = {0: row_filter}
    with pytest.raises(MultimasterError) as caught:
        plan(what, state(what, **changes))
    assert f"UPDATE and DELETE fail on: public.a {reason}." in str(caught.value)
    assert caught.value.details == {"without_replica_identity": ["public.a"]}

    warned = what._replace(replica_identity_missing="warn")
    result = plan(warned, state(warned, **changes))
    assert result.results["without_replica_identity"] == ["public.a"]
    assert result.warnings == [f"Once published, UPDATE and DELETE fail on: public.a {reason}."]
    assert len(queries(result)) == 1
    assert not any("replica_identity" in name for name in result.differences.names)

    inserts = what._replace(operations=("insert", "truncate"))
    result = plan(inserts, state(inserts, **changes))
    assert result.results["without_replica_identity"] == []
    assert result.warnings == []


@pytest.mark.parametrize(
    ("what", "identity", "row_filter"),
    [
        (wanted(table("a")), Identity(A, "d", ("id",), position=0), None),
        (wanted(table("a", ["id", "title"])), Identity(A, "d", ("id",), position=0), None),
        (wanted(table("a", where="year > 1")), Identity(A, "f", None, position=0), None),
        (wanted(table("a", where="id > 1")), Identity(A, "i", ("id",), position=0), RowFilter()),
    ],
)
def test_with_replica_identity(what: Wanted, identity: Identity, row_filter: RowFilter | None) -> None:
    changes: dict[str, t.Any] = {"identities": (identity,)}
    if row_filter:
        changes["row_filters"] = {0: row_filter}
    result = plan(what, state(what, **changes))
    assert result.results["without_replica_identity"] == []
    assert result.warnings == []


NOT_COMPARED = (
    "columns whose types have no equality: x (json), y (point); "
    "with REPLICA IDENTITY FULL the subscriptions to it stop at the first UPDATE or DELETE"
)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("f", f"has no key and {NOT_COMPARED}"), ("d", f"has no primary key and no other replica identity, and {NOT_COMPARED}")],
)
@pytest.mark.parametrize("missing", ["fail", "full", "warn"])
def test_full_is_no_cure_where_rows_cannot_be_compared(kind: str, reason: str, missing: str) -> None:
    what = wanted(all_tables=True, replica_identity_missing=missing)
    now = state(what, identities=(Identity(A, kind, None, incomparable=("x (json)", "y (point)")),))
    if missing == "warn":
        assert reason in plan(what, now).warnings[0]
    else:
        with pytest.raises(MultimasterError, match=re.escape(reason)):
            plan(what, now)


def test_full_sets_it_before_the_tables_are_published() -> None:
    what = wanted(all_tables=True, replica_identity_missing="full")
    result = plan(what, state(what, identities=(Identity(B, "n", None), NO_KEY)))
    assert queries(result) == [
        'ALTER TABLE "public"."a" REPLICA IDENTITY FULL',
        'ALTER TABLE "public"."b" REPLICA IDENTITY FULL',
        f'CREATE PUBLICATION "p" FOR ALL TABLES {WITH_DEFAULTS}',
    ]
    assert result.results["without_replica_identity"] == ["public.a", "public.b"]
    assert result.differences.before["replica_identity of public.a"] == "default"
    assert result.differences.before["replica_identity of public.b"] == "nothing"
    assert result.differences.after["replica_identity of public.b"] == "full"


def test_full_for_a_new_table_of_an_unchanged_publication() -> None:
    what = wanted(all_tables=True, replica_identity_missing="full")
    is_now = publication(all_tables=True)
    result = plan(what, state(what, identities=(NO_KEY,), publication=is_now))
    assert queries(result) == ['ALTER TABLE "public"."a" REPLICA IDENTITY FULL']
    assert result.differences.names == ["replica_identity of public.a"]
    assert planned(what, publication=is_now) == []


def test_full_for_a_row_filter() -> None:
    what = wanted(table("a", where="year > 1"), replica_identity_missing="full")
    identity = Identity(A, "d", ("id",), position=0)
    assert planned(what, identities=(identity,), row_filters={0: RowFilter(uncovered=frozenset({A}))})[0] == (
        'ALTER TABLE "public"."a" REPLICA IDENTITY FULL'
    )


@pytest.mark.parametrize(
    ("columns", "identity"),
    [
        (["title"], Identity(A, "d", ("id",), position=0)),
        (["title"], Identity(A, "f", None, position=0)),
        (["id"], Identity(A, "d", None, position=0)),
    ],
)
def test_full_does_not_cure_a_column_list(columns: list[str], identity: Identity) -> None:
    what = wanted(table("a", columns), replica_identity_missing="full")
    assert "REPLICA IDENTITY FULL does not cure this" in refused(what, identities=(identity,))


def test_full_needs_the_tables_owner() -> None:
    what = wanted(table("a"), replica_identity_missing="full")
    is_now = publication(table("a"), owner="alice")
    sentence = refused(what, **UNPRIVILEGED, publication=is_now, identities=(NO_KEY._replace(owned=False),))
    assert "Role alice is not the owner of table public.a" in sentence


def test_full_needs_nothing_of_the_publications_owner() -> None:
    what = wanted(table("a"), replica_identity_missing="full")
    changes = {"publication": publication(table("a"), owner="bob"), "owns_publication": False}
    assert planned(what, **UNPRIVILEGED, **changes, identities=(NO_KEY,)) == ['ALTER TABLE "public"."a" REPLICA IDENTITY FULL']


def test_a_table_that_is_listed_and_in_a_schema_is_named_once() -> None:
    what = wanted(table("a"), schemas=("public",), replica_identity_missing="full")
    result = plan(what, state(what, identities=(NO_KEY, NO_KEY._replace(position=0))))
    assert result.results["without_replica_identity"] == ["public.a"]
    assert len([query for query in queries(result) if "IDENTITY" in query]) == 1


# Any description, any names

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
names = texts.filter(bool).map(lambda text: text[:12])
conditions = st.sampled_from(["id > 1", "title = 'a''b'", "id % 2 = 0 AND title <> '{}'", '"Ta ble" = 1 -- so'])
column_lists = st.sets(st.sampled_from(["id", "title", "year"]), min_size=1).map(
    lambda columns: tuple(column for column in COLUMNS if column in columns)
)


@st.composite
def publications(draw: st.DrawFn) -> Publication:
    all_tables = draw(st.booleans())
    schemas = [] if all_tables else draw(st.lists(names, unique=True, max_size=3))
    tables = st.builds(
        Table,
        st.builds(QualifiedName, names, names),
        st.none() if schemas else st.none() | column_lists,
        st.none() | conditions,
    )
    listed = [] if all_tables else draw(st.lists(tables, unique_by=lambda each: each.name, max_size=4))
    return Publication(
        owner=draw(names),
        comment=draw(texts),
        all_tables=all_tables,
        tables=in_order(each for each in listed if not (each.where and each.name.schema in schemas)),
        schemas=tuple(sorted(schemas, key=str.encode)),
        operations=tuple(each for each in OPERATIONS if draw(st.booleans())) or OPERATIONS,
        via_root=draw(st.booleans()),
    )


def towards(name: str, goal: Publication, is_now: Publication | None) -> Plan:
    """The plan that makes ``goal`` of ``is_now``."""
    what = Wanted(
        name, True, goal.all_tables, goal.tables, goal.schemas, goal.operations, goal.via_root, goal.owner, goal.comment
    )
    stored = {each.name: each.where for each in is_now.tables} if is_now else {}
    filters = {
        position: RowFilter(same=each.where == stored.get(each.name)) for position, each in enumerate(what.tables) if each.where
    }
    return plan(what, state(what, publication=is_now, row_filters=filters))


def identifiers(command: sql.Composable) -> t.Iterator[tuple[str, ...]]:
    if isinstance(command, sql.Composed):
        for part in command.seq:
            yield from identifiers(part)
    elif isinstance(command, sql.Identifier):
        yield command.strings


@given(names, st.none() | publications(), publications())
def test_changed_means_statements_and_a_diff(name: str, is_now: Publication | None, goal: Publication) -> None:
    result = towards(name, goal, is_now)
    assert bool(result.statements) == bool(result.differences)
    assert (result.differences.before != result.differences.after) == bool(result.statements)


@given(names, st.none() | publications(), publications())
def test_the_second_run_has_nothing_to_do(name: str, is_now: Publication | None, goal: Publication) -> None:
    assert towards(name, goal, is_now).results["publication"] == goal.as_result(name)
    second = towards(name, goal, goal)
    assert second.statements == []
    assert not second.differences


@given(names, publications(), publications(), st.integers(0, 4))
def test_untouched_tables_are_in_no_statement(name: str, is_now: Publication, goal: Publication, kept: int) -> None:
    """A table that is published alike before and after is not dropped even for a moment."""
    if is_now.all_tables or goal.all_tables or is_now.schemas or goal.schemas:
        is_now, goal = (each._replace(all_tables=False, schemas=()) for each in (is_now, goal))
    taken = {each.name for each in goal.tables}
    common = [each for each in is_now.tables[:kept] if each.name not in taken]
    goal = goal._replace(tables=in_order([*goal.tables, *common]))
    touched = {
        QualifiedName(*strings)
        for statement in towards(name, goal, is_now).statements
        for strings in identifiers(statement.command)
        if len(strings) == 2
    }
    same = set(is_now.tables) & set(goal.tables)
    assert touched == {each.name for each in {*is_now.tables, *goal.tables} - same}


@given(names, publications(), publications())
def test_at_most_one_statement_of_a_kind(name: str, is_now: Publication, goal: Publication) -> None:
    if is_now.all_tables != goal.all_tables:
        return
    prefix = "ALTER PUBLICATION " + render(sql.Identifier(name)) + " "
    statements = queries(towards(name, goal, is_now))
    kinds = [query.removeprefix(prefix).split()[0] for query in statements]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) <= {"ADD", "DROP", "SET", "OWNER", "COMMENT"}
