# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the API while the active node fails in every way: no request fails, and every row is on both nodes once."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t

import pytest
from instances import PATIENCE, Mesh, Writers
from mesh import CLUSTER, PORT, Node, eventually, run_playbook

# Begins when it is called with the active node; what it returns heals it.
Fault = t.Callable[[Mesh, Node], t.Callable[[], object]]

UNIT = f"postgresql@16-{CLUSTER}"
TABLE = "inet multimaster_fault"


def inside(node: Node, command: str) -> str:
    done = node.host().run(command)
    assert done.rc == 0, done.stderr
    return str(done.stdout)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


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


def stopped(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    inside(node, f"systemctl stop {UNIT}")
    return lambda: inside(node, f"systemctl start {UNIT}")


def killed(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """The postmaster alone. Its unit starts it again, so nobody has to."""
    inside(node, f"kill -9 $(systemctl show -P MainPID {UNIT})")
    return lambda: None


def frozen(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """Every process of the server: it takes connections and never answers."""
    inside(node, "pkill -STOP -x postgres")
    return lambda: inside(node, "pkill -CONT -x postgres")


def cut_off(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """The whole host, with its instance of the API and its Redis."""
    ((network, attached),) = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", node.name)).items()
    addresses = ("--ip", attached["IPAddress"], "--ip6", attached["GlobalIPv6Address"])
    docker("network", "disconnect", "--force", network, node.name)
    return lambda: docker("network", "connect", *addresses, network, node.name)


def host_stopped(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """The whole host, in order."""
    docker("stop", "--time", "30", node.name)
    return lambda: docker("start", node.name)


def host_killed(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """The whole host at once, as when its power fails."""
    docker("kill", node.name)
    return lambda: docker("start", node.name)


def cut_off_from_api(mesh: Mesh, node: Node) -> t.Callable[[], object]:
    """No instance reaches the node's server; the nodes reach each other."""
    for host in mesh.nodes:
        drop(host, f"output meta skuid failover_api ip6 daddr {node.address} tcp dport {PORT}")
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
        sockets = inside(host, f"ss -Htnp state established dst [{peer}] dport = :{PORT}").splitlines()
        ports = [line.split()[2].rsplit(":", 1)[1] for line in sockets if '"postgres"' in line]
        incoming = [f"input ip6 saddr {peer} tcp sport {PORT} tcp dport {{ {', '.join(ports)} }}"] if ports else []
        drop(host, f"output meta skuid postgres ip6 daddr {peer} tcp dport {PORT}", *incoming)


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

            def is_new(node: Node = node, before: str = before) -> bool:
                return instance_process(node) not in {"0", before}

            eventually(is_new, "systemd starts it", PATIENCE)
            writers.more()
        assert writers.failed == []
        healthy.assert_each_once(writers.acknowledged)
    # The databases had no fault, and are not blamed.
    assert healthy.active() is active


def instances_started(mesh: Mesh) -> list[str]:
    return [instance_process(node) for node in mesh.nodes]


def test_a_changed_setting_restarts_one_instance_after_the_other(healthy: Mesh) -> None:
    """Clients that go to the other instance when one is gone find it there."""
    before = instances_started(healthy)
    with Writers(healthy.instances, "changed setting") as writers:
        writers.more()
        run_playbook("site", "-e", "failover_api_requests_max=900")
        after = instances_started(healthy)
        writers.more()
    assert writers.failed == []
    assert not writers.nowhere, "for a moment no instance took a request"
    assert all(old != new for old, new in zip(before, after, strict=True))
    healthy.assert_each_once(writers.acknowledged)
    assert run_playbook("site", "-e", "failover_api_requests_max=900").changed() == 0
    run_playbook("site")
    healthy.wait_until_up()


@pytest.mark.long
def test_an_instance_that_does_not_come_up_keeps_the_others_from_being_restarted(healthy: Mesh) -> None:
    """With a limit of memory in which it cannot even start."""
    before = instances_started(healthy)
    run = run_playbook("site", "-e", "failover_api_memory_max_mb=1", "-e", "failover_api_wait_timeout=5", expect_success=False)
    after = instances_started(healthy)
    output = " ".join(run.output.split())
    assert run.returncode != 0
    assert "cannot carry out requests" in output
    assert "Further instances were not restarted" in output
    assert f"On {healthy.nodes[0].name} failover_api was restarted" in output
    assert after[1] == before[1]
    assert healthy.instances[1].get("/health")["ok"]
    run_playbook("site")
    healthy.wait_until_up()


def test_the_service_can_do_no_more_than_it_must(healthy: Mesh) -> None:
    """Of the running process, not of the unit's file: who it is, and what it sees of the host."""
    for node in healthy.nodes:
        process = instance_process(node)
        status = dict(line.split(":", 1) for line in inside(node, f"cat /proc/{process}/status").splitlines())
        user = inside(node, "id -u failover_api").strip()
        assert user != "0"
        assert set(status["Uid"].split()) == {user}
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2"
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        # As it sees the host, everything is read-only, not even root could write there.
        mounts = [line.split() for line in inside(node, f"cat /proc/{process}/mounts").splitlines()]
        # The last mount over a folder is the one that counts.
        options = {mounted: flags.split(",") for _device, mounted, _type, flags, *_rest in mounts}
        for folder in ("/etc/multimaster/failover_api", "/usr/local/lib/multimaster", "/var/lib", "/home"):
            above = [mounted for mounted in options if f"{folder}/".startswith(mounted.rstrip("/") + "/")]
            assert "ro" in options[max(above, key=len)], folder
            # Nor do the modes of the host's files let its user.
            assert node.host().run(f"runuser -u failover_api -- touch {folder}/written").rc != 0
        secrets = "/etc/multimaster/failover_api/secrets.json"
        assert inside(node, f"stat --format='%a %U %G' {secrets}").strip() == "400 failover_api failover_api"
        assert inside(node, f"runuser -u failover_api -- cat {secrets} | wc -c").strip() != "0"
        assert node.host().run(f"runuser -u postgres -- cat {secrets}").rc != 0


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
        healthy.other(active).query("INSERT INTO generos (genero) VALUES ('while nothing arrives')")
        run = run_playbook("failback", "-e", f"node={active.name}", "-e", "stall_seconds=2", expect_success=False)
    finally:
        active.admin(f"ALTER SUBSCRIPTION {subscription} ENABLE")
    assert "have not caught up with each other" in " ".join(run.output.split())
    assert active.admin("SELECT pg_postmaster_start_time()") == before
    assert healthy.active() is active
    healthy.assert_each_once({})
