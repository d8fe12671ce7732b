# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What psql is told to grant on all objects of a schema: its own variables hold the names, so that psql quotes them."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

_KINDS = {"table": "TABLES", "sequence": "SEQUENCES"}
_PRIVILEGE = re.compile(r"[A-Za-z]+( [A-Za-z]+)*")


def is_of_all(entry: t.Mapping[str, t.Any]) -> bool:
    """Whether the entry of postgresql_privileges is for all tables or sequences of a schema."""
    return list(entry.get("objs") or []) == ["ALL_IN_SCHEMA"] and entry.get("type", "table") in _KINDS


def privileges_of_all(entry: t.Mapping[str, t.Any], role: str) -> str:
    """The statement for one role of an entry of all objects; psql's variables ``schema`` and ``role`` are the names."""
    privileges = [str(privilege).strip() for privilege in entry.get("privs") or []]
    for privilege in privileges:
        if not _PRIVILEGE.fullmatch(privilege):
            raise AnsibleFilterError(f"postgresql_privileges has {privilege}, which is no privilege.")
    what = f"{', '.join(privileges).upper()} ON ALL {_KINDS[entry.get('type', 'table')]} IN SCHEMA :\"schema\""
    who = "PUBLIC" if role.upper() == "PUBLIC" else ':"role"'
    if entry.get("state", "present") == "absent":
        return f"REVOKE {what} FROM {who};\n"
    option = entry.get("grant_option")
    grant = f"GRANT {what} TO {who}{' WITH GRANT OPTION' if option else ''};\n"
    return grant if option is not False else f"{grant}REVOKE GRANT OPTION FOR {what} FROM {who};\n"
