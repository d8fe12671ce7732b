# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that compares a package source's key with the fingerprint that it must have."""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._openpgp import fingerprints


def openpgp_key_problem(content: str, fingerprint: str) -> str:
    try:
        found = fingerprints(base64.b64decode(content, validate=True))
    except (ValueError, binascii.Error) as error:
        return f"it cannot be read as an OpenPGP key: {error}"
    wanted = "".join(fingerprint.split()).upper()
    return "" if set(found) == {wanted} else f"it holds {', '.join(found)}, and {wanted} is expected, alone"


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"openpgp_key_problem": openpgp_key_problem}
