# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The mesh as the inventory describes it: its nodes, and what is wrong with the description."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from collections import defaultdict

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

DEFAULT_PORT = 5432
DEFAULT_MAX_NODES = 8

# A zone (fe80::1%eth0) is one host's own name for its network.
_ADDRESS = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:-]*")

Hostvars = t.Mapping[str, t.Mapping[str, t.Any]]


def mesh_nodes(hosts: t.Sequence[str], hostvars: Hostvars) -> list[dict[str, t.Any]]:
    """The nodes ``{name, node_id, address, port}`` of a mesh, by node id.

    Raises MultimasterError with one sentence when no mesh can be made of these hosts.
    """
    if len(hosts) < 2:
        listed = ", ".join(hosts) or "none"
        raise MultimasterError(
            f"A mesh needs at least two nodes; the group holds {listed}. "
            "Add a second host with a multimaster_node_id of its own to the group postgresql of the inventory."
        )
    _require_one_max_nodes(hosts, hostvars)
    nodes = [_node(host, hostvars[host]) for host in hosts]
    _require_distinct(nodes, "node_id", "multimaster_node_id", "Two nodes with one id would hand out the same keys")
    _require_distinct(nodes, "endpoint", "address and port", "Each node needs an address of its own")
    for node in nodes:
        del node["endpoint"]
    return sorted(nodes, key=lambda node: node["node_id"])


def _node(host: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    address = str(variables.get("multimaster_address") or variables.get("ansible_host") or host)
    if not _ADDRESS.fullmatch(address):
        raise MultimasterError(
            f"The other nodes cannot reach {host} by {address}, which is no single address or host name. "
            "State one as its multimaster_address: 192.0.2.11, 2001:db8::11 or db1.example.org."
        )
    port = _whole_number(host, "postgresql_port", variables.get("postgresql_port", DEFAULT_PORT))
    return {
        "name": host,
        "node_id": _node_id(host, variables),
        "address": address,
        "port": port,
        "endpoint": f"{_one_spelling(address)}:{port}",
    }


def _one_spelling(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()


def _require_one_max_nodes(hosts: t.Sequence[str], hostvars: Hostvars) -> None:
    stated = {host: _max_nodes(host, hostvars[host]) for host in hosts}
    if len(set(stated.values())) > 1:
        listed = ", ".join(f"{host}: {value}" for host, value in stated.items())
        raise MultimasterError(
            f"multimaster_max_nodes differs between nodes ({listed}). State it once, for all nodes: "
            "with different strides two nodes hand out the same keys."
        )


def _max_nodes(host: str, variables: t.Mapping[str, t.Any]) -> int:
    return _whole_number(
        host, "multimaster_max_nodes", variables.get("multimaster_max_nodes", DEFAULT_MAX_NODES)
    )


def _node_id(host: str, variables: t.Mapping[str, t.Any]) -> int:
    max_nodes = _max_nodes(host, variables)
    if variables.get("multimaster_node_id") is None:
        raise MultimasterError(
            f"{host} has no multimaster_node_id. State one in the inventory, from 1 to {max_nodes}, "
            "and never change or re-use it: it decides which keys the node hands out."
        )
    node_id = _whole_number(host, "multimaster_node_id", variables["multimaster_node_id"])
    if not 1 <= node_id <= max_nodes:
        raise MultimasterError(
            f"multimaster_node_id of {host} is {node_id}; it must be from 1 to multimaster_max_nodes, which is {max_nodes}."
        )
    return node_id


def _whole_number(host: str, name: str, value: t.Any) -> int:
    # A digit string is what `-e` and ini inventories give; a bool or a float is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip().isdigit():
        raise MultimasterError(f"{name} of {host} is {value!r}; it must be a whole number.")
    return int(value)


def _require_distinct(nodes: list[dict[str, t.Any]], key: str, name: str, reason: str) -> None:
    holders = defaultdict(list)
    for node in nodes:
        holders[node[key]].append(node["name"])
    for value, hosts in holders.items():
        if len(hosts) > 1:
            raise MultimasterError(f"{' and '.join(hosts)} have the same {name}: {value}. {reason}; correct the inventory.")
