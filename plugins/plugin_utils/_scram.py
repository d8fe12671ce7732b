# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Password verifiers as PostgreSQL stores them (RFC 5803), made where the password is and not on the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata

DEFAULT_ITERATIONS = 4096
_SALT_BYTES = 16
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")


def is_verifier(password: str) -> bool:
    """Whether this is what PostgreSQL would store as it is, rather than a password in clear."""
    return _VERIFIER.fullmatch(password) is not None


def scram_sha_256(password: str, salt: str | None = None, iterations: int = DEFAULT_ITERATIONS) -> str:
    """The verifier of a password, with the base64 ``salt`` given or a new one; a verifier stays as it is."""
    if is_verifier(password):
        return password
    raw_salt = base64.b64decode(salt, validate=True) if salt else secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), raw_salt, iterations)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_base64(raw_salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _prepared(password: str) -> bytes:
    """SASLprep (RFC 4013), as the server and libpq do it: what it forbids is taken as it is."""
    if password.isascii():
        return password.encode()
    mapped = (" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", "".join(mapped))
    return (password if _is_forbidden(prepared) else prepared).encode()


_FORBIDDEN = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _is_forbidden(text: str) -> bool:
    if not text or any(table(c) for c in text for table in _FORBIDDEN):
        return True
    right_to_left = [stringprep.in_table_d1(c) for c in text]
    mixed = any(stringprep.in_table_d2(c) for c in text) or not (right_to_left[0] and right_to_left[-1])
    return any(right_to_left) and mixed


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
