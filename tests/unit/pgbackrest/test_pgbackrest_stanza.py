# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_stanza where the cluster is on another host."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest import stanza as module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PgBackRest

RECORDED = Path(__file__).parent / "recorded"


@pytest.mark.parametrize(("state", "commands"), [("upgraded", ["stanza-upgrade"]), ("present", [])])
def test_check_mode_says_that_an_upgrade_would_run(monkeypatch: pytest.MonkeyPatch, state: str, commands: list[str]) -> None:
    info = (RECORDED / "info_three_backups.json").read_text()
    pgbackrest = PgBackRest(stanza="pg1", config="/none", run=lambda *_words: (0, info, ""))
    monkeypatch.setattr(module, "from_parameters", lambda _params, _warn: pgbackrest)
    monkeypatch.setattr(module, "require_unprivileged", lambda _what: None)
    params: dict[str, t.Any] = {"state": state, "pg_path": None, "force": False, "archive_timeout": 1, "lock_wait": 0}
    told = module.manage_stanza(params, True, lambda _message: None)
    assert [command.split()[-1] for command in told["commands"]] == commands
    assert told["changed"] == bool(commands)
