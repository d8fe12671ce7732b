# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Loads IMDb's files into one node, in transactions of bounded size, with a journal of what was loaded.

What makes a load repeatable:

* The journal (table imdb_load_journal) says which content was loaded last for each kind of file. The same content is
  not loaded again. A file counts as the same by path, size and time of change on the same node, else by its SHA-256.
* A load that was interrupted starts again from the top: rows that are right already are left alone, so it
  converges to the same rows, at the cost of reading.
* One load at a time: an advisory lock on this node; on the others the journal, which replicates, shows a load that runs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import typing as t
import uuid
from dataclasses import dataclass, field, replace

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import (
    Batch,
    DataFile,
    FileReader,
    Rejected,
    data_file,
    sha256_of,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.tables import SEEN, TARGETS, Target

# Any constant does; these are the letters i, m, d, b.
LOCK = 0x696D6462
# A load on another node that has not written for so long is taken for dead.
SILENCE_SECONDS = 120
# Errors of data and of integrity: the guilty line is found and kept aside. All others end the load.
LINE_ERRORS = ("22", "23")

# No plan that reads a whole large table for one batch, and no compiling of queries that run for milliseconds.
SESSION = (
    "SET application_name = 'imdb_load'; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET jit = off; SET temp_buffers = '32MB'; SET client_encoding = 'UTF8'"
)

STATE = """
SELECT
    pg_try_advisory_lock(%(lock)s) AS locked,
    pg_is_in_recovery() AS in_recovery,
    (
        SELECT coalesce(json_agg(l), '[]')
        FROM (
            SELECT DISTINCT ON (kind) kind, node, path, size_bytes, mtime_ns, sha256, status, orphans, started_at,
                to_char(finished_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS finished,
                extract(epoch FROM started_at)::float8 AS started
            FROM public.imdb_load_journal WHERE started_at IS NOT NULL ORDER BY kind, started_at DESC
        ) AS l
    ) AS last,
    (
        SELECT coalesce(json_agg(r), '[]')
        FROM (
            SELECT node, kind, to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS seen
            FROM public.imdb_load_journal
            WHERE status IN ('queued', 'running') AND node <> %(node)s
                AND updated_at > clock_timestamp() - make_interval(secs => %(silence)s)
        ) AS r
    ) AS elsewhere,
    json_build_object({empty}) AS empty
"""


# The owner of the tables, where a superuser loads who is not that.
_OTHER_OWNER = """
SELECT pg_get_userbyid(c.relowner)::text AS owner
FROM pg_class c JOIN pg_roles me ON me.rolname = current_user
WHERE c.oid = to_regclass('public.titles') AND me.rolsuper AND c.relowner <> me.oid
"""


@dataclass(frozen=True)
class Options:
    """How to load."""

    node: str
    rejects_directory: str
    batch_lines: int = 10000
    max_bad_lines: int = 1000
    max_bad_percent: float = 5.0
    force: bool = False
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class State:
    """What the node knows before the load."""

    # The last load that was begun, by kind of file: a row of the journal.
    last: dict[str, dict[str, t.Any]]
    # Kinds of files whose main table has no row.
    empty: frozenset[str]
    # Content of the files on disk, where it had to be known.
    sha256: dict[str, str]


@dataclass
class FileLoad:
    """One file: whether and why it is to be loaded, then how far that is, then the result."""

    file: DataFile
    due: bool
    reason: str
    status: str = ""
    lines: int = 0
    bytes_read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    rejected: int = 0
    dropped_references: int = 0
    orphans: int = 0
    seconds: float = 0.0
    sha256: str = ""
    rejects_file: str = ""

    @property
    def percent(self) -> float:
        return 100.0 * self.bytes_read / self.file.size if self.file.size else 100.0

    @property
    def lines_per_second(self) -> int:
        return int(self.lines / self.seconds) if self.seconds else 0

    @property
    def seconds_left(self) -> float | None:
        if not self.bytes_read:
            return None
        return self.seconds * (self.file.size - self.bytes_read) / self.bytes_read

    def as_result(self) -> dict[str, t.Any]:
        return {
            "kind": self.file.kind,
            "path": self.file.path,
            "size_bytes": self.file.size,
            "sha256": self.sha256,
            "status": self.status or ("due" if self.due else "unchanged"),
            "reason": self.reason,
            "lines": self.lines,
            "inserted": self.inserted,
            "updated": self.updated,
            "deleted": self.deleted,
            "rejected": self.rejected,
            "dropped_references": self.dropped_references,
            "rejects_file": self.rejects_file,
            "seconds": round(self.seconds, 3),
            "lines_per_second": self.lines_per_second,
        }


def checked_options(options: Options) -> Options:
    """The options, or an error that says which of them cannot be meant."""
    if not 100 <= options.batch_lines <= 200000:
        raise MultimasterError(f"batch_lines must be between 100 and 200000, not {options.batch_lines}")
    require_number("max_bad_lines", options.max_bad_lines, 0, 10**12)
    if not 0 <= options.max_bad_percent <= 100:
        raise MultimasterError(f"max_bad_percent must be between 0 and 100, not {options.max_bad_percent:g}")
    try:
        uuid.UUID(options.run_id)
    except ValueError:
        raise MultimasterError(f"run_id must be a UUID, not {options.run_id!r}") from None
    return options


def warnings_about(loads: t.Sequence[FileLoad]) -> list[str]:
    """What a person should know of a load that succeeded."""
    return [
        f"{load.file.kind}: {load.rejected:,} lines were not loaded and {load.dropped_references:,} references "
        f"were left out; line numbers and reasons are in {load.rejects_file}"
        for load in loads
        if load.rejected or load.dropped_references
    ]


def progress_line(load: FileLoad) -> str:
    """How far a file is, for a person."""
    left = load.seconds_left
    parts = [
        f"{load.file.kind}: {load.percent:5.1f} %",
        f"{load.lines:,} lines",
        f"{load.lines_per_second:,} lines/s",
        f"{load.rejected:,} rejected",
    ]
    if load.status == "running" and left is not None:
        parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
    return ", ".join(parts)


def decide(files: t.Sequence[DataFile], state: State, force: bool) -> list[FileLoad]:
    """Which files are to be loaded, and why. Pure."""
    loads: list[FileLoad] = []
    for file in files:
        due_now = {load.file.kind for load in loads if load.due}
        reason = "asked for with force" if force else _reason(file, state, due_now)
        loads.append(FileLoad(file, due=reason is not None, reason=reason or _since(state.last[file.kind])))
    for load in loads:
        if load.due:
            _require_parents(load.file, state, {other.file.kind for other in loads if other.due})
    return loads


def _since(last: dict[str, t.Any]) -> str:
    return f"the same content was loaded on {last['node']} at {last['finished']}"


def _reason(file: DataFile, state: State, due_now: set[str]) -> str | None:
    last = state.last.get(file.kind)
    if last is None:
        return "not loaded yet"
    if last["status"] != "loaded":
        return "the last load did not come to its end"
    if state.sha256.get(file.path) != last["sha256"]:
        return "the content differs from what was loaded last"
    if file.kind in state.empty:
        return f"the table is empty although the journal says that it was loaded: {TARGETS[file.kind].tables[0]}"
    if last["orphans"]:
        for parent in file.format.refers_to:
            later = state.last.get(parent, {}).get("started", 0) > last["started"]
            if parent in due_now or later:
                return f"{last['orphans']} references led nowhere when it was loaded, and {parent} is newer than that"
    return None


def _require_parents(file: DataFile, state: State, due: set[str]) -> None:
    for parent in file.format.refers_to:
        if parent in state.empty and parent not in due:
            raise MultimasterError(
                f"{file.kind} refers to {parent}, and {TARGETS[parent].tables[0]} is empty: "
                f"put {parent}.tsv.gz beside it, or load that first"
            )


# Seconds
_LINGERING = 5


class Loader:
    """Loads files into the node of ``connection``. ``report`` is called after every batch."""

    def __init__(
        self,
        connection: Connection,
        options: Options,
        report: t.Callable[[FileLoad], None] = lambda load: None,
    ) -> None:
        self._connection = connection
        self._options = options
        self._report = report

    def read(self, files: t.Sequence[DataFile]) -> State:
        """Takes the lock, checks the files' headers, reads the journal."""
        for file in files:
            FileReader(file.path, file.format).check_header()
        self._become_owner()
        row = self._read_state()
        # The session of a load that has just ended may live for a moment longer.
        until = time.monotonic() + _LINGERING
        while not row["locked"] and time.monotonic() < until:
            time.sleep(0.1)
            row = self._read_state()
        if row["in_recovery"]:
            raise MultimasterError(f"{self._connection.where} is a standby and takes no rows; load on its primary")
        if not row["locked"]:
            raise MultimasterError(
                f"A load runs already in {self._connection.where}; wait for its end "
                "(its progress: SELECT * FROM imdb_load_journal WHERE status = 'running')"
            )
        for other in row["elsewhere"]:
            raise MultimasterError(
                f"A load of {other['kind']} runs on node {other['node']} (last sign of life {other['seen']}). Two nodes "
                "that insert the same keys stop replication: wait for its end, or, if it was killed, for "
                f"{SILENCE_SECONDS} seconds after that sign"
            )
        last = {entry["kind"]: entry for entry in row["last"]}
        return State(
            last=last,
            empty=frozenset(kind for kind, is_empty in row["empty"].items() if is_empty),
            sha256={file.path: self._content(file, last.get(file.kind)) for file in files},
        )

    def _read_state(self) -> dict[str, t.Any]:
        empty = ", ".join(
            f"'{kind}', NOT EXISTS (SELECT FROM {target.tables[0]})" for kind, target in TARGETS.items()
        )
        parameters = {"lock": LOCK, "node": self._options.node, "silence": SILENCE_SECONDS}
        try:
            return self._connection.fetch_one(STATE.format(empty=empty), parameters)
        except MultimasterError as error:
            if error.details.get("sqlstate") == "42P01":
                raise MultimasterError(
                    f"The IMDB schema is not complete in {self._connection.where}: {error}. Run the role imdb, or apply "
                    "its files/schema/*.sql in order, on every node"
                ) from None
            raise

    def _content(self, file: DataFile, last: dict[str, t.Any] | None) -> str:
        """The file's SHA-256 where it can matter; a file of another size cannot be the one that was loaded."""
        if last is None or last["size_bytes"] != file.size:
            return ""
        here = (self._options.node, file.path, file.mtime_ns)
        if (last["node"], last["path"], last["mtime_ns"]) == here and last["sha256"]:
            return last["sha256"]
        return sha256_of(file.path)

    def load(self, loads: t.Sequence[FileLoad]) -> None:
        """Load the files that are due; the results are in ``loads``, after a failure too."""
        due = [load for load in loads if load.due]
        if not due:
            return
        self._make_rejects_directory()
        self._connection.execute(SESSION)
        journal = self._enqueue(due)
        for load in due:
            _FileLoader(self._connection, self._options, self._report, load, journal[load.file.kind]).run()
        tables = sorted({table for load in due for table in TARGETS[load.file.kind].tables})
        self._connection.execute(f"ANALYZE {', '.join(tables)}")

    def _become_owner(self) -> None:
        """A superuser neither reads nor writes what others own: their views and triggers would run as him."""
        for row in self._connection.fetch(_OTHER_OWNER):
            self._connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(row["owner"])))

    def _make_rejects_directory(self) -> None:
        directory = self._options.rejects_directory
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise MultimasterError(f"Cannot make the directory for rejected lines, {directory}: {error.strerror}") from None
        if not os.access(directory, os.W_OK | os.X_OK):
            raise MultimasterError(f"Cannot write rejected lines into {directory}: permission denied")

    def _enqueue(self, due: t.Sequence[FileLoad]) -> dict[str, str]:
        """One row of the journal per file. Whoever left rows open on this node is dead: we hold the lock."""
        ids = {}
        with self._connection.transaction():
            self._connection.execute(
                "UPDATE public.imdb_load_journal SET status = 'interrupted', updated_at = clock_timestamp() "
                "WHERE status IN ('queued', 'running')"
            )
            for load in due:
                file = load.file
                ids[file.kind] = self._connection.fetch_value(
                    "INSERT INTO public.imdb_load_journal (run_id, node, kind, path, size_bytes, mtime_ns, status) "
                    "VALUES (%s, %s, %s, %s, %s, %s, 'queued') RETURNING load_id::text",
                    [self._options.run_id, self._options.node, file.kind, file.path, file.size, file.mtime_ns],
                )
        return ids


class _FileLoader:
    """Loads one file. Each batch is a transaction that also brings the journal up to date."""

    def __init__(
        self,
        connection: Connection,
        options: Options,
        report: t.Callable[[FileLoad], None],
        load: FileLoad,
        load_id: str,
    ) -> None:
        self._connection = connection
        self._options = options
        self._report = report
        self._load = load
        self._load_id = load_id
        self._target: Target = TARGETS[load.file.kind]
        self._reader = FileReader(load.file.path, load.file.format, options.batch_lines)
        self._aside = _Aside(options.rejects_directory, load.file.kind)
        self._keys_kept = False
        self._examples: list[str] = []

    def run(self) -> None:
        self._load.status = "running"
        self._aside.clear()
        try:
            self._run()
        except BaseException as error:
            self._load.status = "failed"
            self._load.rejects_file = self._aside.written
            self._close_journal("failed" if isinstance(error, MultimasterError) else "interrupted", str(error))
            raise
        self._load.rejects_file = self._aside.written

    def _run(self) -> None:
        started = time.monotonic()
        self._connection.execute(
            "UPDATE public.imdb_load_journal SET status = 'running', started_at = clock_timestamp(), "
            "updated_at = clock_timestamp() WHERE load_id = %s",
            [self._load_id],
        )
        self._connection.execute(self._target.create_stage())
        lines_before = 0
        for batch in self._reader.batches():
            if not self._reader.order.in_order and not self._keys_kept:
                self._keep_keys(before_line=lines_before + 1)
            self._load.seconds = time.monotonic() - started
            self._load_rows(batch)
            lines_before = batch.lines
            self._load.seconds = time.monotonic() - started
            self._report(self._load)
        self._load.sha256 = self._reader.sha256
        now = data_file(self._load.file.kind, self._load.file.path)
        if now != self._load.file:
            raise MultimasterError(f"{now.path} changed while it was loaded: run the load again")
        self._load.status = "loaded"
        self._connection.execute(
            "UPDATE public.imdb_load_journal SET status = 'loaded', sha256 = %s, finished_at = clock_timestamp(), "
            "updated_at = clock_timestamp() WHERE load_id = %s",
            [self._load.sha256, self._load_id],
        )
        self._report(self._load)

    def _load_rows(self, batch: Batch) -> None:
        """The batch in one transaction; where a row cannot be stored, halves of it, down to that row."""
        try:
            outcome = self._store(batch)
        except MultimasterError as error:
            if not str(error.details.get("sqlstate") or "").startswith(LINE_ERRORS):
                raise
            for part in _without_guilty_row(batch, error):
                self._load_rows(part)
            return
        self._put_aside(outcome.rejected)
        self._load.lines = batch.lines
        self._load.bytes_read = batch.bytes_read
        self._load.inserted += outcome.inserted
        self._load.updated += outcome.updated
        self._load.deleted += outcome.deleted
        self._load.orphans += outcome.orphans

    def _store(self, batch: Batch) -> _Outcome:
        outcome = _Outcome(list(batch.rejected))
        with self._connection.transaction():
            if batch.rows:
                self._connection.copy_in(self._target.copy(), batch.payload())
                self._take_duplicates(batch, outcome)
                self._take_orphans(batch, outcome)
                dropped = self._find_dropped(batch, outcome)
                for command in self._target.steps:
                    counts = self._connection.fetch_one(command, dropped)
                    outcome.inserted += counts["inserted"]
                    outcome.updated += counts["updated"]
                    outcome.deleted += counts["deleted"]
            self._check_limit(batch, outcome)
            self._update_journal(batch, outcome)
        return outcome

    def _take_duplicates(self, batch: Batch, outcome: _Outcome) -> None:
        if self._keys_kept:
            for command in self._target.take_duplicates():
                outcome.rejected += self._rejected(self._connection.fetch(command), batch)
            self._connection.execute(self._target.remember_keys())

    def _take_orphans(self, batch: Batch, outcome: _Outcome) -> None:
        for command in self._target.take_orphans():
            orphans = self._rejected(self._connection.fetch(command), batch)
            outcome.rejected += orphans
            outcome.orphans += len(orphans)

    def _find_dropped(self, batch: Batch, outcome: _Outcome) -> dict[str, list[str]]:
        """Items of lists that refer to nothing, by the list's column."""
        dropped = {}
        for column, command in self._target.find_dropped().items():
            found = self._connection.fetch(command)
            dropped[column] = sorted({row["item"] for row in found})
            outcome.rejected += self._rejected(found, batch, line_loaded=True)
            outcome.orphans += len(found)
        return dropped

    @staticmethod
    def _rejected(found: list[dict[str, t.Any]], batch: Batch, line_loaded: bool = False) -> list[Rejected]:
        if not found:
            return []
        raw = batch.raw_lines()
        return [Rejected(row["line"], row["reason"], raw[row["line"]], line_loaded) for row in found]

    def _check_limit(self, batch: Batch, outcome: _Outcome) -> None:
        """Raises when too much is bad: more than the number allowed and more than the share allowed."""
        load = self._load
        bad = load.rejected + load.dropped_references + len(outcome.rejected)
        limit = max(self._options.max_bad_lines, self._options.max_bad_percent * batch.lines / 100)
        if bad <= limit:
            return
        self._put_aside(outcome.rejected)
        raise MultimasterError(
            f"{load.file.path}: {bad:,} bad lines or references in the first {batch.lines:,} lines, more than max_bad_lines "
            f"({self._options.max_bad_lines:,}) and max_bad_percent ({self._options.max_bad_percent:g} %) allow. The first: "
            f"{'; '.join(self._examples)}. All are in {self._aside.written}. The {load.lines:,} lines before "
            "are loaded and stay; correct the file or raise the limits and run the load again"
        )

    def _update_journal(self, batch: Batch, outcome: _Outcome) -> None:
        dropped = sum(rejected.line_loaded for rejected in outcome.rejected)
        self._connection.execute(
            "UPDATE public.imdb_load_journal SET updated_at = clock_timestamp(), lines = %s, bytes_read = %s, "
            "inserted = inserted + %s, updated = updated + %s, deleted = deleted + %s, rejected = rejected + %s, "
            "dropped_references = dropped_references + %s, orphans = orphans + %s WHERE load_id = %s",
            [
                batch.lines, batch.bytes_read, outcome.inserted, outcome.updated, outcome.deleted,
                len(outcome.rejected) - dropped, dropped, outcome.orphans, self._load_id,
            ],
        )

    def _put_aside(self, rejected: t.Sequence[Rejected]) -> None:
        for one in rejected:
            if one.line_loaded:
                self._load.dropped_references += 1
            else:
                self._load.rejected += 1
            if len(self._examples) < 3:
                self._examples.append(f"line {one.line + 1}: {one.reason}")
        self._aside.write(sorted(rejected, key=lambda one: one.line))

    def _keep_keys(self, before_line: int) -> None:
        """The file is not sorted: from here on the server finds lines whose key an earlier line had."""
        self._connection.execute(self._target.create_seen())
        keys = self._reader.keys(before_line)
        while True:
            some = list(itertools.islice(keys, 50000))
            if not some:
                break
            self._connection.execute(
                f"INSERT INTO {SEEN} (key) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [some]
            )
        self._keys_kept = True

    def _close_journal(self, status: str, message: str) -> None:
        # Where the connection is gone the next load marks the row as interrupted.
        with contextlib.suppress(MultimasterError):
            self._connection.execute(
                "UPDATE public.imdb_load_journal SET status = %s, message = %s, updated_at = clock_timestamp() "
                "WHERE load_id = %s",
                [status, message[:2000], self._load_id],
            )


@dataclass
class _Outcome:
    """What one transaction did. ``rejected`` holds rejected lines and dropped references."""

    rejected: list[Rejected]
    orphans: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def _without_guilty_row(batch: Batch, error: MultimasterError) -> list[Batch]:
    """The batch in halves; a batch of one row without that row."""
    if len(batch.rows) > 1:
        return batch.halves()
    [(line, raw)] = batch.raw_lines().items()
    sentence = str(error).rpartition(" (on ")[0] or str(error)
    refused = Rejected(line, f"refused by the server: {sentence}", raw)
    return [replace(batch, rows=[], rejected=[*batch.rejected, refused])]


class _Aside:
    """The file of rejected lines: number of the line in the file (the header is line 1), reason, the line itself."""

    def __init__(self, directory: str, kind: str) -> None:
        self._path = os.path.join(directory, f"{kind}.rejected.tsv")
        # The path once something is in it.
        self.written = ""

    def clear(self) -> None:
        """What an earlier load put aside says nothing about this one."""
        if os.path.exists(self._path):
            os.unlink(self._path)

    def write(self, rejected: t.Sequence[Rejected]) -> None:
        if not rejected:
            return
        try:
            with open(self._path, "a", encoding="utf-8", newline="\n") as file:
                if not self.written:
                    file.write("line\treason\tcontent\n")
                    self.written = self._path
                file.writelines(f"{one.line + 1}\t{one.reason}\t{one.raw}\n" for one in rejected)
        except OSError as error:
            raise MultimasterError(f"Cannot write rejected lines to {self._path}: {error.strerror}") from None
