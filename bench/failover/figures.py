# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the journal of one load with one fault to its figures. Pure: all times are seconds of one clock."""

from __future__ import annotations

import typing as t

from journal import Entry
from timing import percentile

# A request that takes longer, where nothing is broken, in seconds
SLOW = 1.0
# What "during" means, and over how long throughput is compared, in seconds
DURING = 2.0
COMPARED = 10.0


def longest_gap(times: t.Sequence[float], start: float, end: float) -> float:
    """Between two acknowledgements that follow each other, one of them or both in the window; up to its end where none came."""
    return longest_gap_and_begin(times, start, end)[0]


def longest_gap_and_begin(times: t.Sequence[float], start: float, end: float) -> tuple[float, float]:
    """The longest gap, and when it began."""
    ordered = sorted(times)
    before = [moment for moment in ordered if moment < start]
    inside = [moment for moment in ordered if start <= moment <= end]
    after = [moment for moment in ordered if moment > end]
    points = [before[-1] if before else start, *inside, min(after[0], end) if after else end]
    return max((later - earlier, earlier) for earlier, later in zip(points, points[1:]))


def latency(entries: t.Iterable[Entry]) -> dict[str, float | int | None]:
    """Of the requests that succeeded, in seconds."""
    seconds = [entry.seconds for entry in entries if entry.ok]
    if not seconds:
        return {"requests": 0, "p50": None, "p99": None}
    return {"requests": len(seconds), "p50": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99)}


def throughput_share(entries: t.Iterable[Entry], fault: float, length: float) -> float | None:
    """Requests that succeeded in ``length`` seconds from the fault on, as a share of those in as many seconds before it."""
    ends = [entry.finished for entry in entries if entry.ok]
    before = sum(fault - length <= end < fault for end in ends)
    after = sum(fault <= end < fault + length for end in ends)
    return after / before if before else None


def slowest(entries: t.Iterable[Entry], since: float) -> float:
    """Of the requests that ended since then."""
    return max((entry.seconds for entry in entries if entry.finished >= since), default=0.0)


def back(entries: t.Iterable[Entry], end: float) -> float:
    """Seconds from the end of what made everything slow until the last request that was slow, or failed, had ended."""
    ends = [entry.finished for entry in entries if entry.finished >= end and (not entry.ok or entry.seconds > SLOW)]
    return max(ends, default=end) - end


def summary(entries: t.Sequence[Entry], begin: float, fault: float, end: float) -> dict[str, t.Any]:
    """Figures of a load that was steady from ``begin`` to ``end``, with a fault in between.

    Latencies by when a request began: before the fault, in the seconds right after it, and then. A request that was under way
    when the fault came is one of ``during``.
    """
    writes = [entry.finished for entry in entries if entry.kind == "write" and entry.ok]
    steady = [entry for entry in entries if entry.finished >= begin]
    before = [entry for entry in steady if entry.finished < fault]
    during = [entry for entry in steady if entry.finished >= fault and entry.started < fault + DURING]
    after = [entry for entry in steady if entry.started >= fault + DURING]
    compared = min(COMPARED, fault - begin, end - fault)
    gap, gap_begin = longest_gap_and_begin(writes, fault, end)
    return {
        "requests": len(entries),
        "writes": len(writes),
        "failed": sum(not entry.ok for entry in entries),
        # Answers that nobody asked for, with whatever came of the request afterwards
        "refused": sum(entry.refused for entry in entries),
        "sent_again": sum(entry.attempts > 1 for entry in entries),
        "errors": sorted({entry.error for entry in entries if entry.error})[:5],
        "longest_gap": gap,
        # Seconds from the fault: a gap long after it has another cause.
        "longest_gap_begin": gap_begin - fault,
        "longest_gap_before": longest_gap(writes, begin, fault),
        "latency": {"before": latency(before), "during": latency(during), "after": latency(after)},
        "throughput_before": sum(fault - compared <= e.finished < fault for e in entries if e.ok) / compared,
        "throughput_share": throughput_share(entries, fault, compared),
        "throughput_seconds": compared,
    }


def series(entries: t.Sequence[Entry], begin: float, fault: float, end: float, step: float = 0.25) -> dict[str, list[t.Any]]:
    """For plots: per whole step, seconds from the fault, requests and failures per second, slowest and median latency."""
    found: dict[str, list[t.Any]] = {"at": [], "requests": [], "failed": [], "p50": [], "max": []}
    buckets: dict[int, list[Entry]] = {}
    for entry in entries:
        buckets.setdefault(int((entry.finished - fault) // step), []).append(entry)
    for number in range(int((begin - fault) // step), int((end - fault) // step)):
        bucket = buckets.get(number, [])
        seconds = [entry.seconds for entry in bucket if entry.ok]
        found["at"].append(round(number * step, 3))
        found["requests"].append(len(seconds) / step)
        found["failed"].append((len(bucket) - len(seconds)) / step)
        found["p50"].append(percentile(seconds, 0.5) if seconds else None)
        found["max"].append(max(seconds) if seconds else None)
    return found
