# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Which certificates on the controller have to be made, and why."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from pathlib import Path

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False


# The reason for which a key is made anew, too.
REVOKED = "was revoked"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A certificate as it should be. Without an issuer it is a certificate authority's own."""

    name: str
    certificate: Path
    key: Path
    common_name: str = ""
    subject_alt_names: t.Sequence[str] = ()
    issuer: Path | None = None
    passphrase: str = ""
    # The authority's list of those that count no more. What the folder "revoked" beside it holds is on it, or will be.
    revocations: Path | None = None


def authority_due(wanted: Wanted, until: datetime.datetime) -> str:
    """Why a certificate authority's certificate has to be made, or nothing.

    A certificate without its key is a good one: the key may be kept elsewhere while nothing has to be signed.
    """
    if not wanted.certificate.exists():
        return "is not there yet"
    certificate = _certificate(wanted.certificate)
    if wanted.key.exists() and _key(wanted.key, wanted.passphrase) != _public(certificate):
        raise MultimasterError(
            f"{wanted.key} is not the key of {wanted.certificate}. Put back the two that belong together; or remove both, "
            "and a new authority is made whose certificates replace all there are."
        )
    return _expiry(certificate, until) or _subject(certificate, wanted)


def certificate_due(wanted: Wanted, until: datetime.datetime) -> str:
    """Why a certificate has to be made, or nothing."""
    for file in (wanted.certificate, wanted.key):
        if not file.exists():
            return "is not there yet" if file is wanted.certificate else "has no key"
    if wanted.issuer is None or not wanted.issuer.exists():
        return "has a new authority"
    try:
        certificate = _certificate(wanted.certificate)
        key = _key(wanted.key, wanted.passphrase)
    except MultimasterError:
        return "cannot be read"
    if key != _public(certificate):
        return "has another key"
    if not _issued_by(certificate, _certificate(wanted.issuer)):
        return "was issued by another authority"
    if wanted.revocations and certificate.serial_number in _revoked(wanted.revocations):
        return REVOKED
    return _expiry(certificate, until) or _subject(certificate, wanted)


def revocations_due(revocations: Path, issuer: Path, until: datetime.datetime) -> str:
    """Why the list of revoked certificates has to be made, or nothing."""
    if not revocations.exists():
        return "is not there yet"
    entries = _list(revocations)
    if not issuer.exists() or not _listed_by(entries, _certificate(issuer)):
        return "was issued by another authority"
    listed = {entry.serial_number for entry in entries}
    missing = [file.name for file, serial in _to_revoke(revocations) if serial not in listed]
    return f"lacks {', '.join(missing)}" if missing else _list_expiry(entries, until)


def given_revocations_problem(revocations: Path, issuer: Path, now: datetime.datetime) -> str:
    """What is wrong with a list that the user brings, or nothing."""
    if not revocations.is_file():
        return f"{revocations} is not there"
    try:
        entries, trusted = _list(revocations), _certificates(issuer)
    except MultimasterError as error:
        return str(error).rstrip(".")
    if not any(_listed_by(entries, each) for each in trusted):
        return f"{revocations} was not issued by an authority in {issuer}"
    ended = _list_expiry(entries, now)
    return f"{revocations} {ended}, after which no connection would be accepted" if ended else ""


def _list(file: Path) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(file.read_bytes())
    except (ValueError, OSError) as error:
        raise MultimasterError(
            f"{file} cannot be read as a PEM list of revoked certificates ({type(error).__name__}). Put it back from a copy: "
            "without it, certificates that it had would count again."
        ) from None


def _listed_by(entries: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key: t.Any = issuer.public_key()
    return entries.issuer == issuer.subject and entries.is_signature_valid(key)


def _list_expiry(entries: x509.CertificateRevocationList, until: datetime.datetime) -> str:
    end = entries.next_update_utc
    return f"ends on {end:%Y-%m-%d}" if end is not None and end <= until else ""


def _revoked(revocations: Path) -> set[int]:
    listed = {entry.serial_number for entry in _list(revocations)} if revocations.exists() else set[int]()
    return listed | {serial for _file, serial in _to_revoke(revocations)}


def _to_revoke(revocations: Path) -> list[tuple[Path, int]]:
    """Certificates that somebody put aside to be revoked, and their numbers."""
    return [(file, _certificate(file).serial_number) for file in sorted((revocations.parent / "revoked").glob("*.crt"))]


def given_problem(wanted: Wanted, now: datetime.datetime) -> str:
    """What is wrong with a certificate that the user brings, or nothing.

    It must be for at least the names wanted. Files may hold a chain: the certificate itself first, as PostgreSQL wants it.
    """
    files = [wanted.certificate] if wanted.issuer is None else [wanted.certificate, wanted.key, wanted.issuer]
    for file in files:
        if not file.is_file():
            return f"{file} is not there"
    try:
        chain = _certificates(wanted.certificate)
        ended = next(filter(None, (_not_valid(certificate, now) for certificate in chain)), "")
        if ended:
            return f"{wanted.certificate} {ended}"
        if wanted.issuer is None:
            return ""
        if _key(wanted.key, wanted.passphrase) != _public(chain[0]):
            return f"{wanted.key} is not the key of {wanted.certificate}"
        trusted = _certificates(wanted.issuer)
    except MultimasterError as error:
        return str(error).rstrip(".")
    problem = _subject(chain[0], dataclasses.replace(wanted, subject_alt_names=())) or _not_covered(chain[0], wanted)
    if not problem and not _leads_to(chain[0], [*chain[1:], *trusted], trusted):
        problem = f"was not issued by an authority in {wanted.issuer}, nor by one whose certificate follows in the file"
    return f"{wanted.certificate} {problem}" if problem else ""


def _certificate(file: Path) -> x509.Certificate:
    return _certificates(file)[0]


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (ValueError, OSError) as error:
        raise MultimasterError(f"{file} cannot be read as a PEM certificate ({type(error).__name__}).") from None


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key(file: Path, passphrase: str) -> bytes:
    try:
        key = load_pem_private_key(file.read_bytes(), passphrase.encode() or None)
    except (ValueError, TypeError, OSError) as error:
        raise MultimasterError(
            f"{file} cannot be read as a PEM private key with the passphrase given ({type(error).__name__})."
        ) from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _leads_to(
    certificate: x509.Certificate, known: t.Sequence[x509.Certificate], trusted: t.Sequence[x509.Certificate]
) -> bool:
    """Whether issuers among those known lead to a trusted one that issued itself, where PostgreSQL's checks end too."""
    if _issued_by(certificate, certificate):
        return certificate in trusted
    rest = [each for each in known if each != certificate]
    return any(_leads_to(each, rest, trusted) for each in rest if _may_issue(each) and _issued_by(certificate, each))


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        # As authorities of old are.
        return _issued_by(certificate, certificate)


def _not_valid(certificate: x509.Certificate, now: datetime.datetime) -> str:
    begin = certificate.not_valid_before_utc
    return f"is valid from {begin:%Y-%m-%d} on only" if begin > now else _expiry(certificate, now)


def _not_covered(certificate: x509.Certificate, wanted: Wanted) -> str:
    parts = (name.partition(":") for name in _subject_alt_names(certificate))
    present = {f"{kind}:{name.lower()}" for kind, _colon, name in parts}
    # A wildcard stands for one label.
    missing = [
        name
        for name in wanted.subject_alt_names
        if name not in present and not (name.startswith("DNS:") and f"DNS:*.{name.partition('.')[2]}" in present)
    ]
    if not missing:
        return ""
    return f"is for {', '.join(sorted(present)) or 'no host (it has no subjectAltName)'} and not for {', '.join(missing)}"


def _expiry(certificate: x509.Certificate, until: datetime.datetime) -> str:
    end = certificate.not_valid_after_utc
    return f"ends on {end:%Y-%m-%d}" if end <= until else ""


def _subject(certificate: x509.Certificate, wanted: Wanted) -> str:
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    if wanted.common_name and names != [wanted.common_name]:
        return f"is for {', '.join(names) or 'nobody'} and not for {wanted.common_name}"
    present = set(_subject_alt_names(certificate))
    if set(wanted.subject_alt_names) != present and wanted.subject_alt_names:
        return f"is for {', '.join(sorted(present)) or 'no host'} and not for {', '.join(sorted(wanted.subject_alt_names))}"
    return ""


def _subject_alt_names(certificate: x509.Certificate) -> t.Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for name in extension.value:
        kind = "DNS" if isinstance(name, x509.DNSName) else "IP" if isinstance(name, x509.IPAddress) else type(name).__name__
        yield f"{kind}:{name.value}"
