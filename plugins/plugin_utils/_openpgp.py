# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Fingerprints of OpenPGP keys (RFC 4880 and 9580): hosts have no gpg, and the verifier that apt brings names no keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t

_PUBLIC_KEY = 6


def fingerprints(key: str | bytes) -> list[str]:
    """The fingerprints of the primary keys in an armored or binary key file, in capitals.

    :raises ValueError: what is given is no OpenPGP key.
    """
    data = key.encode("utf-8", "surrogateescape") if isinstance(key, str) else key
    if data.lstrip().startswith(b"-----BEGIN PGP"):
        data = _unarmored(data)
    found = [_fingerprint(body) for tag, body in _packets(data) if tag == _PUBLIC_KEY]
    if not found:
        raise ValueError("it holds no public key")
    return found


def _unarmored(data: bytes) -> bytes:
    """The content of all armored blocks of a file."""
    whole = b""
    for block in data.split(b"-----BEGIN PGP")[1:]:
        lines = [line.strip() for line in block.split(b"-----END PGP")[0].splitlines()]
        if b"" not in lines:
            raise ValueError("its armor has no empty line after the headers")
        text = b"".join(line for line in lines[lines.index(b"") + 1 :] if not line.startswith(b"="))
        try:
            whole += base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("its armor is no base64") from None
    return whole


def _packets(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag = data[at]
        if not tag & 0x80:
            raise ValueError("it is no OpenPGP key")
        length, begin = (_new_length if tag & 0x40 else _old_length)(data, at)
        if begin + length > len(data):
            raise ValueError("it ends too early")
        yield (tag & 0x3F if tag & 0x40 else (tag & 0x3C) >> 2), data[begin : begin + length]
        at = begin + length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Length of the body and where it begins, for packets of the newer format. Keys have no partial lengths."""
    first = data[at + 1] if at + 1 < len(data) else 0
    if first < 192:
        return first, at + 2
    if first == 255:
        return int.from_bytes(data[at + 2 : at + 6], "big"), at + 6
    if first >= 224:
        raise ValueError("it has a packet of unknown length")
    second = data[at + 2] if at + 2 < len(data) else 0
    return ((first - 192) << 8) + second + 192, at + 3


def _old_length(data: bytes, at: int) -> tuple[int, int]:
    size = {0: 1, 1: 2, 2: 4}.get(data[at] & 3)
    if size is None:
        raise ValueError("it has a packet of unknown length")
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    if version == 4:
        # The standard's own definition; the checksum is not ours to choose.
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError(f"it holds a key of version {version}, whose fingerprint cannot be told")
