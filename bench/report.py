# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured, as JSON for programs, as a table and a picture for people."""

from __future__ import annotations

import json
import os
import platform
import textwrap
import typing as t

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from timing import ROOT

FOLDER = ROOT / "docs/benchmarks"


def write(name: str, results: list[dict[str, t.Any]]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = {"processors": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    (FOLDER / f"{name}.json").write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    (FOLDER / f"{name}.md").write_text(_table(machine, results))
    _picture(results, FOLDER / f"{name}.png")


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB"
    if unit != "s":
        return f"{value:.0f} {unit}"
    if value < 0.001:
        return f"{value * 1e6:.1f} µs"
    return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.2f} s"


def _reached(result: dict[str, t.Any]) -> bool:
    """Whether the ratio is what was asked: at most, or at least. Where nothing was, it is."""
    ratio, asked = result["ratio"], result["asked"]
    return asked is None or (ratio >= asked if result.get("at_least") else ratio <= asked)


def _table(machine: dict[str, t.Any], results: list[dict[str, t.Any]]) -> str:
    lines = [
        "# Measured by `make bench`",
        "",
        f"On a machine with {machine['processors']} processors. The sides of each row took turns in one run; "
        "times are medians, with p99 behind them.",
        "",
        "| What | Sides | Ratio | Asked | |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        unit = result.get("unit", "s")
        sides = "<br>".join(
            f"{name}: {_amount(side['median'], unit)} (p99 {_amount(side['p99'], unit)}, n = {side['samples']})"
            for name, side in result["sides"].items()
        )
        verdict = "reached" if _reached(result) else "**not reached**"
        at_least = "at least " if result.get("at_least") else ""
        last = "| | |" if result["asked"] is None else f"| {at_least}{result['asked']:.2f} | {verdict} |"
        lines.append(f"| {result['title']} | {sides} | {result['ratio']:.2f} {last}")
    return "\n".join(lines) + "\n"


def _picture(results: list[dict[str, t.Any]], path: t.Any) -> None:
    figure, axes = pyplot.subplots(figsize=(9, 0.7 * len(results) + 1.2))
    rows = range(len(results))
    good = [_reached(result) for result in results]
    colours = ["#3a7d44" if each else "#b3412e" for each in good]
    axes.barh(rows, [result["ratio"] for result in results], color=colours, height=0.5)
    for row, result in zip(rows, results):
        if result["asked"] is not None:
            axes.plot([result["asked"]] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2)
        axes.text(result["ratio"], row, f" {result['ratio']:.2f}", va="center")
    axes.set_yticks(rows, ["\n".join(textwrap.wrap(result["title"], 48)) for result in results], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ratio (the black mark is what was asked)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
