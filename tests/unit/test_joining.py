# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that joins nodes in use is told from a first deployment, whole or interrupted."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._joining import join_problems, seen

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("pg1", "pg2", "pg3")
NODES = [{"name": name, "node_id": number, "address": name, "port": 5432} for number, name in enumerate(NAMES, 1)]

Known = dict[str, list[dict[str, t.Any]]]


def mesh(*there: str, received: t.Sequence[str] = (), names: t.Sequence[str] = NAMES, database: str = "imdb") -> Known:
    """What each node says, with the directions ``1<2`` (node 1 from node 2) that are there or ever brought a change."""
    return {
        f"pg{node[2:]}": [
            {
                "login_db": database,
                "name": f"sub_from_{peer}",
                "exists": f"{node[2:]}<{peer[2:]}" in {*there, *received},
                "received": f"{node[2:]}<{peer[2:]}" in received,
            }
            for peer in names
            if peer != node
        ]
        for node in names
    }


def problems(known: Known, name: str = "pg3", seed: str = "pg1") -> list[str]:
    return join_problems(NODES, name, seed, known)


def test_a_first_deployment_is_no_join() -> None:
    for name in NAMES:
        assert problems(mesh(), name) == []


def test_a_first_deployment_that_was_interrupted_is_none_either_while_only_the_seed_was_written_to() -> None:
    assert problems(mesh("1<2", received=["2<1"])) == []
    assert problems(mesh("1<2", received=["2<1", "3<1"])) == []


def test_a_third_node_that_joins_two_in_use_is_refused() -> None:
    (problem,) = problems(mesh(received=["1<2", "2<1"]))
    assert "pg3 would join the database imdb" in problem
    assert "pg2 wrote to it" in problem
    assert "multimaster_join_confirmed" in problem


def test_a_join_that_was_interrupted_after_the_copy_is_one_still() -> None:
    assert problems(mesh(received=["1<2", "2<1", "3<1"]))


def test_a_seed_that_lost_its_subscriptions_joins_too() -> None:
    assert problems(mesh(received=["2<3", "3<2"]), "pg1")


def test_each_database_is_judged_by_itself() -> None:
    shop = mesh(database="shop")
    known = {name: entries + shop[name] for name, entries in mesh(received=["1<2", "2<1"]).items()}
    (problem,) = problems(known)
    assert "imdb" in problem


def test_nodes_that_are_all_joined_do_not_join() -> None:
    known = mesh(received=["1<2", "1<3", "2<1", "2<3", "3<1", "3<2"])
    for name in NAMES:
        assert problems(known, name) == []


def test_a_mesh_of_two_copies_everything() -> None:
    assert join_problems(NODES[:2], "pg2", "pg1", mesh(received=["1<2"], names=NAMES[:2])) == []


def test_a_subscription_that_could_not_be_read_is_not_taken_for_absent() -> None:
    known = mesh(received=["1<2", "2<1"])
    known["pg3"] = [{**entry, "exists": None, "received": None} for entry in known["pg3"]]
    assert problems(known) == []


def test_a_run_on_the_new_node_alone_cannot_see_what_the_others_do() -> None:
    known = {"pg3": mesh()["pg3"]}
    (problem,) = problems(known)
    assert "run it on all nodes" in problem


def test_a_check_run_that_has_nothing_to_compare_yet_is_no_join() -> None:
    assert problems({"pg1": [], "pg2": [], "pg3": []}) == []


def test_before_anything_is_compared_the_servers_say_the_same() -> None:
    def entry(peer: str, applied: str | None) -> dict[str, t.Any]:
        return {"database": "imdb", "name": f"sub_from_{peer}", "applied_lsn": applied}

    answers: dict[str, dict[str, t.Any]] = {
        "pg1": {"subscriptions": [entry("pg2", "0/10")]},
        "pg2": {"subscriptions": [entry("pg1", "0/20"), {"database": "other", "name": "sub_from_pg3", "applied_lsn": "0/1"}]},
        "pg3": {"skipped": True},
    }
    databases = [{"name": "imdb"}]
    assert seen(NODES, answers, databases) == mesh(received=["1<2", "2<1"])
    (problem,) = problems(seen(NODES, answers, databases))
    assert "pg2 wrote to it" in problem
    answers["pg2"] = {"failed": True, "msg": "no connection"}
    (problem,) = problems(seen(NODES, answers, databases))
    assert "pg2 could not be asked" in problem
    assert "pg2" not in seen(NODES, answers, databases)
    answers["pg1"] = answers["pg2"] = {"skipped": True}
    assert problems(seen(NODES, answers, databases)) == []


# The role, with what its comparison found on three hosts. Without databases, nothing is left to do but to refuse.

PLAY = """
- hosts: all
  gather_facts: false
  vars:
    multimaster_databases: []
    multimaster_nodes: {nodes}
    multimaster_replication_password: x
    multimaster_node_id: 0
  tasks:
    - ansible.builtin.set_fact:
        __multimaster_compared: "{{{{ ({compared})[inventory_hostname] }}}}"
    - ansible.builtin.include_role:
        name: multimaster.postgresql.multimaster
        tasks_from: join
"""
IN_USE = mesh(received=["1<2", "2<1"])
LOST = {"loses_rows": True, "why": ["These rows would never come to this node."]}


def joins(folder: Path, known: Known, *arguments: str, differences: t.Sequence[dict[str, t.Any]] = ()) -> str:
    """The role's first words to hosts of which one differs in this way, or an empty text when it went on."""
    compared = {name: {"subscriptions": entries, "differences": []} for name, entries in known.items()}
    compared["pg1"]["differences"] = list(differences)
    file = folder / "play.yml"
    file.write_text(PLAY.format(nodes=NODES, compared=compared))
    command = ["ansible-playbook", "-i", ",".join(NAMES) + ",", "-c", "local", *arguments, str(file)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    said = " ".join(done.stdout.split())
    assert ("Publications | Publish each database" in said) == (done.returncode == 0), done.stdout + done.stderr
    return said if done.returncode else ""


def test_the_role_refuses_a_join_of_nodes_in_use_and_stops_all_nodes(tmp_path: Path) -> None:
    assert "pg3: pg3 would join the database imdb" in joins(tmp_path, IN_USE)
    assert joins(tmp_path, IN_USE, "-e", "multimaster_join_confirmed=true") == ""


def test_the_role_goes_on_with_a_first_deployment_that_was_interrupted(tmp_path: Path) -> None:
    assert joins(tmp_path, mesh("1<2", received=["2<1"])) == ""


def test_the_role_refuses_what_would_leave_a_node_without_rows_whatever_is_confirmed(tmp_path: Path) -> None:
    said = joins(tmp_path, mesh(), "-e", "multimaster_join_confirmed=true", differences=[LOST])
    assert "pg1: These rows would never come to this node." in said
