# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The archive of WAL as data: which segments there are, where it is broken, and how far a backup can be recovered."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Backup

DEFAULT_SEGMENT_SIZE = 16 << 20
SEGMENT_SIZES = [DEFAULT_SEGMENT_SIZE, *(size for shift in range(20, 31) if (size := 1 << shift) != DEFAULT_SEGMENT_SIZE)]

_SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{24})-([0-9a-f]{40})(?:\.[a-z0-9]+)?$")
_HISTORY = re.compile(r"(?:.*/)?([0-9A-F]{8})\.history$")
_LSN = re.compile(r"^([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})$")


def parse_lsn(text: str) -> int:
    match = _LSN.match(text.strip())
    if not match:
        raise MultimasterError(f"{text!r} is no LSN. Write it as PostgreSQL shows it, for example 0/3000148.")
    return (int(match.group(1), 16) << 32) + int(match.group(2), 16)


def show_lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Segment:
    """A WAL segment: a timeline, and its number in the stream of WAL."""

    timeline: int
    number: int

    @classmethod
    def parse(cls, name: str, size: int = DEFAULT_SEGMENT_SIZE) -> Segment:
        log, low = int(name[8:16], 16), int(name[16:24], 16)
        return cls(int(name[:8], 16), log * ((1 << 32) // size) + low)

    def name(self, size: int = DEFAULT_SEGMENT_SIZE) -> str:
        per_log = (1 << 32) // size
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"


@dataclass(frozen=True)
class Gap:
    """Missing segments of one timeline, between two that are there."""

    first: str
    last: str
    count: int
    unrestorable: tuple[str, ...]
    """Backups that need one of them to become consistent."""
    cut_short: tuple[str, ...]
    """Backups that can be restored, but not recovered past the gap."""

    def as_data(self) -> dict[str, t.Any]:
        return {
            "first": self.first,
            "last": self.last,
            "count": self.count,
            "unrestorable": list(self.unrestorable),
            "cut_short": list(self.cut_short),
        }


@dataclass(frozen=True)
class Reach:
    """How far one backup can be recovered with the archive as it is."""

    complete: bool
    """Every segment that the backup itself needs is there."""
    missing: str | None
    """The first segment that is not."""
    end: Segment | None
    """The last segment that recovery arrives at without a gap."""
    end_lsn: int | None
    archived_at: int | None
    """When that segment came into the archive: no later time can be recovered to."""
    broken_after: bool
    """The archive has more segments after a gap."""


@dataclass
class Archive:
    """The segments of one cluster in one repository."""

    id: str
    segment_size: int = DEFAULT_SEGMENT_SIZE
    segments: dict[int, dict[int, int]] = field(default_factory=dict)
    """timeline -> number -> time of arrival"""
    checksums: dict[Segment, str] = field(default_factory=dict)
    """SHA-1 of each segment's contents, which is part of its file's name."""
    duplicates: list[str] = field(default_factory=list)
    branches: set[int] = field(default_factory=set)
    """Timelines of which the archive knows where they branched off."""

    @classmethod
    def from_listing(cls, archive_id: str, listing: t.Mapping[str, t.Any], segment_size: int = DEFAULT_SEGMENT_SIZE) -> Archive:
        """From ``repo-ls --recurse --output=json`` of the archive's path."""
        archive = cls(archive_id, segment_size)
        for path, entry in listing.items():
            if history := _HISTORY.match(path):
                archive.branches.add(int(history.group(1), 16))
            match = _SEGMENT.match(path)
            if not match or entry.get("type") != "file":
                continue
            segment = Segment.parse(match.group(1), segment_size)
            timeline = archive.segments.setdefault(segment.timeline, {})
            if segment.number in timeline:
                archive.duplicates.append(match.group(1))
            timeline[segment.number] = entry.get("time", 0)
            archive.checksums[segment] = match.group(2)
        return archive

    def name(self, segment: Segment) -> str:
        return segment.name(self.segment_size)

    def lsn_end(self, segment: Segment) -> int:
        return (segment.number + 1) * self.segment_size

    def segment_of(self, lsn: int, timeline: int) -> Segment:
        return Segment(timeline, lsn // self.segment_size)

    def ranges(self) -> list[dict[str, t.Any]]:
        """Unbroken runs of segments."""
        runs = []
        for timeline, numbers in sorted(self.segments.items()):
            for first, last in _runs(numbers):
                runs.append(
                    {
                        "timeline": timeline,
                        "first": self.name(Segment(timeline, first)),
                        "last": self.name(Segment(timeline, last)),
                        "count": last - first + 1,
                    }
                )
        return runs

    def reach(self, backup: Backup) -> Reach:
        """Follow the segments from the backup's first, over to a newer timeline where one branches off."""
        if not backup.wal_start or not backup.wal_stop:
            return Reach(False, None, None, None, None, False)
        start, stop = self._parse(backup.wal_start), self._parse(backup.wal_stop)
        there = self.segments.get(start.timeline, {})
        missing = next((n for n in range(start.number, stop.number + 1) if n not in there), None)
        if missing is not None:
            return Reach(False, self.name(Segment(start.timeline, missing)), None, None, None, False)
        end = Segment(start.timeline, _last_of_run(there, start.number))
        for timeline in sorted(each for each in self.segments if each > start.timeline):
            first = min(self.segments[timeline])
            if start.number <= first <= end.number + 1:
                end = Segment(timeline, _last_of_run(self.segments[timeline], first))
        newest = max(self.segments[end.timeline])
        return Reach(
            complete=True,
            missing=None,
            end=end,
            end_lsn=self.lsn_end(end),
            archived_at=self.segments[end.timeline][end.number],
            broken_after=newest > end.number,
        )

    def path(self, backup: Backup, last: Segment) -> list[Segment]:
        """The segments that recovery reads from the backup's first to ``last``."""
        start = self._parse(backup.wal_start or "")
        segments = []
        timelines = [each for each in sorted(self.segments) if start.timeline <= each <= last.timeline]
        number, timeline = start.number, start.timeline
        while number <= last.number:
            for newer in timelines:
                if newer > timeline and min(self.segments[newer]) <= number:
                    timeline = newer
            segments.append(Segment(timeline, number))
            number += 1
        return segments

    def gaps(self, backups: t.Sequence[Backup]) -> list[Gap]:
        """Missing segments since the oldest backup; older ones nobody needs."""
        found = []
        needed = [
            (each, self._parse(each.wal_start), self._parse(each.wal_stop))
            for each in backups
            if each.wal_start and each.wal_stop
        ]
        for timeline, numbers in sorted(self.segments.items()):
            starts = [start.number for _backup, start, _stop in needed if start.timeline <= timeline]
            if not starts:
                continue
            runs = _runs(numbers)
            for (_first, before), (after, _last) in zip(runs, runs[1:]):
                if after <= min(starts):
                    continue
                found.append(self._gap(timeline, before + 1, after - 1, needed))
        return found

    def _gap(self, timeline: int, first: int, last: int, needed: list[tuple[Backup, Segment, Segment]]) -> Gap:
        inside, before = [], []
        for backup, start, stop in needed:
            if start.timeline == timeline and start.number <= last and stop.number >= first:
                inside.append(backup.label)
            elif start.timeline <= timeline and stop.number < first:
                before.append(backup.label)
        return Gap(
            self.name(Segment(timeline, first)),
            self.name(Segment(timeline, last)),
            last - first + 1,
            tuple(inside),
            tuple(before),
        )

    def _parse(self, name: str) -> Segment:
        return Segment.parse(name, self.segment_size)


def segment_size_of(backups: t.Iterable[Backup]) -> int:
    """The size that makes the backups' positions and segment names agree."""
    known = [(parse_lsn(each.lsn_start), each.wal_start) for each in backups if each.lsn_start and each.wal_start]
    for size in SEGMENT_SIZES:
        if all(Segment(int(name[:8], 16), lsn // size).name(size) == name for lsn, name in known):
            return size
    return DEFAULT_SEGMENT_SIZE


def _runs(numbers: t.Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _last_of_run(numbers: t.Container[int], first: int) -> int:
    last = first
    while last + 1 in numbers:
        last += 1
    return last
