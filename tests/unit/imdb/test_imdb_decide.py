# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files are loaded, and why: decided from the journal and the files on disk alone."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS, DataFile
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.load import (
    FileLoad,
    Options,
    State,
    checked_options,
    decide,
    progress_line,
    warnings_about,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.tables import TARGETS

BASICS = DataFile("title.basics", "/d/title.basics.tsv.gz", 1000, 1)
NAMES = DataFile("name.basics", "/d/name.basics.tsv.gz", 2000, 1)
PRINCIPALS = DataFile("title.principals", "/d/title.principals.tsv.gz", 3000, 1)


def row(file: DataFile, **changes: t.Any) -> dict[str, t.Any]:
    """A row of the journal that says that this file was loaded."""
    return {
        "kind": file.kind,
        "node": "pg1",
        "path": file.path,
        "size_bytes": file.size,
        "mtime_ns": file.mtime_ns,
        "sha256": "aa",
        "status": "loaded",
        "orphans": 0,
        "started": 100.0,
        "finished": "2026-01-01 00:00:00 UTC",
        **changes,
    }


def state(*rows: dict[str, t.Any], empty: t.Iterable[str] = (), sha256: dict[str, str] | None = None) -> State:
    known = {entry["path"]: "aa" for entry in rows}
    return State({entry["kind"]: entry for entry in rows}, frozenset(empty), {**known, **(sha256 or {})})


def reasons(files: list[DataFile], state: State, force: bool = False) -> list[str | None]:
    return [load.reason if load.due else None for load in decide(files, state, force)]


def test_what_was_never_loaded_is_loaded() -> None:
    assert reasons([BASICS], state(empty=["title.basics"])) == ["not loaded yet"]


def test_what_was_loaded_is_not_loaded_again() -> None:
    [load] = decide([BASICS], state(row(BASICS)), force=False)
    assert not load.due
    assert load.reason == "the same content was loaded on pg1 at 2026-01-01 00:00:00 UTC"


def test_force_loads_all() -> None:
    assert reasons([BASICS], state(row(BASICS)), force=True) == ["asked for with force"]


def test_other_content_is_loaded() -> None:
    assert reasons([BASICS], state(row(BASICS), sha256={BASICS.path: "bb"})) == ["the content differs from what was loaded last"]
    assert reasons([BASICS], state(row(BASICS), sha256={BASICS.path: ""})) == ["the content differs from what was loaded last"]


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_a_load_that_did_not_end_is_repeated(status: str) -> None:
    assert reasons([BASICS], state(row(BASICS, status=status))) == ["the last load did not come to its end"]


def test_a_table_that_was_emptied_since_is_loaded() -> None:
    [reason] = reasons([BASICS], state(row(BASICS), empty=["title.basics"]))
    assert reason is not None
    assert reason.endswith("public.titles")


def test_orphans_are_loaded_again_once_what_they_refer_to_has_come() -> None:
    orphaned = row(PRINCIPALS, orphans=7, started=200.0)
    assert reasons([PRINCIPALS], state(orphaned, row(NAMES), row(BASICS))) == [None]
    [reason] = reasons([PRINCIPALS], state(orphaned, row(NAMES, started=300.0), row(BASICS)))
    assert reason == "7 references led nowhere when it was loaded, and name.basics is newer than that"
    assert reasons([NAMES, PRINCIPALS], state(orphaned, row(BASICS)))[0] == "not loaded yet"
    assert reasons([NAMES, PRINCIPALS], state(orphaned, row(BASICS)))[1] is not None


def test_without_orphans_a_newer_parent_changes_nothing() -> None:
    assert reasons([PRINCIPALS], state(row(PRINCIPALS, started=200.0), row(NAMES, started=300.0))) == [None]


def test_what_refers_to_an_empty_table_is_refused_before_anything_changes() -> None:
    with pytest.raises(MultimasterError, match=r"title.principals refers to name.basics, and public.names is empty"):
        decide([BASICS, PRINCIPALS], state(empty=["title.basics", "name.basics"]), force=False)
    assert None not in reasons([BASICS, NAMES, PRINCIPALS], state(empty=["title.basics", "name.basics", "title.principals"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_lines": 99}, "batch_lines must be between"),
        ({"batch_lines": 200001}, "batch_lines must be between"),
        ({"max_bad_lines": -1}, "max_bad_lines is -1; it has to be a number from 0"),
        ({"max_bad_percent": 100.5}, "max_bad_percent must be between 0 and 100"),
        ({"run_id": "mine"}, "run_id must be a UUID"),
    ],
)
def test_options_that_cannot_be_meant(changes: dict[str, t.Any], message: str) -> None:
    options = Options("pg1", "/tmp")
    assert checked_options(options) is options
    with pytest.raises(MultimasterError, match=message):
        checked_options(dataclasses.replace(options, **changes))


def test_progress_says_how_far_and_how_long() -> None:
    load = FileLoad(BASICS, True, "", status="running", lines=20000, bytes_read=250, seconds=10.0, rejected=3)
    assert progress_line(load) == "title.basics:  25.0 %, 20,000 lines, 2,000 lines/s, 3 rejected, 0:30 left"
    load.status, load.bytes_read = "loaded", 1000
    assert progress_line(load) == "title.basics: 100.0 %, 20,000 lines, 2,000 lines/s, 3 rejected"


def test_warnings_name_the_file_of_rejected_lines() -> None:
    load = FileLoad(BASICS, True, "", status="loaded", rejected=3, rejects_file="/r/title.basics.rejected.tsv")
    [warning] = warnings_about([load, FileLoad(NAMES, True, "", status="loaded")])
    assert "3 lines were not loaded" in warning
    assert "/r/title.basics.rejected.tsv" in warning


def test_every_kind_of_file_has_its_tables() -> None:
    assert list(TARGETS) == list(FORMATS)
    for kind, format in FORMATS.items():
        assert len(TARGETS[kind].stage) == len(format.columns)
        parents = {TARGETS[parent].tables[0] for parent in format.refers_to}
        assert {reference.table for reference in TARGETS[kind].references} == parents
        # What is referred to is loaded before.
        assert all(list(FORMATS).index(parent) < list(FORMATS).index(kind) for parent in format.refers_to)
