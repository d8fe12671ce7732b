# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Connection strings: made and parsed by the driver, compared by parameter, shown without secrets."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import MASK

try:
    import psycopg2
    from psycopg2 import extensions
except ImportError:  # reported by _runner.run_module; the import must succeed without it
    psycopg2 = None  # type: ignore[assignment]

SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})


def build(parameters: dict[str, str]) -> str:
    """The connection string of these parameters, quoted as libpq reads it."""
    for name, value in parameters.items():
        if "\0" in value:
            raise MultimasterError(f"The peer's connection parameter {name} holds a NUL character, which libpq refuses.")
    try:
        return extensions.make_dsn(**parameters)
    except psycopg2.Error:
        names = ", ".join(name for name in parameters if not _is_known(name))
        raise MultimasterError(
            f"The peer's connection parameters cannot be used: libpq does not know {names or 'one of them'}. "
            "Look at connect_params."
        ) from None


def parse(text: str) -> dict[str, str]:
    """The parameters in a connection string; an unreadable one has none."""
    try:
        return extensions.parse_dsn(text)
    except (psycopg2.Error, ValueError):
        return {}


def without_secrets(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters that results may hold."""
    return {name: value for name, value in parameters.items() if name not in SECRETS}


def masked(parameters: dict[str, str]) -> str:
    """The connection string that statements show."""
    return build({name: MASK if name in SECRETS else value for name, value in parameters.items()})


def secrets(parameters: dict[str, t.Any]) -> list[str]:
    """The values that must never be shown."""
    return [str(value) for name, value in parameters.items() if name in SECRETS and value]


def _is_known(name: str) -> bool:
    try:
        extensions.parse_dsn(f"{name}=x")
    except psycopg2.Error:
        return False
    return True
