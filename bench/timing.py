# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times, fairly: candidates take turns within one run, and medians and p99 are what counts."""

from __future__ import annotations

import statistics
import subprocess
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def percentile(values: t.Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(values: t.Sequence[float]) -> dict[str, float]:
    """Seconds: how many samples, median, p99, smallest and largest."""
    return {
        "samples": len(values),
        "median": statistics.median(values),
        "p99": percentile(values, 0.99),
        "min": min(values),
        "max": max(values),
    }


def in_turns(candidates: dict[str, t.Callable[[], t.Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round, after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            if number:
                taken[name].append(time.perf_counter() - started)
        say(f"  round {number} of {rounds}")
    return taken


def run(*command: str, **options: t.Any) -> str:
    """A command's output; its failure ends the benchmark with what it said."""
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False, **options
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def say(message: str) -> None:
    print(message, flush=True)
