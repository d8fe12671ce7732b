# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pgdsat finds is to be mended or has its reason, and a report without checks is no good report."""

from __future__ import annotations

import io
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/security"))

from findings import EXCEPTIONS, findings, main  # noqa: E402

REASONS: dict[str, str] = yaml.safe_load(EXCEPTIONS.read_text())
EXCEPTED = next(iter(REASONS))
# As pgdsat 2.0 writes it
REPORT = """POSTGRESQL SECURITY ASSESSEMENT REPORT ON PG1

1 - Installation and Patches
1.3 - Ensure systemd Service Files Are Enabled => SUCCESS
1.4.5 - Ensure that the PGDATA partition is encrypted (Manual)
{number} - Ensure this and that{manual} => FAILURE
"""


def run(monkeypatch: pytest.MonkeyPatch, report: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(report))
    return main("pg1")


@pytest.mark.parametrize("manual", ["", " (Manual)"])
def test_a_finding_needs_a_reason(monkeypatch: pytest.MonkeyPatch, capsys: t.Any, manual: str) -> None:
    assert run(monkeypatch, REPORT.format(number=EXCEPTED, manual=manual)) == 0
    assert REASONS[EXCEPTED] in capsys.readouterr().out
    assert run(monkeypatch, REPORT.format(number="9.9", manual=manual)) == 1
    assert "TO MEND" in capsys.readouterr().out


def test_a_report_without_checks_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "FATAL: command psql is not available\n") == 1


def test_what_needs_a_person_is_no_finding() -> None:
    failed, passed = findings(REPORT.format(number="9.9", manual=""), {})
    assert ([finding.number for finding in failed], passed) == (["9.9"], 1)


def test_each_reason_is_in_the_documentation() -> None:
    text = " ".join((ROOT / "docs/security.md").read_text().split())
    assert [number for number, reason in REASONS.items() if f"| {number} | {reason} |" not in text] == []
