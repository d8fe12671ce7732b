# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No module shows a secret, whatever characters it is made of: not in its result, and not in the host's journal."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from servers import ROOT, free_port

# Whatever quoting or encoding a text goes through, its core stays as it is.
CORE = "c0reOfTheSecret"
HOSTILE = f"%s p\\a's\"$w{{x}}:#;=é@/\n{CORE}\\' "

NOWHERE = {"login_host": "127.0.0.1", "login_port": free_port(), "login_password": HOSTILE, "ssl_password": HOSTILE}
PEER: dict[str, t.Any] = {
    "peer": {"host": "127.0.0.1", "port": free_port(), "user": "replicator", "ssl_mode": "disable"},
    "peer_password": HOSTILE,
    "peer_ssl_password": HOSTILE,
}
SUBSCRIPTION = {**NOWHERE, "name": "sub", "publications": ["pub"], "owner": "owner", **PEER}
PGBACKREST = {"stanza": "main", "executable": "/nonexistent", "secrets": {"repo1-cipher-pass": HOSTILE}}

# Each module with all its options that hold secrets. It fails, since nothing is there, after it noted how it was called.
CALLS: dict[str, dict[str, t.Any]] = {
    "backup_catalog": {
        **PGBACKREST,
        "action": "read",
        "servers": [{"host": "127.0.0.1", "port": free_port()}],
        "tls": False,
        "login_user": "catalog",
        "login_password": HOSTILE,
        "unavailable": "fail",
    },
    "pg_configuration_try": {"programs": "/nonexistent", "folder": "/nonexistent", "files": []},
    "imdb_load": {**NOWHERE, "directory": "/nonexistent"},
    "pg_conflict_policy": {**NOWHERE, "policy": "error"},
    "pg_multimaster_info": NOWHERE,
    "pg_node_differences": {
        **NOWHERE, "publications": [{"name": "p", "all_tables": True}], "peer_password": HOSTILE, "peer_ssl_password": HOSTILE,
    },
    "pg_node_equal": {**NOWHERE, **PEER, "publications": ["pub"], "slot_there": "slot_1_to_2", "slot_here": "slot_2_to_1"},
    "pg_publication": {**NOWHERE, "name": "pub", "all_tables": True},
    "pg_sequence_mm": {**NOWHERE, "node_id": 1},
    "pg_subscription_mm": SUBSCRIPTION,
    "pgbackrest_backup": PGBACKREST,
    "pgbackrest_expire": {**PGBACKREST, "retention_full": 1},
    "pgbackrest_info": PGBACKREST,
    "pgbackrest_prove": {"pg_path": "/nonexistent"},
    "pgbackrest_restore": {**PGBACKREST, "pg_path": "/nonexistent/copy"},
    "pgbackrest_stanza": PGBACKREST,
}
# A secret where Ansible cannot mask it is refused. It is another one than those that are masked.
MISPLACED = HOSTILE[1:]
MISUSED = {
    "login_password": ("pg_publication", {**CALLS["pg_publication"], "connect_params": {"password": MISPLACED}}),
    "ssl_password": ("pg_publication", {**CALLS["pg_publication"], "connect_params": {"sslpassword": MISPLACED}}),
    "peer_password": (
        "pg_subscription_mm",
        {**SUBSCRIPTION, "peer": {**PEER["peer"], "connect_params": {"password": MISPLACED}}},
    ),
    "peer_ssl_password": (
        "pg_node_equal",
        {**CALLS["pg_node_equal"], "peer": {**PEER["peer"], "connect_params": {"sslpassword": MISPLACED}}},
    ),
}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the module writes to the system's log. Only the way to it is cut: what is written is Ansible's own text."""
    lines: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda *arguments: lines.append(str(arguments[-1])))
    return lines


def test_every_module_is_called() -> None:
    # Most of these run on the controller alone; no option of theirs is a secret.
    others = {"look", "python_program", "unit_info", "variables_check"}
    assert set(CALLS) == {file.stem for file in Path(ROOT, "plugins/modules").glob("*.py")} - others


@pytest.mark.parametrize("name", CALLS)
def test_a_secret_is_shown_nowhere(run_module: t.Callable[..., t.Any], journal: list[str], name: str) -> None:
    # What cannot be compared differs: that is no failure.
    ended = run_module(name, CALLS[name], fails=name != "pg_node_differences")
    assert any("Invoked" in line for line in journal)
    assert CORE not in ended.output
    assert not [line for line in journal if CORE in line]


def test_a_secret_in_a_description_is_refused_and_not_shown(run_module: t.Callable[..., t.Any], journal: list[str]) -> None:
    described = {"subscriptions": [{**SUBSCRIPTION, "peer_password": MISPLACED, "peer_ssl_password": ""}]}
    failed = run_module("pg_node_differences", {**NOWHERE, **described}, fails=True)
    assert "a secret in a dict can get into logs" in failed["msg"]
    assert CORE not in failed.output
    assert not [line for line in journal if CORE in line]


@pytest.mark.parametrize("instead", MISUSED)
def test_a_secret_in_a_dict_is_refused_and_not_shown(
    run_module: t.Callable[..., t.Any], journal: list[str], instead: str
) -> None:
    name, arguments = MISUSED[instead]
    failed = run_module(name, arguments, fails=True)
    assert f"Give it as {instead}." in failed["msg"]
    assert CORE not in failed.output
    assert not [line for line in journal if CORE in line]
