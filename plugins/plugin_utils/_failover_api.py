# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What role failover_api cannot be given. Pure."""

from __future__ import annotations

import re
import typing as t

LEAST_TOKEN = 16
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def problems(values: t.Mapping[str, t.Any], facts: t.Mapping[str, t.Any]) -> list[str]:
    """One sentence for each thing that variables of the right type cannot say together. Shows no secret."""
    return [*_nodes(values["failover_api_nodes"]), *_numbers(values), *_secrets(values), *_files(values)]


def _nodes(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    if not nodes:
        yield (
            "failover_api_nodes is empty. List the masters, the primary first, for example with the filter "
            "multimaster.postgresql.mesh_nodes."
        )
    if len({node["name"] for node in nodes}) < len(nodes) or len({int(node["node_id"]) for node in nodes}) < len(nodes):
        yield "failover_api_nodes has a name or a node_id twice."


def _numbers(values: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    port = int(values["failover_api_port"])
    if not 0 < port < 65536:
        yield f"failover_api_port is {port}, which is no port."
    for name in ("failover_api_head_timeout", "failover_api_body_timeout"):
        if not 0 < int(values[name]) <= 3600:
            yield f"{name} is {values[name]}. It must be from 1 to 3600 seconds."
    if int(values["failover_api_connections_max"]) < 1 or int(values["failover_api_connections_per_address_max"]) < 1:
        yield "failover_api_connections_max and failover_api_connections_per_address_max must be at least 1."


def _secrets(values: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    token = str(values.get("failover_api_switch_token") or "")
    if len(token.strip()) < LEAST_TOKEN:
        yield f"failover_api_switch_token has fewer than {LEAST_TOKEN} characters, or is not set. Anyone could guess it."
    if _CONTROL.search(token):
        yield "failover_api_switch_token holds a line break or another control character, which no header can."
    if not values.get("failover_api_database_password"):
        yield "failover_api_database_password is empty or not set."
    if values["failover_api_redis_servers"] and not values["failover_api_redis_password"]:
        yield "failover_api_redis_servers needs failover_api_redis_password."


def _files(values: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if bool(values["failover_api_tls_certificate_file"]) != bool(values["failover_api_tls_key_file"]):
        yield "failover_api_tls_certificate_file and failover_api_tls_key_file belong together."
