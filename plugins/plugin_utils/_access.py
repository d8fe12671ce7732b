# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Who may connect: the lines of pg_hba.conf, and what is wrong with the entries that users state for it."""

from __future__ import annotations

import ipaddress
import re
import typing as t

Mapping = t.Mapping[str, t.Any]

# Of role postgresql's pg_ident.conf: each as the role of the same name, and the superuser as any.
LOCAL_MAP = "multimaster"
_DATABASE_KEYWORDS = ("all", "sameuser", "samerole", "replication")
_LOOPBACK = re.compile(r"127[.][0-9.]+(/([89]|[12][0-9]|3[0-2]))?|::1(/128)?|localhost|samehost")
_NUMBERS = re.compile(r"[0-9.]+(/.*)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(/.*)?")
_EVERYONE = re.compile(r"all|0[.]0[.]0[.]0(/0)?|.*/0")
_SOURCE = re.compile(r"[A-Za-z0-9_.:/*-]+")
_OPTION_VALUE = re.compile(r'[^ "#,]+')
_ADDRESS = re.compile(r"[A-Za-z0-9_.:/-]+")


def access_lines(
    entries: t.Sequence[Mapping],
    peers: t.Sequence[Mapping],
    *,
    login_user: str,
    replication_role: str,
    replication_databases: t.Sequence[str],
) -> list[str]:
    """The lines of pg_hba.conf below its header: this host's superuser, the peers, the stated clients, people on this host."""
    lines = [f"local all {_quoted(login_user)} peer"]
    if peers:
        lines += ["", "# The other nodes; the common name of their certificate is the role's."]
        databases = _listed(replication_databases, ())
        lines += [
            f"hostssl {databases} {_quoted(replication_role)} {_network(peer['address'])} scram-sha-256 clientcert=verify-full"
            for peer in peers
        ]
    if entries:
        lines += ["", "# Stated clients.", *(_line(entry) for entry in entries)]
    return [*lines, "", "# People and programs on this host, as whom pg_ident.conf says.", f"local all all peer map={LOCAL_MAP}"]


def _line(entry: Mapping) -> str:
    words = [
        entry.get("contype", "hostssl"),
        _listed(entry["databases"], _DATABASE_KEYWORDS),
        _listed(entry["users"], ("all",)),
        *([_network(entry["source"])] if "source" in entry else []),
        entry.get("method", "scram-sha-256"),
        *(f"{option}={value}" for option, value in (entry.get("options") or {}).items()),
    ]
    return " ".join(words)


def _is_network(source: str) -> bool:
    """An address or a network, which may be written as that of one of its hosts."""
    try:
        ipaddress.ip_network(source, strict=False)
    except ValueError:
        return False
    return True


def _quoted(name: str) -> str:
    """A name in quotes is never taken for a keyword; + before a role stands for its members."""
    plus = "+" if name.startswith("+") else ""
    return plus + '"' + name.removeprefix("+").replace('"', '""') + '"'


def _listed(names: t.Iterable[str], keywords: t.Container[str]) -> str:
    return ",".join(name if name in keywords or name.startswith("/") else _quoted(name) for name in names)


def _network(address: str) -> str:
    if re.fullmatch(r"[0-9.]+", address):
        return f"{address}/32"
    if re.fullmatch(r"[^/]*:[^/]*", address):
        return f"{address}/128"
    return address


def access_problems(entries: t.Sequence[Mapping], peers: t.Sequence[Mapping], variable: str = "postgresql_hba") -> list[str]:
    """One sentence for each entry of the variable and each peer that cannot be, or must not be, let in."""
    problems = [problem for index, entry in enumerate(entries) for problem in _entry_problems(f"{variable}[{index}]", entry)]
    for index, peer in enumerate(peers):
        address = peer["address"]
        is_wrong = _NUMBERS.fullmatch(address) and not _is_network(address)
        if is_wrong or not _ADDRESS.fullmatch(address) or address.endswith("/0"):
            name = peer.get("name", index)
            problems.append(f"The peer {name} has the address {address}, which is neither an address nor a host name.")
    return problems


def _entry_problems(where: str, entry: Mapping) -> list[str]:
    kind = entry.get("contype", "hostssl")
    source = entry.get("source", "")
    options = entry.get("options") or {}
    verified = entry.get("method", "") == "cert" or options.get("clientcert", "") == "verify-full"
    rejects = entry.get("method", "") == "reject"
    problems = []
    if (kind == "local") == ("source" in entry):
        problems.append(where + (" is local and so has no source." if kind == "local" else " needs a source."))
    elif kind == "host" and not _LOOPBACK.fullmatch(source) and not rejects:
        problems.append(f"{where} would let passwords and data cross the network in clear; use contype=hostssl.")
    elif _EVERYONE.fullmatch(source) and not verified and not rejects:
        problems.append(
            f"{where} would let in everyone; state the networks of the clients, or ask for certificates with "
            "options={clientcert: verify-full}."
        )
    if "source" in entry and _NUMBERS.fullmatch(source) and not _is_network(source):
        problems.append(f"{where} has the source {source}, which is no address, no network and no host name.")
    elif ("source" in entry and not _SOURCE.fullmatch(source)) or not all(
        _OPTION_VALUE.fullmatch(str(value)) for value in options.values()
    ):
        problems.append(f"{where} has a source or an option that pg_hba.conf has no room for.")
    return problems
