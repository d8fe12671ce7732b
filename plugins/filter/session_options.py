# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that give tasks the one definition of how a session begins."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import (
    KINDS,
    options,
    psql_preamble,
    role_settings,
)


def _session_options(kind: str, version: int = 0, more: t.Mapping[str, str] | None = None) -> str:
    return options(_known(kind), int(version), {name: str(value) for name, value in (more or {}).items()})


def _session_settings(kind: str) -> dict[str, str]:
    return role_settings(_known(kind))


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise AnsibleFilterError(f"There is no session of the kind {kind}; there are {', '.join(KINDS)}.")
    return str(kind)


def _with_session_preamble(statements: str) -> str:
    return psql_preamble() + statements


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "session_options": _session_options,
            "session_settings": _session_settings,
            "with_session_preamble": _with_session_preamble,
        }
