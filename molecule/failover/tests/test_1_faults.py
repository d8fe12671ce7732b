# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the API while the active node fails in every way: no request fails, and every row is on both nodes once."""

from __future__ import annotations

import subprocess
import typing as t

import pytest
from instances import PATIENCE, Mesh, Writers
from mesh import Node, eventually, run_playbook

# Begins when it is called with a node; what it returns heals it.
Fault = t.Callable[[Node], t.Callable[[], None]]

NETWORK = "multimaster-failover"
UNIT = "postgresql@16-main"


def inside(node: Node, command: str) -> str:
    done = node.host().run(command)
    assert done.rc == 0, done.stderr
    return str(done.stdout)


def stopped(node: Node) -> t.Callable[[], None]:
    inside(node, f"systemctl stop {UNIT}")
    return lambda: inside(node, f"systemctl start {UNIT}") and None


def killed(node: Node) -> t.Callable[[], None]:
    """The postmaster alone. Its unit starts it again, so nobody has to."""
    inside(node, "kill -9 $(head -n 1 /var/lib/postgresql/16/main/postmaster.pid)")
    return lambda: None


def frozen(node: Node) -> t.Callable[[], None]:
    """Every process of the server: it takes connections and never answers."""
    inside(node, "pkill -STOP -x postgres")
    return lambda: inside(node, "pkill -CONT -x postgres") and None


def cut_off(node: Node) -> t.Callable[[], None]:
    """The whole host, with its instance of the API and its Redis."""
    subprocess.run(["docker", "network", "disconnect", "--force", NETWORK, node.name], check=True, capture_output=True)
    connect = ["docker", "network", "connect", "--ip", node.address, NETWORK, node.name]
    return lambda: subprocess.run(connect, check=True, capture_output=True) and None


@pytest.mark.parametrize("fault", [stopped, killed, frozen, cut_off])
def test_no_request_fails_when_the_active_node_does(healthy: Mesh, fault: Fault) -> None:
    away = healthy.active()
    stays = healthy.other(away)
    with Writers(healthy.instances, fault.__name__) as writers:
        writers.more()
        writers.cut_off = away.name if fault is cut_off else ""
        end = fault(away)
        try:
            writers.more()
            here = next(instance for instance in healthy.instances if instance.name == stays.name)
            eventually(lambda: here.get("/active-node").get("node") == stays.name, "the other node is active", PATIENCE)
            writers.more()
        finally:
            end()
        away.close()
        writers.more()
    assert writers.failed == []
    healthy.assert_each_once(writers.acknowledged)
    # Traffic returns only when somebody says so.
    assert healthy.active() is stays


def instance_process(node: Node) -> str:
    """The process of the host's instance; "0" while there is none."""
    return inside(node, "systemctl show --property=MainPID --value failover_api").strip()


def test_clients_go_to_the_other_instance_when_one_is_killed(healthy: Mesh) -> None:
    active = healthy.active()
    for node in healthy.nodes:
        with Writers(healthy.instances, f"instance killed on {node.name}") as writers:
            writers.more()
            before = instance_process(node)
            inside(node, "systemctl kill --signal=KILL failover_api")
            writers.more()
            old = {"0", before}
            eventually(lambda node=node, old=old: instance_process(node) not in old, "systemd starts it", PATIENCE)
            writers.more()
        assert writers.failed == []
        healthy.assert_each_once(writers.acknowledged)
    # The databases had no fault, and are not blamed.
    assert healthy.active() is active


def test_a_node_that_was_stopped_is_taken_back_by_failback_and_gets_the_traffic(healthy: Mesh) -> None:
    away = healthy.active()
    with Writers(healthy.instances, "failback") as writers:
        writers.more()
        stopped(away)
        away.close()
        writers.more()
        assert healthy.active() is not away
        run = run_playbook("failback", "-e", f"node={away.name}")
        writers.more()
        assert healthy.active() is away
    assert writers.failed == []
    assert f"{away.name} is now, for the instances on" in " ".join(run.output.split())
    healthy.assert_each_once(writers.acknowledged)


def test_a_failback_of_the_active_node_restarts_nothing(healthy: Mesh) -> None:
    """Even where it does not replicate at the moment, the API uses it."""
    active = healthy.active()
    subscription = f'"sub_from_{healthy.other(active).name}"'
    before = active.admin("SELECT pg_postmaster_start_time()")
    active.admin(f"ALTER SUBSCRIPTION {subscription} DISABLE")
    try:
        healthy.other(active).admin("INSERT INTO generos (genero) VALUES ('while nothing arrives')")
        run = run_playbook("failback", "-e", f"node={active.name}", "-e", "stall_seconds=2", expect_success=False)
    finally:
        active.admin(f"ALTER SUBSCRIPTION {subscription} ENABLE")
    assert "have not caught up with each other" in " ".join(run.output.split())
    assert active.admin("SELECT pg_postmaster_start_time()") == before
    assert healthy.active() is active
    healthy.assert_each_once({})
