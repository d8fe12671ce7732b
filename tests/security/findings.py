# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``findings.py HOST < REPORT``: what pgdsat found on a host, and whether each finding has a reason to stay.

Ends with 1 where one has none, or where the report has no findings and no successes at all.
"""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import yaml

EXCEPTIONS = Path(__file__).with_name("exceptions.yml")
_LINE = re.compile(r"^([0-9.]+) - (.+?)(?: \(Manual\))? => (SUCCESS|FAILURE)$", re.MULTILINE)


class Finding(t.NamedTuple):
    number: str
    title: str
    reason: str | None


def findings(report: str, exceptions: t.Mapping[str, str]) -> tuple[list[Finding], int]:
    """What failed, with the reason to leave it; and how many checks passed."""
    checks = _LINE.findall(report)
    failed = [Finding(number, title, exceptions.get(number)) for number, title, result in checks if result == "FAILURE"]
    return failed, len(checks) - len(failed)


def main(host: str) -> int:
    failed, passed = findings(sys.stdin.read(), yaml.safe_load(EXCEPTIONS.read_text()))
    print(f"{host}: {passed} checks passed, {len(failed)} did not")
    for finding in failed:
        reason = finding.reason or "TO MEND: no reason in tests/security/exceptions.yml"
        print(f"  {finding.number:<7} {finding.title}\n          {reason}")
    if not passed + len(failed):
        print("  The report has no checks: pgdsat did not run.")
        return 1
    return int(any(finding.reason is None for finding in failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
