# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""How every session of this collection begins: the one definition, and the forms in which libpq, psql and drivers take it.

A database's owner sets what a session in it begins with (ALTER DATABASE .. SET), also for a superuser's, and makes what a
search path finds there. What a session is started with counts before what database and role have set.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# What everybody may set, so that any role can begin a session so. Values as SHOW shows them.
SETTINGS: dict[str, str] = {
    # Nothing that users make can take the place of what is pg_catalog's, and all else is named with its schema.
    "search_path": "",
    # An error where policies would hide rows: they run their tables' owner's code as whoever reads.
    "row_security": "off",
    # A database can make its sessions begin as another role, load a library or end with the first error.
    "role": "none",
    "local_preload_libraries": "",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # What a statement means.
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "xmloption": "content",
    "backslash_quote": "safe_encoding",
    "password_encryption": "scram-sha-256",
    "check_function_bodies": "on",
    "gin_fuzzy_search_limit": "0",
    # Where new objects go.
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    # How values and names are written as text: the same on every node, whatever its server, database and role have set.
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "quote_all_identifiers": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    # The server's log would have what statements are made of, and so the secrets in them.
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    # An idle session holds nothing, and the one that waits for another node is idle here.
    "idle_session_timeout": "0",
    # The kernel's own, for the server's end of the connection.
    "tcp_user_timeout": "0",
}

# What not every server knows, and the first version that does (160004 is 16.4). A session sets them first of all.
LATER_SETTINGS: dict[str, tuple[str, int]] = {
    "restrict_nonsystem_relation_kind": ("", 160004),
    "transaction_timeout": ("0", 170000),
}


@dataclass(frozen=True)
class Kind:
    """What a session is for: whether it may write, and how long it waits for what others can hold up."""

    read_only: bool
    statement_timeout: str
    lock_timeout: str
    idle_in_transaction_session_timeout: str


KINDS: dict[str, Kind] = {
    # Looks at catalogs and single rows.
    "look": Kind(True, "5min", "1min", "5min"),
    # Reads whole tables.
    "compare": Kind(True, "1d", "10min", "1h"),
    # Defines objects and writes single rows. Whoever waits for a table's lock holds up all who come after.
    "change": Kind(False, "1h", "1min", "10min"),
    # Writes, copies, indexes or checks whole tables.
    "load": Kind(False, "1d", "10min", "1h"),
    # Of the roles of apply workers and of the connections that they copy and read from: these have no options, and wait as long
    # as it takes, since whoever gives up begins anew.
    "apply": Kind(False, "0", "0", "0"),
}


def settings(kind: str) -> dict[str, str]:
    """The settings with which a session of this kind begins."""
    this = KINDS[kind]
    return {
        **SETTINGS,
        "default_transaction_read_only": "on" if this.read_only else "off",
        "statement_timeout": this.statement_timeout,
        "lock_timeout": this.lock_timeout,
        "idle_in_transaction_session_timeout": this.idle_in_transaction_session_timeout,
    }


def role_settings(kind: str) -> dict[str, str]:
    """The settings as a role's own, for sessions that take no options: of those who send rows, and who apply them.

    Neither loads libraries; and of an empty list a role keeps an empty name, with which no other session of it could begin.
    """
    return {name: value for name, value in settings(kind).items() if name != "local_preload_libraries"}


def later_settings(server_version: int) -> dict[str, str]:
    """What a session of a server of this version (160014 is 16.14) has to set first, beyond what it begins with."""
    return {name: value for name, (value, since) in LATER_SETTINGS.items() if server_version >= since}


def options(kind: str, major: int = 0, more: t.Mapping[str, str] | None = None) -> str:
    """The settings as libpq's ``options``, and so as PGOPTIONS.

    ``major`` is the server's version (16) where it is known before: then what its first release knew already is among them.
    ``more`` are settings of this one session, which count before the definition's.
    """
    chosen = {**settings(kind), **later_settings(major * 10000), **(more or {})}
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in chosen.items())


def preamble(server_version: int) -> str:
    """The statement with which a session of a server of this version sets what it could not begin with; empty where nothing."""
    return "; ".join(f"SET {name} = '{value}'" for name, value in later_settings(server_version).items())


def psql_preamble() -> str:
    """What psql reads first of all, whatever server it speaks to."""
    lines = []
    for name, (value, since) in LATER_SETTINGS.items():
        lines += [
            f"SELECT :SERVER_VERSION_NUM OPERATOR(pg_catalog.>=) {since} AS known \\gset",
            "\\if :known",
            f"SET {name} = '{value}';",
            "\\endif",
        ]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    """Words in ``options`` end at a space."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
