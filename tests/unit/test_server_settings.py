# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings that are written, and what is wrong with those that a user asks for."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_settings import (
    replication_problems,
    settings_problems,
    settings_restarting,
    settings_written,
)

KNOWN = {
    "ssl": {"type": "bool", "context": "sighup", "choices": None},
    "work_mem": {"type": "integer", "context": "user", "choices": None},
    "wal_compression": {"type": "enum", "context": "superuser", "choices": ["pglz", "lz4", "on", "off"]},
    "block_size": {"type": "integer", "context": "internal", "choices": None},
    "max_active_replication_origins": None,
}


def written(settings: dict[str, t.Any], known: dict[str, t.Any]) -> dict[str, str]:
    return {setting["name"]: setting["value"] for setting in settings_written(settings, known)}


def test_values_of_every_type_become_text_by_name() -> None:
    settings = {"work_mem": "4MB", "ssl": True, "search_path": ["a", "b"], "random_page_cost": 1.1, "port": 5432, "gone": None}
    assert written(settings, {}) == {
        "port": "5432",
        "random_page_cost": "1.1",
        "search_path": "a, b",
        "ssl": "on",
        "work_mem": "4MB",
    }


def test_a_preference_takes_what_this_build_accepts_first() -> None:
    assert written({"wal_compression": ["zstd", "lz4", "pglz"]}, KNOWN) == {"wal_compression": "lz4"}


def test_a_preference_takes_the_last_while_no_server_answers() -> None:
    assert written({"wal_compression": ["zstd", "lz4", "pglz"]}, {}) == {"wal_compression": "pglz"}


def test_what_the_server_lacks_is_left_out() -> None:
    assert written({"max_active_replication_origins": 24, "ssl": False, "my.own": 1}, KNOWN) == {"my.own": "1", "ssl": "off"}
    assert written({"max_active_replication_origins": 24}, {}) == {}


@pytest.mark.parametrize(
    ("settings", "known", "expected"),
    [
        ({"port": 1}, {}, "postgresql_settings cannot hold port: set postgresql_port."),
        ({"wrok_mem": 1}, {}, "postgresql_settings has wrok_mem, which PostgreSQL 16 does not know"),
        ({"wrok_mem": 1}, KNOWN, "postgresql_settings has wrok_mem, which PostgreSQL 16 does not know"),
        ({"block_size": 1}, KNOWN, "cannot be set"),
        ({"wal_compression": "zip"}, KNOWN, "wal_compression is zip, but this server accepts pglz, lz4, on, off."),
        ({"wal_compression": ["zip", "bzip"]}, KNOWN, "accepts pglz, lz4"),
        ({"ssl": "maybe"}, KNOWN, "either on or off"),
    ],
)
def test_problems(settings: dict[str, t.Any], known: dict[str, t.Any], expected: str) -> None:
    (problem,) = settings_problems(settings, known, {"port": "set postgresql_port"}, ["work_mem", "ssl"], 16)
    assert expected in problem


@pytest.mark.parametrize(
    "settings",
    [
        {"wal_compression": True},
        {"wal_compression": "LZ4"},
        {"wal_compression": ["zip", "lz4"]},
        {"ssl": "yes"},
        {"x.y": 1},
        {"nope": None},
    ],
)
def test_no_problem(settings: dict[str, t.Any]) -> None:
    assert settings_problems(settings, KNOWN, {}, [], 16) == []


def test_a_check_run_names_what_a_restart_is_for_with_both_values() -> None:
    known = {
        "max_wal_senders": {"context": "postmaster", "current": "24"},
        "wal_level": {"context": "postmaster", "current": "logical"},
        "work_mem": {"context": "user", "current": "4MB"},
        "gone": None,
    }
    settings = {"max_wal_senders": 256, "wal_level": "logical", "work_mem": "8MB", "my.setting": "x"}
    reasons = settings_restarting(settings_written(settings, known), known, ["max_wal_senders", "wal_buffers"], ["huge_pages"])
    assert reasons == ["max_wal_senders: 24 -> 256", "wal_buffers", "huge_pages"]
    assert settings_restarting(settings_written({"work_mem": "8MB"}, known), known, [], []) == []


def test_what_a_mesh_cannot_do_without_is_refused_in_a_sentence() -> None:
    (problem,) = replication_problems({"wal_level": "minimal", "work_mem": "4MB"}, 2)
    assert "postgresql_settings.wal_level is minimal, but the nodes need logical" in problem
    (problem,) = replication_problems({"max_replication_slots": 5}, 8)
    assert "8 subscriptions between this node and the others need 9 at least" in problem
    assert len(replication_problems({"default_transaction_read_only": True, "session_replication_role": "replica"}, 1)) == 2
    fine = {"wal_level": "logical", "max_wal_senders": "50", "default_transaction_read_only": False}
    assert replication_problems(fine, 8) == []
    # A server that replicates with nobody is its owner's affair.
    assert replication_problems({"wal_level": "replica", "max_wal_senders": 0}, 0) == []
