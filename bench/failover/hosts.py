# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts that are broken on purpose: two nodes with PostgreSQL, Redis and the API, and one with HAProxy."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import os
import ssl
import subprocess
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
from timing import ROOT, run, say

NETWORK = "multimaster-load"
SUBNET = "198.18.111"
NODES = {"mm-load-1": f"{SUBNET}.11", "mm-load-2": f"{SUBNET}.12"}
PROXY = {"mm-load-proxy": f"{SUBNET}.13"}
NODE_IDS = {"mm-load-1": 1, "mm-load-2": 2}
DEPLOYMENT = ROOT / ".deployment/failover"
API_PORT = 5000


def deploy() -> None:
    say("making three hosts")
    remove()
    run("environment/package_source.sh", str(DEPLOYMENT))
    run("docker", "network", "create", "--subnet", f"{SUBNET}.0/24", "--gateway", f"{SUBNET}.1",
        "--label", "multimaster.postgresql=network", NETWORK)  # fmt: skip
    # Each server has a disk of its own: in memory, since one disk under both would let each wait for the other's writes. It
    # lasts for as long as some host uses it, which the one with HAProxy does while a node is stopped.
    kept = []
    for name in NODES:
        run("docker", "volume", "create", "--label", "multimaster.postgresql=volume", "--driver", "local",
            "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=4g", _disk(name))  # fmt: skip
        kept += ["--volume", f"{_disk(name)}:/srv/{name}"]
    options = {name: ["--volume", f"{_disk(name)}:/var/lib/postgresql"] for name in NODES} | dict.fromkeys(PROXY, kept)
    with concurrent.futures.ThreadPoolExecutor() as executor:
        made = []
        for name, address in {**NODES, **PROXY}.items():
            made.append(executor.submit(run, "environment/host.sh", name, NETWORK, address, *options[name]))
        for each in made:
            each.result()
    converge()


def _disk(node: str) -> str:
    return f"multimaster-{node.removeprefix('mm-')}"


def converge() -> None:
    say("deploying the mesh, the API and HAProxy")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    run("ansible-playbook", "-i", "bench/failover/inventory", "bench/failover/site.yml", env=environment)


def remove() -> None:
    existing = run("docker", "ps", "--all", "--format", "{{.Names}}").split()
    for name in {**NODES, **PROXY}:
        if name in existing:
            run("docker", "rm", "--force", "--volumes", name)
    volumes = run("docker", "volume", "ls", "--format", "{{.Name}}").split()
    for name in NODES:
        if _disk(name) in volumes:
            run("docker", "volume", "rm", _disk(name))
    if NETWORK in run("docker", "network", "ls", "--format", "{{.Name}}").split():
        run("docker", "network", "rm", NETWORK)


def other(node: str) -> str:
    return next(name for name in NODES if name != node)


def on(host: str, script: str) -> str:
    """What a line of shell prints on a host, as root."""
    return run("docker", "exec", host, "sh", "-c", script)


def secret(name: str) -> str:
    return (DEPLOYMENT / "secrets" / name).read_text().strip()


def connection(host: str) -> dict[str, t.Any]:
    """libpq's parameters for the application's role."""
    return {
        "host": host, "port": 5432, "dbname": "imdb", "user": "imdb", "password": secret("imdb"),
        "sslmode": "verify-ca", "sslrootcert": str(DEPLOYMENT / "ca/ca.crt"),
    }  # fmt: skip


def session(node: str) -> psycopg.Connection[t.Any]:
    return psycopg.connect(**connection(NODES[node]), autocommit=True, connect_timeout=5)


@functools.cache
def tls() -> ssl.SSLContext:
    """For clients of the API: its certificates are of the deployment's authority."""
    return ssl.create_default_context(cafile=str(DEPLOYMENT / "ca/ca.crt"))


def ask(node: str, path: str, *, method: str = "GET", timeout: float = 2.0) -> dict[str, t.Any]:
    """The JSON that the API on a host answers; its errors as well. Raises OSError where it does not answer."""
    headers = {"Authorization": f"Bearer {secret('failover_api_switch_token')}"} if method == "POST" else {}
    request = urllib.request.Request(f"https://{NODES[node]}:{API_PORT}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=tls()) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def active_node() -> str:
    """Where both instances send their requests; waits until they agree and both nodes can be used."""

    def settled() -> str | None:
        found = [ask(node, "/status") for node in NODES]
        names = {each["active"] for each in found}
        states = {node["state"] for each in found for node in each["nodes"]}
        return names.pop() if len(names) == 1 and states == {"up"} else None

    return wait_for(settled, "both instances of the API to use one node, with both nodes up")


Found = t.TypeVar("Found")


def wait_for(look: t.Callable[[], Found | None], what: str, seconds: float = 90) -> Found:
    """The first true answer. Errors of a host that is not back yet count as none."""
    limit = time.monotonic() + seconds
    problem = ""
    while time.monotonic() < limit:
        try:
            found = look()
        except (OSError, psycopg.Error, subprocess.SubprocessError, ValueError, KeyError) as error:
            problem = f" ({error})"
        else:
            if found:
                return found
        time.sleep(0.05)
    raise SystemExit(f"waited {seconds:.0f} s in vain for {what}{problem}")


def fill() -> None:
    """Some titles for the readers."""
    with session("mm-load-1") as filler:
        filler.execute(
            "INSERT INTO public.titles (tconst, title_type, primary_title, original_title, start_year) "
            "SELECT 'tt' || to_char(n, 'FM0000000'), 'movie', 'Title ' || n, 'Title ' || n, 1920 + n % 100 "
            "FROM generate_series(1, 2000) AS n ON CONFLICT DO NOTHING"
        )


def save_logs(folder: Path) -> None:
    """What each instance of the API said, for a person who looks for a cause."""
    for node in NODES:
        with contextlib.suppress(SystemExit):
            said = run("docker", "exec", node, "journalctl", "--unit", "failover_api", "--no-pager", "--output", "cat")
            (folder / f"failover_api_{node}.log").write_text(said)


def running() -> bool:
    return set(run("docker", "ps", "--format", "{{.Names}}").split()) >= {*NODES, *PROXY}
