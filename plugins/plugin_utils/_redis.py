# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What role redis cannot be given. Pure."""

from __future__ import annotations

import re
import typing as t

User = t.Mapping[str, t.Any]

# Redis itself needs that much.
LEAST_MEMORY_MB = 16

_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_COMMAND = re.compile(r"^[+-](@[a-z]+|[a-z0-9-]+(\|[a-z0-9-]+)?)$")
_PATTERN = re.compile(r"^[^\s%~&]+$")


def problems(values: t.Mapping[str, t.Any], facts: t.Mapping[str, t.Any]) -> list[str]:
    """One sentence for each thing that variables of the right type cannot say together. Shows no password.

    ``facts``: ``kept``, the settings that the role makes itself.
    """
    port, memory = int(values["redis_port"]), int(values["redis_memory_max_mb"])
    kept = [name for name in values["redis_settings"] if name in facts["kept"]]
    found = acl_problems([*values["redis_users"], *values["redis_mesh_users"]])
    if not 0 < port < 65536:
        found.append(f"redis_port is {port}, which is no port.")
    if memory < LEAST_MEMORY_MB:
        found.append(f"redis_memory_max_mb is {memory}; Redis itself needs at least {LEAST_MEMORY_MB}.")
    if kept:
        found.append(f"redis_settings cannot hold {', '.join(kept)}, which this role keeps.")
    return found


def acl_problems(users: t.Sequence[User]) -> list[str]:
    """One sentence for each thing that no ACL file can say. Shows no password."""
    problems = []
    names = [str(user.get("name", "")) for user in users]
    for each in sorted(set(names)):
        if names.count(each) > 1:
            problems.append(f"redis_users has {each} more than once.")
        if each == "default":
            problems.append("redis_users cannot have the user default: it is off.")
        elif not _NAME.match(each):
            problems.append(f"redis_users has the name {each!r}; letters, digits, _, . and - are possible.")
    for user in users:
        name = user.get("name")
        if len(str(user.get("password") or "")) < 8:
            problems.append(f"The password of the Redis user {name} has fewer than 8 characters.")
        if not (user.get("keys") or user.get("read_keys")):
            problems.append(f"The Redis user {name} has neither keys nor read_keys: name the patterns of its keys.")
        for part in ("keys", "read_keys", "channels"):
            for pattern in user.get(part) or []:
                if not _PATTERN.match(str(pattern)):
                    problems.append(f"{part} of the Redis user {name} has {pattern!r}; a pattern such as catalogue:* is meant.")
        for command in user.get("commands") or []:
            if not _COMMAND.match(str(command)):
                problems.append(f"commands of the Redis user {name} has {command!r}; +@read, -@dangerous or +get are meant.")
    return problems
