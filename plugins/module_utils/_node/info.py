# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a node answered, as the data that the module returns. Pure."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.certificate_end import first_end, first_update
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_read import Answers, DatabaseAnswers
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import CONNECTING, DISABLED, Progress
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.watch import BACK, UNSTEADY
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.publisher import recorded
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import parse_lsn

_STREAMING = {"f": "off", "t": "on", "p": "parallel"}
_TWO_PHASE = {"d": "disabled", "p": "pending", "e": "enabled"}
_SUBSCRIBER = (
    "pid",
    "application_name",
    "client_addr",
    "state",
    "sent_lsn",
    "write_lsn",
    "flush_lsn",
    "replay_lsn",
    "reply_time",
)
_READ_ONLY = "default_transaction_read_only"
_TABLE_STATES = {"i": "initialize", "d": "copy", "f": "copied", "s": "synchronized", "r": "ready"}


def describe(
    answers: Answers,
    databases: dict[str, DatabaseAnswers],
    progress: t.Mapping[int, Progress] | None = None,
    applied_at: t.Mapping[int, str] | None = None,
    slots: t.Mapping[str, str] | None = None,
    closed: t.Collection[str] = (),
    role_settings: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """``databases``: those that were looked into, and ``closed`` those that could not be. Slots without a database are the
    server's own and always told. ``role_settings``: what roles are meant to have of their own.

    By the oids of subscriptions: ``progress`` of those that are enabled, and ``applied_at`` of those in trouble. ``slots``: what
    became of those that nobody used at first, by name.
    """
    unready = [table for each in databases.values() for table in each.unready]
    counts = {(name, row["subscription"]): row for name, each in databases.items() for row in each.counts}
    # An origin that never moved stands at 0/0, or has no position at all.
    origins = [{**row, "remote_lsn": None if row["remote_lsn"] == "0/0" else row["remote_lsn"]} for row in answers.origins]
    workers = [_worker(row, answers.subscriptions, unready) for row in answers.workers]
    subscriptions = [
        {
            **_subscription(row, workers, origins, unready, counts.get((row["database"], row["oid"]), {})),
            **_progress(row, (progress or {}).get(row["oid"]), (applied_at or {}).get(row["oid"])),
        }
        for row in answers.subscriptions
        if row["database"] in databases
    ]
    return {
        "node": _node(answers.node),
        "archiving": _plain(answers.archiving or {}),
        "certificates": [_certificate(row) for row in answers.certificates],
        "databases": sorted(databases),
        "settings_elsewhere": _settings_elsewhere(answers, databases, role_settings or {}),
        "closed_databases": _closed(answers, databases, closed, role_settings or {}),
        "row_security": [{"database": name, **row} for name, each in sorted(databases.items()) for row in each.row_security],
        "slots": [
            _slot(row, (slots or {}).get(row["slot"]["slot_name"]))
            for row in answers.slots
            if row["slot"]["database"] in (None, *databases)
        ],
        "subscriptions": subscriptions,
        "workers": [worker for worker in workers if worker["database"] in databases],
        "publications": [row for _name, each in sorted(databases.items()) for row in each.publications],
        "conflicts": [{"database": name, **row} for name, each in sorted(databases.items()) for row in each.conflicts],
        "origins": origins,
    }


def _settings_elsewhere(
    answers: Answers, databases: t.Collection[str], role_settings: t.Mapping[str, t.Any]
) -> dict[str, list[dict[str, t.Any]]]:
    """Settings that others than the file that describes the server decide, and those that wait for a restart."""
    described = {row["name"]: row["described"] for row in answers.files or () if row["described"] is not None}
    return {
        "files": [
            {key: row[key] for key in ("name", "value", "described", "file", "line")}
            for row in answers.files or ()
            if row["described"] is not None and row["value"] != row["described"]
        ],
        # Roles that replicate have settings of their own, so that those of databases do not count for them.
        "overrides": [
            {key: row[key] for key in ("database", "role", "name", "value")}
            for row in answers.overrides
            if row["database"] in (None, *databases) and not row["serves"]
            # Files know names in small letters here; a database and a role have the server's spelling: TimeZone.
            if row["value"] != described.get(row["name"].lower(), row["value"]) and not _is_meant(row, role_settings)
        ],
        "pending_restart": [{"name": name} for name in answers.pending_restart],
    }


def _closed(
    answers: Answers, databases: t.Collection[str], closed: t.Collection[str], role_settings: t.Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Databases that apply workers or applications cannot use, and why, as a command that ends it."""
    found = []
    for row in answers.states:
        if row["database"] not in databases and row["database"] not in closed:
            continue
        if not row["is_open"]:
            found.append({"database": row["database"], "role": None, "why": "takes no connections"})
        elif row["connection_limit"] == 0:
            found.append({"database": row["database"], "role": None, "why": "takes connections of superusers only"})
    for row in answers.files or ():
        if row["name"] == _READ_ONLY and _is_on(row["value"]):
            found.append({"database": None, "role": None, "why": "is read-only"})
    for row in answers.overrides:
        is_read_only = row["name"] == _READ_ONLY and _is_on(row["value"]) and row["database"] in (None, *databases)
        if is_read_only and not _is_meant(row, role_settings):
            found.append({"database": row["database"], "role": row["role"], "why": "is read-only"})
    return found


def _is_meant(override: t.Mapping[str, t.Any], role_settings: t.Mapping[str, t.Any]) -> bool:
    """Whether a role is described with a setting of its own, and has it for all databases."""
    if override["database"] is not None:
        return False
    described = {name.lower(): value for name, value in (role_settings.get(override["role"]) or {}).items()}
    meant = described.get(override["name"].lower())
    if isinstance(meant, bool):
        return _is_on(override["value"]) is meant
    return meant is not None and str(meant) == override["value"]


def _is_on(value: str) -> bool:
    """As PostgreSQL reads a boolean."""
    text = value.strip().lower()
    return text == "1" or text == "on" or (text != "" and ("true".startswith(text) or "yes".startswith(text)))


def incomplete(node: dict[str, t.Any]) -> list[str]:
    """What the role was not allowed to read."""
    user, found = node["user"], []
    if not node["reads_stats"]:
        found.append(f"The role {user} is no member of pg_monitor: the lag of this node's subscribers is not shown.")
    if not node["reads_origins"]:
        found.append(
            f"The role {user} may not read applied positions: "
            f"GRANT EXECUTE ON FUNCTION pg_show_replication_origin_status() TO {user} in each database."
        )
    if not node["reads_conninfo"]:
        found.append(f"The role {user} may not read connection strings, and need not: they hold passwords.")
    return found


def _node(row: dict[str, t.Any]) -> dict[str, t.Any]:
    names = ("version_num", "started", "system_identifier", "timeline", "current_lsn", "standby", "settings")
    return {"version": row["settings"]["server_version"].split()[0], **_plain({name: row[name] for name in names})}


def _certificate(row: dict[str, t.Any]) -> dict[str, t.Any]:
    try:
        pem = row["pem"] or ""
        end = first_update(pem) if "BEGIN X509 CRL" in pem else first_end(pem)
    except ValueError:
        end = None
    return {
        "setting": row["setting"],
        "file": row["file"],
        "ends": end.isoformat() if end else None,
        "days_left": (end - row["now"]).days if end else None,
    }


def _slot(row: dict[str, t.Any], seen: str | None) -> dict[str, t.Any]:
    slot, subscriber = row["slot"], None
    # An idle subscriber that has caught up has no lag at all, and PostgreSQL shows none.
    lag = row["replay_lag"]
    if row["pid"] is not None:
        subscriber = _plain({name: row[name] for name in _SUBSCRIBER})
        subscriber.update({f"{name}_lag_seconds": row[f"{name}_lag"] for name in ("write", "flush", "replay")})
        if lag is None and row["state"] == "streaming":
            lag = 0.0
    return {
        **slot,
        # At the end of the look, which waits a little for one that comes back.
        "active": slot["active"] or seen == BACK,
        "unsteady": seen == UNSTEADY,
        "is_lost": bool(slot["wal_status"] == "lost" or slot.get("invalidation_reason") or slot.get("conflicting")),
        "retained_bytes": row["retained_bytes"],
        "held_by": row["held_by"],
        "lag_bytes": row["lag_bytes"],
        "lag_seconds": lag,
        "subscriber": subscriber,
    }


def _worker(row: dict[str, t.Any], subscriptions: list[dict[str, t.Any]], unready: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    worker = row["worker"]
    relation, leader = worker.get("relid"), worker.get("leader_pid")
    subscription = next((each for each in subscriptions if each["oid"] == int(worker["subid"])), {})
    table = next(
        (f"{each['schema']}.{each['name']}" for each in unready if relation is not None and each["oid"] == int(relation)), None
    )
    return {
        "type": "sync" if relation is not None else "parallel" if leader is not None else "apply",
        "subscription": subscription.get("name"),
        "database": subscription.get("database"),
        "pid": worker["pid"],
        "leader_pid": leader,
        "table": table,
        "received_lsn": worker["received_lsn"],
        "latest_end_lsn": worker["latest_end_lsn"],
        "last_message_age_seconds": row["last_message_age_seconds"],
        "last_message_sent_seconds": row["last_message_sent_seconds"],
    }


def _subscription(
    row: dict[str, t.Any],
    workers: list[dict[str, t.Any]],
    origins: list[dict[str, t.Any]],
    unready: list[dict[str, t.Any]],
    counts: dict[str, t.Any],
) -> dict[str, t.Any]:
    apply = next(
        (
            worker
            for worker in workers
            if worker["type"] == "apply" and (worker["subscription"], worker["database"]) == (row["name"], row["database"])
        ),
        None,
    )
    position = next((origin["remote_lsn"] for origin in origins if origin["name"] == f"pg_{row['oid']}"), None)
    stats = row["stats"] or {}
    conflicts = {name[len("confl_") :]: value for name, value in stats.items() if name.startswith("confl_")}
    lag_bytes = _received_and_not_applied(apply, position)
    publisher = recorded(counts.get("comment"))
    result = {
        **{name: value for name, value in _plain(row).items() if name not in ("oid", "stats")},
        "streaming": _STREAMING[row["streaming"]],
        "two_phase": _TWO_PHASE[row["two_phase"]],
        "conninfo": None if row["conninfo"] is None else _conninfo.without_secrets(_conninfo.parse(row["conninfo"])),
        "publisher": publisher._asdict() if publisher else None,
        "applied_lsn": position,
        "synced_lsn": counts.get("synced_lsn"),
        "lag_bytes": lag_bytes,
        "lag_seconds": 0.0 if lag_bytes == 0 else apply["last_message_sent_seconds"] if apply and lag_bytes else None,
        "worker_running": apply is not None,
        "tables": counts.get("tables", 0),
        "tables_not_ready": [
            {"table": f"{each['schema']}.{each['name']}", "state": _TABLE_STATES[each["state"]]}
            for each in unready
            if each["subscription"] == row["oid"]
        ],
        "apply_error_count": stats.get("apply_error_count"),
        "sync_error_count": stats.get("sync_error_count", stats.get("sync_table_error_count")),
        "stats_reset": stats.get("stats_reset"),
    }
    # PostgreSQL counts conflicts from version 18.
    return {**result, "conflicts": conflicts} if conflicts else result


def _progress(row: dict[str, t.Any], progress: Progress | None, applied_at: str | None) -> dict[str, t.Any]:
    if progress is None:
        progress = Progress(CONNECTING if row["enabled"] else DISABLED)
    publisher = progress.publisher
    return {
        "origin_name": f"pg_{row['oid']}",
        "state": progress.state,
        "errors": progress.errors,
        "failure": None if progress.failure is None else vars(progress.failure),
        "waits_for": progress.waits_for,
        "peer_problem": publisher.problem if publisher else None,
        "last_applied_time": applied_at,
    }


def _received_and_not_applied(apply: dict[str, t.Any] | None, position: str | None) -> int | None:
    """Nothing, when the last word of the peer was that there is no more."""
    if apply is None or apply["received_lsn"] is None:
        return None
    if apply["received_lsn"] == apply["latest_end_lsn"]:
        return 0
    if position is None:
        return None
    return max(0, (parse_lsn(apply["received_lsn"]) or 0) - (parse_lsn(position) or 0))


def _plain(row: dict[str, t.Any]) -> dict[str, t.Any]:
    """Values that JSON knows."""
    return {name: value.isoformat() if isinstance(value, datetime.datetime) else value for name, value in row.items()}
