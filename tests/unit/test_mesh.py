# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mesh as an inventory describes it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.mesh import mesh_nodes

GOOD: dict[str, dict[str, t.Any]] = {
    "pg1": {"multimaster_node_id": 1, "multimaster_address": "192.0.2.11"},
    "pg2": {"multimaster_node_id": 2, "ansible_host": "192.0.2.12", "postgresql_port": "5433"},
}

NO_ADDRESSES = ("192.0.2.12/24", "192.0.2.12,192.0.2.13", ["192.0.2.12"], "[2001:db8::12]", ".example.org", "fe80::1%eth0")


def changed(host: str, **variables: object) -> dict[str, dict[str, t.Any]]:
    return {**GOOD, host: {**GOOD.get(host, {}), **variables}}


def test_nodes_are_listed_by_id_with_address_and_port() -> None:
    assert mesh_nodes(["pg2", "pg1"], GOOD) == [
        {"name": "pg1", "node_id": 1, "address": "192.0.2.11", "port": 5432},
        {"name": "pg2", "node_id": 2, "address": "192.0.2.12", "port": 5433},
    ]


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    hostvars: dict[str, dict[str, t.Any]] = {"a.example": {"multimaster_node_id": 3}, "b.example": {"multimaster_node_id": "2"}}
    assert [node["address"] for node in mesh_nodes(["a.example", "b.example"], hostvars)] == ["b.example", "a.example"]


@pytest.mark.parametrize(
    ("hosts", "hostvars", "message"),
    [
        (["pg1"], GOOD, "at least two nodes; the group holds pg1"),
        ([], GOOD, "at least two nodes; the group holds none"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=1), "pg1 and pg2 have the same multimaster_node_id: 1"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id="1"), "pg1 and pg2 have the same multimaster_node_id: 1"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=9), "multimaster_node_id of pg2 is 9; it must be from 1 to"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=0), "multimaster_node_id of pg2 is 0"),
        (["pg1", "pg2"], changed("pg2", multimaster_max_nodes=16), "differs between nodes (pg1: 8, pg2: 16)"),
        (
            ["pg1", "pg2"],
            {host: {**GOOD[host], "multimaster_node_id": 3, "multimaster_max_nodes": 2} for host in GOOD},
            "must be from 1 to multimaster_max_nodes, which is 2",
        ),
        *(
            (["pg1", "pg2"], changed("pg2", multimaster_address=address), f"cannot reach pg2 by {address}, which is no single")
            for address in NO_ADDRESSES
        ),
        (
            ["pg1", "pg2"],
            {
                "pg1": {"multimaster_node_id": 1, "multimaster_address": "2001:db8::1"},
                "pg2": {"multimaster_node_id": 2, "multimaster_address": "2001:DB8:0::1"},
            },
            "pg1 and pg2 have the same address and port: 2001:db8::1:5432",
        ),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=None), "pg2 has no multimaster_node_id"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id="two"), "multimaster_node_id of pg2 is 'two'"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=True), "multimaster_node_id of pg2 is True"),
        (["pg1", "pg2"], changed("pg2", multimaster_node_id=-2), "multimaster_node_id of pg2 is -2"),
        (["pg1", "pg2"], changed("pg2", multimaster_max_nodes="many"), "multimaster_max_nodes of pg2 is 'many'"),
        (
            ["pg1", "pg2"],
            changed("pg2", ansible_host="192.0.2.11", postgresql_port=5432),
            "pg1 and pg2 have the same address and port: 192.0.2.11:5432",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(hosts: list[str], hostvars: dict[str, dict[str, t.Any]], message: str) -> None:
    with pytest.raises(MultimasterError) as raised:
        mesh_nodes(hosts, hostvars)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
