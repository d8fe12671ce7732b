# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that turn host names into the nodes of a mesh, or say why they make none."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.mesh import Hostvars, mesh_nodes


def _mesh_nodes(hosts: t.Sequence[str], hostvars: Hostvars) -> list[dict[str, t.Any]]:
    try:
        return mesh_nodes(hosts, hostvars)
    except MultimasterError as error:
        raise AnsibleFilterError(str(error)) from None


def _mesh_problem(hosts: t.Sequence[str], hostvars: Hostvars) -> str:
    try:
        mesh_nodes(hosts, hostvars)
    except MultimasterError as error:
        return str(error)
    return ""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"mesh_nodes": _mesh_nodes, "mesh_problem": _mesh_problem}
