# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""IMDb's TSV files: their columns, and a reader that turns a file into checked batches of lines.

A file is gzip or plain, UTF-8, one header line, columns separated by tabs, ``\\N`` for null, no
quoting and no escapes. It is read in blocks; what is held in memory is one batch of lines.

The common line costs one match of the file's pattern; only a line that does not match is taken apart
to say why. A line that matches is what PostgreSQL's COPY in CSV mode takes as it stands
(delimiter tab, null ``\\N``, and a quote character that no accepted line contains).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import typing as t
import zlib
from dataclasses import dataclass, field, replace

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

NULL = "\\N"
MAX_LINE_BYTES = 65536
BATCH_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
# Separates the values of a list within title.akas' columns types and attributes.
LIST_SEPARATOR = "\x02"

_CONTROL = r"\x00-\x1f\x7f"
_JSON_STRING = r'"[^"\\\x00-\x1f\x7f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f\x7f]*)*"'


@dataclass(frozen=True)
class Column:
    """One column: ``pattern`` matches a good value, ``meaning`` completes "... is not"."""

    name: str
    pattern: str
    meaning: str
    null: bool = True
    largest: int | None = None
    longest: int | None = None
    # A value that the pattern refuses may still be good: a slower, exact check.
    exact: t.Callable[[str], str | None] | None = None

    @property
    def in_line(self) -> str:
        return rf"(?:{self.pattern}|\\N)" if self.null else rf"(?!\\N(?![^\t]))(?:{self.pattern})"

    def complaint(self, value: str) -> str | None:
        """Why the value is not accepted; None when it is."""
        if value == NULL:
            return None if self.null else f"{self.name} is missing"
        if re.fullmatch(self.pattern, value):
            if self.largest is not None and int(value) > self.largest:
                return f"{self.name} is greater than {self.largest}: {_shown(value)}"
            return None
        if self.longest is not None and len(value) > self.longest:
            return f"{self.name} is longer than {self.longest} characters"
        if self.exact is not None:
            return self.exact(value)
        if value == "":
            return f"{self.name} is empty"
        if re.search(f"[{_CONTROL}]", value):
            return f"{self.name} contains a control character: {_shown(value)}"
        return f"{self.name} is not {self.meaning}: {_shown(value)}"


def _shown(value: str) -> str:
    return json.dumps(value if len(value) <= 60 else value[:57] + "...", ensure_ascii=False)


def _title_id(name: str) -> Column:
    return Column(name, "tt[0-9]{7,10}", "a title's identifier (tt and 7 to 10 digits)", null=False)


def _name_id(name: str) -> Column:
    return Column(name, "nm[0-9]{7,10}", "a person's identifier (nm and 7 to 10 digits)", null=False)


def _ids(name: str, prefix: str) -> Column:
    one = f"{prefix}[0-9]{{7,10}}"
    return Column(name, f"{one}(?:,{one})*", f"a list of identifiers ({prefix} and 7 to 10 digits)", longest=MAX_LINE_BYTES)


def _text(name: str, longest: int, null: bool = True) -> Column:
    return Column(name, rf"[^{_CONTROL}]{{1,{longest}}}", "a text", null=null, longest=longest)


def _words(name: str, longest: int) -> Column:
    word = rf"[^,{_CONTROL}]{{1,{longest}}}"
    return Column(name, f"{word}(?:,{word})*", f"a list of words of up to {longest} characters, separated by commas")


def _labels(name: str, longest: int) -> Column:
    label = rf"[^{_CONTROL}]{{1,{longest}}}"
    return Column(name, f"{label}(?:{LIST_SEPARATOR}{label})*", "a list of labels")


def _whole(name: str, digits: int, null: bool = True, largest: int | None = None) -> Column:
    return Column(name, f"[0-9]{{1,{digits}}}", f"a whole number of up to {digits} digits", null=null, largest=largest)


def _flag(name: str, null: bool) -> Column:
    return Column(name, "[01]", "0 or 1", null=null)


def _characters_complaint(value: str) -> str | None:
    """The pattern covers plain lists; escapes such as \\u00e9 need a JSON parser."""
    try:
        names = json.loads(value)
    except (ValueError, RecursionError):
        return f"characters is not a JSON list of names: {_shown(value)}"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return f"characters is not a JSON list of names: {_shown(value)}"
    if any("\x00" in name or any("\ud800" <= char <= "\udfff" for char in name) for name in names):
        return f"characters contains a character that PostgreSQL cannot store: {_shown(value)}"
    return None


def _characters(name: str) -> Column:
    # A list with an escape of the form \uXXXX does not match and goes to the exact check.
    pattern = rf"\[{_JSON_STRING}(?:,\s?{_JSON_STRING})*\]"
    return Column(name, pattern, "a JSON list of names", longest=16000, exact=_characters_complaint)


@dataclass(frozen=True)
class FileFormat:
    """One of the seven files. The first ``key_columns`` columns identify a line."""

    kind: str
    columns: tuple[Column, ...]
    key_columns: int = 1
    # Tables that the lines refer to, by the kind of the file that fills them.
    refers_to: tuple[str, ...] = ()

    @property
    def header(self) -> str:
        return "\t".join(column.name for column in self.columns)

    def pattern(self) -> t.Callable[[str], t.Any]:
        """Matches a good line; its groups are the key."""
        parts = [
            f"({column.in_line})" if index < self.key_columns else column.in_line
            for index, column in enumerate(self.columns)
        ]
        return re.compile("\t".join(parts)).fullmatch


FORMATS: dict[str, FileFormat] = {
    format.kind: format
    # In the order in which they are loaded: what is referred to comes first.
    for format in (
        FileFormat(
            "title.basics",
            (
                _title_id("tconst"),
                _text("titleType", 50, null=False),
                _text("primaryTitle", 1000, null=False),
                _text("originalTitle", 1000, null=False),
                _flag("isAdult", null=False),
                _whole("startYear", 4),
                _whole("endYear", 4),
                _whole("runtimeMinutes", 7),
                _words("genres", 100),
            ),
        ),
        FileFormat(
            "name.basics",
            (
                _name_id("nconst"),
                _text("primaryName", 500, null=False),
                _whole("birthYear", 4),
                _whole("deathYear", 4),
                _words("primaryProfession", 100),
                _ids("knownForTitles", "tt"),
            ),
            refers_to=("title.basics",),
        ),
        FileFormat(
            "title.ratings",
            (
                _title_id("tconst"),
                Column("averageRating", r"(?:10(?:\.0)?|[0-9](?:\.[0-9])?)", "a rating from 0 to 10", null=False),
                _whole("numVotes", 9, null=False),
            ),
            refers_to=("title.basics",),
        ),
        FileFormat(
            "title.episode",
            (_title_id("tconst"), _title_id("parentTconst"), _whole("seasonNumber", 9), _whole("episodeNumber", 9)),
            refers_to=("title.basics",),
        ),
        FileFormat(
            "title.akas",
            (
                _title_id("titleId"),
                _whole("ordering", 6, null=False),
                _text("title", 1000, null=False),
                _text("region", 20),
                _text("language", 20),
                _labels("types", 200),
                _labels("attributes", 500),
                _flag("isOriginalTitle", null=True),
            ),
            key_columns=2,
            refers_to=("title.basics",),
        ),
        FileFormat(
            "title.crew",
            (_title_id("tconst"), _ids("directors", "nm"), _ids("writers", "nm")),
            refers_to=("title.basics", "name.basics"),
        ),
        FileFormat(
            "title.principals",
            (
                _title_id("tconst"),
                _whole("ordering", 6, null=False),
                _name_id("nconst"),
                _text("category", 100, null=False),
                _text("job", 1000),
                _characters("characters"),
            ),
            key_columns=2,
            refers_to=("title.basics", "name.basics"),
        ),
    )
}


@dataclass(frozen=True)
class Rejected:
    """A line kept aside, or with ``line_loaded`` a part of a line that was left out."""

    line: int
    reason: str
    raw: str
    line_loaded: bool = False


@dataclass
class Batch:
    """Checked lines, each preceded by its number and a tab, and the lines that were not accepted."""

    rows: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    # Lines of the file up to the end of this batch, without the header.
    lines: int = 0
    # Bytes of the file on disk up to here.
    bytes_read: int = 0

    def payload(self) -> io.BytesIO:
        """The rows as COPY reads them."""
        return io.BytesIO("".join([row + "\n" for row in self.rows]).encode())

    def raw_lines(self) -> dict[int, str]:
        """The rows' lines as they stand in the file, by number."""
        return {int(number): raw for number, _tab, raw in (row.partition("\t") for row in self.rows)}

    def halves(self) -> list[Batch]:
        middle = len(self.rows) // 2
        return [
            replace(self, rows=self.rows[:middle]),
            replace(self, rows=self.rows[middle:], rejected=[]),
        ]


class KeyOrder:
    """Finds lines with a key that an earlier line had, without keeping every key.

    IMDb's files are sorted by their key (as text; others sort by number). While the keys ascend, an equal
    key can only be that of the line before, or, with two key columns, be among the lines that
    share the first. When the order is broken ``in_order`` turns false for good: the caller must then
    look for duplicates where all keys are kept (see the loader).
    """

    def __init__(self) -> None:
        self.in_order = True
        self._last = ""
        self._seconds: set[str] = set()
        self._as_text = True
        self._as_number = True

    def is_duplicate(self, key: tuple[str, ...]) -> bool:
        """Whether the key repeats one of the present group; call once per line, in the file's order."""
        first = key[0]
        second = _canonical(key[1]) if len(key) > 1 else ""
        if first == self._last:
            if second in self._seconds:
                return True
            self._seconds.add(second)
            return False
        if self.in_order and self._last:
            self._compare(first)
        self._last = first
        self._seconds = {second}
        return False

    def _compare(self, first: str) -> None:
        last = self._last
        self._as_text = self._as_text and first > last
        self._as_number = self._as_number and (len(first), first) > (len(last), last)
        self.in_order = self._as_text or self._as_number


def _canonical(number: str) -> str:
    return number.lstrip("0") or "0"


def canonical_key(key: t.Sequence[str]) -> str:
    """A line's key as one string: equal for lines that become the same row."""
    return key[0] if len(key) == 1 else f"{key[0]} {_canonical(key[1])}"


class FileReader:
    """Reads one file into batches.

    After the last batch ``sha256`` is that of the file as it is on disk.
    """

    def __init__(self, path: str, format: FileFormat, batch_lines: int = 10000) -> None:
        self.path = path
        self.sha256 = ""
        self.order = KeyOrder()
        self._format = format
        self._match = format.pattern()
        self._batch_lines = batch_lines

    def check_header(self) -> None:
        """Raises when the file cannot be read or is not of its kind."""
        with _Raw(self.path) as raw:
            for _header in self._lines(raw):
                return

    def batches(self) -> t.Iterator[Batch]:
        with _Raw(self.path) as raw:
            batch = Batch()
            size = 0
            for line in self._lines(raw):
                if line is None:
                    continue
                batch.lines += 1
                self._take(line, batch)
                size += len(line)
                if len(batch.rows) >= self._batch_lines or size >= BATCH_BYTES:
                    batch.bytes_read = raw.bytes_read
                    yield batch
                    batch = Batch(lines=batch.lines)
                    size = 0
            self.sha256 = raw.hexdigest()
            batch.bytes_read = raw.bytes_read
            yield batch

    def keys(self, before_line: int) -> t.Iterator[str]:
        """The keys of the good lines with a smaller number, in order, equal ones too."""
        with _Raw(self.path) as raw:
            number = 0
            for line in self._lines(raw):
                if line is None:
                    continue
                number += 1
                if number >= before_line:
                    return
                key, _text, _reason = self._key_of(line)
                if key is not None:
                    yield canonical_key(key)

    def _take(self, line: bytes | str, batch: Batch) -> None:
        number = batch.lines
        key, text, reason = self._key_of(line)
        if key is None:
            batch.rejected.append(Rejected(number, reason, text))
        elif self.order.is_duplicate(key):
            batch.rejected.append(Rejected(number, f"duplicate key: {', '.join(key)}", text))
        else:
            batch.rows.append(f"{number}\t{text}")

    def _key_of(self, line: bytes | str) -> tuple[tuple[str, ...] | None, str, str]:
        """The line's key, its text and, with no key, why it is refused."""
        if isinstance(line, str):
            match = self._match(line)
            if match is not None:
                return match.groups(), line, ""
        return explain(line, self._format)

    def _lines(self, raw: _Raw) -> t.Iterator[bytes | str | None]:
        """The header as None once it is checked, then each line without its end; bytes where it is no UTF-8."""
        header_seen = False
        for lines in _blocks_of_lines(raw):
            if not header_seen:
                self._check_header_line(lines[0])
                header_seen = True
                yield None
                del lines[0]
            yield from lines
        if not header_seen:
            raise MultimasterError(f"{self.path} is empty; {self._format.kind} begins with the line {self._format.header!r}")

    def _check_header_line(self, line: bytes | str) -> None:
        text = line if isinstance(line, str) else line[:2000].decode("utf-8", "backslashreplace")
        if text.lstrip("\ufeff").rstrip("\r") != self._format.header:
            raise MultimasterError(
                f"{self.path} does not begin with the header of {self._format.kind}: expected "
                f"{self._format.header!r}, found {_shown(text[:300])}"
            )


def explain(line: bytes | str, format: FileFormat) -> tuple[tuple[str, ...] | None, str, str]:
    """Take a line apart that the fast pattern did not accept: (key, text, reason); the key is None with a reason."""
    if isinstance(line, bytes):
        text = line.decode("utf-8", "backslashreplace")
        if len(line) >= MAX_LINE_BYTES:
            return None, text, f"the line is longer than {MAX_LINE_BYTES} bytes"
        return None, text, "the line is not valid UTF-8"
    text = line[:-1] if line.endswith("\r") else line
    if text == "":
        return None, text, "the line is empty"
    values = text.split("\t")
    if len(values) != len(format.columns):
        return None, text, f"{len(values)} columns in place of {len(format.columns)}"
    for column, value in zip(format.columns, values):
        complaint = column.complaint(value)
        if complaint is not None:
            return None, text, complaint
    return tuple(values[: format.key_columns]), text, ""


def _blocks_of_lines(raw: _Raw) -> t.Iterator[list[bytes | str]]:
    """Lines of one block after the other. A line that is too long comes as bytes, cut to the limit."""
    rest = b""
    skipping = False
    while True:
        block = raw.read(BLOCK_BYTES)
        if not block:
            break
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            if not skipping:
                rest += block
                if len(rest) >= MAX_LINE_BYTES:
                    rest = rest[:MAX_LINE_BYTES]
                    skipping = True
            continue
        if skipping:
            # The end of the overlong line is in this block.
            _end, more, head = head.partition(b"\n")
            yield [rest]
            skipping = False
            if more:
                yield _decoded(head)
        else:
            yield _decoded(rest + head)
        rest = tail
        if len(rest) >= MAX_LINE_BYTES:
            rest = rest[:MAX_LINE_BYTES]
            skipping = True
    if skipping:
        yield [rest]
    elif rest:
        yield _decoded(rest)


def _decoded(block: bytes) -> list[bytes | str]:
    try:
        lines: list[bytes | str] = block.decode("utf-8").split("\n")  # type: ignore[assignment]
    except UnicodeDecodeError:
        lines = []
    # A character has four bytes at most: only then can a line be too long.
    if not lines or max(map(len, lines)) * 4 >= MAX_LINE_BYTES:
        return [_decoded_line(line) for line in block.split(b"\n")]
    return lines


def _decoded_line(line: bytes) -> bytes | str:
    if len(line) >= MAX_LINE_BYTES:
        return line[:MAX_LINE_BYTES]
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line


class _Raw:
    """A file's content, unpacked where it is gzip, while counting and hashing what lies on disk."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self.bytes_read = 0

    def __enter__(self) -> _Raw:
        try:
            self._file = open(self._path, "rb")
            packed = self._file.read(2) == b"\x1f\x8b"
            self._file.seek(0)
        except OSError as error:
            raise MultimasterError(f"Cannot read {self._path}: {error.strerror}") from None
        counted = io.BufferedReader(_Counted(self), BLOCK_BYTES)
        self._stream: t.Any = gzip.GzipFile(fileobj=counted, mode="rb") if packed else counted
        return self

    def __exit__(self, *_exception: t.Any) -> None:
        self._stream.close()
        self._file.close()

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise MultimasterError(
                f"{self._path} is damaged or not complete (after {self.bytes_read} of "
                f"{os.fstat(self._file.fileno()).st_size} bytes): {error}. Download it again"
            ) from None
        except OSError as error:
            raise MultimasterError(f"Cannot read {self._path}: {error}") from None

    def read_from_disk(self, size: int) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        self.bytes_read += len(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _Counted(io.RawIOBase):
    """What gzip reads from: every byte passes through ``_Raw.read_from_disk`` once."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        data = self._raw.read_from_disk(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1024 * 1024), b""):
                digest.update(block)
    except OSError as error:
        raise MultimasterError(f"Cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


@dataclass(frozen=True)
class DataFile:
    """A file found on disk."""

    kind: str
    path: str
    size: int
    mtime_ns: int

    @property
    def format(self) -> FileFormat:
        return FORMATS[self.kind]


def find_files(directory: str, kinds: t.Sequence[str]) -> list[DataFile]:
    """The files of a directory, in the order of loading. Without ``kinds`` those that are there."""
    if not os.path.isdir(directory):
        raise MultimasterError(f"There is no directory {directory} on this host")
    found = []
    for kind in FORMATS:
        if kinds and kind not in kinds:
            continue
        paths = [os.path.join(directory, kind + end) for end in (".tsv.gz", ".tsv")]
        present = [path for path in paths if os.path.isfile(path)]
        if len(present) > 1:
            raise MultimasterError(f"Both {present[0]} and {present[1]} are there; remove one, or it is not known which to load")
        if present:
            found.append(data_file(kind, present[0]))
        elif kinds:
            raise MultimasterError(f"There is no {kind}.tsv.gz and no {kind}.tsv in {directory}")
    if not found:
        raise MultimasterError(
            f"There is none of IMDb's files in {directory}; looked for {', '.join(FORMATS)}, each with .tsv.gz or .tsv"
        )
    return found


def data_file(kind: str, path: str) -> DataFile:
    try:
        status = os.stat(path)
    except OSError as error:
        raise MultimasterError(f"Cannot read {path}: {error.strerror}") from None
    return DataFile(kind, path, status.st_size, status.st_mtime_ns)
