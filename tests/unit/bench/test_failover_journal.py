# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients note, and what the nodes must have of it."""

from __future__ import annotations

from pathlib import Path

import journal
from journal import Entry, Row

ROWS: list[Row] = [(1, "a"), (9, "b")]


def wrong(acked: list[Row], first: list[Row], second: list[Row]) -> dict[str, int]:
    return {name: count for name, count in journal.differences(acked, {"1": first, "2": second}).items() if count}


def test_every_row_on_both_once() -> None:
    assert wrong(ROWS, ROWS, ROWS) == {}
    # A row that nobody heard of may be there, too: its acknowledgement was lost.
    assert wrong(ROWS, [*ROWS, (17, "c")], [*ROWS, (17, "c")]) == {}


def test_a_row_that_is_lost() -> None:
    assert wrong(ROWS, ROWS, ROWS[:1]) == {"missing_on_2": 1, "unequal": 1}
    assert wrong(ROWS, ROWS[:1], ROWS[:1]) == {"missing_on_1": 1, "missing_on_2": 1}


def test_a_row_with_another_text() -> None:
    assert wrong(ROWS, ROWS, [(1, "a"), (9, "x")]) == {"missing_on_2": 1, "unequal": 2}


def test_a_row_that_is_there_twice() -> None:
    twice = [*ROWS, (17, "b")]
    assert wrong(ROWS, twice, twice) == {"repeated_on_1": 1, "repeated_on_2": 1}


def test_a_key_that_two_requests_were_given() -> None:
    assert wrong([*ROWS, (9, "c")], ROWS, ROWS)["twice_acknowledged"] == 1


def test_only_writes_that_succeeded_are_acknowledged() -> None:
    entries = [
        Entry("write", 0, 1, key=1, text="a"),
        Entry("write", 0, 1, "503", key=9, text="b"),
        Entry("read", 0, 1),
    ]
    assert journal.acknowledged(entries) == [(1, "a")]


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [Entry("write", 1.25, 2.5, "", "198.18.111.11", 2, -5, 'a "b", c'), Entry("read", 2, 3, "503 {}", "", 3, refused=2)]
    path = tmp_path / "journal.csv"
    writer = journal.Writer(path)
    for entry in reversed(entries):
        writer.add(entry)
    writer.close()
    assert journal.read(path) == entries
    # An interruption in the middle of a line
    path.write_text(path.read_text() + "write,3.0,3.")
    assert journal.read(path) == entries
