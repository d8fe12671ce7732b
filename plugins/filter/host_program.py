# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes a program for hosts of this collection's own modules."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

from ansible_collections.multimaster.postgresql.plugins.plugin_utils import _host_program

FOLDER = Path(__file__).resolve().parents[1] / "module_utils"


@functools.cache
def host_program(main: str) -> str:
    return _host_program.host_program(str(main), FOLDER)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"host_program": host_program}
