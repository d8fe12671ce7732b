# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Names and addresses as a certificate's subjectAltName holds them."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def subject_alt_names(names: t.Iterable[str]) -> list[str]:
    """``DNS:name`` or ``IP:address`` for each, once, in the spelling that a certificate gives back."""
    return list(dict.fromkeys(_subject_alt_name(str(name).strip()) for name in names))


def _subject_alt_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name).compressed}"
    except ValueError:
        pass
    try:
        spelt = name.rstrip(".").encode("idna").decode().lower() if not name.isascii() else name.rstrip(".").lower()
    except UnicodeError:
        spelt = ""
    labels = spelt.removeprefix("*.").split(".")
    if len(spelt) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise MultimasterError(
            f"A certificate cannot carry the name {name!r}: it is neither a host name nor an address. "
            "Take it out of the names that the certificate is for, or correct it."
        )
    return f"DNS:{spelt}"
