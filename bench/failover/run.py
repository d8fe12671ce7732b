# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make failover`: the API and the failover class under load and faults, beside what programs use without them."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
import typing as t

import class_gaps
import comparison
import failover_report
import faults
import hosts
import load
import overhead
from timing import ROOT, say


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make failover", description=__doc__)
    parser.add_argument("--users", default="10,100", help="numbers of users, with commas between them; 0: no load on the API")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each fault for the class alone; 0: none")
    parser.add_argument("--faults", default=",".join(faults.ALL), help=f"of {', '.join(faults.ALL)}")
    parser.add_argument("--seconds", type=float, default=30, help="of each load; the fault comes at half time")
    parser.add_argument("--no-comparison", action="store_true", help="without HAProxy and libpq")
    parser.add_argument("--no-overhead", action="store_true", help="without the API beside the bare driver")
    parser.add_argument("--keep", action="store_true", help="leave the hosts running afterwards, and use those that run")
    parser.add_argument("--report", default="failover", help="name of the report's files in docs/benchmarks")
    chosen = parser.parse_args()
    chosen.faults = [name for name in chosen.faults.split(",") if name]
    unknown = [name for name in chosen.faults if name not in faults.ALL]
    if unknown or not chosen.faults:
        parser.error(f"--faults {','.join(unknown)}: choose from {', '.join(faults.ALL)}")
    if not all(number.isdigit() and int(number) <= 500 for number in chosen.users.split(",")):
        parser.error("--users: whole numbers up to 500, with commas between them")
    chosen.users = [int(number) for number in chosen.users.split(",") if int(number)]
    if not 0 <= chosen.rounds <= 100 or not 4 <= chosen.seconds <= 120:
        parser.error("--rounds: 0 to 100, --seconds: 4 to 120")
    return chosen


def measure(chosen: argparse.Namespace, results: dict[str, t.Any]) -> None:
    """Into ``results``, one after the other: an interruption loses only what was not measured yet."""
    if not chosen.no_overhead:
        say("what the API costs")
        overhead.run(results["overhead"])
    if chosen.rounds:
        say("the class alone")
        class_gaps.run(chosen.faults, chosen.rounds, results["class"])
    if not chosen.no_comparison:
        comparison.run(chosen.faults, min(chosen.seconds, 12), results["comparison"])
    for count in chosen.users:
        for name in chosen.faults:
            say(f"  {name}: {count} users, {chosen.seconds:.0f} s")
            results["api"].append(load.one(faults.ALL[name], count, chosen.seconds))


def main() -> int:
    chosen = arguments()
    # An interruption ends this program as an error does: the hosts are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # What the class says of each fault
    logs = ROOT / ".cache/log"
    logs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=logs / "failover_class.log", filemode="w", format="%(asctime)s %(message)s")
    started = time.monotonic()
    results: dict[str, t.Any] = {"api": [], "comparison": [], "class": [], "overhead": [], "ended_early": True}
    try:
        if not (chosen.keep and hosts.running()):
            hosts.deploy()
            hosts.fill()
        say(f"deployed after {time.monotonic() - started:.0f} s; load and faults")
        measure(chosen, results)
        results["ended_early"] = False
    finally:
        results["machine"] = {
            "processors": os.cpu_count(),
            "load_average": os.getloadavg(),
            "seconds": time.monotonic() - started,
        }
        hosts.save_logs(logs)
        if not chosen.keep:
            hosts.remove()
        status = failover_report.write(chosen.report, results)
    return status


if __name__ == "__main__":
    sys.exit(main())
