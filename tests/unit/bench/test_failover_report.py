# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the load and fault harness."""

from __future__ import annotations

import copy
import html.parser
import json
import typing as t
from pathlib import Path

import failover_report
import figures
import pytest
from journal import Entry

ENTRIES = [Entry("write", moment / 50 - 0.005, moment / 50, "", "", 1, moment, "x") for moment in range(1000)]
API = {
    "fault": "kill", "title": "kill -9 <of the postmaster>", "users": 10, "asked_gap": 0.05, "convergence": {"equal": 1.5},
    "wrong_rows": 0, "slow": False, "series": figures.series(ENTRIES, 0, 10, 20), **figures.summary(ENTRIES, 0, 10, 20),
}  # fmt: skip
CLASS = {
    "fault": "kill", "rounds": 20, "requests": 12000, "failed": 0, "asked_gap": 0.05,
    "gap": {"p50": 0.02, "p99": 0.03, "max": 0.03}, "gap_without_fault": {"p50": 0.01, "p99": 0.02, "max": 0.02},
    "throughput_share": 0.99, "up_again": {"max": 1.2}, "wrong_rows": 0,
}  # fmt: skip
OTHER = {"fault": "kill", "candidate": "HAProxy, defaults", "requests": 100, "failed": 9, "longest_gap": 6.0, "wrong_rows": 3}
OVERHEAD = {
    "what": "read", "samples": 2000, "overhead": 0.0004, "asked": 0.001,
    "sides": {name: {"p50": 0.0003, "p99": 0.0009} for name in ("driver", "class", "API")},
}  # fmt: skip
NOTHING: dict[str, list[object]] = {"api": [], "class": [], "comparison": [], "overhead": []}


@pytest.fixture
def results() -> dict[str, t.Any]:
    machine = {"processors": 2, "load_average": [1.0, 1.0, 1.0], "seconds": 60}
    measured = {"api": [API], "class": [CLASS], "comparison": [OTHER], "overhead": [OVERHEAD]}
    return copy.deepcopy({**measured, "machine": machine, "ended_early": False})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(failover_report, "FOLDER", tmp_path)
    return tmp_path


class Outside(html.parser.HTMLParser):
    """Addresses that a page would load something from, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_all_files_are_written(results: dict[str, t.Any], folder: Path) -> None:
    assert failover_report.write("failover", results) == 0
    assert json.loads((folder / "failover.json").read_text())["class"][0]["gap"]["p99"] == 0.03
    assert (folder / "failover.png").read_bytes().startswith(b"\x89PNG")
    assert "| kill | 20 | 12000 | 0 |" in (folder / "failover.md").read_text()


def test_the_page_is_whole(results: dict[str, t.Any], folder: Path) -> None:
    failover_report.write("failover", results)
    found = Outside((folder / "failover.html").read_text())
    assert found.addresses
    assert all(address.startswith("data:image/png;base64,") for address in found.addresses)
    # A title with markup in it is text.
    assert "of" not in found.tags


@pytest.mark.parametrize("wrong", ["failed", "refused", "wrong_rows"])
def test_a_failed_request_fails_the_run(results: dict[str, t.Any], folder: Path, wrong: str) -> None:
    results["api"][0][wrong] = 1
    assert failover_report.write("failover", results) == 1


def test_what_was_not_reached_is_marked(results: dict[str, t.Any]) -> None:
    results["api"][0].update(failed=3, longest_gap=0.4)
    results["class"][0]["gap"]["p99"] = 0.06
    results["overhead"][0]["overhead"] = 0.0021
    text = failover_report.markdown(results)
    assert "| **3** |" in text
    assert "**400**" in text
    assert "**60**" in text
    assert "**2.10**" in text
    assert "**" not in failover_report.markdown({**results, "api": [API], "class": [CLASS], "overhead": [OVERHEAD]})


def test_what_was_not_reached_is_said_at_the_end(
    results: dict[str, t.Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(failover_report, "say", said.append)
    assert failover_report.write("failover", results) == 0
    assert not [line for line in said if line.startswith("not reached")]
    results["class"][0]["gap"]["p99"] = 0.06
    results["overhead"][0]["overhead"] = 0.0021
    assert failover_report.write("failover", results) == 0
    assert said[-2:] == [
        "not reached: The failover class alone: kill, 20: p99: 60",
        "not reached: The API beside the bare driver with the same pool: read, 2000: API less driver, p50: 2.10",
    ]


def test_a_failure_of_the_class_in_the_comparison_fails_the_run(results: dict[str, t.Any], folder: Path) -> None:
    results["comparison"].append({**OTHER, "candidate": "failover class", "failed": 1, "wrong_rows": 0})
    assert failover_report.write("failover", results) == 1


def test_a_lost_row_is_a_failure_whatever_the_figures(results: dict[str, t.Any], folder: Path) -> None:
    results["class"][0]["wrong_rows"] = 1
    assert failover_report.write("failover", results) == 1


def test_a_run_that_ended_early_says_so(results: dict[str, t.Any]) -> None:
    assert "ended before" not in failover_report.markdown(results)
    assert "ended before" in failover_report.markdown({**results, "ended_early": True})


def test_nothing_measured_leaves_the_last_report_alone(results: dict[str, t.Any], folder: Path) -> None:
    (folder / "failover.md").write_text("the last one")
    assert failover_report.write("failover", {**results, **NOTHING}) == 1
    assert (folder / "failover.md").read_text() == "the last one"


def test_what_the_api_costs_alone_needs_no_picture(results: dict[str, t.Any], folder: Path) -> None:
    assert failover_report.write("failover", {**results, **NOTHING, "overhead": [OVERHEAD]}) == 0
    assert "| read | 2000 | 0.30 / 0.90 |" in (folder / "failover.md").read_text()
    assert not (folder / "failover.png").exists()


def test_only_what_was_measured_has_a_table(results: dict[str, t.Any]) -> None:
    results["comparison"] = []
    assert "HAProxy and libpq" not in failover_report.markdown(results)


def test_what_is_only_slow_has_a_table_of_its_own(results: dict[str, t.Any]) -> None:
    slow = {**API, "title": "starved", "slow": True, "slowest": 4.0, "switches": 2, "back": 2.5}
    results["api"].append(slow)
    assert [title for title, _head, _body in failover_report.tables(results)][1:3] == [
        "The API under load", "The API where everything is slow",
    ]  # fmt: skip
    missed = [line for line in failover_report.missed(results) if "slow" in line]
    assert [line.rsplit(": ", 2)[1:] for line in missed] == [["Switches", "2"], ["Back after, s", "2.5"]]
