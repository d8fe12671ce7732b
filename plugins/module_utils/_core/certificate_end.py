# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""When a certificate ends, read without a library, which hosts do not have. Pure."""

from __future__ import annotations

import base64
import datetime
import re
import ssl

_CRL = re.compile("-----BEGIN X509 CRL-----(.+?)-----END X509 CRL-----", re.DOTALL)
_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18
_VERSION = 0xA0


def first_end(text: str) -> datetime.datetime:
    """The end of that certificate in the PEM text that ends first. ValueError where there is none that can be read."""
    found = [_end(ssl.PEM_cert_to_DER_cert(pem)) for pem in _PEM.findall(text)]
    if not found:
        raise ValueError("no certificate")
    return min(found)


def first_update(text: str) -> datetime.datetime:
    """When the first of the revocation lists in the PEM text must be followed by a new one. ValueError where none can be read."""
    found = [_next_update(base64.b64decode(pem)) for pem in _CRL.findall(text)]
    if not found:
        raise ValueError("no list")
    return min(found)


def _next_update(der: bytes) -> datetime.datetime:
    """RFC 5280, 5.1: CertificateList { TBSCertList { version, signature, issuer, thisUpdate, nextUpdate .. } .. }"""
    fields = _elements(_content(_content(der, _SEQUENCE), _SEQUENCE))
    times = [each for each in fields if each[0] in (_UTC_TIME, _GENERALIZED_TIME)]
    if len(times) < 2:
        raise ValueError("no next update")
    return _time(*times[1])


def _end(der: bytes) -> datetime.datetime:
    """RFC 5280, 4.1: Certificate { TBSCertificate { [0] version, serial, algorithm, issuer, Validity { begin, end } .. } .. }"""
    fields = _elements(_content(_content(der, _SEQUENCE), _SEQUENCE))
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    if len(fields) < 4 or fields[3][0] != _SEQUENCE:
        raise ValueError("no certificate")
    times = _elements(fields[3][1])
    if len(times) != 2:
        raise ValueError("no validity")
    return _time(*times[1])


def _time(kind: int, value: bytes) -> datetime.datetime:
    if kind not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no time")
    digits = value.decode("ascii")
    if kind == _UTC_TIME:
        # Two digits of the year, from 1950 to 2049.
        digits = ("20" if digits < "50" else "19") + digits
    return datetime.datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def _content(der: bytes, kind: int) -> bytes:
    """What the first element holds."""
    (found, content), *_rest = _elements(der) or [(0, b"")]
    if found != kind:
        raise ValueError("no certificate")
    return content


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """The kind and the content of each element, in order."""
    found, at = [], 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("cut off")
        kind, length, at = der[at], der[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("cut off")
        found.append((kind, der[at : at + length]))
        at += length
    return found
