# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node publishes, numbers and subscribes to."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._node.differences import KINDS, described
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._node_descriptions import (
    conflict_policies,
    database_problems,
    node_descriptions,
    node_pairs,
    slot_suffixes,
)

DATABASES: list[dict[str, t.Any]] = [
    {"name": "imdb", "publication": "pub_films"},
    {"name": "My-Shop", "tables": ["public.t"], "operations": ["insert"]},
]
PEERS: list[dict[str, t.Any]] = [
    {"name": "pg1", "node_id": 1, "address": "192.0.2.1", "port": 5432},
    {"name": "pg3", "node_id": 3, "address": "192.0.2.3", "port": 5433},
]


def node(**changes: t.Any) -> dict[str, list[dict[str, t.Any]]]:
    arguments: dict[str, t.Any] = {
        "node_id": 2,
        "max_nodes": 8,
        "seed": "pg1",
        "user": "replicator",
        "tls_directory": "/tls",
        "replica_identity_missing": "fail",
        "warn_below_percent": 10,
        "conflict_policy": "error",
        "conflict_settings": {"history_days": 30},
        "subscription": {"owner": "subscription_owner", "streaming": "parallel"},
    }
    return node_descriptions(DATABASES, PEERS, **{**arguments, **changes})


def test_publications_cover_all_tables_unless_some_are_named() -> None:
    imdb, shop = node()["publications"]
    assert (imdb["name"], imdb["all_tables"]) == ("pub_films", True)
    assert (shop["name"], shop["all_tables"]) == ("pub_My-Shop", False)
    assert (shop["tables"], shop["operations"]) == (["public.t"], ["insert"])


def test_a_database_can_decide_otherwise_about_tables_without_a_key() -> None:
    databases = [{"name": "a", "replica_identity_missing": "warn"}]
    (publication,) = node_descriptions(
        databases, [], node_id=1, max_nodes=8, seed="x", user="r", tls_directory="/", replica_identity_missing="fail",
        warn_below_percent=1, conflict_policy="error", conflict_settings={}, subscription={},
    )["publications"]
    assert publication["replica_identity_missing"] == "warn"


def test_one_subscription_for_each_peer_and_database_and_only_the_seed_s_rows_are_copied() -> None:
    found = [(s["login_db"], s["name"], s["slot_name"], s["copy_data"]) for s in node()["subscriptions"]]
    assert found == [
        ("imdb", "sub_from_pg1", "slot_1_to_2", True),
        ("My-Shop", "sub_from_pg1", "slot_1_to_2_my_shop", True),
        ("imdb", "sub_from_pg3", "slot_3_to_2", False),
        ("My-Shop", "sub_from_pg3", "slot_3_to_2_my_shop", False),
    ]
    # What the seed's copy brings does not stay behind; that of the seed itself would.
    assert [s.get("uncopied_rows") for s in node()["subscriptions"]] == [None, None, "elsewhere", "elsewhere"]
    assert {s.get("uncopied_rows") for s in node(seed="pg2")["subscriptions"]} == {None}


def test_the_seed_is_copied_first_wherever_it_stands_in_the_inventory() -> None:
    assert [s["name"] for s in node(seed="pg3")["subscriptions"]] == ["sub_from_pg3"] * 2 + ["sub_from_pg1"] * 2


def test_the_peer_is_verified_and_its_password_is_not_part_of_the_description() -> None:
    peer = node()["subscriptions"][2]["peer"]
    assert (peer["host"], peer["port"], peer["ssl_mode"], peer["ca_cert"]) == ("192.0.2.3", 5433, "verify-full", "/tls/ca.crt")
    assert "password" not in peer


def policies(database: dict[str, t.Any], default: str = "error") -> list[tuple[str, t.Any, t.Any]]:
    found = conflict_policies([{"name": "a", **database}], 2, default, {"history_days": 7})
    return [(each["policy"], each.get("exclude"), each.get("tables")) for each in found]


def test_a_database_has_the_stated_policy_or_the_default() -> None:
    assert policies({}) == [("error", [], None)]
    assert policies({}, "last_update_wins") == [("last_update_wins", [], None)]
    assert policies({"conflict_policy": "last_update_wins"}) == [("last_update_wins", [], None)]


def test_tables_can_have_the_other_policy() -> None:
    tables = {"conflict_policy_tables": {"public.t": "error", "public.u": "last_update_wins"}}
    assert policies(tables, "last_update_wins") == [("last_update_wins", ["public.t"], None)]
    assert policies(tables) == [("error", ["public.u"], None), ("last_update_wins", None, ["public.u"])]


def test_last_update_wins_knows_its_node_and_its_settings() -> None:
    (policy,) = conflict_policies([{"name": "a"}], 2, "last_update_wins", {"history_days": 7})
    assert (policy["node_id"], policy["history_days"]) == (2, 7)


def test_a_node_is_compared_with_each_other_in_each_database() -> None:
    nodes = [*PEERS, {"name": "pg2", "node_id": 2, "address": "192.0.2.2", "port": 5432}]
    pairs = node_pairs(DATABASES, nodes, "pg2", user="replicator", tls_directory="/tls")
    assert [(p["login_db"], p["peer"]["host"], p["slot_here"], p["slot_there"]) for p in pairs] == [
        ("imdb", "192.0.2.1", "slot_2_to_1", "slot_1_to_2"),
        ("My-Shop", "192.0.2.1", "slot_2_to_1_my_shop", "slot_1_to_2_my_shop"),
        ("imdb", "192.0.2.3", "slot_2_to_3", "slot_3_to_2"),
        ("My-Shop", "192.0.2.3", "slot_2_to_3_my_shop", "slot_3_to_2_my_shop"),
    ]
    assert pairs[0]["publications"] == ["pub_films"]


def test_a_node_is_compared_with_those_that_are_there() -> None:
    nodes = [*PEERS, {"name": "pg2", "node_id": 2, "address": "192.0.2.2", "port": 5432}]
    pairs = node_pairs(DATABASES, nodes, "pg2", user="replicator", tls_directory="/tls", among=[PEERS[0]["name"], "pg2"])
    assert {pair["peer"]["host"] for pair in pairs} == {PEERS[0]["address"]}
    assert len(pairs) == len(DATABASES)


def test_suffixes_can_be_stated() -> None:
    assert slot_suffixes([{"name": "a"}, {"name": "b", "slot_suffix": "_x"}, {"name": "c", "slot_suffix": ""}]) == {
        "a": "",
        "b": "_x",
        "c": "",
    }


def test_the_modules_take_every_description() -> None:
    for kind, descriptions in node().items():
        for options in descriptions:
            assert described(KINDS[kind], options, {"login_port": 5433}, {"peer_password": "secret"}).params["login_port"] == 5433


@pytest.mark.parametrize(
    ("databases", "said"),
    [
        ([], "it lists none."),
        ([{"name": "a"}, {"name": "a"}], "it lists a, a."),
        ([{"name": "a"}, {"name": "b", "slot_suffix": ""}], "The slots of each database need a name of their own"),
        ([{"name": "a", "slot_suffix": "B"}], "State a slot_suffix"),
        ([{"name": "a", "tables": []}], "The database a has an empty list of tables."),
        ([{"name": "a", "conflict_policy_tables": {"t": "first"}}], "conflict_policy_tables of the database a must give"),
    ],
)
def test_each_mistake_in_the_databases_is_one_sentence(databases: list[dict[str, t.Any]], said: str) -> None:
    (problem,) = database_problems(databases)
    assert said in problem


@pytest.mark.parametrize(
    ("databases", "peer", "said"),
    [
        ([{"name": "d" * 64}], "pg2", "Shorten it."),
        ([{"name": "d" * 60}], "pg2", f"The publication pub_{'d' * 60} of the database"),
        ([{"name": "a", "publication": "ä" * 32}], "pg2", "State a shorter publication"),
        ([{"name": "a"}], "h" * 55, f"The subscription sub_from_{'h' * 55} from the host"),
    ],
)
def test_each_name_that_is_too_long_is_one_sentence(databases: list[dict[str, t.Any]], peer: str, said: str) -> None:
    (problem,) = database_problems(databases, [{"name": "pg1"}, {"name": peer}])
    assert said in problem


def test_names_as_long_as_can_be_have_no_problems() -> None:
    databases = [{"name": "d" * 59}, {"name": "e" * 63, "publication": "p" * 63, "slot_suffix": "_e"}]
    assert database_problems(databases, [{"name": "h" * 54}]) == []


def test_good_databases_have_no_problems() -> None:
    assert database_problems([{"name": "a", "tables": ["t"], "conflict_policy_tables": {"t": "error"}}, {"name": "B b"}]) == []
