# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make bench`: the figures that the project promises, measured side by side, written to docs/benchmarks."""

from __future__ import annotations

import argparse
import typing as t

import backup
import conflict_policy
import deployment
import modules
import report
import visibility
from timing import run, say

import playbooks


def mesh(options: argparse.Namespace) -> list[dict[str, t.Any]]:
    results: list[dict[str, t.Any]] = []
    try:
        say("modules with nothing to do")
        results += modules.nothing_to_do(6 * options.rounds)
        deployment.deploy()
        say("from commit to visible")
        results.append(visibility.commit_to_visible(options.samples))
        say("site.yml with nothing to do")
        results.append(playbooks.no_op_against_setup(options.rounds))
        say("site.yml with 10 and with 1,000 tables")
        results.append(playbooks.tables(deployment.make_tables, options.rounds))
    finally:
        deployment.remove()
    return results


def whole(options: argparse.Namespace) -> list[dict[str, t.Any]]:
    """site.yml with all that it can deploy, as the demo has it."""
    inventory = (*playbooks.INVENTORY, "-i", "bench/backup_groups.yml", "-i", "bench/whole_groups.yml")
    try:
        deployment.deploy()
        say("adding the IMDB schema, backups, Redis and the API")
        run("ansible-playbook", *inventory, "site.yml")
        say("site.yml with nothing to do")
        return [playbooks.no_op_against_setup(options.rounds, inventory, " with backups, their catalogue and the API")]
    finally:
        deployment.remove()


Part = t.Callable[[argparse.Namespace], list[dict[str, t.Any]]]
PARTS: dict[str, Part] = {
    "mesh": mesh,
    "whole": whole,
    # Each of the backups and restores reads or writes all of the data: a few rounds are enough.
    "backup": lambda options: backup.measure(options.megabytes, min(options.rounds, 3)),
    "conflict_policy": lambda options: conflict_policy.measure(options.rounds),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them when none is named")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison of whole commands")
    parser.add_argument("--samples", type=int, default=3000, help="rows for each host in the comparison of replication")
    parser.add_argument("--megabytes", type=int, default=1024, help="data of the node that is backed up")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")

    for part in options.parts or PARTS:
        results = PARTS[part](options)
        report.write(part, results)
        for result in results:
            asked = "" if result["asked"] is None else f" (asked {result['asked']:.2f})"
            say(f"{result['ratio']:6.2f}{asked}  {result['title']}")


if __name__ == "__main__":
    main()
