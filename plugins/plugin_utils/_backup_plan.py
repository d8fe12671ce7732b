# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Who backs up what to where, from the inventory. Pure.

A node takes its backups itself, unless one of its repositories is on another host: then that host takes them, since
pgBackRest's backup command runs where the repository is.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_settings import stanza_problem

Hostvars = t.Mapping[str, t.Mapping[str, t.Any]]
Plan = dict[str, t.Any]


def backup_plan(
    host: str,
    nodes: t.Sequence[str],
    repository_hosts: t.Sequence[str],
    hostvars: Hostvars,
    restore_hosts: t.Sequence[str] = (),
    reader: str = "",
) -> Plan:
    """What the role pgbackrest does on ``host``.

    ``repositories``, ``stanzas`` and ``server_clients`` as the role takes them, ``takes_backups``, ``runs_server``,
    ``stanza`` (of a node, otherwise empty), ``taker`` (the host that takes this node's backups) and ``elsewhere`` (the
    repositories as another host sees them that restores this node's backups, ``reader`` where it is known).
    ``restore_hosts`` may use every repository: pgBackRest has no right to read only.
    """
    if host in repository_hosts:
        plan = _repository_host(host, nodes, repository_hosts, hostvars)
    else:
        plan = _node(host, nodes, repository_hosts, hostvars)
    if reader and reader in _takers(plan["repositories"], repository_hosts, hostvars):
        # It holds them itself: no server of its own lets it in, and none is needed.
        own = _repository_host(reader, nodes, repository_hosts, hostvars)["repositories"]
        others = [each for each in plan["elsewhere"] if reader not in _takers([each], repository_hosts, hostvars)]
        plan["elsewhere"] = [*({"type": "posix", **each} for each in own), *others]
    holds = plan["takes_backups"] and any(each.get("type", "posix") == "posix" for each in plan["repositories"])
    names = [each["name"] for each in plan["stanzas"]]
    readers = [each for each in restore_hosts if each != host and holds and names]
    # One entry for each client, with all that it may use.
    clients = {each["name"]: list(each["stanzas"]) for each in plan["server_clients"]}
    for reader in readers:
        clients[common_name(reader)] = sorted({*clients.get(common_name(reader), []), *names})
    plan["server_clients"] = [{"name": name, "stanzas": stanzas} for name, stanzas in clients.items()]
    plan["runs_server"] = bool(clients)
    return plan


def _node(host: str, nodes: t.Sequence[str], repository_hosts: t.Sequence[str], hostvars: Hostvars) -> Plan:
    repositories = _repositories(host, repository_hosts, hostvars)
    takers = _takers(repositories, repository_hosts, hostvars)
    if takers:
        # Said of the node, too, before anything is done there.
        _served_stanza(host, nodes, hostvars)
    return {
        "stanza": stanza_name(host, hostvars),
        "repositories": repositories,
        "stanzas": [_stanza(host, nodes, hostvars)],
        "takes_backups": not takers,
        "taker": takers[0] if takers else host,
        "elsewhere": [
            {"type": "host", "host": address(host, hostvars), **_port(host, hostvars)}
            if each.get("type", "posix") == "posix"
            else each
            for each in repositories
        ],
        "server_clients": [{"name": common_name(taker), "stanzas": [stanza_name(host, hostvars)]} for taker in takers],
    }


def _repository_host(host: str, nodes: t.Sequence[str], repository_hosts: t.Sequence[str], hostvars: Hostvars) -> Plan:
    served = [
        node for node in nodes if host in _takers(_repositories(node, repository_hosts, hostvars), repository_hosts, hostvars)
    ]
    return {
        "stanza": "",
        "repositories": _own(host, hostvars),
        "stanzas": [_served_stanza(node, nodes, hostvars) for node in served],
        "takes_backups": True,
        "taker": host,
        "elsewhere": [],
        "server_clients": [{"name": common_name(node), "stanzas": [stanza_name(node, hostvars)]} for node in served],
    }


def stanza_name(node: str, hostvars: Hostvars) -> str:
    return str(hostvars[node].get("backup_stanza") or node)


def address(host: str, hostvars: Hostvars) -> str:
    """Where other hosts reach it, as the nodes of the mesh reach each other."""
    values = hostvars[host]
    return str(values.get("multimaster_address") or values.get("ansible_host") or host)


def common_name(host: str) -> str:
    """Of the certificate that the role certificates makes for a host."""
    return host[:64]


def _repositories(node: str, repository_hosts: t.Sequence[str], hostvars: Hostvars) -> list[dict[str, t.Any]]:
    """The node's own, as its inventory states them; otherwise the repository host's, otherwise a folder of its own.

    Raises AnsibleFilterError where they are not those of the repository host that takes the node's backups.
    """
    stated = [dict(each) for each in hostvars[node].get("pgbackrest_repositories") or []]
    if not stated:
        return _served(repository_hosts[0], hostvars) if repository_hosts else [{"type": "posix"}]
    takers = _takers(stated, repository_hosts, hostvars)
    if not takers:
        return stated
    # pgBackRest gives both ends a repository by its number, so these have to be the same on both.
    count = len(_own(takers[0], hostvars))
    if len(takers) > 1 or len(stated) != count or any(each.get("type", "posix") != "host" for each in stated):
        raise AnsibleFilterError(
            f"pgbackrest_repositories of {node} must be those of the repository host {takers[0]} and no others: {count} of type "
            f"host. Leave pgbackrest_repositories of {node} out, and state further repositories in that of {takers[0]}."
        )
    return [{**_port(takers[0], hostvars), **each} for each in stated]


def _own(repository_host: str, hostvars: Hostvars) -> list[dict[str, t.Any]]:
    return [dict(each) for each in hostvars[repository_host].get("pgbackrest_repositories") or [{"type": "posix"}]]


def _served(repository_host: str, hostvars: Hostvars) -> list[dict[str, t.Any]]:
    """Its repositories as others see them."""
    entry = {"type": "host", "host": address(repository_host, hostvars), **_port(repository_host, hostvars)}
    return [dict(entry) for _each in _own(repository_host, hostvars)]


def _port(host: str, hostvars: Hostvars, key: str = "port") -> dict[str, int]:
    """Of the host's TLS server, where it is not the usual one."""
    port = hostvars[host].get("pgbackrest_server_port")
    return {key: int(port)} if port else {}


def _takers(repositories: t.Sequence[t.Mapping[str, t.Any]], repository_hosts: t.Sequence[str], hostvars: Hostvars) -> list[str]:
    """The repository hosts among these repositories, by their name or their address."""
    known = {name: host for host in repository_hosts for name in (host, address(host, hostvars))}
    hosts = [known.get(str(each.get("host"))) for each in repositories if each.get("type") == "host"]
    return list(dict.fromkeys(each for each in hosts if each))


def _served_stanza(node: str, nodes: t.Sequence[str], hostvars: Hostvars) -> dict[str, t.Any]:
    """As a repository host has it. Raises AnsibleFilterError where it could not reach it."""
    stanza = {**_stanza(node, nodes, hostvars), "pg_host": address(node, hostvars), **_port(node, hostvars, "pg_host_port")}
    problem = stanza_problem(stanza)
    if problem:
        raise AnsibleFilterError(f"{problem} It is postgresql_data_directory of {node}.")
    return stanza


def _stanza(node: str, nodes: t.Sequence[str], hostvars: Hostvars) -> dict[str, t.Any]:
    values = hostvars[node]
    version, cluster = values.get("postgresql_version") or 16, values.get("postgresql_cluster") or "main"
    return {
        "name": stanza_name(node, hostvars),
        "node": node,
        "pg_path": values.get("postgresql_data_directory") or f"/var/lib/postgresql/{version}/{cluster}",
        "pg_port": int(values.get("postgresql_port") or 5432),
        # Not all at the same moment: the nodes share a network, and often a repository.
        "offset_minutes": list(nodes).index(node) * 60 // max(1, len(nodes)) if node in nodes else 0,
    }
