# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a certificate as the host reads it, without a library."""

from __future__ import annotations

import base64
import datetime
import ssl
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.certificate_end import first_end, first_update

KEY = ec.generate_private_key(ec.SECP256R1())
UTC = datetime.timezone.utc
BEGIN = datetime.datetime(1960, 1, 1, tzinfo=UTC)
times = st.datetimes(datetime.datetime(1961, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC))


def pem(end: datetime.datetime, name: str = "pg1") -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .sign(KEY, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def revocations(update: datetime.datetime) -> str:
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    revoked = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(BEGIN).build()
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(BEGIN)
        .next_update(update)
        .add_revoked_certificate(revoked)
        .add_extension(x509.CRLNumber(3), critical=False)
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


@given(times)
def test_a_list_of_revoked_certificates_has_an_end_too(update: datetime.datetime) -> None:
    assert first_update(revocations(update)) == update.replace(microsecond=0)


def test_no_list() -> None:
    with pytest.raises(ValueError, match="no list"):
        first_update(pem(datetime.datetime(2030, 1, 1, tzinfo=UTC)))


@given(times)
def test_any_end(end: datetime.datetime) -> None:
    assert first_end(pem(end)) == end.replace(microsecond=0)


def test_of_several_the_first_to_end_counts() -> None:
    ends = [datetime.datetime(year, 6, 1, tzinfo=UTC) for year in (2030, 2028, 2051)]
    assert first_end("a comment\n" + "".join(map(pem, ends))) == ends[1]


@pytest.mark.parametrize(
    "cut", [lambda der: b"", lambda der: b"0", lambda der: b"0\x80", lambda der: b"0\x020\x00", lambda der: der[:60]],
    ids=["empty", "no length", "no content", "no fields", "cut off"],
)
def test_what_is_no_certificate(cut: t.Callable[[bytes], bytes]) -> None:
    content = cut(ssl.PEM_cert_to_DER_cert(pem(BEGIN.replace(year=2030))))
    text = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(content).decode()}\n-----END CERTIFICATE-----\n"
    for each in (text, "", "no"):
        with pytest.raises(ValueError, match=r".*"):
            first_end(each)
