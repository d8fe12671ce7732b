# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every client notes of every request, and what the nodes must then have of it."""

from __future__ import annotations

import csv
import typing as t
from pathlib import Path

# A row as a node has it: key and text
Row = tuple[int, str]


class Entry(t.NamedTuple):
    """One request. Times are seconds of the machine's monotonic clock, which all processes share.

    ``kind``: read or write; ``error``: empty where it succeeded; ``via``: who answered; ``attempts``: how often it was sent;
    ``key`` and ``text``: the row that was acknowledged, of a write that succeeded; ``refused``: how many answers before the last
    one were none that was asked for (503, say), so not counting connections that broke or were silent.
    """

    kind: str
    started: float
    finished: float
    error: str = ""
    via: str = ""
    attempts: int = 1
    key: int | None = None
    text: str = ""
    refused: int = 0

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def seconds(self) -> float:
        return self.finished - self.started


class Writer:
    """One line for each entry, written when it is known."""

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("w", 1, encoding="utf-8", newline="")  # noqa: SIM115 - closed by close()
        self._writer = csv.writer(self._file)

    def add(self, entry: Entry) -> None:
        self._writer.writerow(entry)

    def close(self) -> None:
        self._file.close()


def read(path: str | Path) -> list[Entry]:
    """In the order in which the requests ended. A last line that was cut off by an interruption is left out."""
    entries: list[Entry] = []
    with Path(path).open(encoding="utf-8", newline="") as file:
        for kind, started, finished, error, via, attempts, key, text, refused in (
            row for row in csv.reader(file) if len(row) == 9
        ):
            number = int(key) if key else None
            entries.append(Entry(kind, float(started), float(finished), error, via, int(attempts), number, text, int(refused)))
    return sorted(entries, key=lambda entry: entry.finished)


def acknowledged(entries: t.Iterable[Entry]) -> list[Row]:
    return [(entry.key, entry.text) for entry in entries if entry.kind == "write" and entry.ok and entry.key is not None]


def differences(acked: t.Sequence[Row], nodes: t.Mapping[str, t.Sequence[Row]]) -> dict[str, int]:
    """How many rows are not as they must be; all zero where every acknowledged row is on every node once.

    ``twice_acknowledged``: keys that were given to two requests; per node ``missing_on_<node>`` (acknowledged and not there, or
    there with another text) and ``repeated_on_<node>`` (keys or texts that are there more than once);
    ``unequal``: rows that one node has and another does not.
    """
    found = {"twice_acknowledged": len(acked) - len({key for key, _text in acked})}
    for name, rows in nodes.items():
        there = set(rows)
        found[f"missing_on_{name}"] = len(set(acked) - there)
        distinct = len({key for key, _text in rows}) + len({text for _key, text in rows})
        found[f"repeated_on_{name}"] = 2 * len(rows) - distinct
    sets = [set(rows) for rows in nodes.values()]
    found["unequal"] = len(sets[0].union(*sets) - sets[0].intersection(*sets)) if sets else 0
    return found
