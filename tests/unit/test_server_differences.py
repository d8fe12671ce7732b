# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a server's roles, databases, schema files and privileges differs, without a server."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils import _server_differences as differences
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._scram import scram_sha_256

SALT = "c2FsdHNhbHRzYWx0"


def server_with_role(**changes: t.Any) -> dict[str, t.Any]:
    role = {
        "flags": dict(differences.DEFAULT_FLAGS),
        "connection_limit": -1,
        "expires_as_wanted": True,
        "comment": None,
        "member_of": [],
        **changes,
    }
    digest = hashlib.sha256(scram_sha_256("right", SALT).encode()).hexdigest()
    return {"roles": {"app": role}, "passwords": {"app": {"salt": SALT, "iterations": 4096, "digest": digest}}}


def only(role: dict[str, t.Any], server: dict[str, t.Any]) -> dict[str, t.Any]:
    (found,) = differences.roles_differing([{"name": "app", **role}], server)
    return found


def test_a_role_as_described_does_not_differ() -> None:
    role = {"name": "app", "password": "right", "flags": ["nosuperuser", "LOGIN"], "connection_limit": "-1"}
    assert differences.roles_differing([role], server_with_role()) == []


def test_settings_are_known_by_any_spelling_of_their_names() -> None:
    """The server keeps its own: TimeZone."""
    there = server_with_role(settings={"TimeZone": "UTC", "DateStyle": "ISO, MDY"})
    assert differences.roles_differing([{"name": "app", "settings": {"timezone": "UTC", "DATESTYLE": "ISO, MDY"}}], there) == []
    assert differences.roles_differing([{"name": "app", "settings": {"timezone": "CET"}}], there) != []


def test_settings_that_are_not_described_are_left_alone() -> None:
    there = server_with_role(settings={"statement_timeout": "0", "work_mem": "1MB"})
    assert differences.roles_differing([{"name": "app", "settings": {"statement_timeout": "0"}}], there) == []


def test_an_unknown_role_differs_in_its_attributes_and_password() -> None:
    found = only({"password": "right"}, {"roles": None, "passwords": None})
    assert (found["attributes"], found["password"], found["absent"]) == (True, True, False)


@pytest.mark.parametrize(
    ("role", "there"),
    [
        ({"flags": ["CREATEDB"]}, {}),
        ({"connection_limit": 5}, {}),
        ({"comment": "the application"}, {}),
        ({"comment": ""}, {"comment": "left over"}),
        ({"settings": {"statement_timeout": "0"}}, {"settings": {"statement_timeout": "1s", "work_mem": "1MB"}}),
        ({}, {"expires_as_wanted": False}),
        ({}, {"flags": {**differences.DEFAULT_FLAGS, "SUPERUSER": True}}),
    ],
)
def test_each_attribute_is_compared(role: dict[str, t.Any], there: dict[str, t.Any]) -> None:
    assert only(role, server_with_role(**there))["attributes"]


def test_a_comment_that_is_not_described_is_left_alone() -> None:
    assert differences.roles_differing([{"name": "app"}], server_with_role(comment="of others")) == []


@pytest.mark.parametrize(("password", "differs"), [("right", False), ("wrong", True), ("", True)])
def test_a_password_is_compared_through_its_verifier(password: str, differs: bool) -> None:
    found = differences.roles_differing([{"name": "app", "password": password}], server_with_role())
    assert bool(found) is differs


def test_no_password_wanted_and_none_there() -> None:
    server = {**server_with_role(), "passwords": {}}
    assert differences.roles_differing([{"name": "app", "password": ""}], server) == []


def test_passwords_that_could_not_be_read_are_not_compared() -> None:
    server = server_with_role()
    del server["passwords"]
    assert differences.roles_differing([{"name": "app", "password": "wrong"}], server) == []


def test_memberships_are_joined_and_left() -> None:
    found = only({"member_of": ["readers", "writers"]}, server_with_role(member_of=["writers", "owners"]))
    assert (found["join"], found["leave"]) == (["readers"], ["owners"])


def test_memberships_that_are_not_described_stay() -> None:
    assert differences.roles_differing([{"name": "app"}], server_with_role(member_of=["owners"])) == []


def test_a_role_that_should_be_gone() -> None:
    found = only({"state": "absent"}, server_with_role(member_of=["owners"]))
    assert (found["absent"], found["attributes"], found["leave"]) == (True, False, [])
    assert differences.roles_differing([{"name": "gone", "state": "absent"}], server_with_role()) == []


def server_with_database(**changes: t.Any) -> dict[str, t.Any]:
    contents = changes.pop("contents", {})
    database = {"owner": "app", "connection_limit": -1, "comment": None, **changes}
    return {"databases": {"shop": database}, "contents": {"shop": contents}}


@pytest.mark.parametrize(
    ("database", "there", "differs"),
    [
        ({"owner": "app"}, {}, False),
        ({"owner": "other"}, {}, True),
        ({"connection_limit": 3}, {}, True),
        ({"comment": "x"}, {}, True),
        ({"extensions": ["pg_trgm"]}, {"contents": {"extensions": ["plpgsql", "pg_trgm"]}}, False),
        ({"extensions": ["pg_trgm"]}, {"contents": {"extensions": ["plpgsql"]}}, True),
    ],
)
def test_databases(database: dict[str, t.Any], there: dict[str, t.Any], differs: bool) -> None:
    found = differences.databases_differing([{"name": "shop", **database}], server_with_database(**there))
    assert bool(found) is differs


def test_every_database_differs_while_no_server_answers() -> None:
    assert differences.databases_differing([{"name": "shop"}], {}) == [{"name": "shop"}]


@pytest.fixture
def schema_file(tmp_path: Path) -> dict[str, t.Any]:
    path = tmp_path / "tables.sql"
    path.write_text("create table t (id int);\n")
    return {"path": str(path), "database": "shop"}


def applied(digest: str) -> dict[str, t.Any]:
    return {"contents": {"shop": {"schema_files": {"tables.sql": {"sha256": digest, "applied": "2026-01-01 00:00"}}}}}


def test_a_schema_file_that_was_never_applied_is_due(schema_file: dict[str, t.Any]) -> None:
    (file,) = differences.schema_files([schema_file], {})
    assert (file["name"], file["applied"], file["changed"]) == ("tables.sql", "", False)
    assert differences.schema_files_due([file]) == [file]


def test_a_schema_file_that_was_applied_as_it_is_is_not_due(schema_file: dict[str, t.Any]) -> None:
    digest = hashlib.sha256(Path(schema_file["path"]).read_bytes()).hexdigest()
    (file,) = differences.schema_files([schema_file], applied(digest))
    assert (file["applied"], file["changed"]) == ("2026-01-01 00:00", False)
    assert differences.schema_files_due([file]) == []


@pytest.mark.parametrize(("on_change", "due"), [("fail", 0), ("apply", 1)])
def test_a_schema_file_that_changed(schema_file: dict[str, t.Any], on_change: str, due: int) -> None:
    files = differences.schema_files([{**schema_file, "on_change": on_change}], applied("other"))
    assert files[0]["changed"]
    assert len(differences.schema_files_due(files)) == due


def test_privileges_are_completed_for_the_question() -> None:
    wanted = differences.privileges_wanted(
        [
            {"database": "shop", "roles": ["r"], "objs": ["t"], "privs": ["SELECT"]},
            {"database": "shop", "roles": ["r"], "type": "function", "objs": ["f()"]},
            {"database": "shop", "roles": ["r"], "type": "schema", "objs": ["s"]},
        ]
    )
    assert [(entry["index"], entry["type"], entry["schema"], entry["privs"]) for entry in wanted] == [
        (0, "table", "public", ["SELECT"]),
        (2, "schema", None, []),
    ]


def test_privileges_differ_where_the_server_says_so_or_cannot_say() -> None:
    entries = [{"database": "shop", "roles": ["a"]}, {"database": "shop", "roles": ["b"]}, {"roles": ["c"], "type": "function"}]
    server = {"contents": {"shop": {"privileges": {"different": [1], "surplus": [{"role": "x"}], "unknown": [0]}}}}
    assert differences.privileges_differing(entries, server) == entries[1:]
    unknown = {"contents": {"shop": {"privileges": {"different": [0, 1], "surplus": [], "unknown": [1]}}}}
    assert entries[1] not in differences.privileges_differing(entries, unknown)
    assert differences.privileges_surplus(server) == [{"role": "x", "database": "shop"}]
    assert differences.privileges_unknown(entries, server) == [0]
    # What only follows from other variables need not be there.
    assert differences.privileges_unknown([{**entries[0], "optional": True}], server) == []


def test_privileges_on_columns_are_statements_and_come_apart() -> None:
    entry = {"database": "shop", "objs": ["Or\"ders"], "columns": ["a (b)", "c"], "privs": ["insert"], "roles": ["app", "PUBLIC"]}
    (wanted,) = differences.privileges_wanted([entry])
    assert (wanted["type"], wanted["objs"]) == ("column", ['["Or\\"ders", "a (b)"]', '["Or\\"ders", "c"]'])
    surplus = {"type": "column", "schema": "public", "objs": ['["t", "c"]'], "role": "app", "privs": ["UPDATE"]}
    server = {"contents": {"shop": {"privileges": {"different": [0], "unknown": [], "surplus": [surplus]}}}}
    assert differences.privileges_differing([entry], server) == []
    assert differences.privileges_surplus(server) == []
    assert [each["statement"] for each in differences.column_privileges([entry], server)] == [
        'REVOKE UPDATE ("c") ON "public"."t" FROM "app"',
        'GRANT INSERT ("a (b)") ON "public"."Or""ders" TO "app", PUBLIC',
        'GRANT INSERT ("c") ON "public"."Or""ders" TO "app", PUBLIC',
    ]
