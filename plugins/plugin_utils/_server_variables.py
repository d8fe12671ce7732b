# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What is wrong with the variables of role postgresql, with a host, or with its server: one sentence each.

``values`` are the role's variables by their names; ``host`` is what ``roles/postgresql/files/host.sh`` prints, as a mapping.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._access import access_problems
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._privileges import PRIVILEGE_TYPES
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_differences import DEFAULT_FLAGS

Mapping = t.Mapping[str, t.Any]

VERSIONS = (16, 17)
# The releases of Debian that the role knows, and the PostgreSQL that each brings itself.
DEBIAN_VERSIONS = {"12": 15, "13": 17}

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")
_CLUSTER = re.compile(r"[A-Za-z0-9_.]+")
_NAME_BYTES = 63
_ENOUGH_FOR_PACKAGES_MB = 512
_ENOUGH_TO_RUN_MB = 64


def server_variable_problems(values: Mapping) -> list[str]:
    """Of the variables alone, once each has the type that it needs. Nothing else is looked at but files of the controller."""
    return [
        *_general_problems(values),
        *_name_problems("postgresql_databases", values["postgresql_databases"]),
        *_name_problems("postgresql_roles", _with_mesh(values, "roles")),
        *_database_problems(values),
        *_role_problems(values),
        *dict.fromkeys(_privilege_problems(values)),
        *access_problems(values["postgresql_hba"], values["postgresql_replication_peers"]),
        *access_problems(values.get("postgresql_mesh_hba", ()), (), "postgresql_mesh_hba"),
        *_tls_problems(values),
        *(
            f"postgresql_ident[{index}] has control characters."
            for index, entry in enumerate(values["postgresql_ident"])
            if not _PRINTABLE.fullmatch(f"{entry['map']}{entry['system_user']}{entry['database_user']}")
        ),
        *(
            f"The schema file {file['path']} is not there on the controller."
            for file in values["postgresql_schema_files"]
            if not os.path.isfile(os.path.expanduser(file["path"]))
        ),
    ]


def _with_mesh(values: Mapping, name: str) -> list[Mapping]:
    """What a user states, and what the playbook adds."""
    return [*values[f"postgresql_{name}"], *values.get(f"postgresql_mesh_{name}", ())]


def _general_problems(values: Mapping) -> t.Iterator[str]:
    if int(values["postgresql_version"]) not in VERSIONS:
        known = ", ".join(map(str, VERSIONS))
        yield f"postgresql_version is {values['postgresql_version']}, but this role knows PostgreSQL {known}."
    if values["postgresql_repository"] == "custom":
        missing = [key for key in ("name", "uris", "suites") if key not in values["postgresql_repository_source"]]
        if missing:
            yield f"postgresql_repository_source needs {', '.join(missing)} with postgresql_repository=custom."
    key = values["postgresql_repository_key"]
    if key and not os.path.isfile(os.path.expanduser(key)):
        yield f"postgresql_repository_key is {key}, which is no file on the controller."
    fingerprint = "".join(values["postgresql_repository_fingerprint"].split())
    if fingerprint and not re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", fingerprint):
        yield f"postgresql_repository_fingerprint is {fingerprint}, but a fingerprint has 40 or 64 hexadecimal digits."
    if not _CLUSTER.fullmatch(values["postgresql_cluster"]):
        yield f"postgresql_cluster is {values['postgresql_cluster']}; a name of letters, digits, _ and . is needed."
    if not 0 < int(values["postgresql_port"]) < 65536:
        yield f"postgresql_port is {values['postgresql_port']}, which is no port."


def _name_problems(variable: str, entries: t.Sequence[Mapping]) -> t.Iterator[str]:
    names = [entry["name"] for entry in entries]
    for name in dict.fromkeys(names):
        if not _PRINTABLE.fullmatch(name) or len(name.encode()) > _NAME_BYTES:
            yield f"{variable} has the name {name}; it needs 1 to 63 bytes without control characters."
        elif names.count(name) > 1:
            yield f"{variable} has {name} more than once."


def _database_problems(values: Mapping) -> t.Iterator[str]:
    for database in values["postgresql_databases"]:
        if set(database["name"]) & set('%",'):
            yield (
                f"postgresql_databases has {database['name']}: a database whose name has a double quote, a per cent sign "
                "or a comma cannot be made or managed here. Take another name, or rename it with ALTER DATABASE .. RENAME."
            )


def _role_problems(values: Mapping) -> t.Iterator[str]:
    for role in _with_mesh(values, "roles"):
        name = role["name"]
        if name == values["postgresql_login_user"] or name.startswith("pg_"):
            yield f"postgresql_roles has {name}, which belongs to the server itself."
        # community.postgresql puts such names into its statements as they are.
        for each in [name, *(role.get("member_of") or [])]:
            if set(each) & set("%'\","):
                yield f"postgresql_roles has {each}: a role cannot be given a name with a per cent sign, quotes or a comma here."
        flags = dict.fromkeys(flag.upper().removeprefix("NO") for flag in role.get("flags") or [])
        unknown = [flag for flag in flags if flag not in DEFAULT_FLAGS]
        if unknown:
            yield (
                f"The role {name} has flags that there are not: {', '.join(unknown)}. "
                f"There are {', '.join(DEFAULT_FLAGS)}, each with or without NO."
            )


def _privilege_problems(values: Mapping) -> t.Iterator[str]:
    """community.postgresql takes lists of names as one text, and a dot for the end of a schema's name."""
    for variable in ("postgresql_privileges", "postgresql_mesh_privileges"):
        for entry in values.get(variable, ()):
            # The role's own statements quote what they name.
            if entry.get("type", "table") in PRIVILEGE_TYPES:
                continue
            schemas = [entry["schema"]] if entry.get("schema") else []
            wrong = [name for name in schemas if set(name) & set('",.')]
            if entry["type"] not in ("function", "procedure"):
                wrong += [name for name in entry.get("objs") or [] if "," in name]
            for name in dict.fromkeys(wrong):
                yield (
                    f"{variable} has {name}, in {entry['database']}: no privileges of the type {entry['type']} can be given here "
                    "on what has a comma in its name, or in a schema with a quote or a dot in it. Rename it, or take it out of "
                    "the variable."
                )


def _tls_problems(values: Mapping) -> t.Iterator[str]:
    encrypted = any(entry.get("contype", "hostssl") == "hostssl" for entry in _with_mesh(values, "hba"))
    if not _is_true(values["postgresql_tls"]) and (encrypted or values["postgresql_replication_peers"]):
        yield "postgresql_tls is off, but peers and hostssl entries of postgresql_hba need it."


def _is_true(value: t.Any) -> bool:
    return str(value).lower() in ("1", "on", "true", "yes", "y", "t")


def host_problems(host: Mapping, values: Mapping, packages_missing: t.Sequence[str], files_needed: t.Sequence[str]) -> list[str]:
    """Of a host. ``files_needed`` are those that must be there already, such as certificates."""
    return [
        *_distribution_problems(host, values),
        *_place_problems(host, values),
        *_room_problems(host, values, packages_missing),
        *_port_problems(host, values),
        *_peer_problems(host, values),
        *(
            f"The host has no address {address}, where PostgreSQL is to listen. Set postgresql_listen_addresses to those it has."
            for address in values["postgresql_listen_addresses"]
            if f"elsewhere:{address}" in host
        ),
        *(
            f"There is no {file}; the role certificates puts it there, or set postgresql_tls_certificate_file, "
            "postgresql_tls_key_file and postgresql_tls_ca_file."
            for file in files_needed
            if f"file:{file}" not in host
        ),
    ]


def _distribution_problems(host: Mapping, values: Mapping) -> t.Iterator[str]:
    release, version = host["release"], int(values["postgresql_version"])
    if host["distribution"] != "debian" or release not in DEBIAN_VERSIONS:
        known = " and ".join(DEBIAN_VERSIONS)
        yield f"The host runs {host['distribution']} {release}, but this role supports Debian {known}."
    elif values["postgresql_repository"] == "distribution" and DEBIAN_VERSIONS[release] != version:
        yield (
            f"Debian {release} itself has PostgreSQL {DEBIAN_VERSIONS[release]} and not {version}; "
            "choose that version, or another postgresql_repository."
        )


def _place_problems(host: Mapping, values: Mapping) -> t.Iterator[str]:
    if "data_elsewhere" in host:
        yield (
            f"The data of the cluster {values['postgresql_version']}/{values['postgresql_cluster']} is in "
            f"{host['data_elsewhere']}, and postgresql_data_directory is {values['postgresql_data_directory']}: this role moves "
            "no data. State the folder where it is, or stop the server, move the folder and correct data_directory in its "
            "postgresql.conf first."
        )


def _room_problems(host: Mapping, values: Mapping, packages_missing: t.Sequence[str]) -> t.Iterator[str]:
    least = int(values["postgresql_minimum_memory_mb"])
    if int(host["memory_mb"]) < least:
        yield f"The host has {host['memory_mb']} MB of memory, less than postgresql_minimum_memory_mb={least}."
    least = _ENOUGH_TO_RUN_MB if host["cluster"] == "present" else int(values["postgresql_minimum_free_mb"])
    if int(host["data_free_mb"]) < least:
        yield (
            f"The file system of {values['postgresql_data_directory']} has {host['data_free_mb']} MB free, "
            f"and {least} MB are needed; make room first."
        )
    if packages_missing and int(host["packages_free_mb"]) < _ENOUGH_FOR_PACKAGES_MB:
        yield (
            f"The file system of /usr has {host['packages_free_mb']} MB free, and the packages need "
            f"{_ENOUGH_FOR_PACKAGES_MB} MB; make room first."
        )


def _port_problems(host: Mapping, values: Mapping) -> t.Iterator[str]:
    if host["cluster"] == "present":
        return
    for name, port in host.items():
        if name.startswith("other:") and port == str(values["postgresql_port"]):
            yield (
                f"Port {port} belongs to the cluster {name.removeprefix('other:')}, and this role does not upgrade it. "
                "Run pg_upgradecluster, or set another postgresql_port."
            )


def _peer_problems(host: Mapping, values: Mapping) -> t.Iterator[str]:
    for index, peer in enumerate(values["postgresql_replication_peers"]):
        if f"unresolved:{peer['address']}" in host:
            yield (
                f"The address {peer['address']} of the peer {peer.get('name', index)} does not resolve on this host; correct it "
                "in the inventory (multimaster_address, or else ansible_host), or have the name known here."
            )
        elif f"renamed:{peer['address']}" in host:
            yield (
                f"The server would not let the peer {peer.get('name', index)} in: it is stated as {peer['address']}, and here "
                f"{host['renamed:' + peer['address']]}. State its address in the inventory (multimaster_address), or give the "
                "address that name (its PTR record, or /etc/hosts of this host)."
            )


def server_problems(
    server: Mapping, is_managed: bool, schema_files: t.Sequence[Mapping], databases: t.Sequence[str] = ()
) -> list[str]:
    """Of a server that answered. ``databases``: those that are described."""
    problems = []
    for name in databases:
        encoding = (server.get("databases") or {}).get(name, {}).get("encoding", "UTF8")
        if encoding != "UTF8":
            problems.append(
                f"The database {name} has the encoding {encoding}; here every database has UTF8. Make one of that encoding, and "
                "load a dump of this one into it."
            )
    if server["version"] < VERSIONS[0]:
        problems.append(
            f"The server is PostgreSQL {server['version']}; replication both ways needs {VERSIONS[0]} or later."
        )
    if not is_managed and server["wal_level"] != "logical":
        problems.append(
            f"The server has wal_level={server['wal_level']} and is not managed by this role; "
            "set wal_level=logical there and restart it."
        )
    for database, contents in (server.get("contents") or {}).items():
        for what, owner in (contents.get("foreign_owners") or {}).items():
            problems.append(
                f"In the database {database} the {what} belongs to {owner}, and this collection takes nothing that is not a "
                "superuser's. Look at it, and rename or drop it."
            )
    for file in schema_files:
        if file["changed"] and file["on_change"] == "fail":
            problems.append(
                f"The schema file {file['path']} is not what was applied to the database {file['database']} on "
                f"{file['applied']}. A file is applied once: put the change into a new file, or set on_change=apply when the "
                "whole file can be applied again."
            )
    return problems
