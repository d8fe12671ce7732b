# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last of all: destroy.yml takes everything away, and only when it is meant."""

from __future__ import annotations

from mesh import Node, run_playbook


def test_without_the_confirmation_nothing_happens(nodes: list[Node]) -> None:
    run = run_playbook("destroy", expect_success=False)
    assert run.returncode != 0
    assert "Nothing was changed" in run.output
    assert run.changed() == 0
    assert nodes[0].value("SELECT 1") == 1


def test_what_is_somebody_else_s_stays(nodes: list[Node]) -> None:
    """Another cluster of the same version on one of the hosts, with its data and the program that runs it."""
    host = nodes[0].host()
    ask = "su postgres -c 'psql --port=5499 --tuples-only --no-align --command=\"{}\"'"
    host.check_output("pg_createcluster --port=5499 --start 16 theirs")
    host.check_output(ask.format("CREATE TABLE t (id int)"))
    run_playbook("destroy", "-e", 'destroy_confirm="all data"')
    assert host.check_output(ask.format("SELECT count(*) FROM t")) == "0"
    assert host.check_output("pg_lsclusters --no-header").split()[1] == "theirs"
    host.check_output("pg_dropcluster --stop 16 theirs")


def test_with_the_confirmation_nothing_is_left(nodes: list[Node]) -> None:
    run_playbook("destroy", "-e", 'destroy_confirm="all data"')
    for node in nodes:
        host = node.host()
        for path in (
            "/etc/postgresql", "/var/lib/postgresql", "/usr/lib/postgresql", "/etc/multimaster", "/srv/data disk/Prod.A",
            "/srv/data disk/Speicher 1", "/srv/wal disk/Prod.A",
        ):
            assert not host.file(path).exists or host.file(path).listdir() == []
        assert host.run("pgrep -x postgres").rc != 0
    assert run_playbook("destroy", "-e", 'destroy_confirm="all data"').changed() == 0
