# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Segments, gaps, and how far a backup can be recovered."""

from __future__ import annotations

import dataclasses
import json

import pytest
from backups import backup, recorded, recorded_stanza, stanza
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Backup
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import Archives, archive_problems
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import (
    SEGMENT_SIZES,
    Archive,
    Segment,
    parse_lsn,
    segment_size_of,
    show_lsn,
)

SIZES = st.sampled_from(SEGMENT_SIZES)


def archive(*names: str, size: int = 16 << 20) -> Archive:
    listing = {f"dir/{name}-{'a' * 40}.zst": {"type": "file", "time": 100 + number} for number, name in enumerate(names)}
    return Archive.from_listing("16-1", listing, size)


def names(timeline: int, *numbers: int) -> list[str]:
    return [Segment(timeline, number).name() for number in numbers]


def needing(first: int, last: int, timeline: int = 1, label: str = "20261124-000000F") -> Backup:
    return backup(label=label, wal_start=Segment(timeline, first).name(), wal_stop=Segment(timeline, last).name())


@given(SIZES, st.integers(1, 2**32 - 1), st.integers(0, 2**40))
def test_names_and_numbers(size: int, timeline: int, number: int) -> None:
    number %= (1 << 64) // size
    segment = Segment(timeline, number)
    assert Segment.parse(segment.name(size), size) == segment
    assert len(segment.name(size)) == 24


@given(st.integers(0, 2**64 - 1))
def test_lsns(lsn: int) -> None:
    assert parse_lsn(show_lsn(lsn)) == lsn


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/123456789", "x/1", "0/1 0/2"])
def test_what_is_no_lsn(text: str) -> None:
    with pytest.raises(MultimasterError, match="is no LSN"):
        parse_lsn(text)


@given(SIZES, st.integers(1, 2**50))
def test_the_segment_size_is_found(size: int, lsn: int) -> None:
    lsn %= 1 << 63
    taken = [
        backup(lsn_start=show_lsn(at), wal_start=Segment(1, at // size).name(size))
        for at in (lsn, (lsn * 7 + size * 3) % (1 << 63))
    ]
    found = segment_size_of(taken)
    # some positions fit more than one size; whichever is taken must name these segments right
    assert all(Segment(1, parse_lsn(each.lsn_start or "") // found).name(found) == each.wal_start for each in taken)


def test_a_recorded_archive() -> None:
    stanza = recorded_stanza("info_three_backups.json")
    assert segment_size_of(stanza.backups) == 16 << 20
    found = Archive.from_listing("16-1", json.loads(recorded("archive_listing.json")))
    (run,) = found.ranges()
    assert run["count"] == 7
    assert found.gaps(stanza.backups) == []
    assert found.duplicates == []
    for each in stanza.backups:
        reach = found.reach(each)
        assert reach.complete
        assert not reach.broken_after
        assert reach.end is not None
        assert found.name(reach.end) == run["last"]
        assert all(segment in found.checksums for segment in found.path(each, reach.end))


def test_files_that_are_no_segments() -> None:
    listing = {
        ".": {"type": "path"},
        "0000000100000000/000000010000000000000002.00000028.backup": {"type": "file", "time": 1},
        "0000000100000000/000000010000000000000004.partial-" + "b" * 40 + ".gz": {"type": "file", "time": 1},
        "00000002.history": {"type": "file", "time": 1},
        "0000000100000000/000000010000000000000003-" + "b" * 40: {"type": "file", "time": 7},
    }
    found = Archive.from_listing("16-1", listing)
    assert found.segments == {1: {3: 7}}


def test_a_gap_and_whom_it_hurts() -> None:
    found = archive(*names(1, 2, 3, 4, 7, 8, 9))
    before, across, after = needing(2, 3, label="a"), needing(4, 7, label="b"), needing(8, 9, label="c")
    (gap,) = found.gaps([before, across, after])
    assert (gap.first, gap.last, gap.count) == (*names(1, 5, 6), 2)
    assert gap.cut_short == ("a",)
    assert gap.unrestorable == ("b",)
    assert found.reach(before).end == Segment(1, 4)
    assert found.reach(before).broken_after
    assert found.reach(across).missing == names(1, 5)[0]
    assert not found.reach(after).broken_after


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (None, True),
        (needing(8, 9, label="sound"), False),
        # Its own pages are damaged; it lacks WAL of its own; it began before the gap.
        (dataclasses.replace(needing(8, 9, label="damaged"), has_errors=True), True),
        (needing(9, 10, label="incomplete"), True),
        (needing(3, 4, label="early"), True),
    ],
)
def test_a_gap_is_no_problem_once_a_sound_backup_is_behind_it(later: Backup | None, told: bool) -> None:
    found = archive(*names(1, 2, 3, 4, 7, 8, 9))
    backups = [needing(2, 3, label="a"), *([later] if later else [])]
    problems = archive_problems(stanza(backups), Archives({(1, 1): found}), str)
    assert any("no further" in each for each in problems) == told
    assert len(found.gaps(backups)) == 1


def test_a_gap_before_the_oldest_backup_is_nobodys() -> None:
    assert archive(*names(1, 1, 4, 5)).gaps([needing(4, 5)]) == []


def test_over_to_the_next_timeline() -> None:
    found = archive(*names(1, 2, 3, 4, 5), *names(2, 4, 5, 6))
    reach = found.reach(needing(2, 2))
    assert reach.end == Segment(2, 6)
    assert found.path(needing(2, 2), Segment(2, 6)) == [Segment(1, 2), Segment(1, 3), *(Segment(2, n) for n in (4, 5, 6))]
    # a timeline that branched off before the backup is not its own
    assert found.reach(needing(5, 5)).end == Segment(1, 5)


def test_the_same_segment_twice() -> None:
    name = names(1, 3)[0]
    listing = {f"d/{name}-{digit * 40}.zst": {"type": "file", "time": 1} for digit in "ab"}
    assert Archive.from_listing("16-1", listing).duplicates == [name]


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 5))
def test_reach_is_what_is_there_without_a_break(numbers: set[int], first: int, length: int) -> None:
    found = archive(*names(1, *sorted(numbers)))
    wanted = set(range(first, first + length + 1))
    reach = found.reach(needing(first, first + length))
    assert reach.complete == (wanted <= numbers)
    if reach.complete:
        assert reach.end is not None
        last = reach.end.number
        assert set(range(first, last + 1)) <= numbers
        assert last + 1 not in numbers
        assert reach.broken_after == any(number > last for number in numbers)
    else:
        assert reach.missing == names(1, min(wanted - numbers))[0]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_and_gaps_make_the_whole(numbers: set[int]) -> None:
    found = archive(*names(1, *sorted(numbers)))
    covered = {
        n for run in found.ranges() for n in range(Segment.parse(run["first"]).number, Segment.parse(run["last"]).number + 1)
    }
    assert covered == numbers
    first = min(numbers)
    missing = {
        n
        for gap in found.gaps([needing(first, first)])
        for n in range(Segment.parse(gap.first).number, Segment.parse(gap.last).number + 1)
    }
    assert missing == set(range(first, max(numbers) + 1)) - numbers


def test_a_backup_without_wal_is_not_restorable() -> None:
    offline = dataclasses.replace(needing(1, 1), wal_start=None, wal_stop=None)
    assert not archive(*names(1, 1)).reach(offline).complete
