# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that turns a password into what PostgreSQL stores of it."""

from __future__ import annotations

import binascii
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._scram import DEFAULT_ITERATIONS, scram_sha_256


def _scram_sha_256(password: str, salt: str | None = None, iterations: int = DEFAULT_ITERATIONS) -> str:
    try:
        return scram_sha_256(str(password), salt, int(iterations))
    except binascii.Error:
        raise AnsibleFilterError("The salt of a SCRAM verifier is base64; this one is not.") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"scram_sha_256": _scram_sha_256}
