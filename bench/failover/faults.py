# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to the hosts, and how it is made good again. All of it stays inside the harness' own containers and network."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field

from hosts import NODES, ask, on, other
from timing import run

PORT = 5432
_TABLE = "inet multimaster_fault"


@dataclass(frozen=True)
class Fault:
    """``strike`` and ``heal`` get the node that was active when the fault began.

    ``asked_gap``: longest gap between writes, in seconds.
    """

    name: str
    title: str
    strike: t.Callable[[str], None]
    heal: t.Callable[[str], None] = field(default=lambda node: None)
    asked_gap: float | None = None
    # For how long the strike itself may take, from the moment of the first fault on
    lasts: float = 0.0
    # Everything is slow and nothing is broken: for so long a user waits for an answer, where it is not to be fast.
    patience: float = 0.0


def _postmaster(node: str, signal: str) -> None:
    on(node, f"kill -{signal} $(head -n 1 /var/lib/postgresql/*/main/postmaster.pid)")


def kill_postmaster(node: str) -> None:
    _postmaster(node, "KILL")


def start_server(node: str) -> None:
    """The unit starts it again by itself; where it does not, this does."""
    on(
        node,
        "systemctl reset-failed 'postgresql@*' 2>/dev/null; systemctl start $(systemctl list-units --all --plain --no-legend "
        "'postgresql@*' | awk '{print $1}')",
    )


def stop_server(node: str) -> None:
    on(node, "systemctl stop 'postgresql@*'")


def freeze(node: str) -> None:
    """SIGSTOP for all processes of the server, the postmaster first: it accepts connections and never answers."""
    _postmaster(node, "STOP")
    on(node, "pkill -STOP -u postgres -x postgres")


def thaw(node: str) -> None:
    on(node, "pkill -CONT -u postgres -x postgres")


def stop_host(node: str) -> None:
    run("docker", "stop", "--time", "30", node)


def kill_host(node: str) -> None:
    run("docker", "kill", node)


def start_host(node: str) -> None:
    run("docker", "start", node)


def _filter(node: str, *rules: str) -> None:
    """Rules ``HOOK EXPRESSION`` in a table of our own; packets that match vanish without an answer."""
    chains = [f"add table {_TABLE}"]
    chains += [
        f"add chain {_TABLE} {hook} {{ type filter hook {hook} priority 0 ; policy accept ; }}" for hook in ("input", "output")
    ]
    lines = chains + [f"add rule {_TABLE} {rule}" for rule in rules]
    on(node, "nft -f - <<'RULES'\n" + "\n".join(lines) + "\nRULES")


def reconnect(node: str) -> None:
    on(node, f"nft delete table {_TABLE}")


def cut(node: str) -> None:
    _filter(node, "input iifname != lo drop", "output oifname != lo drop")


def cut_from_api(node: str) -> None:
    """Nothing of either API instance reaches the node's server; the nodes reach each other."""
    for host in NODES:
        _filter(host, f"output meta skuid failover_api ip daddr {NODES[node]} tcp dport {PORT} drop")


def cut_from_peer(node: str) -> None:
    """The nodes do not reach each other; both instances of the API reach both."""
    for host in NODES:
        peer = NODES[other(host)]
        # Connections of subscriptions that are there: what comes in on them. New ones: what goes out.
        sockets = on(host, f"ss -Htnp state established dst {peer} dport = :{PORT}").splitlines()
        ports = [line.split()[2].rsplit(":", 1)[1] for line in sockets if '"postgres"' in line]
        incoming = [f"input ip saddr {peer} tcp sport {PORT} tcp dport {{ {', '.join(ports)} }} drop"] if ports else []
        _filter(host, f"output meta skuid postgres ip daddr {peer} tcp dport {PORT} drop", *incoming)


def reconnect_all(node: str) -> None:
    for host in NODES:
        reconnect(host)


def kill_api(node: str) -> None:
    on(node, "systemctl kill --signal=KILL failover_api")


def two_kills(node: str) -> None:
    """The second node falls five seconds after the first, which systemd has started again by then."""
    kill_postmaster(node)
    time.sleep(5)
    kill_postmaster(other(node))


def start_servers(node: str) -> None:
    for host in NODES:
        start_server(host)


def kill_and_api(node: str) -> None:
    """Five seconds after the node's server its peer's instance of the API."""
    kill_postmaster(node)
    time.sleep(5)
    kill_api(other(node))


def switch(node: str) -> None:
    answer = ask(node, f"/switch-to/{other(node)}", method="POST", timeout=10)
    if not answer.get("ok"):
        raise SystemExit(f"the planned switch was refused: {answer}")


# For how long everything is slow, and the part of a processor that each host then has
SLOW_SECONDS, STARVED = 45.0, 0.12
BURNERS = 30


def _processors(count: float) -> None:
    for host in NODES:
        run("docker", "update", "--cpus", f"{count:.2f}", host)


def starve(node: str) -> None:
    """Both hosts, with all that runs on them: servers, instances of the API, Redis."""
    _processors(STARVED)
    try:
        time.sleep(SLOW_SECONDS)
    finally:
        feed(node)


def feed(node: str) -> None:
    _processors(os.cpu_count() or 1)


def pause_api(node: str) -> None:
    """The instance on the active host stands still, again and again."""
    end = time.monotonic() + SLOW_SECONDS
    while time.monotonic() < end:
        on(node, "systemctl kill --signal=STOP failover_api")
        time.sleep(random.uniform(1, 3))
        go_on(node)
        time.sleep(random.uniform(0.5, 1.5))


def go_on(node: str) -> None:
    on(node, "systemctl kill --signal=CONT failover_api")


def burn(node: str) -> None:
    """Beside the hosts, on the machine that carries them."""
    program = f"import time\nend = time.monotonic() + {SLOW_SECONDS}\nwhile time.monotonic() < end: pass"
    burners = [subprocess.Popen([sys.executable, "-c", program]) for _number in range(BURNERS)]
    for burner in burners:
        burner.wait()


ALL = {
    fault.name: fault
    for fault in (
        Fault("stop", "docker stop of the active host", stop_host, start_host, 0.05, lasts=6),
        Fault("kill", "kill -9 of the active node's postmaster", kill_postmaster, start_server, 0.05),
        Fault("kill-host", "docker kill of the active host", kill_host, start_host, 0.05),
        Fault("hang", "SIGSTOP of all processes of the active server", freeze, thaw, 0.5),
        Fault("cut", "the active host cut off from all", cut, reconnect, 0.5),
        Fault("cut-api", "the active node cut off from the API only", cut_from_api, reconnect_all, 0.5),
        Fault("cut-peer", "the nodes cut off from each other only", cut_from_peer, reconnect_all),
        Fault("api", "kill -9 of the API's instance on the active host", kill_api),
        Fault(
            "two-kills",
            "kill -9 of the active postmaster, and five seconds later of the other one",
            two_kills,
            start_servers,
            lasts=5,
        ),
        Fault(
            "kill-and-api",
            "kill -9 of the active postmaster, and five seconds later of the API's other instance",
            kill_and_api,
            start_server,
            lasts=5,
        ),
        Fault("switch", "planned switch", switch, asked_gap=0.02),
        Fault("starved", "0.12 processors for each host for 45 s", starve, feed, lasts=SLOW_SECONDS, patience=10),
        Fault(
            "api-paused",
            "SIGSTOP of an instance of the API for 1 to 3 s, again and again for 45 s",
            pause_api,
            go_on,
            lasts=SLOW_SECONDS + 4,
            patience=10,
        ),
        Fault("burners", "30 CPU burners beside the hosts for 45 s", burn, lasts=SLOW_SECONDS, patience=10),
    )
}
