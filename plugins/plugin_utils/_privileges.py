# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""The statements that grant and revoke what entries of postgresql_privileges say.

Names are quoted here, whatever they hold: those of what a role has too much of are of the users' own making.
"""

from __future__ import annotations

import re
import typing as t

Entry = t.Mapping[str, t.Any]

# What is compared in one look, and so set by statements; entries of other types are set by every run.
PRIVILEGE_TYPES = ("database", "schema", "table", "sequence", "default_privs")
_DEFAULT_KINDS = ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS")
_PRIVILEGE = re.compile(r"[A-Za-z]+([ _][A-Za-z]+)*")


def privilege_statements(entry: Entry) -> list[str]:
    """What makes the server as an entry of PRIVILEGE_TYPES has it."""
    privs, who = _privileges(entry), _roles(entry["roles"])
    if entry.get("type", "table") == "default_privs":
        return _defaults(entry, privs, who)
    what = f"{privs} ON {_objects(entry)}"
    if entry.get("state", "present") == "absent":
        return [f"REVOKE {what} FROM {who}"]
    grant = f"GRANT {what} TO {who}"
    option = entry.get("grant_option")
    if option is None:
        return [grant]
    return [f"{grant} WITH GRANT OPTION"] if option else [grant, f"REVOKE GRANT OPTION FOR {what} FROM {who}"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _privileges(entry: Entry) -> str:
    privs = [str(privilege).strip() for privilege in entry.get("privs") or []]
    for privilege in privs:
        if not _PRIVILEGE.fullmatch(privilege):
            raise ValueError(f"postgresql_privileges has {privilege}, which is no privilege.")
    return ", ".join(privilege.upper().replace("_", " ") for privilege in privs)


def _roles(roles: t.Iterable[str]) -> str:
    return ", ".join("PUBLIC" if role.upper() == "PUBLIC" else quoted(role) for role in roles)


def _objects(entry: Entry) -> str:
    kind = entry.get("type", "table")
    objs = list(entry.get("objs") or [])
    if kind in ("database", "schema"):
        return f"{kind.upper()} {', '.join(map(quoted, objs or [entry['database']]))}"
    schema = quoted(entry.get("schema") or "public")
    if objs == ["ALL_IN_SCHEMA"]:
        return f"ALL {kind.upper()}S IN SCHEMA {schema}"
    return f"{kind.upper()} {', '.join(f'{schema}.{quoted(name)}' for name in objs)}"


def _defaults(entry: Entry, privs: str, who: str) -> list[str]:
    """Of a role's future objects: these privileges and no others."""
    makers = f" FOR ROLE {', '.join(map(quoted, entry['target_roles']))}" if entry.get("target_roles") else ""
    place = f" IN SCHEMA {quoted(entry['schema'])}" if entry.get("schema") else ""
    option = " WITH GRANT OPTION" if entry.get("grant_option") else ""
    statements = []
    for kind in entry.get("objs") or []:
        if kind not in _DEFAULT_KINDS:
            raise ValueError(f"postgresql_privileges has default_privs on {kind}; there are {', '.join(_DEFAULT_KINDS)}.")
        statements.append(f"ALTER DEFAULT PRIVILEGES{makers}{place} REVOKE ALL ON {kind} FROM {who}")
        if entry.get("state", "present") == "present":
            statements.append(f"ALTER DEFAULT PRIVILEGES{makers}{place} GRANT {privs} ON {kind} TO {who}{option}")
    return statements
