# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Redis' file of users: who may do what with which keys. Pure."""

from __future__ import annotations

import hashlib
import re
import typing as t

User = t.Mapping[str, t.Any]

# What reads and writes data by its key. Without what looks at or empties the whole server, which no pattern of keys limits, and
# without programs: functions are everybody's, and a script may run for ever.
DEFAULT_COMMANDS = (
    "+@read", "+@write", "+@connection", "+@transaction", "-@dangerous", "-@scripting", "-scan", "-randomkey", "-dbsize",
)  # fmt: skip

_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_COMMAND = re.compile(r"^[+-](@[a-z]+|[a-z0-9-]+(\|[a-z0-9-]+)?)$")
_PATTERN = re.compile(r"^[^\s%~&]+$")


def acl_file(users: t.Iterable[User]) -> str:
    """The lines of an ACL file: the users, and the default user off. Passwords become their SHA-256, as Redis keeps them."""
    # Nobody can log in as the default user. But Redis reads its append-only file as this user when it starts, and leaves out each
    # transaction that it might not run.
    lines = ["user default off resetpass ~* &* +@all"]
    for user in users:
        words = ["user", str(user["name"]), "on", "#" + hashlib.sha256(str(user["password"]).encode()).hexdigest()]
        words += [f"~{pattern}" for pattern in user.get("keys") or []]
        words += [f"%R~{pattern}" for pattern in user.get("read_keys") or []]
        words += ["resetchannels", *(f"&{pattern}" for pattern in user.get("channels") or [])]
        words += ["-@all", *(user.get("commands") or DEFAULT_COMMANDS)]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def acl_problems(users: t.Sequence[User]) -> list[str]:
    """One sentence for each thing that no ACL file can say. Shows no password."""
    problems = []
    names = [str(user.get("name", "")) for user in users]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            problems.append(f"redis_users has {name} more than once.")
        if name == "default":
            problems.append("redis_users cannot have the user default: it is off.")
        elif not _NAME.match(name):
            problems.append(f"redis_users has the name {name!r}; letters, digits, _, . and - are possible.")
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
