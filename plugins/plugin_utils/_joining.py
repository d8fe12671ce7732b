# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Whether a node joins others that are in use, which loses what these write in the meantime.

A node copies the rows of the seed, and then receives what the other nodes write from now on. What another node commits after the
seed's rows were copied and before its slot was made reaches the seed alone: subscriptions with origin = none pass nothing on.

A first deployment looks the same half way, also one that was interrupted. The difference: until it is complete, only the seed is
written to. So a node joins nodes that are in use when another node than the seed has ever sent a change of its own.
"""

from __future__ import annotations

import typing as t

Mapping = t.Mapping[str, t.Any]


def join_problems(
    nodes: t.Sequence[Mapping], name: str, seed: str, known: t.Mapping[str, t.Sequence[Mapping]]
) -> list[str]:
    """Why the node ``name`` must not join as it would, one sentence for each database.

    ``known``: of each node of this run what ``seen`` made, or the ``subscriptions`` that pg_node_differences returned.
    """
    peers = [node["name"] for node in nodes if node["name"] != name]
    others = [peer for peer in peers if peer != seed]
    if len(peers) < 2 or not others:
        return []
    problems = []
    for database in dict.fromkeys(entry["login_db"] for entry in known.get(name, ())):
        if any(_of(known[name], database, peer).get("exists") is not False for peer in others):
            continue
        absent = [peer for peer in peers if peer not in known]
        writers = [
            peer
            for peer in others
            if any(_of(known.get(node, ()), database, peer).get("received") for node in peers if node != peer)
        ]
        if absent:
            problems.append(
                f"{name} would join the database {database}, and whether other nodes write to it cannot be seen, because "
                f"{_listed(absent)} could not be asked: run it on all nodes, with all of their servers up."
            )
        elif writers:
            problems.append(
                f"{name} would join the database {database}, which the other nodes replicate already, and {_listed(writers)} "
                f"wrote to it: what a node other than {seed} commits during the join would never reach {name}. Stop all writing "
                f"on {_listed(others)}, wait until the nodes are level, and run this again with "
                "multimaster_join_confirmed=true; write there again once it has ended."
            )
    return problems


def seen(
    nodes: t.Sequence[Mapping], answers: t.Mapping[str, Mapping], databases: t.Sequence[Mapping]
) -> dict[str, list[dict[str, t.Any]]]:
    """Of each node that was asked: which subscriptions to its peers are there, and whether each ever received a change.

    ``answers`` are the results of pg_multimaster_info by node: skipped where there is no server yet, and without
    ``subscriptions`` where it did not answer.
    """
    return {
        name: [
            {"login_db": database, "name": subscription, "exists": there, "received": there and position is not None}
            for database, subscription, there, position in _subscriptions(nodes, name, answer, databases)
        ]
        for name, answer in answers.items()
        if answer.get("skipped") or "subscriptions" in answer
    }


def _subscriptions(
    nodes: t.Sequence[Mapping], name: str, answer: Mapping, databases: t.Sequence[Mapping]
) -> t.Iterator[tuple[str, str, bool, str | None]]:
    found = {(entry["database"], entry["name"]): entry["applied_lsn"] for entry in answer.get("subscriptions", ())}
    for node in nodes:
        if node["name"] != name:
            for database in databases:
                key = (database["name"], f"sub_from_{node['name']}")
                yield (*key, key in found, found.get(key))


def _of(entries: t.Sequence[Mapping], database: str, peer: str) -> Mapping:
    """What is known of the subscription to this peer."""
    name = f"sub_from_{peer}"
    return next((entry for entry in entries if entry["login_db"] == database and entry["name"] == name), {})


def _listed(names: t.Sequence[str]) -> str:
    return " and ".join(names)
