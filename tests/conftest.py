# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that unit and integration tests share."""

from __future__ import annotations

import importlib
import json
import typing as t

import pytest
from ansible.module_utils.common import warnings as recorded
from ansible.module_utils.testing import patch_module_args
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine that the tests share than about the code.
settings.register_profile("multimaster", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("multimaster")

MODULES = "ansible_collections.multimaster.postgresql.plugins.modules."


class ModuleRun(dict[str, t.Any]):
    """The JSON result of a module; ``output`` is all that it printed, word for word."""

    output: str


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> t.Callable[..., ModuleRun]:
    """Run a module in this process: ``run_module("pg_publication", {...}, check=True)``.

    Returns its JSON, warnings as plain sentences. A failure that the test did not announce with
    ``fails=True`` fails the test, and so does a success where a failure was announced.
    """

    def run(name: str, arguments: dict[str, t.Any], *, check: bool = False, fails: bool = False) -> ModuleRun:
        main = importlib.import_module(MODULES + name).main
        capsys.readouterr()
        # Kept for the whole process, which is one module's run on a host and many of them here.
        recorded._global_warnings.clear()
        recorded._global_deprecations.clear()
        arguments = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        captured = capsys.readouterr()
        result = ModuleRun(json.loads(captured.out))
        result.output = captured.out + captured.err
        result["warnings"] = [warning["event"]["msg"] for warning in result.get("warnings", [])]
        assert bool(result.get("failed")) == fails, result.get("msg", result)
        if not fails:
            assert isinstance(result["changed"], bool)
        return result

    return run
