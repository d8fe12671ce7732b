# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Segments of WAL, made here byte by byte: which tablespaces they make, and what is left when those are kept inside."""

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import tablespaces as wal

PAGE, PAGES = 8192, 4
ROOM = PAGES * (PAGE - wal.PAGE_HEADER.size) - (wal.LONG_PAGE_HEADER.size - wal.PAGE_HEADER.size)
NAME = "00000001000000000000000A"


def record(manager: int, info: int, data: bytes) -> bytes:
    head = bytes((wal.SHORT_DATA, len(data))) if len(data) < 256 else struct.pack("=BI", wal.LONG_DATA, len(data))
    length = wal.RECORD.size + len(head) + len(data)
    plain = bytearray(wal.RECORD.pack(length, 700, 0, info, manager, 0, 0) + head + data)
    struct.pack_into("=I", plain, wal.CHECKED, wal._checksum_of(plain))
    return bytes(plain)


def make(oid: int, directory: str) -> bytes:
    return record(wal.TABLESPACE_MANAGER, 0, struct.pack("=I", oid) + directory.encode() + b"\0")


def other(size: int, data: bytes = b"") -> bytes:
    """A record of another manager, of that many bytes with what aligns the next."""
    return record(10, 0x20, data.ljust(size, b"x")[: size - wal.RECORD.size - (2 if size < 282 else 5)])


def stream_of(*records: bytes) -> bytes:
    return b"".join(each + bytes(-len(each) % 8) for each in records)


def segment(stream: bytes, rest: int = 0, overwritten: t.Sequence[int] = ()) -> bytearray:
    stream = stream.ljust(ROOM, b"\0")
    data, at = bytearray(), 0
    for number in range(PAGES):
        info = wal.OVERWRITES if number in overwritten else 0
        if number == 0:
            data += wal.LONG_PAGE_HEADER.pack(0xD113, 2 | info, 1, 0, rest, 7, PAGE * PAGES, PAGE)
        else:
            data += wal.PAGE_HEADER.pack(0xD113, info, 1, number * PAGE, 0)
        size = PAGE * (number + 1) - len(data)
        data += stream[at : at + size]
        at += size
    return data


def test_the_checksum_is_postgresql_s() -> None:
    # CRC-32C's own example.
    assert wal._checksum_of(bytes(24) + b"123456789") != 0
    checksum = 0xFFFFFFFF
    for byte in b"123456789":
        checksum = wal._TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    assert checksum ^ 0xFFFFFFFF == 0xE3069283


@pytest.mark.parametrize("before", [40, 120, PAGE - 88, PAGE - 80, PAGE - 72, PAGE - 64, PAGE - 56, PAGE - 48, 2 * PAGE])
@pytest.mark.parametrize("directory", ["/srv/late", "/srv/a b/Ä", "/" + "d" * 300])
def test_a_tablespace_wherever_its_record_is(before: int, directory: str) -> None:
    """Also where a page ends in the middle of it."""
    stream = stream_of(other(before), make(16400, directory), other(64), make(16401, ""))
    data = segment(stream)
    assert [(each.oid, each.directory) for each in wal.made_tablespaces(wal.Segment(data))] == [(16400, directory), (16401, "")]
    assert [each.directory for each in wal.keep_inside(data)] == [directory]
    assert [(each.oid, each.directory) for each in wal.made_tablespaces(wal.Segment(data))] == [(16400, ""), (16401, "")]
    # Nothing else is another than before.
    expected = stream_of(other(before), record(5, 0, struct.pack("=I", 16400) + bytes(len(directory.encode()) + 1)), other(64))
    assert bytes(data) == bytes(segment(expected + stream_of(make(16401, ""))))
    assert wal.keep_inside(data) == []


def test_bytes_of_a_record_in_somebody_s_table() -> None:
    """A page of a table can hold anything; a change there would be damage."""
    forged = make(16400, "/srv/late")
    data = segment(stream_of(other(4000, bytes(3) + bytes(8) * 3 + forged), other(64)))
    start = wal.Segment(data).stream.index(forged)
    for shift in range(8):
        moved = segment(stream_of(other(4000, bytes(shift) + forged), other(64)))
        before = bytes(moved)
        assert wal.keep_inside(moved) == []
        assert bytes(moved) == before
    assert start > 0


def test_what_a_segment_begins_with() -> None:
    """The rest of a record of the segment before."""
    rest = b"y" * 100
    data = segment(stream_of(rest, make(16400, "/srv/late")), rest=100)
    assert [each.oid for each in wal.keep_inside(data)] == [16400]
    # More of it than the segment has room for.
    assert wal.keep_inside(segment(b"y" * ROOM, rest=ROOM + 50)) == []


def test_a_record_that_a_crash_cut_off() -> None:
    """The page after it begins with another record, and recovery goes on there."""
    first = PAGE - wal.LONG_PAGE_HEADER.size
    cut = other(200)[:40]
    stream = stream_of(other(first - 48)).ljust(first - 40, b"\0") + cut + stream_of(other(64), make(16400, "/srv/late"))
    assert [each.oid for each in wal.keep_inside(segment(stream, overwritten=[1]))] == [16400]


@pytest.mark.parametrize("inside", [8, 16, 24, 32, 40])
def test_a_record_that_is_in_two_segments(inside: int) -> None:
    whole = make(16400, "/srv/late-and-long-enough-for-this")
    first = segment(stream_of(other(ROOM - inside))[: ROOM - inside] + whole[:inside])
    second = segment(stream_of(whole[inside:]), rest=len(whole) - inside)
    told = []
    for data in (first, second):
        before = bytes(data)
        try:
            assert wal.keep_inside(data) == []
        except wal.CutInTwo as reason:
            told.append(str(reason))
        assert bytes(data) == before
    assert len(told) == 1


def test_the_program_of_the_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "RECOVERYXLOG"
    file.write_bytes(segment(stream_of(make(16400, "/srv/late"))))
    assert wal.main(NAME, str(file)) == 0
    assert "pg_tblspc/16400" in capsys.readouterr().err
    assert file.read_bytes() == bytes(segment(stream_of(record(5, 0, struct.pack("=I", 16400) + bytes(10)))))
    file.write_text("1\t0/3000000\tno recovery target specified\n")
    assert wal.main("00000002.history", str(file)) == 0
    # What cannot be looked through is not replayed.
    assert wal.main(NAME, str(file)) == 1
    assert wal.main(NAME, str(tmp_path / "none")) == 1
    whole = make(16400, "/srv/late")
    file.write_bytes(segment(stream_of(other(ROOM - 32))[: ROOM - 32] + whole[:32]))
    assert wal.main(NAME, str(file)) == 1
    assert "recovery stops here" in capsys.readouterr().err
