# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the API while the active node fails in every way: no request fails, and every row is on both nodes once."""

from __future__ import annotations

import subprocess
import time
import typing as t

import pytest
from instances import PATIENCE, Mesh, Writers
from mesh import Node, eventually, run_playbook

# Begins when it is called with the active node; what it returns heals it.
Fault = t.Callable[[Mesh, Node], t.Callable[[], None]]

NETWORK = "multimaster-failover"
UNIT = "postgresql@16-main"
TABLE = "inet multimaster_fault"


def inside(node: Node, command: str) -> str:
    done = node.host().run(command)
    assert done.rc == 0, done.stderr
    return str(done.stdout)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True)


def drop(node: Node, *rules: str) -> None:
    """Packets of the host that match vanish without an answer. ``rules`` begin with ``input`` or ``output``."""
    hooks = [
        f"add chain {TABLE} {hook} {{ type filter hook {hook} priority 0 ; policy accept ; }}" for hook in ("input", "output")
    ]
    lines = [f"add table {TABLE}", *hooks, *(f"add rule {TABLE} {rule} drop" for rule in rules)]
    inside(node, "nft -f - <<'RULES'\n" + "\n".join(lines) + "\nRULES")


def drop_no_more(mesh: Mesh) -> None:
    for node in mesh.nodes:
        inside(node, f"nft delete table {TABLE}")


def stopped(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    inside(node, f"systemctl stop {UNIT}")
    return lambda: inside(node, f"systemctl start {UNIT}") and None


def killed(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """The postmaster alone. Its unit starts it again, so nobody has to."""
    inside(node, "kill -9 $(head -n 1 /var/lib/postgresql/16/main/postmaster.pid)")
    return lambda: None


def frozen(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """Every process of the server: it takes connections and never answers."""
    inside(node, "pkill -STOP -x postgres")
    return lambda: inside(node, "pkill -CONT -x postgres") and None


def cut_off(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """The whole host, with its instance of the API and its Redis."""
    docker("network", "disconnect", "--force", NETWORK, node.name)
    return lambda: docker("network", "connect", "--ip", node.address, NETWORK, node.name)


def host_stopped(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """The whole host, in order."""
    docker("stop", "--time", "30", node.name)
    return lambda: docker("start", node.name)


def host_killed(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """The whole host at once, as when its power fails."""
    docker("kill", node.name)
    return lambda: docker("start", node.name)


def cut_off_from_api(mesh: Mesh, node: Node) -> t.Callable[[], None]:
    """No instance reaches the node's server; the nodes reach each other."""
    for host in mesh.nodes:
        drop(host, f"output meta skuid failover_api ip daddr {node.address} tcp dport 5432")
    return lambda: drop_no_more(mesh)


@pytest.mark.parametrize("fault", [stopped, killed, frozen, cut_off, host_stopped, host_killed, cut_off_from_api])
def test_no_request_fails_when_the_active_node_does(healthy: Mesh, fault: Fault) -> None:
    away = healthy.active()
    stays = healthy.other(away)
    with Writers(healthy.instances, fault.__name__) as writers:
        writers.more()
        writers.cut_off = away.name if fault is cut_off else ""
        end = fault(healthy, away)
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


def cut_off_from_each_other(mesh: Mesh) -> None:
    """The nodes; every instance reaches both."""
    for host in mesh.nodes:
        peer = mesh.other(host).address
        # Connections of subscriptions that are there: what comes in on them. New ones: what goes out.
        sockets = inside(host, f"ss -Htnp state established dst {peer} dport = :5432").splitlines()
        ports = [line.split()[2].rsplit(":", 1)[1] for line in sockets if '"postgres"' in line]
        incoming = [f"input ip saddr {peer} tcp sport 5432 tcp dport {{ {', '.join(ports)} }}"] if ports else []
        drop(host, f"output meta skuid postgres ip daddr {peer} tcp dport 5432", *incoming)


def test_nodes_that_do_not_reach_each_other_are_no_reason_to_switch(healthy: Mesh) -> None:
    active = healthy.active()
    behind = healthy.other(active)
    with Writers(healthy.instances, "cut off from each other") as writers:
        writers.more()
        cut_off_from_each_other(healthy)
        try:
            before = set(writers.acknowledged)
            writers.more()
            written = set(writers.acknowledged) - before
            lacking = written - {name for (name,) in behind.query("SELECT genero FROM generos")}
            assert lacking, "the cut cuts nothing"
            assert healthy.active() is active
        finally:
            drop_no_more(healthy)
        writers.more()
    assert writers.failed == []
    healthy.assert_each_once(writers.acknowledged)
    assert healthy.active() is active


def test_a_node_and_five_seconds_later_the_other_one(healthy: Mesh) -> None:
    """systemd has started the first one by then; where it has not, both are away for a moment, and requests are repeated."""
    first = healthy.active()
    with Writers(healthy.instances, "two nodes killed") as writers:
        writers.patient = True
        writers.more()
        killed(healthy, first)
        time.sleep(5)
        killed(healthy, healthy.other(first))
        writers.more()
    for node in healthy.nodes:
        node.close()
    assert writers.failed == []
    healthy.assert_each_once(writers.acknowledged)


def test_a_node_and_five_seconds_later_the_other_instance(healthy: Mesh) -> None:
    first = healthy.active()
    with Writers(healthy.instances, "node and instance killed") as writers:
        writers.more()
        killed(healthy, first)
        time.sleep(5)
        inside(healthy.other(first), "systemctl kill --signal=KILL failover_api")
        writers.more()
    first.close()
    assert writers.failed == []
    healthy.assert_each_once(writers.acknowledged)


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
        stopped(healthy, away)
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
