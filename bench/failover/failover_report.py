# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured, for people (HTML with plots, a table in Markdown, a picture) and for programs (JSON)."""

from __future__ import annotations

import base64
import html
import io
import json
import typing as t

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from timing import ROOT, say

FOLDER = ROOT / "docs/benchmarks"
SHARE_ASKED, EQUAL_ASKED = 0.95, 5.0
SWITCHES_ASKED, BACK_ASKED = 1, 2.0
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .7rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } .bad { color: #b3412e; font-weight: 600 } img { max-width: 100% }
"""

Table = tuple[str, list[str], list[list[str]]]
Result = t.Mapping[str, t.Any]
Column = t.Callable[[Result], str]


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f}" if value >= 0.01 else f"{value * 1000:.1f}"


def verdict(text: str, fine: bool) -> str:
    """A figure, marked where it is not what was asked for."""
    return text if fine else f"**{text}**"


def share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.0f} %"


def figure(value: t.Any) -> str:
    """A count that has to be nothing."""
    return verdict(str(value), not value)


def latency(part: str) -> Column:
    return lambda each: " / ".join(milliseconds(each["latency"][part][which]) for which in ("p50", "p99"))


def side(each: Result, name: str) -> str:
    return " / ".join(f"{each['sides'][name][which] * 1000:.2f}" for which in ("p50", "p99"))


def throughput(each: Result) -> str:
    part = each["throughput_share"]
    return verdict(share(part), part is not None and part >= SHARE_ASKED)


API = {
    "Fault": lambda each: each["title"],
    "Users": lambda each: str(each["users"]),
    "Requests": lambda each: str(each["requests"]),
    "Failed": lambda each: figure(each["failed"]),
    "Refused": lambda each: figure(each["refused"]),
    "Sent again": lambda each: str(each["sent_again"]),
    "Longest gap, ms": lambda each: verdict(
        milliseconds(each["longest_gap"]), each["asked_gap"] is None or each["longest_gap"] <= each["asked_gap"]
    ),
    "(before)": lambda each: milliseconds(each["longest_gap_before"]),
    "p50 / p99 before, ms": latency("before"),
    "during": latency("during"),
    "after": latency("after"),
    "Throughput after": throughput,
    "Equal after, s": lambda each: verdict(f"{each['convergence']['equal']:.1f}", each["convergence"]["equal"] <= EQUAL_ASKED),
    "Wrong rows": lambda each: figure(each["wrong_rows"]),
}
# Where everything is slow, and nothing is broken
SLOW = {
    "Fault": lambda each: each["title"],
    "Users": lambda each: str(each["users"]),
    "Requests": lambda each: str(each["requests"]),
    "Failed": lambda each: figure(each["failed"]),
    "Refused": lambda each: figure(each["refused"]),
    "Slowest answer, s": lambda each: f"{each['slowest']:.1f}",
    "Switches": lambda each: verdict(str(each["switches"]), each["switches"] <= SWITCHES_ASKED),
    "Back after, s": lambda each: verdict(f"{each['back']:.1f}", each["back"] <= BACK_ASKED),
    "Wrong rows": lambda each: figure(each["wrong_rows"]),
}
# What HAProxy and libpq do is shown, and was not asked for.
COMPARISON = {
    "Fault": lambda each: each["fault"],
    "With": lambda each: each["candidate"],
    "Requests": lambda each: str(each["requests"]),
    "Failed": lambda each: str(each["failed"]),
    "Longest gap, ms": lambda each: milliseconds(each["longest_gap"]),
    "Wrong rows": lambda each: str(each["wrong_rows"]),
}
CLASS = {
    "Fault": lambda each: each["fault"],
    "Rounds": lambda each: str(each["rounds"]),
    "Requests": lambda each: str(each["requests"]),
    "Failed": lambda each: figure(each["failed"]),
    "Longest gap p50, ms": lambda each: milliseconds(each["gap"]["p50"]),
    "p99": lambda each: verdict(milliseconds(each["gap"]["p99"]), each["gap"]["p99"] <= each["asked_gap"]),
    "max": lambda each: milliseconds(each["gap"]["max"]),
    "asked": lambda each: milliseconds(each["asked_gap"]),
    "p99 without a fault": lambda each: milliseconds(each["gap_without_fault"]["p99"]),
    "Throughput after": throughput,
    "Up again within, s": lambda each: f"{each['up_again']['max']:.1f}",
    "Wrong rows": lambda each: figure(each["wrong_rows"]),
}
OVERHEAD = {
    "Request": lambda each: each["what"],
    "Samples": lambda each: str(each["samples"]),
    "Driver p50 / p99, ms": lambda each: side(each, "driver"),
    "Failover class": lambda each: side(each, "class"),
    "API": lambda each: side(each, "API"),
    "API less driver, p50": lambda each: verdict(f"{each['overhead'] * 1000:.2f}", each["overhead"] <= each["asked"]),
    "asked": lambda each: f"{each['asked'] * 1000:.2f}",
}


def table(title: str, columns: t.Mapping[str, Column], results: t.Sequence[Result]) -> Table:
    return title, list(columns), [[column(each) for column in columns.values()] for each in results]


def tables(results: t.Mapping[str, t.Any]) -> list[Table]:
    """Those that have lines."""
    made = [
        table("The failover class alone", CLASS, results["class"]),
        table("The API under load", API, [each for each in results["api"] if not each["slow"]]),
        table("The API where everything is slow", SLOW, [each for each in results["api"] if each["slow"]]),
        table("Beside HAProxy and libpq", COMPARISON, results["comparison"]),
        table("The API beside the bare driver with the same pool", OVERHEAD, results["overhead"]),
    ]
    return [each for each in made if each[2]]


def wrong(results: t.Mapping[str, t.Any]) -> int:
    """Acknowledged rows that are not on both nodes once, with the API or the class. No figure makes up for one."""
    return sum(each["wrong_rows"] for each in _own(results))


def _own(results: t.Mapping[str, t.Any]) -> list[Result]:
    """What the API and the class did, without those that they are compared with."""
    beside = [each for each in results["comparison"] if each["candidate"] == "failover class"]
    return [*results["api"], *results["class"], *beside]


def failed(results: t.Mapping[str, t.Any]) -> int:
    """Requests without an answer, with the API or the class, and answers that nobody asked for."""
    return sum(each["failed"] + each.get("refused", 0) for each in _own(results))


def missed(results: t.Mapping[str, t.Any]) -> list[str]:
    """What the tables mark, one line each: where it was, the column, and the figure with its unit as the column says."""
    return [
        f"{title}: {', '.join(row[:2])}: {column}: {cell.strip('*')}"
        for title, head, body in tables(results)
        for row in body
        for column, cell in zip(head, row, strict=True)
        if cell.startswith("**")
    ]


def introduction(results: t.Mapping[str, t.Any]) -> list[str]:
    machine = results["machine"]
    early = ["This run was ended before all was measured."] if results["ended_early"] else []
    return [
        *early,
        f"On a machine with {machine['processors']} processors, which carries the nodes, the API, HAProxy and the clients; "
        f"the servers' disks are in memory; load average at the end {machine['load_average'][0]:.1f}. "
        "Marked: what is not as asked for.",
        "The longest gap is between two acknowledged writes of all clients together. A request has failed when the client has "
        "no answer after trying both instances of the API. Refused: answers such as 503, whatever came of their requests. "
        "Sent again: requests that a client took to the other instance. "
        "Where everything is slow, a client waits ten seconds for an answer. Back: when the last request that "
        "took more than a second has ended, from the end of the cause on. "
        "Wrong rows: acknowledged ones that are not on both nodes once, and such as only one node has, after healing.",
    ]


def markdown(results: t.Mapping[str, t.Any]) -> str:
    lines = ["# Measured by `make failover`", ""]
    for paragraph in introduction(results):
        lines += [paragraph, ""]
    for title, head, body in tables(results):
        lines += [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(row) + " |" for row in body] + [""]
    return "\n".join(lines)


def page(results: t.Mapping[str, t.Any], pictures: t.Sequence[tuple[str, bytes]]) -> str:
    """Whole: no file, script or font from elsewhere."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Load and faults</title><style>{_STYLE}</style></head><body><h1>Load and faults</h1>",
    ]
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in introduction(results)]
    for title, head, body in tables(results):
        parts.append(f"<h2>{html.escape(title)}</h2><table><tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>")
        parts += ["<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in body]
        parts.append("</table>")
    for title, picture in pictures:
        encoded = base64.b64encode(picture).decode()
        parts.append(f'<h3>{html.escape(title)}</h3><img alt="{html.escape(title)}" src="data:image/png;base64,{encoded}">')
    return "\n".join([*parts, "</body></html>", ""])


def _cell(text: str) -> str:
    bad = text.startswith("**")
    return f"<td{' class=bad' if bad else ''}>{html.escape(text.strip('*'))}</td>"


def write(name: str, results: dict[str, t.Any]) -> int:
    """The exit status: 1 where a row that was acknowledged is lost or there twice, or a request failed or was refused.

    Figures that were not reached are said, and leave the status as it is: they are this machine's, too.
    With nothing measured, nothing is written.
    """
    if not any(results[part] for part in ("api", "class", "comparison", "overhead")):
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures = [(f"{each['title']}, {each['users']} users", _over_time(each["series"])) for each in results["api"]]
    (FOLDER / f"{name}.html").write_text(page(results, pictures))
    (FOLDER / f"{name}.md").write_text(markdown(results))
    (FOLDER / f"{name}.json").write_text(json.dumps(results, separators=(",", ":")) + "\n")
    bars = _bars(results)
    if bars:
        (FOLDER / f"{name}.png").write_bytes(_gaps(bars))
    say(f"the report: docs/benchmarks/{name}.html")
    count = wrong(results)
    if count:
        say(f"{count} acknowledged rows are not on both nodes once")
    without = failed(results)
    if without:
        say(f"{without} requests failed or were refused")
    for line in missed(results):
        say(f"not reached: {line}")
    return 1 if count or without else 0


def _png(figure: t.Any) -> bytes:
    file = io.BytesIO()
    figure.tight_layout()
    figure.savefig(file, format="png", dpi=80)
    pyplot.close(figure)
    return file.getvalue()


def _over_time(series: t.Mapping[str, t.Any]) -> bytes:
    figure, (rate, latency) = pyplot.subplots(1, 2, figsize=(12, 2.8), sharex=True)
    rate.plot(series["at"], series["requests"], color="#3a7d44", label="answered")
    rate.plot(series["at"], series["failed"], color="#b3412e", label="failed")
    rate.set_ylabel("requests per second")
    rate.set_ylim(bottom=0)
    rate.legend(loc="lower left", frameon=False, fontsize=8)
    for values, colour, label in (("max", "#888888", "slowest"), ("p50", "#2b5f9e", "median")):
        heights = [value and value * 1000 for value in series[values]]
        latency.plot(series["at"], [float("nan") if each is None else each for each in heights], color=colour, label=label)
    latency.set_yscale("log")
    latency.set_ylabel("ms")
    latency.legend(loc="upper left", frameon=False, fontsize=8)
    for axes in (rate, latency):
        axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
        axes.set_xlabel("seconds from the fault")
    return _png(figure)


def _bars(results: t.Mapping[str, t.Any]) -> list[tuple[str, float, str]]:
    """Label, seconds and colour of the longest gap of every fault and every way to the servers."""
    bars = [(f"{each['fault']}, the class alone (p99)", each["gap"]["p99"], "#3a7d44") for each in results["class"]]
    fast = [each for each in results["api"] if not each["slow"]]
    bars += [(f"{each['fault']}, the API, {each['users']} users", each["longest_gap"], "#2b5f9e") for each in fast]
    bars += [(f"{each['fault']}, {each['candidate']}", each["longest_gap"], "#888888") for each in results["comparison"]]
    return bars


def _gaps(bars: t.Sequence[tuple[str, float, str]]) -> bytes:
    figure, axes = pyplot.subplots(figsize=(9, 0.24 * len(bars) + 1))
    labels, gaps, colours = zip(*bars, strict=True)
    axes.barh(range(len(bars)), [max(gap, 0.001) * 1000 for gap in gaps], color=colours, height=0.7)
    axes.set_yticks(range(len(bars)), labels, fontsize=8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("longest gap between acknowledged writes, ms")
    return _png(figure)
