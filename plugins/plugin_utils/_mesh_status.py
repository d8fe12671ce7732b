# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What the nodes of a mesh said of themselves, as one report: each problem with the node that has it. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.printable import printable

Data = t.Mapping[str, t.Any]

_SLOT = re.compile(r"slot_(?P<publisher>[0-9]+)_to_(?P<subscriber>[0-9]+)(?:_.*)?")
_SHOWN = 5
# What each module's differences mean for the node, and what puts them right.
_MEANING = {
    "pg_sequence_mm": "Sequences of database {db} are not set as this node's, and can hand out keys of other nodes",
    "pg_conflict_policy": "The conflict policy of database {db} is not in force as described",
    "pg_publication": "The publication {name} of database {db} is not as described",
}
_SITE = "Run the playbook site."
# A subscription in one of these is told with its own node; its slot on the other node says nothing more.
_TOLD = ("disabled", "waiting", "silent", "connecting", "unreachable", "failing")


def mesh_status(nodes: t.Sequence[Data], answers: t.Mapping[str, Data]) -> list[dict[str, t.Any]]:
    """One entry for each node, by node id: ``name``, ``node_id``, ``address``, ``up``, ``problems``, ``backups``, and what
    pg_multimaster_info said of ``node``, ``subscriptions``, ``slots`` and ``publications``.

    ``nodes`` as the filter mesh_nodes gives them. ``answers`` by name: ``info``, the result of pg_multimaster_info (none: the
    node did not answer), ``error``, why it did not, ``differences`` of pg_node_differences, ``differences_error``, ``backups`` as
    the filter backup_status gives them, and ``backup_error``.
    """
    by_id = {int(node["node_id"]): node["name"] for node in nodes}
    known = {node["name"]: answers[node["name"]].get("info") or {} for node in nodes}
    away = [name for name, info in known.items() if "node" not in info]
    report = []
    for node in nodes:
        name, answer, info = node["name"], answers[node["name"]], known[node["name"]]
        if name in away:
            problems = [answer.get("error") or "The host cannot be reached.", *_missed(int(node["node_id"]), known)]
        else:
            problems = [*_of_info(int(node["node_id"]), info, by_id, known, away), *_of_differences(answer)]
        backups = answer.get("backups") or {}
        # Of a node that is down it is no news that its backups could not be read.
        unread = answer.get("backup_error") if name not in away else None
        report.append(
            {
                **{key: node[key] for key in ("name", "node_id", "address")},
                "up": name not in away,
                # They have names in them, of tables and triggers, say, that others have chosen.
                "problems": [printable(each) for each in (*problems, *(backups.get("problems") or []), *filter(None, [unread]))],
                "backups": backups,
                "node": info.get("node") or {},
                **{key: info.get(key) or [] for key in ("subscriptions", "slots", "publications")},
            }
        )
    return report


def _of_info(
    node_id: int, info: Data, by_id: t.Mapping[int, str], known: t.Mapping[str, Data], away: t.Collection[str]
) -> list[str]:
    """The node's own problems: what is another node's is told there."""
    elsewhere: set[str] = set()
    more = []
    for subscription in info["subscriptions"]:
        publisher = _ends(subscription["slot_name"])[0]
        if subscription["state"] == "unreachable" and by_id.get(publisher) in away:
            elsewhere.update(subscription["problems"])
        if subscription["slot_name"] and not publisher:
            more.append(
                f"The subscription {subscription['name']} in database {subscription['database']} is not one of this mesh, and "
                "what it brings stays on this node: the others take only what was written here. Have each node subscribe to that "
                "system, with tables that no node writes; or let an application write what comes."
            )
    for slot in info["slots"]:
        publisher, subscriber = _ends(slot["slot_name"])
        if publisher != node_id:
            continue
        if subscriber not in by_id:
            elsewhere.update(slot["problems"])
            more.append(
                f"The slot {slot['slot_name']} is for a node with id {subscriber}, which the inventory has not, and holds "
                f"{_size(slot['retained_bytes'])} of WAL. If that node does not come back: SELECT "
                f"pg_catalog.pg_drop_replication_slot('{slot['slot_name']}'); in any database of this node."
            )
        elif not slot.get("is_lost") and (by_id[subscriber] in away or _is_told(known[by_id[subscriber]], slot["slot_name"])):
            elsewhere.update(slot["problems"])
    return [problem for problem in info["problems"] if problem not in elsewhere] + more


def _is_told(info: Data, slot: str) -> bool:
    return any(each["slot_name"] == slot and each["state"] in _TOLD for each in info.get("subscriptions") or [])


def _missed(node_id: int, known: t.Mapping[str, Data]) -> t.Iterator[str]:
    """What the others miss of a node that is away, and keep for it."""
    for name, info in known.items():
        missed = [
            f"{each['database']} (last change of {each['last_applied_time']})" if each["last_applied_time"] else each["database"]
            for each in info.get("subscriptions") or []
            if _ends(each["slot_name"])[0] == node_id and each["state"] in _TOLD
        ]
        if missed:
            yield f"{name} gets nothing of it in {', '.join(missed)}."
        kept = [each for each in info.get("slots") or [] if _ends(each["slot_name"])[1] == node_id]
        if kept:
            held = max(each["retained_bytes"] or 0 for each in kept)
            yield f"{name} keeps {_size(held)} of WAL for it ({', '.join(each['slot_name'] for each in kept)})."


def _of_differences(answer: Data) -> t.Iterator[str]:
    if answer.get("differences_error"):
        yield f"It could not be compared with its description: {answer['differences_error']}"
    for each in answer.get("differences") or []:
        changes = [f"{change['what']} ({_shown(change)})" for change in each["changes"]]
        if changes:
            meaning = _MEANING[each["module"]].format(db=each["login_db"], name=each["name"])
            more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
            yield f"{meaning}: {'; '.join(changes[:_SHOWN])}{more}. {_SITE}"
        named = {change["what"] for change in each["changes"]}
        for why in each["why"]:
            if why not in named:
                yield f"In database {each['login_db']}: {why}"


def _shown(change: Data) -> str:
    return f"it is: {change['current']}; described: {change['wanted']}"


def _ends(slot: str | None) -> tuple[int, int]:
    """The ids of the publisher and of the subscriber of a slot of ours; 0 for none."""
    match = _SLOT.fullmatch(slot or "")
    return (int(match["publisher"]), int(match["subscriber"])) if match else (0, 0)


def _size(number: int | None) -> str:
    value = float(number or 0)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"
