# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failover class alone, small writes all the time, many rounds of each fault, and the longest gap of each round."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import typing as t

import checks
import figures
from class_load import Load, client
from faults import ALL, Fault
from hosts import active_node, other
from multimaster_failover import FailoverClient
from timing import percentile, say

FAULTS = ("kill", "stop", "hang", "cut", "switch")
TASKS = 4
# A little less than the machine can do: with both servers' disks always busy, a gap would be the disk's.
PAUSE = 0.003
# Before a fault, and after it, in seconds
STEADY = 1.0
# Longest gap between acknowledged writes that is asked for, in seconds
ASKED = {"kill": 0.05, "stop": 0.05, "hang": 0.5, "cut": 0.5, "switch": 0.02}


def run(names: t.Sequence[str], rounds: int, found: list[dict[str, t.Any]]) -> None:
    """The figures of every fault, added to ``found``."""
    for name in [each for each in FAULTS if each in names]:
        active_node()
        found.append(asyncio.run(_rounds(ALL[name], rounds)))


async def _rounds(fault: Fault, rounds: int) -> dict[str, t.Any]:
    gaps, begins, quiet, shares, returns = [], [], [], [], []
    load_before = os.getloadavg()[0]
    async with client() as failover:
        load = Load(failover, TASKS, pause=PAUSE)
        async with load:
            for _round in range(rounds):
                await _until(lambda: _all_up(failover), "all nodes to be up")
                _tidy()
                begin = time.monotonic()
                await asyncio.sleep(STEADY)
                struck = time.monotonic()
                node = await _strike(fault, failover)
                await asyncio.sleep(max(0.0, struck + STEADY + 0.5 - time.monotonic()))
                end = time.monotonic()
                # By now the request goes on; what the healing itself does to the machine is no part of the gap.
                writes = [entry.finished for entry in load.entries if entry.kind == "write" and entry.ok]
                gap, at = figures.longest_gap_and_begin(writes, struck, end)
                gaps.append(gap)
                begins.append(at - struck)
                quiet.append(figures.longest_gap(writes, begin, struck))
                before = sum(begin <= moment < struck for moment in writes) / (struck - begin)
                shares.append(sum(end - 1 <= moment < end for moment in writes) / before)
                healed = time.monotonic()
                if node:
                    await asyncio.to_thread(fault.heal, node)
                await _until(lambda: _all_up(failover), "all nodes to be up again")
                returns.append(time.monotonic() - healed)
    gc.enable()
    await asyncio.to_thread(checks.converge, time.monotonic())
    proof = await asyncio.to_thread(checks.proof, load.entries, "public.fault_journal")
    failed = [entry for entry in load.entries if not entry.ok]
    result: dict[str, t.Any] = {
        "fault": fault.name,
        "rounds": rounds,
        "requests": len(load.entries),
        "failed": len(failed),
        "errors": sorted({entry.error for entry in failed})[:5],
        "asked_gap": ASKED[fault.name],
        "gaps": gaps,
        # Seconds from the fault: a gap long after it has another cause.
        "gaps_begin": begins,
        "gap": {"p50": percentile(gaps, 0.5), "p99": percentile(gaps, 0.99), "max": max(gaps)},
        "gap_without_fault": {"p50": percentile(quiet, 0.5), "p99": percentile(quiet, 0.99), "max": max(quiet)},
        "throughput_share": percentile(shares, 0.5),
        "up_again": {"p50": percentile(returns, 0.5), "max": max(returns)},
        "load_average": [load_before, os.getloadavg()[0]],
        "wrong_rows": sum(proof.values()),
        "proof": proof,
    }
    say(
        f"  {fault.name:7} {rounds} rounds, {result['requests']} requests, {result['failed']} failed, gap p50 "
        f"{result['gap']['p50'] * 1000:.0f} p99 {result['gap']['p99'] * 1000:.0f} ms (asked {ASKED[fault.name] * 1000:.0f}; "
        f"without a fault p99 {result['gap_without_fault']['p99'] * 1000:.0f}), "
        f"throughput {result['throughput_share'] * 100:.0f} %, "
        f"up again after {result['up_again']['max']:.1f} s at most, {result['wrong_rows']} wrong rows"
    )
    return result


def _tidy() -> None:
    """Python's collector stops a program for tens of ms where that keeps 100,000 entries of a journal, as only this one does."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.disable()


async def _strike(fault: Fault, failover: FailoverClient) -> str:
    """The node that was struck; empty where there is nothing to heal."""
    active = failover.active
    if active is None:
        raise SystemExit("no node can be used before the fault")
    if fault.name == "switch":
        await failover.switch_to(other(active.name))
        return ""
    await asyncio.to_thread(fault.strike, active.name)
    return active.name


def _all_up(failover: FailoverClient) -> bool:
    return all(node.state.value == "up" for node in failover.nodes.values())


async def _until(condition: t.Callable[[], bool], what: str, seconds: float = 90) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise SystemExit(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(0.02)
