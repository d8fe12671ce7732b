# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action variables_check: what is wrong with what a role was given, before it does anything."""

from __future__ import annotations

import typing as t

import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.multimaster.postgresql.plugins.plugin_utils import _failover_api, _pgbackrest_host, _redis
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._variables import variable_problems

# What no description of options can say, of the roles that have such a thing: values that do not go together.
Check = t.Callable[[t.Mapping[str, t.Any], t.Mapping[str, t.Any]], list[str]]
CHECKS: dict[str, Check] = {
    "failover_api": _failover_api.problems,
    "redis": _redis.problems,
    "pgbackrest": lambda values, _facts: _pgbackrest_host.cross_problems(values),
}


class ActionModule(ActionBase):
    """Reads the role's variables where they are, so that a task need not list them."""

    _supports_async = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"role_path": {"type": "path", "required": True}, "facts": {"type": "dict", "default": {}}}
        )
        variables = task_vars or {}
        role = arguments["role_path"].rstrip("/").rpartition("/")[2]
        with open(f"{arguments['role_path']}/meta/argument_specs.yml", encoding="utf-8") as file:
            options = yaml.safe_load(file)["argument_specs"]["main"]["options"]
        values = {name: self._templar.template(variables[name]) for name in variables if name.startswith(f"{role}_")}
        problems = variable_problems(values, options)
        if not problems and role in CHECKS:
            problems = CHECKS[role](values, arguments["facts"])
        result["changed"] = False
        if problems:
            host = variables.get("inventory_hostname", "")
            result.update(failed=True, msg=f"{host}: {' '.join(problems)} Nothing was changed.", problems=problems)
        return result
