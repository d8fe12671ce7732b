# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IMDb's files are read line by line, and every line is either accepted as it stands or refused with a reason."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imdb_lines import GOOD, lines_of

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb import files as _imdb_files
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import (
    FORMATS,
    Batch,
    FileFormat,
    FileReader,
    KeyOrder,
    Rejected,
    canonical_key,
    explain,
    find_files,
    sha256_of,
)

ROOT = Path(__file__).resolve().parents[3]
every_format = pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.kind)
in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(
    path: Path, kind: str, *lines: str | bytes, header: str | None = None, packed: bool = False, end: bytes = b"\n"
) -> Path:
    header = FORMATS[kind].header if header is None else header
    content = b"\n".join([header.encode(), *(line if isinstance(line, bytes) else line.encode() for line in lines)]) + end
    file = path / f"{kind}.tsv{'.gz' if packed else ''}"
    file.write_bytes(gzip.compress(content) if packed else content)
    return file


def read(file: Path, kind: str, batch_lines: int = 20000) -> tuple[list[str], list[Rejected], FileReader]:
    reader = FileReader(str(file), FORMATS[kind], batch_lines)
    rows: list[str] = []
    rejected: list[Rejected] = []
    for batch in reader.batches():
        rows += [row.partition("\t")[2] for row in batch.rows]
        rejected += batch.rejected
    return rows, rejected, reader


@every_format
def test_a_good_line_is_taken_as_it_stands(tmp_path: Path, format: FileFormat) -> None:
    file = write(tmp_path, format.kind, GOOD[format.kind])
    assert read(file, format.kind)[:2] == ([GOOD[format.kind]], [])


@every_format
@given(data=st.data())
def test_every_line_of_good_values_is_accepted(format: FileFormat, data: st.DataObject) -> None:
    line = data.draw(lines_of(format))
    key, text, reason = explain(line, format)
    assert (reason, text) == ("", line)
    match = format.pattern()(line)
    # The fast way says the same; only JSON escapes need the exact way.
    if match is None:
        assert format.kind == "title.principals"
        assert "\\" in line
    else:
        assert match.groups() == key


@every_format
@given(line=st.text())
def test_the_fast_and_the_exact_way_agree(format: FileFormat, line: str) -> None:
    if "\n" in line:
        return
    key, _text, reason = explain(line, format)
    match = format.pattern()(line)
    if match is not None:
        assert (match.groups(), reason) == (key, "")
    assert (key is None) == bool(reason)


@every_format
@given(data=st.data())
def test_mutated_lines_never_break_the_parser(format: FileFormat, data: st.DataObject) -> None:
    line = data.draw(lines_of(format))
    place = data.draw(st.integers(0, len(line)))
    length = data.draw(st.integers(0, 3))
    inserted = data.draw(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=3))
    mutated = line[:place] + inserted + line[place + length :]
    key, _text, reason = explain(mutated, format)
    match = format.pattern()(mutated)
    assert (key is None) == bool(reason)
    if match is not None:
        assert match.groups() == key


long_lines = st.lists(st.integers(0, 130).map(lambda length: b"x" * length), max_size=8).map(b"\n".join)


@given(
    content=st.binary(max_size=400) | long_lines,
    block=st.integers(1, 60),
    limit=st.integers(40, 80),
    batch_lines=st.integers(1, 5),
)
@in_tmp_path
def test_any_bytes_give_each_line_once(tmp_path: Path, content: bytes, block: int, limit: int, batch_lines: int) -> None:
    """Whatever the file holds and wherever its blocks end: as many lines as it has, in order, none lost, none twice."""
    file = tmp_path / "title.ratings.tsv"
    file.write_bytes(FORMATS["title.ratings"].header.encode() + b"\n" + content)
    expected = content.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_imdb_files, "BLOCK_BYTES", block)
        patch.setattr(_imdb_files, "MAX_LINE_BYTES", limit)
        batches = list(FileReader(str(file), FORMATS["title.ratings"], batch_lines).batches())
    seen = sorted(
        [int(row.partition("\t")[0]) for batch in batches for row in batch.rows]
        + [one.line for batch in batches for one in batch.rejected]
    )
    assert seen == list(range(1, len(expected) + 1))
    assert batches[-1].lines == len(expected)
    for batch in batches:
        for one in batch.rejected:
            too_long = len(expected[one.line - 1]) >= limit
            assert too_long == one.reason.startswith("the line is longer"), one


@given(
    lines=st.lists(st.sampled_from(["tt0000001\t5.0\t10", "tt0000002\tx\t1", "", "é" * 30, "tt0000003\t9.9\t0"]), max_size=20),
    block=st.integers(1, 30),
    packed=st.booleans(),
    end=st.sampled_from([b"\n", b""]),
)
@in_tmp_path
def test_blocks_and_packing_make_no_difference(tmp_path: Path, lines: list[str], block: int, packed: bool, end: bytes) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    whole = read(write(tmp_path, "title.ratings", *lines, packed=packed, end=end), "title.ratings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_imdb_files, "BLOCK_BYTES", block)
        split = read(write(tmp_path, "title.ratings", *lines, packed=packed, end=end), "title.ratings")
    assert split[:2] == whole[:2]


@pytest.mark.parametrize(
    ("kind", "line", "reason"),
    [
        ("title.ratings", "tt0000001\t5.0", "2 columns in place of 3"),
        ("title.ratings", "tt0000001\t5.0\t1\t", "4 columns in place of 3"),
        ("title.ratings", "", "the line is empty"),
        ("title.ratings", "tt1\t5.0\t1", 'tconst is not a title\'s identifier (tt and 7 to 10 digits): "tt1"'),
        ("title.ratings", "\\N\t5.0\t1", "tconst is missing"),
        ("title.ratings", "tt0000001\t11.0\t1", 'averageRating is not a rating from 0 to 10: "11.0"'),
        ("title.ratings", "tt0000001\t5.0\tmany", 'numVotes is not a whole number of up to 9 digits: "many"'),
        ("title.ratings", "tt0000001\t5.0\t-1", 'numVotes is not a whole number of up to 9 digits: "-1"'),
        ("title.ratings", "tt0000001\t5.0\t٣", 'numVotes is not a whole number of up to 9 digits: "٣"'),
        ("title.ratings", "tt0000001\t5.0\t99999999999", 'numVotes is not a whole number of up to 9 digits: "99999999999"'),
        ("title.ratings", b"tt0000001\t5.0\t\xff", "the line is not valid UTF-8"),
        ("title.ratings", b"x" * 70000, "the line is longer than 65536 bytes"),
        ("name.basics", "nm0000001\t\t\\N\t\\N\t\\N\t\\N", "primaryName is empty"),
        ("name.basics", "nm0000001\t\\N\t\\N\t\\N\t\\N\t\\N", "primaryName is missing"),
        ("name.basics", "nm0000001\tA\x00B\t\\N\t\\N\t\\N\t\\N", 'primaryName contains a control character: "A\\u0000B"'),
        ("name.basics", f"nm0000001\t{'x' * 501}\t\\N\t\\N\t\\N\t\\N", "primaryName is longer than 500 characters"),
        (
            "name.basics",
            "nm0000001\tA\t\\N\t\\N\tactor,\t\\N",
            'primaryProfession is not a list of words of up to 100 characters, separated by commas: "actor,"',
        ),
        ("title.basics", "tt0000001\tmovie\tA\tA\t2014\t1\t\\N\t1\t\\N", 'isAdult is not 0 or 1: "2014"'),
        ("title.principals", "tt0000001\t1\tnm0000001\tactor\t\\N\t[\"A\"", 'characters is not a JSON list of names: "[\\"A\\""'),
        ("title.principals", "tt0000001\t1\tnm0000001\tactor\t\\N\t[1]", 'characters is not a JSON list of names: "[1]"'),
        (
            "title.principals",
            "tt0000001\t1\tnm0000001\tactor\t\\N\t" + "[" * 9000,
            'characters is not a JSON list of names: "' + "[" * 57 + '..."',
        ),
        (
            "title.principals",
            'tt0000001\t1\tnm0000001\tactor\t\\N\t["\\u0000"]',
            'characters contains a character that PostgreSQL cannot store: "[\\"\\\\u0000\\"]"',
        ),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(tmp_path: Path, kind: str, line: str | bytes, reason: str) -> None:
    file = write(tmp_path, kind, GOOD[kind].replace("0000001", "0000000"), line, GOOD[kind].replace("0000001", "0000002"))
    rows, rejected, _reader = read(file, kind)
    assert len(rows) == 2
    assert [(one.line, one.reason) for one in rejected] == [(2, reason)]


def test_lines_that_end_as_on_windows_are_good(tmp_path: Path) -> None:
    file = write(tmp_path, "title.ratings", "tt0000001\t5.0\t1\r", header=FORMATS["title.ratings"].header + "\r")
    assert read(file, "title.ratings")[:2] == (["tt0000001\t5.0\t1"], [])


def test_json_escapes_in_characters_are_good(tmp_path: Path) -> None:
    line = 'tt0000001\t1\tnm0000001\tactor\t\\N\t' + json.dumps(["Zoë", 'The "Boss"', "\U0001f600"])
    assert read(write(tmp_path, "title.principals", line), "title.principals")[:2] == ([line], [])


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    file = write(tmp_path, "title.ratings", GOOD["title.ratings"], header="\ufeff" + FORMATS["title.ratings"].header)
    assert len(read(file, "title.ratings")[0]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"tconst\taverageRating\n", "does not begin with the header of title.ratings"),
        (b"\xff\xfe\n", "does not begin with the header of title.ratings"),
        (b"x" * 1000000, "does not begin with the header of title.ratings"),
        (b"\x1f\x8b\x08\x00nonsense", "is damaged or not complete"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "title.ratings.tsv.gz"
    file.write_bytes(content)
    with pytest.raises(MultimasterError, match=message) as error:
        FileReader(str(file), FORMATS["title.ratings"]).check_header()
    assert str(file) in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("cut", [0.5, 0.999])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, cut: float) -> None:
    lines = [f"tt{number:07d}\t5.0\t{number % 7}" for number in range(5000)]
    file = write(tmp_path, "title.ratings", *lines, packed=True)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * cut)])
    with pytest.raises(MultimasterError, match=r"damaged or not complete.*Download it again"):
        read(file, "title.ratings")


def test_two_packed_parts_are_one_file(tmp_path: Path) -> None:
    file = write(tmp_path, "title.ratings", "tt0000001\t5.0\t1", packed=True)
    file.write_bytes(file.read_bytes() + gzip.compress(b"tt0000002\t6.0\t2\n"))
    assert read(file, "title.ratings")[0] == ["tt0000001\t5.0\t1", "tt0000002\t6.0\t2"]


@pytest.mark.parametrize("packed", [False, True])
def test_progress_and_checksum_are_those_of_the_file_on_disk(tmp_path: Path, packed: bool) -> None:
    lines = [f"tt{number:07d}\t5.0\t{number}" for number in range(3000)]
    file = write(tmp_path, "title.ratings", *lines, packed=packed)
    reader = FileReader(str(file), FORMATS["title.ratings"], 1000)
    read_so_far = [batch.bytes_read for batch in reader.batches()]
    assert read_so_far == sorted(read_so_far)
    assert read_so_far[-1] == file.stat().st_size
    assert reader.sha256 == hashlib.sha256(file.read_bytes()).hexdigest() == sha256_of(str(file))


def test_a_batch_is_bounded_in_lines_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"tt{number:07d}\t5.0\t{number}" for number in range(1000)]
    file = write(tmp_path, "title.ratings", *lines)
    assert [len(batch.rows) for batch in FileReader(str(file), FORMATS["title.ratings"], 300).batches()] == [300, 300, 300, 100]
    monkeypatch.setattr(_imdb_files, "BATCH_BYTES", 500)
    assert max(len(batch.rows) for batch in FileReader(str(file), FORMATS["title.ratings"]).batches()) < 50


def test_reading_takes_little_memory(tmp_path: Path) -> None:
    """A file of 600,000 lines (and one line of 50 MB) in a process of its own: the peak stays far below its size."""
    file = tmp_path / "title.ratings.tsv"
    with file.open("w") as out:
        out.write(FORMATS["title.ratings"].header + "\n")
        for number in range(600000):
            out.write(f"tt{number:07d}\t5.0\t{number}\n")
        out.write("x" * 50_000_000 + "\ntt9999999\t5.0\t1\n")
    program = (
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS, FileReader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for batch in FileReader(sys.argv[2], FORMATS['title.ratings']).batches(): rows = batch.lines\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", program, str(ROOT / "collections"), str(file)]
    lines, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(lines) == 600002
    assert int(kilobytes) < 20_000


title_keys = st.integers(0, 30).map(lambda number: f"tt{number * 700000:07d}")
keys = st.lists(st.tuples(title_keys, st.sampled_from(["1", "2", "02", "3"])), max_size=40)


def duplicates(all_keys: t.Sequence[tuple[str, ...]]) -> list[bool]:
    seen: set[str] = set()
    result = []
    for key in all_keys:
        result.append(canonical_key(key) in seen)
        seen.add(canonical_key(key))
    return result


@given(keys=keys, numeric=st.booleans())
def test_in_a_sorted_file_every_duplicate_is_found(keys: list[tuple[str, ...]], numeric: bool) -> None:
    keys.sort(key=(lambda key: (len(key[0]), key[0])) if numeric else (lambda key: key[0]))
    order = KeyOrder()
    assert [order.is_duplicate(key) for key in keys] == duplicates(keys)
    assert order.in_order


@given(keys=keys)
def test_a_duplicate_is_found_or_the_order_is_known_to_be_broken(keys: list[tuple[str, ...]]) -> None:
    order = KeyOrder()
    for key, expected in zip(keys, duplicates(keys)):
        found = order.is_duplicate(key)
        assert found == expected or not order.in_order
        assert not (found and not expected)


def test_keys_before_a_line_are_those_of_the_good_lines(tmp_path: Path) -> None:
    good = GOOD["title.akas"]
    file = write(tmp_path, "title.akas", "tt0000002\t01\tA\t\\N\t\\N\t\\N\t\\N\t\\N", "bad", good, good)
    reader = FileReader(str(file), FORMATS["title.akas"])
    assert list(reader.keys(before_line=4)) == ["tt0000002 1", "tt0000001 1"]


def test_files_are_found_in_the_order_of_loading(tmp_path: Path) -> None:
    for kind, packed in (("title.principals", True), ("name.basics", False), ("title.basics", True)):
        write(tmp_path, kind, packed=packed)
    (tmp_path / "notes.txt").write_text("not ours")
    found = find_files(str(tmp_path), [])
    assert [file.kind for file in found] == ["title.basics", "name.basics", "title.principals"]
    some = find_files(str(tmp_path), ["title.principals", "title.basics"])
    assert [file.kind for file in some] == ["title.basics", "title.principals"]
    assert found[0].size == (tmp_path / "title.basics.tsv.gz").stat().st_size


@pytest.mark.parametrize(
    ("names", "kinds", "message"),
    [
        ([], [], "none of IMDb's files"),
        (["title.basics.tsv"], ["title.akas"], "no title.akas.tsv.gz and no title.akas.tsv"),
        (["title.basics.tsv", "title.basics.tsv.gz"], [], "Both .*title.basics.tsv.gz and .*title.basics.tsv are there"),
    ],
)
def test_files_that_are_not_as_they_should_be(tmp_path: Path, names: list[str], kinds: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(MultimasterError, match=message):
        find_files(str(tmp_path), kinds)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MultimasterError, match="There is no directory"):
        find_files(str(tmp_path / "nowhere"), [])


def test_halves_hold_every_row_once_and_the_rejected_lines_once() -> None:
    batch = Batch(["1\ta", "2\tb", "3\tc"], [Rejected(4, "bad", "d")], lines=4)
    first, second = batch.halves()
    assert first.rows + second.rows == batch.rows
    assert first.rejected + second.rejected == batch.rejected
    assert second.lines == 4
    assert batch.raw_lines() == {1: "a", 2: "b", 3: "c"}
