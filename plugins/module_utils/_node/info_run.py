# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Asking a node: the server once, and each of the wanted databases."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.checks import orphans
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection, login_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import identifier
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info import describe, incomplete
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_problems import Limits, problems
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_read import (
    Answers,
    DatabaseAnswers,
    read_database,
    read_server,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import TROUBLED
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.watch import Subject, last_applied, watch, watch_slots

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_MIN_VERSION = 160000
# The server opens each published table to count them: a node whose table is locked is told, not waited for.
_LOCK_TIMEOUT = "-c lock_timeout=5s"

# Seconds, days, bytes
_MOST = {
    "max_lag_seconds": 10**9,
    "min_certificate_days": 36500,
    "max_retained_wal": 1 << 60,
    "max_lag_bytes": 1 << 60,
    "patience": 3600,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    for name, most in _MOST.items():
        require_number(name, params[name], 0, most)
    parameters = login_parameters(params)
    parameters["options"] = " ".join(filter(None, [parameters.get("options"), _LOCK_TIMEOUT]))
    wanted = params["databases"]
    if wanted is not None:
        wanted = [identifier(name, "The database's name") for name in wanted]
    connection = Connection(parameters, module.warn, "look")
    try:
        if connection.server_version < _MIN_VERSION:
            raise MultimasterError(
                f"PostgreSQL 16 or later is needed; this is {connection.server_version // 10000}, {connection.where}."
            )
        answers = read_server(connection, params["certificate_folders"], params["settings_file"])
        missing = incomplete(answers.node)
        here = answers.node["database"]
        databases: dict[str, DatabaseAnswers] = {}
        # Nobody gets into one that is closed, and that is told.
        closed = {row["database"] for row in answers.states if not row["is_open"]}
        names = answers.node["databases"] if params["all_databases"] else [here] if wanted is None else wanted
        if not params["all_databases"]:
            closed &= set(names)
        for name in names:
            if name in closed:
                continue
            try:
                databases[name] = read_database(connection) if name == here else _read_other(parameters, name, module)
            except MultimasterError as error:
                # One that was asked for by name has to be there.
                if not params["all_databases"]:
                    raise
                missing.append(str(error))
        slots = watch_slots(connection, _slots_away(answers, databases), params["patience"])
        progress = watch(connection, _subjects(answers, databases), answers.node["reads_origins"], params["patience"])
        troubled = [oid for oid, each in progress.items() if each.state in TROUBLED]
        applied_at = last_applied(connection, troubled)
    finally:
        connection.close()
    lost = _orphans(parameters, databases, module) if params["orphans"] else []
    missing += [
        f"What {each['constraint']} of {each['schema']}.{each['table']} in database {each['database']} refers to was not counted:"
        f" {each['why']}"
        for each in lost
        if each["orphans"] is None
    ]
    info = describe(answers, databases, progress, applied_at, slots, closed, params["role_settings"])
    info["orphans"] = lost
    limits = Limits(
        params["max_retained_wal"], params["max_lag_bytes"], params["max_lag_seconds"], params["min_certificate_days"]
    )
    return {"changed": False, **info, "problems": problems(info, limits), "incomplete": missing}


def _subjects(answers: Answers, databases: dict[str, DatabaseAnswers]) -> list[Subject]:
    copying = {row["subscription"] for each in databases.values() for row in each.unready}
    return [
        Subject(row["oid"], row["slot_name"], row["conninfo"], row["oid"] in copying)
        for row in answers.subscriptions
        if row["enabled"] and row["database"] in databases
    ]


def _slots_away(answers: Answers, databases: dict[str, DatabaseAnswers]) -> list[str]:
    slots = [row["slot"] for row in answers.slots]
    return [
        each["slot_name"]
        for each in slots
        if not each["active"] and not each["temporary"] and each["database"] in (None, *databases)
    ]


def _orphans(parameters: dict[str, str], databases: t.Iterable[str], module: AnsibleModule) -> list[dict[str, t.Any]]:
    """Of each foreign key how many rows there are that refer to none. Whole tables are read."""
    found = []
    for name in databases:
        connection = Connection({**parameters, "dbname": name}, module.warn, "compare")
        try:
            found += [{"database": name, **each} for each in orphans(connection)]
        finally:
            connection.close()
    return found


def _read_other(parameters: dict[str, str], name: str, module: AnsibleModule) -> DatabaseAnswers:
    connection = Connection({**parameters, "dbname": name}, module.warn, "look")
    try:
        return read_database(connection)
    finally:
        connection.close()
