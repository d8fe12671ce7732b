# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action look: a command that only reads, without Python on the host."""

from __future__ import annotations

import shlex
import typing as t

from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs the command through the connection alone: a module would take longer to start than most looks take."""

    # The command's input goes through the connection's own pipe.
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {
                "argv": {"type": "list", "elements": "str", "required": True},
                "stdin": {"type": "str", "default": ""},
            }
        )
        # Numbers and words as programs write them everywhere, whatever language the host speaks.
        command = "LC_ALL=C.UTF-8 " + " ".join(shlex.quote(word) for word in arguments["argv"])
        # Input of at least one line: some connections take none at all for a terminal.
        done = self._low_level_execute_command(command, in_data=(arguments["stdin"] or "\n").encode())
        result.update(
            changed=False,
            rc=done["rc"],
            stdout=to_text(done["stdout"]),
            stdout_lines=to_text(done["stdout"]).splitlines(),
            stderr=to_text(done["stderr"]),
        )
        pairs = (line.partition("\t") for line in result["stdout_lines"])
        result["pairs"] = {name: value for name, tab, value in pairs if tab}
        if done["rc"] != 0:
            result.update(failed=True, msg=f"The command ended with {done['rc']}: {result['stderr'].strip()}")
        return result
