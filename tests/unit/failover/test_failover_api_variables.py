# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API cannot be given is said in one sentence, without a secret."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._failover_api import problems

NODES: list[dict[str, t.Any]] = [
    {"name": "pg1", "node_id": 1, "address": "192.0.2.11"},
    {"name": "pg2", "node_id": "2", "address": "192.0.2.12"},
]
GIVEN: dict[str, t.Any] = {
    "failover_api_nodes": NODES,
    "failover_api_port": "5000",
    "failover_api_head_timeout": 10,
    "failover_api_body_timeout": 10,
    "failover_api_connections_max": 4000,
    "failover_api_connections_per_address_max": 1000,
    "failover_api_switch_token": "a token that is long enough",
    "failover_api_database_password": "s3cret",
    "failover_api_redis_servers": [{"host": "192.0.2.11"}],
    "failover_api_redis_password": "s3cret",
    "failover_api_tls_certificate_file": "/a",
    "failover_api_tls_key_file": "/b",
}


def test_what_is_right_is_not_complained_of() -> None:
    assert problems(GIVEN, {}) == []
    assert problems({**GIVEN, "failover_api_redis_servers": [], "failover_api_redis_password": ""}, {}) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("nodes", [], "failover_api_nodes is empty"),
        ("nodes", [NODES[0], {**NODES[1], "node_id": "1"}], "a name or a node_id twice"),
        ("nodes", [NODES[0], {**NODES[1], "name": "pg1"}], "a name or a node_id twice"),
        ("port", 65536, "failover_api_port is 65536"),
        ("head_timeout", 0, "failover_api_head_timeout is 0"),
        ("body_timeout", 3601, "failover_api_body_timeout is 3601"),
        ("connections_max", 0, "must be at least 1"),
        ("connections_per_address_max", 0, "must be at least 1"),
        ("switch_token", "  s3cret         ", "fewer than 16 characters"),
        ("switch_token", None, "fewer than 16 characters"),
        ("switch_token", "s3cret s3cret s3cret\n", "a line break"),
        ("database_password", "", "failover_api_database_password is empty"),
        ("redis_password", "", "needs failover_api_redis_password"),
        ("tls_key_file", "", "belong together"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: t.Any, words: str) -> None:
    (problem,) = problems({**GIVEN, f"failover_api_{name}": value}, {})
    assert words in problem
    assert "s3cret" not in problem
