# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What the modules for a node's replication take, for them and for what compares all of it at once."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import PEER_SECRETS_SPEC, PEER_SPEC

OPERATIONS = ("insert", "update", "delete", "truncate")

PUBLICATION_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "all_tables": {"type": "bool", "default": False},
    "tables": {"type": "list", "elements": "raw"},
    "tables_in_schema": {"type": "list", "elements": "str", "aliases": ["schemas"]},
    "operations": {
        "type": "list",
        "elements": "str",
        "choices": list(OPERATIONS),
        "default": list(OPERATIONS),
        "aliases": ["publish"],
    },
    "publish_via_partition_root": {"type": "bool", "default": False},
    "owner": {"type": "str"},
    "comment": {"type": "str"},
    "replica_identity_missing": {"type": "str", "choices": ["fail", "warn", "full"], "default": "fail"},
}

SEQUENCE_SPEC: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "node_id": {"type": "int"},
    "max_nodes": {"type": "int", "default": 8},
    "include": {"type": "list", "elements": "str", "default": ["*"]},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "cover_new_tables": {"type": "bool", "default": True},
    "headroom": {"type": "int", "default": 0},
    "warn_below_percent": {"type": "float", "default": 10},
    "unindexed_limit_mb": {"type": "int", "default": 64},
    "lock_timeout": {"type": "float", "default": 30},
}
SEQUENCE_REQUIRED_IF = [("state", "present", ("node_id",))]

SUBSCRIPTION_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "peer": {"type": "dict", "required": True, "options": PEER_SPEC},
    **PEER_SECRETS_SPEC,
    "publications": {"type": "list", "elements": "str"},
    "slot_name": {"type": "str"},
    "owner": {"type": "str"},
    "enabled": {"type": "bool", "default": True},
    "comment": {"type": "str"},
    "record_publisher": {"type": "bool", "default": False},
    "binary": {"type": "bool", "default": False},
    "streaming": {"type": "str", "choices": ["off", "on", "parallel"], "default": "off"},
    "synchronous_commit": {
        "type": "str",
        "choices": ["off", "local", "remote_write", "on", "remote_apply"],
        "default": "off",
    },
    "disable_on_error": {"type": "bool", "default": False},
    "password_required": {"type": "bool", "default": True, "no_log": False},
    "run_as_owner": {"type": "bool", "default": False},
    "origin": {"type": "str", "choices": ["none", "any"], "default": "none"},
    "two_phase": {"type": "bool"},
    "failover": {"type": "bool"},
    "copy_data": {"type": "bool", "default": False},
    "copy_into_nonempty": {"type": "bool", "default": False},
    "uncopied_rows": {"type": "str", "choices": ["fail", "warn", "elsewhere"], "default": "fail"},
    "start_lsn": {"type": "str"},
    "leftover_slot": {"type": "str", "choices": ["fail", "adopt", "replace"], "default": "fail"},
    "lost_slot": {"type": "str", "choices": ["fail", "recreate"], "default": "fail"},
    "peer_unreachable": {"type": "str", "choices": ["fail", "warn"], "default": "warn"},
    "detach": {"type": "bool", "default": False},
    "pending_publications": {"type": "list", "elements": "str", "default": []},
    "pending_owner": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
    "slot_timeout": {"type": "int", "default": 30},
}
SUBSCRIPTION_REQUIRED_IF = [("state", "present", ("publications", "owner"))]

CONFLICT_POLICY_SPEC: dict[str, dict[str, t.Any]] = {
    "policy": {"type": "str", "choices": ["last_update_wins", "error"], "required": True},
    "node_id": {"type": "int"},
    "tables": {"type": "list", "elements": "str"},
    "schemas": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "history_days": {"type": "int", "default": 30},
    "history_owner": {"type": "str", "default": ""},
    "pending_owner": {"type": "bool", "default": False},
    "history_readers": {"type": "list", "elements": "str", "default": []},
    "delete_window": {"type": "int", "default": 3600},
    "lock_timeout": {"type": "float", "default": 30},
    "drain_timeout": {"type": "float", "default": 30},
}
CONFLICT_POLICY_REQUIRED_IF = [("policy", "last_update_wins", ("node_id",))]
CONFLICT_POLICY_EXCLUSIVE = [("tables", "schemas")]
