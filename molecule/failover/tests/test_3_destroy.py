# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing of the API is left on its hosts. The last test, since nothing else is left either."""

from __future__ import annotations

from instances import Mesh
from mesh import run_playbook


def test_destroy_leaves_nothing_of_the_api(mesh: Mesh) -> None:
    for node in mesh.nodes:
        node.close()
    run_playbook("destroy", "-e", "destroy_confirm='all data'")
    for node in mesh.nodes:
        host = node.host()
        assert not host.user("failover_api").exists
        assert not host.service("failover_api").exists
        unit = "/etc/systemd/system/failover_api.service"
        for path in ("/etc/multimaster", "/usr/local/lib/multimaster", unit, "/run/failover_api"):
            assert not host.file(path).exists, path
        assert host.run("ss -Hltn 'sport = :5000'").stdout == ""
    assert run_playbook("destroy", "-e", "destroy_confirm='all data'").changed() == 0
