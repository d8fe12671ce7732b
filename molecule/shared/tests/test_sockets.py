# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services listen where the inventory says that a host is reached, and on the host itself."""

from __future__ import annotations

import re

from mesh import Node

# The container engine's own resolver
OTHERS = {"127.0.0.11"}


def test_no_service_listens_on_more_than_the_declared_address(nodes: list[Node]) -> None:
    for node in nodes:
        lines = node.host().run("ss -Hltn").stdout.splitlines()
        addresses = {line.split()[3].rpartition(":")[0].strip("[]") for line in lines}
        assert node.address in addresses
        assert addresses <= {node.address, "127.0.0.1", "::1", *OTHERS}, node.name


def test_who_comes_and_goes_is_logged(nodes: list[Node]) -> None:
    for node in nodes:
        node.session().close()
        said = node.host().run("cat /var/log/postgresql/*.log").stdout
        # Whatever the language of the log's words
        assert re.search(r" imdb@imdb from \S+ .*=imdb .*=imdb .*TLSv1\.3", said)
        assert re.search(r" imdb@imdb from \S+ .* \d+:\d\d:\d\d\.\d{3} \S+=imdb \S+=imdb ", said)
