# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What every module does around its own read, plan and apply."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    Connection,
    login_parameters,
    psycopg2,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement


@dataclass
class Plan:
    """What a task would do: pure data, made without a server.

    ``results`` are the module's own return values; they must hold no secret.
    """

    statements: list[Statement] = field(default_factory=list)
    differences: Differences = field(default_factory=Differences)
    warnings: list[str] = field(default_factory=list)
    results: dict[str, t.Any] = field(default_factory=dict)


class Manager(t.Protocol):
    """One module's logic. ``plan`` is pure: it never touches a server."""

    def read(self) -> t.Any: ...

    def plan(self, state: t.Any) -> Plan: ...

    def apply(self, plan: Plan) -> None: ...


def run_module(
    manager: t.Callable[..., Manager],
    argument_spec: dict[str, t.Any],
    *,
    prepare: t.Callable[[Module], t.Any] | None = None,
    session: str = "change",
    **module_options: t.Any,
) -> None:
    """Run one module from its arguments to its JSON result; failures end in _edge.finish.

    ``manager`` is called with the module and the connection. What need not wait for the connection can be
    done by ``prepare`` in the meantime: its result is then the manager's third argument. ``session`` is its kind, see
    _core.session; a check run has one that cannot write.
    """
    module = Module(
        argument_spec={**CONNECTION_SPEC, **argument_spec},
        supports_check_mode=True,
        **module_options,
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    finish(module, lambda: _run(module, manager, prepare, session))


def _run(
    module: Module,
    manager: t.Callable[..., Manager],
    prepare: t.Callable[[Module], t.Any] | None,
    session: str,
) -> dict[str, t.Any]:
    prepared: tuple[t.Any, ...] = ()
    kind = "look" if module.check_mode else session
    if prepare is None:
        connection = Connection(login_parameters(module.params), module.warn, kind)
    else:
        # Imported only for the modules that have something to do in the meantime.
        from ansible_collections.multimaster.postgresql.plugins.module_utils._core.background import Job

        connecting = Job(lambda: Connection(login_parameters(module.params), module.warn, kind))
        prepared = (prepare(module),)
        connection = connecting.result()
    try:
        this = manager(module, connection, *prepared)
        plan = this.plan(this.read())
        for warning in plan.warnings:
            module.warn(warning)
        if not module.check_mode:
            this.apply(plan)
        return {
            "changed": bool(plan.differences),
            "queries": [connection.show(statement.shown) for statement in plan.statements],
            "diff": plan.differences.as_diff(),
            **plan.results,
        }
    finally:
        connection.close()
