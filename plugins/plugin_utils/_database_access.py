# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Who may use a database at all: PostgreSQL lets everybody, role postgresql those whom its variables name."""

from __future__ import annotations

import typing as t

Mapping = t.Mapping[str, t.Any]

EVERYBODY = ("CONNECT", "TEMPORARY")


def database_access(privileges: t.Sequence[Mapping], values: Mapping) -> list[Mapping]:
    """The entries of postgresql_privileges, and those that follow from the role's variables for each database that it makes.

    What follows takes PUBLIC's rights away, and lets in whom an entry of postgresql_hba, of postgresql_privileges or a schema
    file names. It is ``optional``: a role of it need not be there, and what else the role may do with the database is left alone.
    """
    return [*privileges, *(entry for database in values["databases"] for entry in _entries(database["name"], privileges, values))]


def _entries(database: str, privileges: t.Sequence[Mapping], values: Mapping) -> t.Iterator[Mapping]:
    users = set(_users(database, values["hba"]))
    stated = [entry for entry in privileges if entry["database"] == database and entry.get("state", "present") == "present"]
    users.update(role for entry in stated for role in entry["roles"])
    if values["replication_peers"] and database in (values["replication_databases"] or [database]):
        users.add(values["replication_role"])
    makers = {file["role"] for file in values["schema_files"] if file["database"] == database and file.get("role")}
    kept = {"CONNECT"} if "PUBLIC" in _users(database, values["hba"]) else set()
    kept.update(name for entry in stated if _is_public(entry) for name in _names(entry))
    taken = [name for name in EVERYBODY if name not in kept]
    if taken:
        yield _entry(database, ["PUBLIC"], taken, state="absent")
    for role in sorted((users | makers) - {"PUBLIC", "public"}):
        yield _entry(database, [role], ["CONNECT"])
    for role in sorted(makers):
        yield _entry(database, [role], ["TEMPORARY"])


def _entry(database: str, roles: list[str], privs: list[str], **more: t.Any) -> Mapping:
    return {"database": database, "type": "database", "privs": privs, "roles": roles, "optional": True, **more}


def _is_public(entry: Mapping) -> bool:
    return entry.get("type", "table") == "database" and any(role.upper() == "PUBLIC" for role in entry["roles"])


def _names(entry: Mapping) -> t.Iterable[str]:
    names = {"TEMP": "TEMPORARY"}
    privs = [priv.upper() for priv in entry.get("privs") or []]
    return EVERYBODY if {"ALL", "ALL PRIVILEGES"} & set(privs) else [names.get(priv, priv) for priv in privs]


def _users(database: str, hba: t.Sequence[Mapping]) -> t.Iterator[str]:
    """Whom pg_hba.conf lets into the database; PUBLIC where that is anybody, or not to be known."""
    for entry in hba:
        if entry.get("method") == "reject" or not _meets(entry["databases"], database):
            continue
        for user in entry["users"]:
            yield "PUBLIC" if user == "all" or user.startswith("/") else user.removeprefix("+")


def _meets(databases: t.Sequence[str], database: str) -> bool:
    return any(name in (database, "all", "sameuser", "samerole") or name.startswith("/") for name in databases)
