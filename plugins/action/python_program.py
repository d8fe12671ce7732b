# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action python_program: packages of Python as one file that a host runs."""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._program import program


class ActionModule(ActionBase):
    """Packs on the controller; what differs on the host, and who owns it, is the module copy's."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        self.validate_argument_spec(
            {
                "src": {"type": "path", "required": True},
                "main": {"type": "str", "required": True},
                "dest": {"type": "path", "required": True},
                "owner": {"type": "str"},
                "group": {"type": "str"},
                "mode": {"type": "raw", "default": "0755"},
            }
        )
        packed = program(Path(arguments.pop("src")), arguments.pop("main"))
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as folder:
            source = Path(folder, "program")
            source.write_bytes(packed)
            task = self._task.copy()
            task.args = {"mode": "0755", **arguments, "src": str(source)}
            action = self._shared_loader_obj.action_loader.get(
                "ansible.legacy.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            return dict(action.run(task_vars=task_vars))
