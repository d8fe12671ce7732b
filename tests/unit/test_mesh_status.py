# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of playbooks/status.yml: each problem with the node that has it."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._mesh_status import mesh_status

NODES = [{"name": f"pg{number}", "node_id": number, "address": f"198.18.0.{number}", "port": 5432} for number in (1, 2)]


def subscription(slot: str, state: str = "streaming", *problems: str, db: str = "shop") -> dict[str, t.Any]:
    return {
        "name": "sub",
        "database": db,
        "slot_name": slot,
        "state": state,
        "problems": list(problems),
        "last_applied_time": "T1" if problems else None,
    }


def slot(name: str, *problems: str, **changes: t.Any) -> dict[str, t.Any]:
    return {"slot_name": name, "problems": list(problems), "retained_bytes": 2048, "is_lost": False, **changes}


def info(*objects: dict[str, t.Any], problems: t.Sequence[str] = ()) -> dict[str, t.Any]:
    mine = [problem for each in objects for problem in each["problems"]]
    return {
        "node": {"version": "16.14"},
        "problems": [*problems, *mine],
        "subscriptions": [each for each in objects if "state" in each],
        "slots": [each for each in objects if "state" not in each],
        "publications": [],
    }


def report(one: dict[str, t.Any], two: dict[str, t.Any]) -> tuple[list[str], list[str]]:
    first, second = mesh_status(NODES, {"pg1": one, "pg2": two})
    return first["problems"], second["problems"]


def test_a_mesh_that_is_well() -> None:
    one = info(subscription("slot_2_to_1"), slot("slot_1_to_2"))
    two = info(subscription("slot_1_to_2"), slot("slot_2_to_1"))
    assert report({"info": one}, {"info": two}) == ([], [])
    (entry, _other) = mesh_status(NODES, {"pg1": {"info": one}, "pg2": {"info": two}})
    assert (entry["up"], entry["node_id"], entry["subscriptions"][0]["state"]) == (True, 1, "streaming")


def test_a_node_that_is_down_is_not_the_others_problem() -> None:
    one = info(
        subscription("slot_2_to_1_shop", "unreachable", "It gets nothing."),
        slot("slot_1_to_2_shop", "It is in use by nobody."),
        problems=["A disk is full."],
    )
    mine, others = report({"info": one}, {"error": "It refuses."})
    assert mine == ["A disk is full."]
    assert others == [
        "It refuses.",
        "pg1 gets nothing of it in shop (last change of T1).",
        "pg1 keeps 2.0 kB of WAL for it (slot_1_to_2_shop).",
    ]
    assert report({}, {})[0] == ["The host cannot be reached."]
    assert report({"backup_error": "Unread."}, {})[0] == ["The host cannot be reached."]


def test_a_subscription_that_fails_is_told_once_and_with_its_node() -> None:
    one = info(slot("slot_1_to_2", "Its subscriber comes and goes."))
    two = info(subscription("slot_1_to_2", "failing", "It fails."))
    assert report({"info": one}, {"info": two}) == ([], ["It fails."])
    assert report({"info": one}, {"info": info(subscription("slot_1_to_2"))}) == (["Its subscriber comes and goes."], [])


def test_what_comes_from_outside_the_mesh_is_told() -> None:
    """It has an origin, and so no other node is sent it."""
    one = info(subscription("from_the_old_system"), subscription("slot_2_to_1"), slot("debezium"))
    mine, others = report({"info": one}, {"info": info()})
    assert others == []
    (problem,) = mine
    assert "sub in database shop is not one of this mesh, and what it brings stays on this node" in problem
    without_slot = {**subscription("x"), "slot_name": None}
    assert report({"info": info(without_slot)}, {"info": info()}) == ([], [])


def test_a_slot_that_is_lost_is_told() -> None:
    one = info(slot("slot_1_to_2", "It is lost.", is_lost=True))
    assert report({"info": one}, {})[0] == ["It is lost."]


def test_a_peer_that_cannot_be_reached_though_it_is_up() -> None:
    one = info(subscription("slot_2_to_1", "unreachable", "It gets nothing."))
    assert report({"info": one}, {"info": info()}) == (["It gets nothing."], [])


def test_slots_of_nodes_that_the_inventory_has_not() -> None:
    one = info(slot("slot_1_to_7_shop", "It is in use by nobody."), slot("debezium", "It is in use by nobody, too."))
    (other, told), _two = report({"info": one}, {"info": info()})
    assert other == "It is in use by nobody, too."
    assert "id 7, which the inventory has not, and holds 2.0 kB" in told
    assert "SELECT pg_catalog.pg_drop_replication_slot('slot_1_to_7_shop');" in told


def test_differences() -> None:
    changes = [{"what": f"sequence public.s{n}", "current": "next_value 10", "wanted": "next_value 17"} for n in range(7)]
    different = {
        "module": "pg_sequence_mm",
        "login_db": "shop",
        "name": None,
        "changes": changes,
        "why": [*(each["what"] for each in changes), "1 sequence runs short."],
    }
    (first, second), _two = report({"info": info(), "differences": [different]}, {"info": info()})
    assert first.startswith(
        "Sequences of database shop are not set as this node's, and can hand out keys of other nodes: sequence public.s0 ("
    )
    assert first.endswith("and 2 more. Run the playbook site.")
    assert second == "In database shop: 1 sequence runs short."
    (unread,), _two = report({"info": info(), "differences_error": "No rights."}, {"info": info()})
    assert unread == "It could not be compared with its description: No rights."


def test_backups() -> None:
    (entry, _other) = mesh_status(
        NODES, {"pg1": {"info": info(), "backups": {"problems": ["Old."]}, "backup_error": "Lost."}, "pg2": {}}
    )
    assert entry["problems"] == ["Old.", "Lost."]
