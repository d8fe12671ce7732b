# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Tablespaces that recovery would make where the live node has them. A program too: the copy's restore_command runs this file.

``CREATE TABLESPACE`` is replayed with the directory that it was given: recovery makes a folder there and links it into the copy,
which then writes into the live node's tablespace. No option of PostgreSQL or pgBackRest says otherwise for a tablespace that is
younger than the backup. An empty directory name in the record means a tablespace inside the data directory (pg_tblspc/OID), which
every supported version replays. So each segment that recovery gets is looked through first, and such a record's directory is
taken out and its checksum made anew. Everything else in the segment stays as it is, and the repository is not touched.

The file is alone on the host where it runs: it imports nothing of the collection.
"""

from __future__ import annotations

import re
import struct
import sys
import typing as t
from dataclasses import dataclass

# This file's name in a restored copy.
GUARD = "restored_copy_wal.py"

# access/xlogrecord.h and access/xlog_internal.h; the same in every version since 9.5.
RECORD = struct.Struct("=IIQBBHI")  # total length, xid, previous record, info, resource manager, padding, checksum
CHECKED = 20  # the bytes of it that its checksum covers
RECORD_ALIGNMENT = 8
PAGE_HEADER = struct.Struct("=HHIQIxxxx")  # magic, info, timeline, address, rest of a record
LONG_PAGE_HEADER = struct.Struct("=HHIQIxxxxQII")  # of a segment's first page: also system, size of segments, size of pages
# The page begins with a record although the one before is cut off: the server crashed there.
OVERWRITES = 0x0008
TABLESPACE_MANAGER = 5
SHORT_DATA, LONG_DATA = 0xFF, 0xFE
LONGEST_DIRECTORY = 1024  # MAXPGPATH
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
# Resource manager and padding of a record's header. What it is for is in the upper half of the byte before: 0 is CREATE.
_CANDIDATE = re.compile(re.escape(bytes((TABLESPACE_MANAGER, 0, 0))))
_POSITION_IN_RECORD = 17


class CutInTwo(Exception):
    """A record that makes a tablespace, or may be one, begins in one segment and ends in the next: it cannot be changed."""


@dataclass(frozen=True)
class Made:
    """A tablespace that a record makes. ``directory`` is empty where it is inside the data directory."""

    oid: int
    directory: str
    start: int
    """Of the record, in the stream of records."""
    length: int
    text: int
    """Of the directory's name within the record."""


class Segment:
    """A WAL segment's records as one stream, without the headers of its pages."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        *_start, self.rest, _system, _size, self.page = LONG_PAGE_HEADER.unpack_from(data)
        if not 512 <= self.page <= 1 << 16 or self.page & (self.page - 1):
            raise ValueError(f"it is no WAL segment: its pages would have {self.page} bytes")
        self.stream = bytes(data[LONG_PAGE_HEADER.size : self.page]) + b"".join(
            bytes(data[at + PAGE_HEADER.size : at + self.page]) for at in range(self.page, len(data), self.page)
        )
        self._starts: list[int] | None = None

    def place(self, position: int) -> int:
        """Where a byte of the stream is in the segment."""
        first = self.page - LONG_PAGE_HEADER.size
        if position < first:
            return LONG_PAGE_HEADER.size + position
        page, within = divmod(position - first, self.page - PAGE_HEADER.size)
        return (page + 1) * self.page + PAGE_HEADER.size + within

    def starts(self) -> list[int]:
        """Where records begin, as recovery goes from one to the next."""
        if self._starts is None:
            self._starts = list(self._walk())
        return self._starts

    def _walk(self) -> t.Iterator[int]:
        anew = self._overwriting()
        position = _aligned(self.rest)
        # A record that was cut off by a crash goes on nowhere.
        if anew and position > anew[0]:
            position = anew[0]
        while position + 4 <= len(self.stream):
            (length,) = struct.unpack_from("=I", self.stream, position)
            if length < RECORD.size:
                following = next((each for each in anew if each > position), None)
                if following is None:
                    return
                position = following
                continue
            yield position
            end = position + length
            position = next((each for each in anew if position < each < end), _aligned(end))

    def _overwriting(self) -> list[int]:
        """Where pages begin, in the stream, that begin with a record in place of the rest of another."""
        found = []
        for number, at in enumerate(range(0, len(self.data), self.page)):
            _magic, info, *_rest = PAGE_HEADER.unpack_from(self.data, at)
            if info & OVERWRITES:
                longer = LONG_PAGE_HEADER.size - PAGE_HEADER.size
                found.append(max(0, number * (self.page - PAGE_HEADER.size) - longer))
        return found


def made_tablespaces(segment: Segment) -> list[Made]:
    """Raises CutInTwo where such a record is not in this segment as a whole."""
    found = []
    _refuse_second_half(segment)
    for candidate in _CANDIDATE.finditer(segment.stream):
        start = candidate.start() - _POSITION_IN_RECORD
        # A record's bytes can be in a table, too, and with that in the copy of a page.
        if start >= 0 and start % RECORD_ALIGNMENT == 0:
            made = _made_by(segment.stream, start)
            if made and start in segment.starts():
                if start + made.length > len(segment.stream):
                    raise CutInTwo("its record goes on in the next segment")
                if _checksum_of(segment.stream[start : start + made.length]) == _stored_checksum(segment.stream, start):
                    found.append(made)
    return found


def keep_inside(data: bytearray) -> list[Made]:
    """Change the records in ``data``, a segment, so that the tablespaces are made inside the data directory. Returns them as they
    were."""
    segment = Segment(data)
    changed = [each for each in made_tablespaces(segment) if each.directory]
    for made in changed:
        record = bytearray(segment.stream[made.start : made.start + made.length])
        record[made.text :] = bytes(len(record) - made.text)
        struct.pack_into("=I", record, CHECKED, _checksum_of(record))
        for number, byte in enumerate(record):
            data[segment.place(made.start + number)] = byte
    return changed


def _made_by(stream: bytes, start: int) -> Made | None:
    """What a record of this place makes, judged by its header; None where it is another one."""
    header = stream[start : start + RECORD.size + 2]
    if len(header) < RECORD.size:
        # What follows is in the next segment, and is looked at there.
        return None
    length, _xid, _previous, info, _manager, _padding, _checksum = RECORD.unpack_from(header)
    if info & 0xF0:
        return None
    if len(header) == RECORD.size:
        return Made(0, "", start, length, 0) if length <= RECORD.size + 5 + LONGEST_DIRECTORY else None
    kind = header[RECORD.size]
    head = RECORD.size + {SHORT_DATA: 2, LONG_DATA: 5}.get(kind, 0)
    text = head + 4
    if head == RECORD.size or not text < length <= text + LONGEST_DIRECTORY:
        return None
    if kind == SHORT_DATA and length != head + header[RECORD.size + 1]:
        return None
    body = stream[start + head : start + length]
    if len(body) < 5:
        return Made(0, "", start, length, text)
    (oid,) = struct.unpack_from("=I", body)
    return Made(oid, body[4:].partition(b"\0")[0].decode("utf-8", "surrogateescape"), start, length, text)


def _refuse_second_half(segment: Segment) -> None:
    """Of a record whose header itself is cut in two: neither half says by itself what it is."""
    for cut in (8, 16):
        missing = RECORD.size - cut
        at = _POSITION_IN_RECORD - cut
        half = segment.stream[: missing + 2]
        if not half[at - 1] & 0xF0 and half[at : at + 3] == bytes((TABLESPACE_MANAGER, 0, 0)):
            short = half[missing] == SHORT_DATA and segment.rest == missing + 2 + half[missing + 1]
            long = half[missing] == LONG_DATA and missing + 9 < segment.rest <= missing + 9 + LONGEST_DIRECTORY
            if short or long:
                raise CutInTwo("its record began in the segment before")


def _stored_checksum(stream: bytes, start: int) -> int:
    return t.cast(int, struct.unpack_from("=I", stream, start + CHECKED)[0])


def _checksum_of(record: bytes | bytearray) -> int:
    """CRC-32C, of what follows the header and then of the header without the checksum."""
    checksum = 0xFFFFFFFF
    for byte in bytes(record[RECORD.size :]) + bytes(record[:CHECKED]):
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum ^ 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _bit in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


_TABLE = _table()


def _aligned(length: int) -> int:
    return -(-length // RECORD_ALIGNMENT) * RECORD_ALIGNMENT


def main(name: str, path: str) -> int:
    """``name`` of what recovery asked for, and the file that it got. The exit code: 0, or 1 where recovery must not have it."""
    if not _SEGMENT_NAME.fullmatch(name):
        return 0
    try:
        with open(path, "r+b") as stream:
            data = bytearray(stream.read())
            made = keep_inside(data)
            if made:
                stream.seek(0)
                stream.write(data)
    except CutInTwo as reason:
        sys.stderr.write(
            f"WAL segment {name} makes a tablespace, and {reason}: recovery stops here, or the copy would write into the live "
            f"node's directory. Restore to an earlier target, or from a backup that was taken later.\n"
        )
        return 1
    except (OSError, ValueError, struct.error) as error:
        sys.stderr.write(f"WAL segment {name} could not be looked through for tablespaces ({error}): recovery stops here.\n")
        return 1
    for each in made:
        sys.stderr.write(
            f"The tablespace {each.oid}, on the live node in {each.directory}, is kept inside the copy: pg_tblspc/{each.oid}\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:3]))
