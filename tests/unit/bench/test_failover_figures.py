# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a journal to figures."""

from __future__ import annotations

import figures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal import Entry
from timing import percentile


def write(finished: float, *, seconds: float = 0.01, error: str = "") -> Entry:
    return Entry("write", finished - seconds, finished, error)


def test_the_longest_gap_is_between_acknowledgements() -> None:
    assert figures.longest_gap([0.9, 1.1, 1.5, 1.6], 1.0, 2.0) == pytest.approx(0.4)


def test_when_a_gap_began() -> None:
    gap, began = figures.longest_gap_and_begin([0.9, 1.1, 1.5, 1.6], 1.0, 1.9)
    assert gap == pytest.approx(0.4)
    assert began == 1.1


def test_a_gap_begins_before_the_fault() -> None:
    assert figures.longest_gap([0.9, 1.4], 1.0, 1.5) == pytest.approx(0.5)


def test_a_gap_that_does_not_end_counts_up_to_the_end() -> None:
    assert figures.longest_gap([0.9, 1.1], 1.0, 11.1) == pytest.approx(10.0)
    assert figures.longest_gap([], 1.0, 3.0) == pytest.approx(2.0)


def test_a_gap_of_before_is_not_the_faults() -> None:
    assert figures.longest_gap([0.0, 0.99, 1.01, 1.02], 1.0, 1.02) == pytest.approx(0.02)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_no_gap_is_longer_than_what_was_watched(times: list[float]) -> None:
    gap = figures.longest_gap(times, 4, 6)
    earlier = [each for each in times if each < 4]
    assert 0 <= gap <= 6 - (max(earlier) if earlier else 4) + 1e-9


def test_percentiles() -> None:
    assert percentile(range(1, 101), 0.5) == 51
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([7], 0.99) == 7
    # Of 20 rounds the 99th percentile is the worst.
    assert percentile(range(20), 0.99) == 19


def test_throughput_counts_what_succeeded() -> None:
    before = [write(moment / 10) for moment in range(100)]
    after = [write(10 + moment / 10) for moment in range(50)] + [write(15 + moment / 10, error="503") for moment in range(50)]
    assert figures.throughput_share([*before, *after], 10, 10) == pytest.approx(0.5)
    assert figures.throughput_share(after, 10, 10) is None


def test_a_summary_of_a_fault() -> None:
    before = [write(moment / 10) for moment in range(100)]
    hanging = write(10.6, seconds=0.65)
    after = [write(10.7 + moment / 10) for moment in range(93)]
    failed = write(10.5, error="503")
    found = figures.summary([*before, failed, hanging, *after], 0, 10, 20)
    assert (found["requests"], found["failed"], found["writes"]) == (195, 1, 194)
    assert found["errors"] == ["503"]
    assert found["longest_gap"] == pytest.approx(0.7)
    assert found["longest_gap_begin"] == pytest.approx(-0.1)
    assert found["longest_gap_before"] == pytest.approx(0.1)
    assert found["throughput_before"] == pytest.approx(10)
    assert found["throughput_share"] == pytest.approx(0.94)
    # What was under way at the fault belongs to it, not to what was before.
    assert found["latency"]["before"]["p99"] == pytest.approx(0.01)
    assert found["latency"]["during"]["p99"] == pytest.approx(0.65)
    assert found["latency"]["after"]["p99"] == pytest.approx(0.01)


def test_nothing_answered_has_no_latency() -> None:
    assert figures.latency([write(1, error="x")]) == {"requests": 0, "p50": None, "p99": None}


def test_series_for_plots_have_a_value_for_every_step() -> None:
    found = figures.series([write(0.1), write(0.2), write(1.1, error="x")], 0, 1, 2, step=0.5)
    assert found["at"] == [-1.0, -0.5, 0.0, 0.5]
    assert found["requests"] == [4, 0, 0, 0]
    assert found["failed"] == [0, 0, 2, 0]
    assert found["p50"][1:] == [None] * 3


def test_back_is_when_the_last_slow_request_has_ended() -> None:
    entries = [write(9, seconds=5), write(11, seconds=3), write(12), write(11.5, error="503"), write(13, seconds=0.9)]
    assert figures.back(entries, 10) == pytest.approx(1.5)
    assert figures.back(entries[2:3], 10) == 0
    assert figures.slowest(entries, 10) == pytest.approx(3)
