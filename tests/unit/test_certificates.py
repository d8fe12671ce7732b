# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates on the controller: due exactly when something is wrong with them, and the reason says what."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._certificates import (
    Wanted,
    authority_due,
    certificate_due,
    given_problem,
    given_revocations_problem,
    revocations_due,
)

NOW = datetime.datetime.now(datetime.timezone.utc)
SOON = NOW + datetime.timedelta(days=30)
Key = ec.EllipticCurvePrivateKey


def write_key(file: Path, passphrase: str = "") -> Key:
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return key


def write_certificate(
    file: Path, key: Key, name: str, issuer: tuple[str, Key], *, days: int = 365, since: int = 400, authority: bool | None = None,
    names: Sequence[str] = ("pg1", "2001:db8::1"),
) -> None:
    def subject(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .issuer_name(subject(issuer[0]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=since))
        .not_valid_after(NOW + datetime.timedelta(days=days))
    )
    if names:
        given = [x509.IPAddress(ipaddress.ip_address(name)) if ":" in name else x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(given), critical=False)
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    certificate = builder.sign(issuer[1], hashes.SHA256())
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


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("DNS:pg1",), ""),
        (("IP:2001:db8::1",), ""),
        (("DNS:pg2", "DNS:pg1"), "DNS:pg2"),
        (("IP:192.0.2.1",), "IP:192.0.2.1"),
    ],
)
def test_what_users_bring_is_for_the_address(server: Wanted, names: tuple[str, ...], missing: str) -> None:
    problem = given_problem(dataclasses.replace(server, common_name="", subject_alt_names=names), NOW)
    assert problem == (missing and f"{server.certificate} is for DNS:pg1, IP:2001:db8::1 and not for {missing}")


def test_a_wildcard_stands_for_one_label(brought: Wanted, root: Key) -> None:
    key = write_key(brought.key)
    write_certificate(brought.certificate, key, "x", ("root", root), names=["*.example.org"])
    assert given_problem(dataclasses.replace(brought, subject_alt_names=("DNS:pg1.example.org",)), NOW) == ""
    for name in ("DNS:example.org", "DNS:a.pg1.example.org"):
        assert "not for" in given_problem(dataclasses.replace(brought, subject_alt_names=(name,)), NOW)


@pytest.fixture
def root(tmp_path: Path) -> Key:
    key = write_key(tmp_path / "root.key")
    write_certificate(tmp_path / "root.crt", key, "root", ("root", key), authority=True)
    return key


@pytest.fixture
def brought(tmp_path: Path, root: Key) -> Wanted:
    return Wanted("server", tmp_path / "brought.crt", tmp_path / "brought.key", issuer=tmp_path / "root.crt")


def issue_through(brought: Wanted, root: Key, *, authority: bool | None = True, days: int = 365) -> Path:
    """The certificate brought, issued by one that the root issued, whose file is returned."""
    between = brought.certificate.with_name("between.crt")
    key = write_key(between.with_suffix(".key"))
    write_certificate(between, key, "between", ("root", root), authority=authority, days=days)
    write_certificate(brought.certificate, write_key(brought.key), "pg1", ("between", key))
    return between


def test_what_users_bring_is_issued_by_the_authority_they_bring(brought: Wanted, root: Key) -> None:
    key = write_key(brought.key)
    write_certificate(brought.certificate, key, "pg1", ("root", root))
    assert given_problem(brought, NOW) == ""
    write_certificate(brought.certificate, key, "pg1", ("root", write_key(brought.key.with_name("other.key"))))
    assert "was not issued by an authority in" in given_problem(brought, NOW)


@pytest.mark.parametrize("where", ["certificate", "issuer"])
def test_a_chain_is_followed(brought: Wanted, root: Key, where: str) -> None:
    between = issue_through(brought, root)
    assert "was not issued by an authority in" in given_problem(brought, NOW)
    with getattr(brought, where).open("ab") as file:
        file.write(between.read_bytes())
    assert given_problem(brought, NOW) == ""


def test_a_chain_without_its_root_is_none(brought: Wanted, root: Key) -> None:
    """PostgreSQL trusts what issued itself."""
    between = issue_through(brought, root)
    assert "was not issued" in given_problem(dataclasses.replace(brought, issuer=between), NOW)


@pytest.mark.parametrize("authority", [False, None])
def test_not_every_certificate_may_issue_others(brought: Wanted, root: Key, authority: bool | None) -> None:
    between = issue_through(brought, root, authority=authority)
    brought.certificate.write_bytes(brought.certificate.read_bytes() + between.read_bytes())
    assert "was not issued" in given_problem(brought, NOW)


def test_the_whole_chain_has_to_be_valid(brought: Wanted, root: Key) -> None:
    between = issue_through(brought, root, days=-1)
    brought.certificate.write_bytes(brought.certificate.read_bytes() + between.read_bytes())
    assert "ends on" in given_problem(brought, NOW)
    write_certificate(brought.certificate, write_key(brought.key), "pg1", ("root", root), since=-2)
    assert "is valid from" in given_problem(brought, NOW)


def test_a_certificate_for_no_host(brought: Wanted, root: Key) -> None:
    write_certificate(brought.certificate, write_key(brought.key), "pg1", ("root", root), names=[])
    assert "it has no subjectAltName" in given_problem(dataclasses.replace(brought, subject_alt_names=("DNS:pg1",)), NOW)


def write_list(file: Path, authority: Wanted, *revoked: Path, days: int = 365) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(key, Key)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_pem_x509_certificate(authority.certificate.read_bytes()).subject)
        .last_update(NOW - datetime.timedelta(days=400))
        .next_update(NOW + datetime.timedelta(days=days))
    )
    for each in revoked:
        serial = x509.load_pem_x509_certificate(each.read_bytes()).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


@pytest.fixture
def revocations(authority: Wanted) -> Path:
    file = authority.certificate.parent / "ca.crl"
    write_list(file, authority)
    (file.parent / "revoked").mkdir()
    return file


def test_a_list_of_revoked_certificates_is_due_when_something_is_wrong_with_it(authority: Wanted, revocations: Path) -> None:
    assert revocations_due(revocations, authority.certificate, SOON) == ""
    write_list(revocations, authority, days=29)
    assert revocations_due(revocations, authority.certificate, SOON).startswith("ends on ")
    revocations.write_text("x")
    with pytest.raises(MultimasterError, match="Put it back from a copy"):
        revocations_due(revocations, authority.certificate, SOON)
    revocations.unlink()
    assert revocations_due(revocations, authority.certificate, SOON) == "is not there yet"


def test_a_list_of_another_authority(tmp_path: Path, authority: Wanted, revocations: Path) -> None:
    # Its name is the same.
    other = dataclasses.replace(authority, certificate=tmp_path / "other.crt", key=tmp_path / "other.key")
    write_certificate(other.certificate, (key := write_key(other.key)), "authority", ("authority", key))
    assert revocations_due(revocations, other.certificate, SOON) == "was issued by another authority"


def test_what_is_put_aside_is_revoked_and_needs_a_new_key(server: Wanted, authority: Wanted, revocations: Path) -> None:
    watched = dataclasses.replace(server, revocations=revocations)
    assert certificate_due(watched, SOON) == ""
    leaked = revocations.parent / "revoked/pg1.crt"
    leaked.write_bytes(server.certificate.read_bytes())
    assert revocations_due(revocations, authority.certificate, SOON) == "lacks pg1.crt"
    assert certificate_due(watched, SOON) == "was revoked"
    write_list(revocations, authority, leaked)
    assert revocations_due(revocations, authority.certificate, SOON) == ""
    # What is on the list stays revoked, also without its file.
    leaked.unlink()
    assert certificate_due(watched, SOON) == "was revoked"
    issue(server, authority)
    assert certificate_due(watched, SOON) == ""


def test_a_list_that_the_user_brings(tmp_path: Path, authority: Wanted, revocations: Path) -> None:
    assert given_revocations_problem(revocations, authority.certificate, NOW) == ""
    write_list(revocations, authority, days=-1)
    assert "no connection would be accepted" in given_revocations_problem(revocations, authority.certificate, NOW)
    assert given_revocations_problem(tmp_path / "none", authority.certificate, NOW).endswith("is not there")
    revocations.write_text("x")
    assert "cannot be read" in given_revocations_problem(revocations, authority.certificate, NOW)
