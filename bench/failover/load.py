# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of Locust against both instances of the API, with one fault at half time, and all that follows from it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import checks
import figures
import journal
from faults import Fault
from hosts import DEPLOYMENT, NODES, active_node, ask
from timing import ROOT, say

# Requests per second of all users together: what two processors carry beside the two hosts
RATE = 350.0
# Users connect and servers plan their statements in the first seconds; they do not count.
WARM_UP = 2.0


@contextlib.contextmanager
def users(count: int, seconds: float, name: str, path: Path, patience: float = 0.0) -> t.Iterator[subprocess.Popen[bytes]]:
    """Locust with so many users, for so many seconds at most."""
    environment = {
        **os.environ,
        "FAILOVER_INSTANCES": ",".join(NODES.values()),
        "FAILOVER_CA": str(DEPLOYMENT / "ca/ca.crt"),
        "FAILOVER_JOURNAL": str(path),
        "FAILOVER_RUN": name,
        "FAILOVER_RATE": str(RATE),
        "FAILOVER_USERS": str(count),
        "FAILOVER_PATIENCE": str(patience),
    }
    command = [
        sys.executable,
        "-m",
        "locust",
        "--locustfile",
        str(ROOT / "bench/failover/locustfile.py"),
        "--headless",
        "--only-summary",
        "--skip-log-setup",
        "--users",
        str(count),
        "--spawn-rate",
        str(count),
        "--run-time",
        f"{int(seconds) + 60}s",
        "--stop-timeout",
        "6",
    ]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            limit = time.monotonic() + 30
            while not (path.exists() and path.stat().st_size):
                if process.poll() is not None or time.monotonic() > limit:
                    output.seek(0)
                    raise SystemExit(f"Locust did not begin:\n{output.read().decode()[-2000:]}")
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def one(fault: Fault, count: int, seconds: float) -> dict[str, t.Any]:
    """Figures, series for plots and proof of one fault under the load of so many users."""
    node = active_node()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.csv"
        with users(count, seconds + fault.lasts, f"{fault.name} {count} {time.time_ns()}", path, fault.patience):
            begin = time.monotonic() + WARM_UP
            time.sleep(WARM_UP + seconds / 2)
            struck, struck_at = time.monotonic(), time.time()
            fault.strike(node)
            strike_seconds = time.monotonic() - struck
            end = struck + fault.lasts + seconds / 2
            time.sleep(max(0.0, end - time.monotonic()))
            end = time.monotonic()
        healed = time.monotonic()
        fault.heal(node)
        converged = checks.converge(healed)
        entries = journal.read(path)
    proof = checks.proof(entries, "public.generos")
    found = {
        "fault": fault.name,
        "title": fault.title,
        "users": count,
        "node": node,
        "asked_gap": fault.asked_gap,
        "strike_seconds": strike_seconds,
        "load_average": [load_before, os.getloadavg()[0]],
        **figures.summary(entries, begin, struck, end),
        "slow": fault.patience > 0,
        "switches": switches(struck_at),
        "slowest": figures.slowest(entries, struck),
        "back": figures.back(entries, struck + strike_seconds),
        "convergence": converged,
        "wrong_rows": sum(proof.values()),
        "proof": proof,
        "series": figures.series(entries, begin, struck, end),
    }
    say("    " + line(found))
    return found


def switches(since: float) -> int:
    """How often an instance of the API went to another node since that time; of the one that did so most."""
    kinds = {"failover", "followed", "switch"}
    events = [ask(node, "/status", timeout=10)["events"] for node in NODES]
    return max(sum(event["kind"] in kinds and event["at"] >= since for event in each) for each in events)


def line(found: t.Mapping[str, t.Any]) -> str:
    share = found["throughput_share"]
    return (
        f"{found['requests']} requests, {found['failed']} failed, longest gap {found['longest_gap'] * 1000:.0f} ms "
        f"{found['longest_gap_begin']:.1f} s after the fault "
        f"(before {found['longest_gap_before'] * 1000:.0f}), throughput {0 if share is None else share * 100:.0f} %, "
        f"equal {found['convergence']['equal']:.1f} s after healing, {found['wrong_rows']} wrong rows"
        + (f", {found['switches']} switches, back after {found['back']:.1f} s" if found["slow"] else "")
    )
