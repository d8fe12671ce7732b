# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that reads a folder of source files on the controller."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.plugin_utils import _source_tree


def source_tree(folder: str) -> dict[str, t.Any]:
    path = Path(str(folder))
    if not path.is_dir():
        raise AnsibleFilterError(f"source_tree: there is no folder {path}.")
    return _source_tree.source_tree(path)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"source_tree": source_tree}
