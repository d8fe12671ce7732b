# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""pgBackRest's configuration file from typed data, and what is wrong with that data. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import meant_option

Values = t.Mapping[str, t.Any]

TLS_PORT = 8432


@dataclass(frozen=True)
class Kind:
    """A kind of repository: pgBackRest's options by the key of our data, and which keys it needs."""

    options: dict[str, str]
    needs: tuple[str, ...] = ()
    type: str = ""


_STORED = {
    "path": "path",
    "cipher_passphrase": "cipher-pass",
    "bundle": "bundle",
    "block": "block",
}
_CLOUD = {"endpoint": "endpoint", "key": "key", "key_type": "key-type"}
_STORAGE = {"ca_file": "storage-ca-file", "verify_tls": "storage-verify-tls", "port": "storage-port"}


def _of(prefix: str, names: t.Mapping[str, str]) -> dict[str, str]:
    return {key: f"{prefix}-{name}" for key, name in names.items()}


KINDS = {
    "posix": Kind({**_STORED}),
    # What is stored there, and how, is in that host's own configuration.
    "host": Kind({"host": "host", "port": "host-port"}, ("host",)),
    "s3": Kind(
        {
            **_STORED,
            **_of("s3", {**_CLOUD, "bucket": "bucket", "region": "region", "key_secret": "key-secret", "uri_style": "uri-style"}),
            **_of("s3", {"role": "role", "token": "token"}),
            **_STORAGE,
        },
        ("bucket", "region", "endpoint"),
        "s3",
    ),
    "azure": Kind(
        {
            **_STORED,
            **_of("azure", {**_CLOUD, "container": "container", "account": "account", "uri_style": "uri-style"}),
            **_STORAGE,
        },
        ("container", "account"),
        "azure",
    ),
    "gcs": Kind({**_STORED, **_of("gcs", {**_CLOUD, "bucket": "bucket"}), **_STORAGE}, ("bucket",), "gcs"),
    "sftp": Kind(
        {
            **_STORED,
            **_of(
                "sftp",
                {
                    "host": "host",
                    "port": "host-port",
                    "user": "host-user",
                    "private_key_file": "private-key-file",
                    "public_key_file": "public-key-file",
                    "private_key_passphrase": "private-key-passphrase",
                    "host_key_hash_type": "host-key-hash-type",
                    "host_key_check_type": "host-key-check-type",
                    "host_fingerprint": "host-fingerprint",
                    "known_hosts_file": "known-host",
                },
            ),
        },
        ("host", "user", "private_key_file", "host_key_hash_type"),
        "sftp",
    ),
}
DEFAULT_PATH = "/var/lib/pgbackrest"


def configuration_file(given: Values) -> str:
    """The text of pgbackrest.conf.

    ``given`` has ``repositories``, ``stanzas``, ``settings`` (global options by pgBackRest's names), ``commands`` (the same by
    command), ``retention_full``, ``tls`` (``certificate_file``, ``key_file``, ``ca_file``), ``server`` (``port``, ``address``,
    ``clients``) or none, and ``options`` (the user's own global options, which win).
    """
    tls = given["tls"]
    options: dict[str, t.Any] = dict(given["settings"])
    for number, repository in enumerate(given["repositories"], start=1):
        options.update(_repository(number, repository, tls, given["retention_full"]))
    server = given.get("server")
    if server:
        options.update(
            {
                "tls-server-address": server["address"],
                "tls-server-port": server["port"],
                "tls-server-cert-file": tls["certificate_file"],
                "tls-server-key-file": tls["key_file"],
                "tls-server-ca-file": tls["ca_file"],
                "tls-server-auth": [f"{client['name']}={','.join(client['stanzas'])}" for client in server["clients"]],
            }
        )
    options.update(given["options"])
    sections = [("global", options)]
    sections += [(f"global:{command}", dict(values)) for command, values in given["commands"].items()]
    sections += [(stanza["name"], _stanza(stanza, tls)) for stanza in given["stanzas"]]
    return "\n".join(_section(name, values) for name, values in sections)


def configuration_problems(given: Values) -> list[str]:
    """One sentence for each thing that no configuration can be made of. Shows no secret."""
    problems = []
    if not given["repositories"]:
        problems.append("pgbackrest_repositories is empty: name at least one repository.")
    for number, repository in enumerate(given["repositories"]):
        where = f"pgbackrest_repositories[{number}]"
        name = repository.get("type", "posix")
        kind = KINDS.get(name)
        if kind is None:
            problems.append(f"{where} has the type {name}; there are {', '.join(KINDS)}.")
            continue
        lacking = [key for key in kind.needs if not repository.get(key)]
        if lacking:
            problems.append(f"{where} of type {name} needs {', '.join(lacking)}.")
        unknown = sorted(set(repository) - {*kind.options, "type", "options"})
        if unknown:
            problems.append(f"{where} of type {name} has no use for {', '.join(unknown)}.")
        if not str(repository.get("path", DEFAULT_PATH)).startswith("/"):
            problems.append(f"{where} has the path {repository['path']}; it has to begin with /.")
        if repository.get("block", True) in (True, "true", "yes") and repository.get("bundle", True) in (False, "false", "no"):
            problems.append(f"{where} has block without bundle, which pgBackRest does not do: set both or neither.")
        passphrase = repository.get("cipher_passphrase")
        if passphrase is not None and len(str(passphrase)) < 16:
            problems.append(f"The cipher_passphrase of {where} has fewer than 16 characters.")
        # Of these, the names go without the repository's number.
        options = {name: f"repo{number + 1}-{name}" for name in repository.get("options") or {}}
        problems += [f"{where}.options has {_unknown(name, full)}" for name, full in options.items() if meant_option(full)]
    problems += [f"pgbackrest_options has {_unknown(name, name)}" for name in given["options"] if meant_option(name)]
    names = [stanza["name"] for stanza in given["stanzas"]]
    for name in sorted(set(names)):
        if not re.match(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", name) or name == "global":
            problems.append(f"pgbackrest_stanzas has the name {name!r}; letters, digits, _, . and - are possible.")
        if names.count(name) > 1:
            problems.append(f"pgbackrest_stanzas has {name} more than once.")
    problems += [problem for problem in map(stanza_problem, given["stanzas"]) if problem]
    for option, value in _all_values(given):
        if "\n" in str(value) or not str(value).strip():
            problems.append(f"{option} is empty or has more than one line, which pgbackrest.conf has no room for.")
    return problems


def stanza_problem(stanza: Values) -> str:
    """Why its server cannot be reached on another host, in a sentence; empty where it can.

    pgBackRest puts options with a space into double quotes for the other host, as for a shell. Over TLS there is none.
    """
    if not stanza.get("pg_host") or " " not in stanza["pg_path"]:
        return ""
    return (
        f"The data directory {stanza['pg_path']} of stanza {stanza['name']} has a space in its name, with which pgBackRest "
        "cannot reach it from a repository host. Use a directory without one, or a repository that the node itself reaches: "
        "a folder of its own, or an object store."
    )


def _unknown(name: str, full: str) -> str:
    return f"{name}, which is no option of pgBackRest; did you mean {meant_option(full)}?"


def _all_values(given: Values) -> t.Iterator[tuple[str, t.Any]]:
    for number, repository in enumerate(given["repositories"]):
        for key, value in repository.items():
            if key == "options":
                for name, each in value.items():
                    yield f"pgbackrest_repositories[{number}].options.{name}", each
            elif value is not None:
                yield f"pgbackrest_repositories[{number}].{key}", value
    for name, value in given["options"].items():
        yield f"pgbackrest_options.{name}", value


def _repository(number: int, repository: Values, tls: Values, retention_full: int) -> dict[str, t.Any]:
    kind = KINDS[repository.get("type", "posix")]
    options: dict[str, t.Any] = {}

    def put(name: str, value: t.Any) -> None:
        options[f"repo{number}-{name}"] = value

    if kind is KINDS["host"]:
        put("host", repository["host"])
        put("host-port", repository.get("port") or TLS_PORT)
        put("host-type", "tls")
        put("host-cert-file", tls["certificate_file"])
        put("host-key-file", tls["key_file"])
        put("host-ca-file", tls["ca_file"])
    else:
        values = {"path": DEFAULT_PATH, "bundle": True, "block": True, **{k: v for k, v in repository.items() if v is not None}}
        if kind.type:
            put("type", kind.type)
        for key, name in kind.options.items():
            if key in values:
                put(name, values[key])
        if "cipher_passphrase" in values:
            put("cipher-type", "aes-256-cbc")
        # pgBackRest itself expires full backups with all that depends on them, also where nothing else does.
        put("retention-full", retention_full)
    for name, value in (repository.get("options") or {}).items():
        put(name, value)
    return options


def _stanza(stanza: Values, tls: Values) -> dict[str, t.Any]:
    options: dict[str, t.Any] = {
        "pg1-path": stanza["pg_path"],
        "pg1-port": stanza.get("pg_port") or 5432,
        "pg1-socket-path": stanza.get("pg_socket_path") or "/var/run/postgresql",
    }
    if stanza.get("pg_host"):
        options.update(
            {
                "pg1-host": stanza["pg_host"],
                "pg1-host-type": "tls",
                "pg1-host-port": stanza.get("pg_host_port") or TLS_PORT,
                "pg1-host-cert-file": tls["certificate_file"],
                "pg1-host-key-file": tls["key_file"],
                "pg1-host-ca-file": tls["ca_file"],
            }
        )
    return options


def _section(name: str, values: Values) -> str:
    lines = [f"[{name}]"]
    for option, value in sorted(values.items()):
        for each in value if isinstance(value, (list, tuple)) else [value]:
            lines.append(f"{option}={_text(each)}")
    return "\n".join(lines) + "\n"


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "y" if value else "n"
    return str(value)
