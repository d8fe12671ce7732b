# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What of a server's roles, databases, schema files and privileges is not as role postgresql was asked to make it.

``server`` is what ``roles/postgresql/files/server.sql`` and ``database.sql`` print, as one mapping. It is empty while no server
answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._privileges import (
    PRIVILEGE_TYPES,
    privilege_statements,
    quoted,
)
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._scram import DEFAULT_ITERATIONS, scram_sha_256

Mapping = t.Mapping[str, t.Any]

DEFAULT_FLAGS = {
    "SUPERUSER": False,
    "CREATEROLE": False,
    "CREATEDB": False,
    "INHERIT": True,
    "LOGIN": True,
    "REPLICATION": False,
    "BYPASSRLS": False,
}


def roles_differing(roles: t.Sequence[Mapping], server: Mapping) -> list[dict[str, t.Any]]:
    """The roles that differ, each with what differs: absent, attributes, password (booleans), and what to join and leave."""
    states = (_role_state(role, server) for role in roles)
    return [state for state in states if any(state[key] for key in ("absent", "attributes", "password", "join", "leave"))]


def _role_state(role: Mapping, server: Mapping) -> dict[str, t.Any]:
    there = (server.get("roles") or {}).get(role["name"]) or {}
    present = role.get("state", "present") == "present"
    flags = _flags(role)
    attributes = present and (
        not there
        or dict(there["flags"]) != flags
        or not there["expires_as_wanted"]
        or there["connection_limit"] != int(role.get("connection_limit", -1))
        or ("comment" in role and (there.get("comment") or "") != role["comment"])
        or _settings_differ(role, there)
    )
    member_of = list(there.get("member_of") or [])
    wanted = list(role.get("member_of") or [])
    return {
        "name": role["name"],
        "absent": bool(there) and not present,
        "attributes": attributes,
        "flags": flags,
        "password": present and "password" in role and "passwords" in server and _password_differs(role, server),
        "join": [group for group in wanted if group not in member_of] if present else [],
        "leave": [group for group in member_of if group not in wanted] if present and there and "member_of" in role else [],
    }


def _settings_differ(role: Mapping, there: Mapping) -> bool:
    """Whether one of the settings that are stated is not the role's. Of an empty list the server keeps an empty name, and of
    each name its own spelling: TimeZone."""
    now = {name.lower(): value for name, value in (there.get("settings") or {}).items()}
    stated = role.get("settings") or {}
    return any(now.get(name.lower()) not in (str(value), str(value) or '""') for name, value in stated.items())


def _flags(role: Mapping) -> dict[str, bool]:
    flags = dict(DEFAULT_FLAGS)
    for flag in role.get("flags") or []:
        flags[flag.upper().removeprefix("NO")] = not flag.upper().startswith("NO")
    return flags


def _password_differs(role: Mapping, server: Mapping) -> bool:
    there = (server["passwords"] or {}).get(role["name"]) or {}
    if role["password"] == "":
        return bool(there)
    verifier = scram_sha_256(str(role["password"]), there.get("salt"), int(there.get("iterations") or DEFAULT_ITERATIONS))
    return there.get("digest", "") != hashlib.sha256(verifier.encode()).hexdigest()


def databases_differing(databases: t.Sequence[Mapping], server: Mapping) -> list[Mapping]:
    """The entries of ``postgresql_databases`` whose database is not there or not as described."""
    return [database for database in databases if _database_differs(database, server)]


def _database_differs(database: Mapping, server: Mapping) -> bool:
    there = (server.get("databases") or {}).get(database["name"])
    if not there:
        return True
    contents = (server.get("contents") or {}).get(database["name"]) or {}
    return (
        ("owner" in database and there["owner"] != database["owner"])
        or there["connection_limit"] != int(database.get("connection_limit", -1))
        or ("comment" in database and (there.get("comment") or "") != database["comment"])
        or bool(set(database.get("extensions") or []) - set(contents.get("extensions") or []))
    )


def schema_files(files: t.Sequence[Mapping], server: Mapping) -> list[dict[str, t.Any]]:
    """Every schema file with its digest, when it was applied ('' for not yet), and whether it has changed since."""
    return [_schema_file(file, server) for file in files]


def _schema_file(file: Mapping, server: Mapping) -> dict[str, t.Any]:
    path = os.path.expanduser(file["path"])
    name = file.get("name") or os.path.basename(path)
    contents = (server.get("contents") or {}).get(file["database"]) or {}
    applied = (contents.get("schema_files") or {}).get(name) or {}
    with open(path, "rb") as content:
        sha256 = hashlib.sha256(content.read()).hexdigest()
    return {
        "name": name,
        "path": path,
        "database": file["database"],
        "role": file.get("role") or "",
        "sha256": sha256,
        "on_change": file.get("on_change") or "fail",
        "applied": applied.get("applied") or "",
        "changed": bool(applied) and applied["sha256"] != sha256,
    }


def schema_files_due(files: t.Sequence[Mapping]) -> list[Mapping]:
    """Those not applied yet, and those that changed and may be applied again."""
    return [file for file in files if not file["applied"]] + [
        file for file in files if file["applied"] and file["changed"] and file["on_change"] == "apply"
    ]


def privileges_wanted(privileges: t.Sequence[Mapping]) -> list[dict[str, t.Any]]:
    """The entries whose state can be read, complete, each with its place in the list, as ``privileges.sql`` takes them."""
    entries = []
    for index, entry in enumerate(privileges):
        kind = entry.get("type", "table")
        if kind in PRIVILEGE_TYPES:
            entries.append(
                {
                    "schema": "public" if kind in ("table", "sequence") else None,
                    **entry,
                    "index": index,
                    "type": "column" if "columns" in entry else kind,
                    "objs": _columns(entry) if "columns" in entry else entry.get("objs"),
                    "privs": entry.get("privs", []),
                    "roles": entry["roles"],
                }
            )
    return entries


def _columns(entry: Mapping) -> list[str]:
    """The columns that an entry is for, as the look at the database names them."""
    return [json.dumps([table, column], ensure_ascii=False) for table in entry["objs"] for column in entry["columns"]]


def privileges_differing(privileges: t.Sequence[Mapping], server: Mapping) -> list[Mapping]:
    """The entries that are not as the server has it, and those whose state is not read; not those of ``privileges_unknown``."""
    different = {index for contents in _contents(server) for index in contents["privileges"]["different"]}
    different.difference_update(_unknown(server))
    return [
        entry
        for index, entry in enumerate(privileges)
        if "columns" not in entry and (index in different or entry.get("type", "table") not in PRIVILEGE_TYPES)
    ]


def privileges_due(privileges: t.Sequence[Mapping], server: Mapping) -> list[dict[str, str]]:
    """What makes the privileges as the entries have them: statements, each with its database.

    Those on columns come last: to revoke a privilege on a table revokes it on each of its columns.
    """
    granted = [entry for entry in privileges_differing(privileges, server) if entry.get("type", "table") in PRIVILEGE_TYPES]
    surplus = [{**entry, "roles": [entry["role"]], "state": "absent"} for entry in privileges_surplus(server)]
    return [
        *(
            {"database": entry["database"], "statement": statement}
            for entry in (*granted, *surplus)
            for statement in privilege_statements(entry)
        ),
        *column_privileges(privileges, server),
    ]


def privileges_of_other_types(privileges: t.Sequence[Mapping]) -> list[Mapping]:
    """The entries whose state is not read."""
    return [entry for entry in privileges if entry.get("type", "table") not in PRIVILEGE_TYPES]


def column_privileges(privileges: t.Sequence[Mapping], server: Mapping) -> list[dict[str, str]]:
    """The same for privileges on columns."""
    different = {index for contents in _contents(server) for index in contents["privileges"]["different"]}
    different.difference_update(_unknown(server))
    found = [
        {"database": entry["database"], "statement": _on_columns(name, entry["schema"], entry["privs"], [entry["role"]], False)}
        for entry in privileges_surplus(server, of_columns=True)
        for name in entry["objs"]
    ]
    for index in sorted(different):
        entry = privileges[index]
        if "columns" in entry:
            is_granted = entry.get("state", "present") == "present"
            for name in _columns(entry):
                statement = _on_columns(name, entry.get("schema", "public"), entry["privs"], entry["roles"], is_granted)
                found.append({"database": entry["database"], "statement": statement})
    return found


def _on_columns(name: str, schema: str, privs: t.Sequence[str], roles: t.Sequence[str], is_granted: bool) -> str:
    table, column = json.loads(name)
    what = ", ".join(f"{priv.upper()} ({quoted(column)})" for priv in privs)
    to = ", ".join("PUBLIC" if role.upper() == "PUBLIC" else quoted(role) for role in roles)
    words = ("GRANT", "TO") if is_granted else ("REVOKE", "FROM")
    return f"{words[0]} {what} ON {quoted(schema)}.{quoted(table)} {words[1]} {to}"


def privileges_surplus(server: Mapping, of_columns: bool = False) -> list[dict[str, t.Any]]:
    """What roles hold beyond the entries that name them, each with its database; of columns, or of all else."""
    return [
        {**entry, "database": name}
        for name, contents in (server.get("contents") or {}).items()
        for entry in contents["privileges"]["surplus"]
        if (entry.get("type") == "column") == of_columns
    ]


def privileges_unknown(privileges: t.Sequence[Mapping], server: Mapping) -> list[t.Any]:
    """The places of the entries that name an object or a role that is not there, and must not."""
    return [index for index in _unknown(server) if not privileges[index].get("optional")]


def _unknown(server: Mapping) -> list[t.Any]:
    return [index for contents in _contents(server) for index in contents["privileges"]["unknown"]]


def privileges_unknown_named(unknown: t.Sequence[int], stated: t.Sequence[Mapping], added: t.Sequence[Mapping]) -> list[str]:
    """The entries at these places, as who reads them knows them: by their place in the user's list, or by what they grant."""
    return [
        f"postgresql_privileges[{index}] ({_granted(stated[index])})"
        if index < len(stated)
        else f"{_granted(added[index - len(stated)])}, which the playbook grants"
        for index in unknown
    ]


def _granted(entry: Mapping) -> str:
    objects = [*entry.get("objs", [])] or [entry["database"]]
    return f"{', '.join(entry.get('privs', []))} on {', '.join(objects)} in {entry['database']} to {', '.join(entry['roles'])}"


def _contents(server: Mapping) -> t.Iterable[Mapping]:
    return (server.get("contents") or {}).values()


def server_differences(wanted: Mapping, server: Mapping) -> dict[str, t.Any]:
    """All of the above at once. ``wanted`` has the lists roles, databases, schema_files and privileges of role postgresql."""
    files = schema_files(wanted["schema_files"], server)
    return {
        "roles": roles_differing(wanted["roles"], server),
        "databases": databases_differing(wanted["databases"], server),
        "schema_files": files,
        "schema_files_due": schema_files_due(files),
        "privileges": privileges_differing(wanted["privileges"], server),
        "privileges_due": privileges_due(wanted["privileges"], server),
        "privileges_of_other_types": privileges_of_other_types(wanted["privileges"]),
        "privileges_unknown": privileges_unknown(wanted["privileges"], server),
    }
