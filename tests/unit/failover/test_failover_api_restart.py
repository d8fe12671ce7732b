# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instance that does not come up again is named with its host: Ansible reports the task under another host's name."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/failover_api/files/restart.py"


def test_the_host_that_failed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_options: subprocess.CompletedProcess([], 1))
    monkeypatch.setattr(sys, "argv", ["restart.py", "db-node_two", "failover_api", "https://[::1]:5000/health", "1"])
    with pytest.raises(SystemExit) as said:
        runpy.run_path(str(SCRIPT))
    assert str(said.value).startswith("On db-node_two failover_api was restarted and cannot carry out requests")
