# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What is wrong with a node, in plain sentences. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import (
    CONNECTING,
    FAILING,
    SILENT,
    UNREACHABLE,
    WAITING,
)

MARKER = "multimaster_slot_of_"

_RENEW = "Renew it: run the playbook site, first with new files where certificates_provider is files."
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Limits(t.NamedTuple):
    """What is still healthy. None: no limit."""

    retained_bytes: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    certificate_days: int | None = None


def problems(info: dict[str, t.Any], limits: Limits) -> list[str]:
    """All of them; those of a slot and of a subscription are noted with it, too, as ``problems``."""
    found: list[str] = []
    found.extend(_of_node(info))
    for certificate in info["certificates"]:
        found.extend(_of_certificate(certificate, limits))
    for slot in info["slots"]:
        slot["problems"] = list(_of_slot(slot, limits))
        found.extend(slot["problems"])
    for subscription in info["subscriptions"]:
        subscription["problems"] = list(_of_subscription(subscription, limits))
        found.extend(subscription["problems"])
    return found


def size(number: int) -> str:
    """A number of bytes for people."""
    value = float(number)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError


def _of_node(info: dict[str, t.Any]) -> t.Iterator[str]:
    node = info["node"]
    settings = node["settings"]
    if node["standby"]:
        yield "This server is a standby."
    if info["publications"] and settings["wal_level"] != "logical":
        yield f"wal_level is {settings['wal_level']}: the publications of this node cannot be subscribed to."
    if settings["max_logical_replication_workers"] == "0" and any(each["enabled"] for each in info["subscriptions"]):
        yield "max_logical_replication_workers is 0: nothing is replicated to this node."
    archiving = info.get("archiving") or {}
    if archiving.get("mode", "off") != "off" and archiving["failing"]:
        waiting = archiving["waiting_segments"]
        held = "" if waiting is None else f" {waiting} segments wait in pg_wal."
        since = archiving["last_archived_time"]
        yield (
            f"Archiving fails: {archiving['last_failed_wal']} could not be archived at {archiving['last_failed_time']}"
            f"{'; the last success was at ' + str(since) if since else ''}.{held} The server's log says why; "
            "look whether the repository is full or away."
        )
    yield from _of_settings(info["settings_elsewhere"])
    yield from _of_closed(info["closed_databases"])
    for each in info.get("orphans") or []:
        if each["orphans"]:
            yield (
                f"{each['orphans']} rows of {each['schema']}.{each['table']} in database {each['database']} refer to rows of "
                f"{each['parent']} that are not there ({each['constraint']}). Insert what they refer to on one node, or delete "
                "them on one."
            )
    for table in info["row_security"]:
        yield (
            f"The table {table['schema']}.{table['name']} in database {table['database']} has row security that binds "
            f"{table['role']}, as which changes of the peers are applied: replication stops at its first row. ALTER TABLE .. NO "
            "FORCE ROW LEVEL SECURITY, or give the role BYPASSRLS."
        )
    for origin in info["origins"]:
        name = origin["name"]
        if name.startswith(MARKER) and any(name.endswith(f"_in_{database}") for database in info["databases"]):
            yield f"A run of pg_subscription_mm ended half way and left its mark ({name}): run it again."


def _of_settings(settings: dict[str, list[dict[str, t.Any]]]) -> t.Iterator[str]:
    for each in settings["files"]:
        auto = each["file"].endswith("/postgresql.auto.conf")
        out = f"ALTER SYSTEM RESET {each['name']} and SELECT pg_reload_conf()" if auto else "take that line out"
        yield (
            f"The setting {each['name']} is {each['value']!r} in {each['file']} line {each['line']}, and described as "
            f"{each['described']!r}: {out}, or describe it in postgresql_settings."
        )
    for each in settings["overrides"]:
        where, have = _whose(each), "have their" if each["role"] else "has its"
        yield (
            f"{where[0].upper()}{where[1:]} {have} own setting {each['name']}, {each['value']!r}: "
            f"{_reset(each, each['name'])} takes it away."
        )
    if settings["pending_restart"]:
        names = ", ".join(each["name"] for each in settings["pending_restart"])
        yield f"The server has not taken over these settings, which it can only at a start: {names}. Run the playbook site."


def _of_closed(closed: list[dict[str, t.Any]]) -> t.Iterator[str]:
    for each in closed:
        where, database = _whose(each), _quoted(each["database"] or "")
        if each["why"] == "is read-only":
            # Its own sessions begin so, too.
            out = f"SET default_transaction_read_only = off; {_reset(each, 'default_transaction_read_only')}"
            yield f"Nothing can be written in {where}: default_transaction_read_only is on. {out} takes it away."
        elif each["why"] == "takes no connections":
            out = f"ALTER DATABASE {database} ALLOW_CONNECTIONS true opens it"
            yield f"The database {each['database']} takes no connections: {out}."
        else:
            yield (
                f"The database {each['database']} takes connections of superusers only, and nothing is applied to it: "
                f"ALTER DATABASE {database} CONNECTION LIMIT -1 opens it."
            )


def _whose(setting: dict[str, t.Any]) -> str:
    """Whose sessions a setting is for."""
    database, role = setting["database"], setting["role"]
    if database and role:
        return f"sessions of role {role} in database {database}"
    return f"database {database}" if database else f"sessions of role {role}" if role else "all databases"


def _reset(setting: dict[str, t.Any], name: str) -> str:
    database, role = setting["database"], setting["role"]
    if role:
        return f"ALTER ROLE {_quoted(role)}{f' IN DATABASE {_quoted(database)}' if database else ''} RESET {name}"
    if database:
        return f"ALTER DATABASE {_quoted(database)} RESET {name}"
    return f"ALTER SYSTEM RESET {name} (or the line in postgresql.conf)"


def _of_certificate(certificate: dict[str, t.Any], limits: Limits) -> t.Iterator[str]:
    is_list = certificate["file"].endswith(".crl") or certificate["setting"] == "ssl_crl_file"
    what = "list of revoked certificates" if is_list else "certificate"
    name = f"The {what} in {certificate['file']} ({certificate['setting']})"
    days = certificate["days_left"]
    if days is None:
        yield f"{name} cannot be read: the server takes no new TLS connections after its next start or reload."
    elif days < 0:
        yield f"{name} ended at {certificate['ends']}, and connections with it are refused. {_RENEW}"
    elif limits.certificate_days is not None and days < limits.certificate_days:
        yield f"{name} ends in {days} days, at {certificate['ends']}. {_RENEW}"


def _of_slot(slot: dict[str, t.Any], limits: Limits) -> t.Iterator[str]:
    name = f"The slot {slot['slot_name']}"
    if slot["is_lost"]:
        yield f"{name} is lost: its subscriber needs a resync."
        return
    if slot["wal_status"] == "unreserved":
        yield f"{name} is about to lose the WAL that its subscriber needs (wal_status unreserved)."
    if slot["held_by"]:
        yield _held(name, slot)
    if slot["unsteady"]:
        yield f"{name} has a subscriber that comes and goes: its node's status says why."
    elif not slot["active"] and not slot["temporary"]:
        yield f"{name} is in use by no subscriber, and holds {size(slot['retained_bytes'] or 0)} of WAL."
    yield from _over(name, "holds", slot["retained_bytes"], limits.retained_bytes, "of WAL, more than")
    yield from _over(f"The subscriber of {name[4:]}", "is", slot["lag_bytes"], limits.lag_bytes, "behind, more than")
    yield from _late(f"The subscriber of {name[4:]}", slot["lag_seconds"], limits.lag_seconds)


def _held(name: str, slot: dict[str, t.Any]) -> str:
    by = slot["held_by"]
    return (
        f"{name} holds {size(slot['retained_bytes'] or 0)} of WAL, more than half of max_slot_wal_keep_size, though its "
        f"subscriber has confirmed it: a transaction of the role {by['user']} in the database {by['database']} has been open for "
        f"{by['seconds']} s ({by['state']}) and holds the WAL of all slots. When it goes on for long, all are lost, and every "
        f"subscriber needs a resync. SELECT pg_terminate_backend({by['pid']}) ends it."
    )


def _of_subscription(subscription: dict[str, t.Any], limits: Limits) -> t.Iterator[str]:
    name = f"The subscription {subscription['name']} in database {subscription['database']}"
    if not subscription["enabled"]:
        yield f"{name} is disabled."
    yield from _of_progress(name, subscription)
    if subscription["slot_name"] is None:
        yield f"{name} has no slot."
    if subscription["origin"] != "none":
        yield f"{name} has origin {subscription['origin']}: changes that came from this node come back to it."
    if subscription["skip_lsn"]:
        yield f"{name} is set to skip the transaction at {subscription['skip_lsn']}."
    waiting = [table["table"] for table in subscription["tables_not_ready"]]
    if waiting:
        shown = ", ".join(waiting[:5]) + (" ..." if len(waiting) > 5 else "")
        yield f"{name} has {len(waiting)} of {subscription['tables']} tables that are not ready: {shown}."
    yield from _over(name, "is", subscription["lag_bytes"], limits.lag_bytes, "behind, more than")
    yield from _late(name, subscription["lag_seconds"], limits.lag_seconds)


def _of_progress(name: str, subscription: dict[str, t.Any]) -> t.Iterator[str]:
    state = subscription["state"]
    applied = subscription["last_applied_time"]
    since = f" The last change that was applied was made at {applied}." if applied else ""
    errors = subscription["errors"]
    if state == FAILING:
        yield f"{name} {_failing(subscription)}{since}"
    elif state == UNREACHABLE:
        yield f"{name} gets nothing, since its peer cannot be reached. {subscription['peer_problem'].rstrip('.')}.{since}"
    elif state == CONNECTING:
        yield (
            f"{name} gets nothing: its apply worker has not heard of the peer ({errors} errors since its last success). "
            f"The server's log says why.{since}"
        )
    elif state == SILENT:
        yield f"{name} has heard nothing of its peer for longer than a peer that is well is silent.{since}"
    elif state == WAITING:
        holder = subscription["waits_for"]
        yield f"{name} waits for a lock that others hold on this node: {holder}. It goes on when they end.{since}"


def _failing(subscription: dict[str, t.Any]) -> str:
    failure, errors = subscription["failure"], subscription["errors"]
    if failure is None:
        why = f" {subscription['peer_problem'].rstrip('.')}." if subscription["peer_problem"] else ""
        return (
            f"fails again and again, and applies nothing ({errors} errors since its last success).{why} "
            f"The server's log says more, in the lines that name {subscription['origin_name']} or the subscription."
        )
    at = " of ".join(filter(None, (failure["action"], failure["table"])))
    error = ". ".join(part.rstrip(".") for part in (failure["error"], failure["detail"]) if part)
    begin = (
        f"fails since {failure['since']} ({errors} errors) and applies nothing more. {f'{at}: ' if at else ''}{error}. Either "
        "take out of the way on this node what the change meets, in a session that is not replicated (README of role multimaster,"
        " When replication stops); or leave the peer's whole transaction out on this node"
    )
    alter = f"ALTER SUBSCRIPTION {_quoted(subscription['name'])}"
    if failure["finished_at"] is None:
        # As PostgreSQL's documentation has it: a transaction that is streamed has no end yet.
        return f"{begin}: after {alter} SET (streaming = on); in this database, status says which one it is."
    skip = f"{alter} SKIP (lsn = '{failure['finished_at']}');"
    return f"{begin}, in this database: {skip} and then compare the nodes."


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _over(what: str, verb: str, value: int | None, limit: int | None, words: str) -> t.Iterator[str]:
    if value is not None and limit is not None and value > limit:
        yield f"{what} {verb} {size(value)} {words} {size(limit)}."


def _late(what: str, value: float | None, limit: float | None) -> t.Iterator[str]:
    if value is not None and limit is not None and value > limit:
        yield f"{what} is {value:.1f} s behind, more than {limit:.1f} s."
