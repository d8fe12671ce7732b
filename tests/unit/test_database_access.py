# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may use a database at all."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._database_access import database_access


def access(privileges: t.Sequence[t.Mapping[str, t.Any]] = (), **changes: t.Any) -> dict[str, list[str]]:
    """By role, what follows for the database shop; PUBLIC's with a minus, since they are taken away."""
    values = {
        "databases": [{"name": "shop", "owner": "shop"}], "hba": [], "schema_files": [],
        "replication_peers": [], "replication_databases": [], "replication_role": "replicator",
    }
    added = database_access(privileges, {**values, **changes})[len(privileges):]
    found: dict[str, list[str]] = {}
    for entry in added:
        sign = "-" if entry.get("state") == "absent" else ""
        for role in entry["roles"]:
            found.setdefault(role, []).extend(sign + name for name in entry["privs"])
    return found


def entry(**changes: t.Any) -> dict[str, t.Any]:
    return {"contype": "hostssl", "databases": ["shop"], "users": ["app"], "source": "10.0.0.0/8", **changes}


def test_nobody_but_the_owner_may_unless_a_variable_says_so() -> None:
    assert access() == {"PUBLIC": ["-CONNECT", "-TEMPORARY"]}


def test_whom_pg_hba_lets_in_may_connect() -> None:
    found = access(hba=[entry(), entry(users=["+staff"], databases=["all"]), entry(users=["other"], databases=["elsewhere"])])
    assert found == {"PUBLIC": ["-CONNECT", "-TEMPORARY"], "app": ["CONNECT"], "staff": ["CONNECT"]}


def test_where_pg_hba_lets_anybody_in_the_database_does_too() -> None:
    assert access(hba=[entry(users=["all"])]) == {"PUBLIC": ["-TEMPORARY"]}
    assert access(hba=[entry(users=["/^app_"])]) == {"PUBLIC": ["-TEMPORARY"]}


def test_who_is_refused_is_not_let_in() -> None:
    assert access(hba=[entry(method="reject")]) == {"PUBLIC": ["-CONNECT", "-TEMPORARY"]}


def test_who_has_a_right_in_the_database_may_connect() -> None:
    read = {"database": "shop", "schema": "public", "objs": ["a"], "privs": ["SELECT"], "roles": ["reader", "PUBLIC"]}
    assert access([read]) == {"PUBLIC": ["-CONNECT", "-TEMPORARY"], "reader": ["CONNECT"]}
    assert access([{**read, "state": "absent"}]) == {"PUBLIC": ["-CONNECT", "-TEMPORARY"]}


def test_what_public_is_given_stays() -> None:
    given = {"database": "shop", "type": "database", "privs": ["connect"], "roles": ["PUBLIC"]}
    assert access([given]) == {"PUBLIC": ["-TEMPORARY"]}
    assert access([{**given, "privs": ["ALL"]}]) == {}


def test_the_other_nodes_may_connect_to_what_is_replicated() -> None:
    peers = [{"name": "b", "address": "10.0.0.2"}]
    assert "replicator" in access(replication_peers=peers)
    assert "replicator" in access(replication_peers=peers, replication_databases=["shop"])
    assert "replicator" not in access(replication_peers=peers, replication_databases=["other"])
    assert "replicator" not in access()


def test_a_schema_file_s_role_has_what_applying_it_takes() -> None:
    files = [{"database": "shop", "path": "a.sql", "role": "maker"}, {"database": "shop", "path": "b.sql"}]
    assert access(schema_files=files) == {"PUBLIC": ["-CONNECT", "-TEMPORARY"], "maker": ["CONNECT", "TEMPORARY"]}
