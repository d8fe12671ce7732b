# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of site.yml costs that has nothing to do."""

from __future__ import annotations

import re
import typing as t

from timing import in_turns, run, summary

INVENTORY = ("-i", "bench/inventory")


def site(inventory: t.Sequence[str] = INVENTORY) -> None:
    output = run("ansible-playbook", *inventory, "site.yml")
    if re.search("changed=[1-9]", output):
        raise SystemExit(f"site.yml changed something on a mesh that was right:\n{output[-3000:]}")


def setup() -> None:
    run("ansible", *INVENTORY, "postgresql", "-m", "setup")


def no_op_against_setup(
    rounds: int, inventory: t.Sequence[str] = INVENTORY, what: str = " of the mesh alone"
) -> dict[str, t.Any]:
    """The no-op site.yml against a bare setup of the same hosts. ``what`` the inventory has them do, for the title."""
    taken = in_turns({"site.yml": lambda: site(inventory), "setup": setup}, rounds)
    sides = {name: summary(values) for name, values in taken.items()}
    return {
        "title": f"site.yml{what} with nothing to do, against a bare setup of both hosts",
        "unit": "s",
        "sides": sides,
        "ratio": sides["site.yml"]["median"] / sides["setup"]["median"],
        "asked": 3.0,
    }


def tables(make_tables: t.Callable[[int], None], rounds: int) -> dict[str, t.Any]:
    """The no-op site.yml with 1,000 tables against 10."""
    sides = {}
    for count in (10, 1000):
        make_tables(count)
        run("ansible-playbook", *INVENTORY, "site.yml")
        sides[f"{count} tables"] = summary(in_turns({"site.yml": site}, rounds)["site.yml"])
    return {
        "title": "site.yml with nothing to do, 1,000 tables against 10",
        "unit": "s",
        "sides": sides,
        "ratio": sides["1000 tables"]["median"] / sides["10 tables"]["median"],
        "asked": 1.5,
    }
