# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates on the controller: due exactly when something is wrong with them, and the reason says what."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from ansible_collections.multimaster.postgresql.plugins.module_utils._errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._certificates import (
    Wanted,
    authority_due,
    certificate_due,
    given_problem,
)

NOW = datetime.datetime.now(datetime.timezone.utc)
SOON = NOW + datetime.timedelta(days=30)
Key = ec.EllipticCurvePrivateKey


def write_key(file: Path, passphrase: str = "") -> Key:
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return key


def write_certificate(file: Path, key: Key, name: str, issuer: tuple[str, Key], *, days: int = 365) -> None:
    def subject(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    names = x509.SubjectAlternativeName([x509.DNSName("pg1"), x509.IPAddress(ipaddress.ip_address("2001:db8::1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .issuer_name(subject(issuer[0]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=400))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(issuer[1], hashes.SHA256())
    )
    file.write_bytes(certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def authority(tmp_path: Path) -> Wanted:
    wanted = Wanted("authority", tmp_path / "ca.crt", tmp_path / "ca.key", common_name="authority")
    key = write_key(wanted.key)
    write_certificate(wanted.certificate, key, "authority", ("authority", key))
    return wanted


@pytest.fixture
def server(tmp_path: Path, authority: Wanted) -> Wanted:
    names = ("DNS:pg1", "IP:2001:db8::1")
    wanted = Wanted("server", tmp_path / "pg1.crt", tmp_path / "pg1.key", "pg1", names, authority.certificate)
    issue(wanted, authority)
    return wanted


def issue(wanted: Wanted, authority: Wanted, *, days: int = 365) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    issuer = load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(issuer, Key)
    write_certificate(wanted.certificate, write_key(wanted.key), "pg1", ("authority", issuer), days=days)


def test_good_ones_are_not_due(authority: Wanted, server: Wanted) -> None:
    assert authority_due(authority, SOON) == ""
    assert certificate_due(server, SOON) == ""


@pytest.mark.parametrize(("missing", "reason"), [("certificate", "is not there yet"), ("key", "has no key")])
def test_missing(server: Wanted, missing: str, reason: str) -> None:
    getattr(server, missing).unlink()
    assert certificate_due(server, SOON) == reason


def test_ends_soon(server: Wanted, authority: Wanted) -> None:
    issue(server, authority, days=29)
    assert certificate_due(server, SOON).startswith("ends on ")


def test_other_names(server: Wanted) -> None:
    assert "not for DNS:pg1, DNS:pg2" in certificate_due(
        dataclasses.replace(server, subject_alt_names=("DNS:pg1", "DNS:pg2")), SOON
    )
    assert certificate_due(dataclasses.replace(server, common_name="pg2"), SOON) == "is for pg1 and not for pg2"


def test_a_pair_that_does_not_belong_together(server: Wanted) -> None:
    write_key(server.key)
    assert certificate_due(server, SOON) == "has another key"


@pytest.mark.parametrize("broken", ["certificate", "key"])
def test_cannot_be_read(server: Wanted, broken: str) -> None:
    getattr(server, broken).write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    assert certificate_due(server, SOON) == "cannot be read"


def test_a_new_authority(server: Wanted, authority: Wanted) -> None:
    key = write_key(authority.key)
    write_certificate(authority.certificate, key, "authority", ("authority", key))
    assert certificate_due(server, SOON) == "was issued by another authority"
    authority.certificate.unlink()
    assert certificate_due(server, SOON) == "has a new authority"


def test_an_authority_renewed_with_its_key_keeps_what_it_issued(server: Wanted, authority: Wanted) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(key, Key)
    write_certificate(authority.certificate, key, "authority", ("authority", key), days=4000)
    assert certificate_due(server, SOON) == ""


def test_an_authority_s_key_may_be_kept_elsewhere(authority: Wanted) -> None:
    authority.key.unlink()
    assert authority_due(authority, SOON) == ""


def test_an_authority_is_never_replaced_by_mistake(authority: Wanted) -> None:
    write_key(authority.key)
    with pytest.raises(MultimasterError, match="is not the key of"):
        authority_due(authority, SOON)
    authority.key.write_text("broken")
    with pytest.raises(MultimasterError, match="cannot be read as a PEM private key"):
        authority_due(authority, SOON)


def test_passphrase(authority: Wanted) -> None:
    key = write_key(authority.key, "open sesame")
    write_certificate(authority.certificate, key, "authority", ("authority", key))
    assert authority_due(dataclasses.replace(authority, passphrase="open sesame"), SOON) == ""
    with pytest.raises(MultimasterError, match="with the passphrase given") as error:
        authority_due(dataclasses.replace(authority, passphrase="wrong one"), SOON)
    assert "wrong one" not in str(error.value)


def test_what_users_bring(server: Wanted, authority: Wanted) -> None:
    brought = dataclasses.replace(server, common_name="", subject_alt_names=())
    assert given_problem(brought, NOW) == ""
    assert given_problem(dataclasses.replace(brought, common_name="replicator"), NOW).endswith(
        "is for pg1 and not for replicator"
    )
    write_key(server.key)
    assert "is not the key of" in given_problem(brought, NOW)
    server.key.unlink()
    assert given_problem(brought, NOW).endswith("is not there")
    issue(server, authority, days=-1)
    assert "ends on" in given_problem(brought, NOW)
