# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_node_differences finds what pg_publication, pg_sequence_mm and pg_subscription_mm would change, and nothing else."""

from __future__ import annotations

import typing as t

import pytest
from servers import REPLICATOR_PASSWORD
from subscriptions import NAME, Mesh

RunModule = t.Callable[..., t.Any]

# As one that was made where the cover of new sequences does not look.
UNCOVERED = "SET session_replication_role = replica; CREATE SEQUENCE one_more; RESET session_replication_role"


class Node:
    """One side of a mesh, with the descriptions that its three modules and the comparison share."""

    def __init__(self, run_module: RunModule, mesh: Mesh) -> None:
        self.run_module, self.mesh, self.server = run_module, mesh, mesh.a
        self.login = mesh.pair.login(mesh.a)
        self.publication = {"name": "pub", "all_tables": True}
        self.sequences = {"node_id": 1}
        arguments = mesh.arguments(mesh.a)
        self.subscription = {key: value for key, value in arguments.items() if key not in self.login}
        del self.subscription["peer_password"]

    def make(self) -> None:
        self.run_module("pg_publication", {**self.login, **self.publication})
        self.run_module("pg_sequence_mm", {**self.login, **self.sequences})
        self.run_module("pg_subscription_mm", self.mesh.arguments(self.server))

    def compare(self, **changes: t.Any) -> t.Any:
        arguments = {
            **self.login,
            "publications": [self.publication],
            "sequences": [self.sequences],
            "subscriptions": [self.subscription],
            "peer_password": REPLICATOR_PASSWORD,
            **changes,
        }
        return self.run_module("pg_node_differences", arguments)

    def differing(self, **changes: t.Any) -> dict[str, list[str]]:
        return {found["module"]: found["why"] for found in self.compare(**changes)["differences"]}


@pytest.fixture
def node(run_module: RunModule, mesh: Mesh) -> Node:
    return Node(run_module, mesh)


def test_a_new_node_differs_and_is_left_as_it_is(node: Node) -> None:
    node.server.query("CREATE TABLE numbered (id serial PRIMARY KEY)", db=node.mesh.db)
    assert {"pg_sequence_mm", "pg_subscription_mm"} <= set(node.differing())
    assert node.mesh.subscription(node.server) == {}


def test_a_node_as_described_has_no_difference(node: Node) -> None:
    node.make()
    result = node.compare()
    assert result["differences"] == []
    assert not result["changed"]


@pytest.mark.parametrize(
    ("drift", "module", "why"),
    [
        ("ALTER PUBLICATION pub SET (publish = 'insert')", "pg_publication", "operations"),
        (UNCOVERED, "pg_sequence_mm", "one_more"),
        (f"ALTER SUBSCRIPTION {NAME} DISABLE", "pg_subscription_mm", "enabled"),
        (f"ALTER SUBSCRIPTION {NAME} SET (binary = true)", "pg_subscription_mm", "binary"),
    ],
)
def test_each_drift_is_found_where_it_is(node: Node, drift: str, module: str, why: str) -> None:
    node.make()
    node.server.query(drift, db=node.mesh.db)
    found = node.differing()
    assert list(found) == [module]
    assert any(why in reason for reason in found[module])


def test_a_table_that_only_the_peer_publishes_now_is_found(node: Node) -> None:
    node.make()
    node.mesh.create_table("later")
    assert list(node.differing()) == ["pg_subscription_mm"]


def test_a_wrong_password_is_a_difference_without_the_password_in_it(node: Node) -> None:
    node.make()
    result = node.compare(peer_password="not-the-one-of-the-peer")
    assert [found["module"] for found in result["differences"]] == ["pg_subscription_mm"]
    assert "not-the-one-of-the-peer" not in result.output


def test_no_secret_in_the_result(node: Node) -> None:
    assert REPLICATOR_PASSWORD not in node.compare().output


def test_a_database_that_is_not_there_is_a_difference(node: Node) -> None:
    found = node.differing(publications=[{**node.publication, "login_db": "no_such_database"}], sequences=[], subscriptions=[])
    assert "no_such_database" in found["pg_publication"][0]


def test_a_peer_that_sent_changes_of_its_own_is_told_from_one_that_only_received_this_node_s(node: Node) -> None:
    """The initial copy, and the rows of a node that come back from nowhere, are none of them."""
    mesh = node.mesh
    expected = {"login_db": mesh.db, "name": NAME, "exists": False, "received": False}
    mesh.insert(node.server, 1)
    assert node.compare()["subscriptions"] == [expected]
    node.make()
    node.run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True))
    mesh.insert(node.server, 2)
    mesh.wait_for_ids(mesh.b, [1, 2])
    # What is not published either.
    mesh.b.query("CREATE TEMPORARY TABLE mine (id int PRIMARY KEY)", db=mesh.db)
    assert node.compare()["subscriptions"] == [{**expected, "exists": True}]
    mesh.insert(mesh.b, 3)
    mesh.wait_for_ids(node.server, [1, 2, 3])
    assert node.compare()["subscriptions"] == [{**expected, "exists": True, "received": True}]


def test_a_description_that_no_module_takes_fails_with_one_sentence(run_module: RunModule, node: Node) -> None:
    arguments = {**node.login, "publications": [{"name": "pub", "all_tabels": True}]}
    result = run_module("pg_node_differences", arguments, fails=True)
    assert result["msg"].startswith("A description for pg_publication is wrong: ")
    assert "all_tabels" in result["msg"]
