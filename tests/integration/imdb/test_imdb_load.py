# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IMDb's files become rows, once, whatever the lines hold and wherever the load was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
import uuid
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imdb_data import ROOT, Files
from imdb_lines import lines_of
from servers import wait_until

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb import load as _imdb_load
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS, Batch, find_files
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.load import LOCK, FileLoad, Loader, Options, decide
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.tables import TARGETS

Load = t.Callable[..., t.Any]
CONTENT = """
SELECT json_build_object({}) FROM (SELECT 1) AS one
""".format(
    ", ".join(
        f"'{table}', (SELECT json_agg(to_jsonb(r) ORDER BY r::text) FROM {table} AS r)"
        for target in TARGETS.values()
        for table in target.tables
    )
)


@pytest.fixture
def load(imdb: t.Any, files: Files, run_module: t.Any) -> Load:
    """Run the module on server a (or another) with the directory of files."""

    def run(server: t.Any = None, check: bool = False, fails: bool = False, **arguments: t.Any) -> t.Any:
        login = imdb.login(server or imdb.a)
        return run_module("imdb_load", {**login, "directory": str(files.path), **arguments}, check=check, fails=fails)

    return run


def content(pair: t.Any, server: t.Any = None) -> dict[str, t.Any]:
    return (server or pair.a).value(CONTENT, db=pair.db)


def by_kind(result: t.Any) -> dict[str, t.Any]:
    return {file["kind"]: file for file in result["files"]}


def changes(file: dict[str, int]) -> tuple[int, int, int]:
    return file["inserted"], file["updated"], file["deleted"]


def rows(pair: t.Any, query: str) -> list[tuple[t.Any, ...]]:
    return pair.a.query(query, db=pair.db)


def without_wal(pair: t.Any, run: t.Callable[[], t.Any]) -> t.Any:
    """The result of a run during which nothing was written. The server's own chores write now and then: five tries."""
    for _try in range(5):
        before = pair.a.query("SELECT pg_current_wal_insert_lsn()")
        result = run()
        if pair.a.query("SELECT pg_current_wal_insert_lsn()") == before:
            return result
    raise AssertionError("something is written in every run")


def test_every_kind_of_file_becomes_rows(imdb: t.Any, some_files: Files, load: Load) -> None:
    result = load()
    assert result["changed"]
    assert {file["status"] for file in result["files"]} == {"loaded"}
    assert [file["lines"] for file in result["files"]] == [3, 2, 2, 1, 2, 2, 2]
    assert rows(imdb, "SELECT * FROM titles ORDER BY tconst") == [
        ("tt0000001", "short", "Carmencita", "Carmencita", False, 1894, None, 1),
        ("tt0000002", "tvSeries", 'Back\\slash \\N "quoted"', "\\\\", True, None, 1999, None),
        ("tt0000003", "tvEpisode", "Épisode", "Épisode", False, 2001, None, 45),
    ]
    assert rows(imdb, "SELECT tconst, genero FROM title_generos NATURAL JOIN generos ORDER BY 1, 2") == [
        ("tt0000001", "Documentary"),
        ("tt0000001", "Short"),
        ("tt0000003", "Short"),
    ]
    assert rows(imdb, "SELECT * FROM names ORDER BY 1") == [
        ("nm0000001", "Fred Astaire", 1899, 1987),
        ("nm0000002", "Lauren Bacall", 1924, None),
    ]
    assert rows(imdb, "SELECT * FROM name_professions ORDER BY 1, 2") == [("nm0000001", "actor"), ("nm0000001", "producer")]
    assert rows(imdb, "SELECT * FROM name_known_for ORDER BY 1, 2") == [("nm0000001", "tt0000001"), ("nm0000001", "tt0000003")]
    assert rows(imdb, "SELECT tconst, average_rating::text, num_votes FROM title_ratings ORDER BY 1") == [
        ("tt0000001", "5.7", 2114),
        ("tt0000002", "10.0", 0),
    ]
    assert rows(imdb, "SELECT * FROM title_episodes") == [("tt0000003", "tt0000002", 1, 9)]
    assert rows(imdb, "SELECT * FROM title_akas ORDER BY 2") == [
        ("tt0000001", 1, "カルメンチータ", "JP", "ja", ["imdbDisplay", "tv"], ["literal title"], False),
        ("tt0000001", 2, "Carmencita", None, None, ["original"], None, True),
    ]
    assert rows(imdb, "SELECT * FROM title_directors") == [("tt0000001", "nm0000001")]
    assert rows(imdb, "SELECT * FROM title_writers ORDER BY 1, 2") == [
        ("tt0000001", "nm0000001"),
        ("tt0000001", "nm0000002"),
        ("tt0000002", "nm0000002"),
    ]
    assert rows(imdb, "SELECT * FROM title_principals ORDER BY 2") == [
        ("tt0000001", 1, "nm0000001", "self", None),
        ("tt0000001", 2, "nm0000002", "producer", "producer"),
    ]
    assert rows(imdb, "SELECT * FROM title_principal_characters ORDER BY 3") == [
        ("tt0000001", 1, 1, "Self"),
        ("tt0000001", 1, 2, 'The "Other" É'),
    ]
    journal = rows(imdb, "SELECT kind, status, lines, rejected, bytes_read = size_bytes, sha256 FROM imdb_load_journal")
    assert {row[:5] for row in journal} == {(file["kind"], "loaded", file["lines"], 0, True) for file in result["files"]}
    assert {row[0]: row[5] for row in journal} == {file["kind"]: file["sha256"] for file in result["files"]}


def test_the_same_files_change_nothing_the_second_time(imdb: t.Any, some_files: Files, load: Load) -> None:
    load()
    # Not a byte is written, so that nothing is replicated either.
    again = without_wal(imdb, load)
    assert not again["changed"]
    assert again["queries"] == []
    assert again["diff"] == {"before": {}, "after": {}}
    assert {file["status"] for file in again["files"]} == {"unchanged"}


def test_the_same_content_under_another_name_changes_nothing(some_files: Files, load: Load) -> None:
    load()
    for file in some_files.path.glob("*.tsv*"):
        os.utime(file, (1, 1))
    assert not load(node_name="elsewhere")["changed"]


def test_loading_again_by_force_writes_no_row(imdb: t.Any, some_files: Files, load: Load) -> None:
    load()
    before = rows(imdb, "SELECT xmin::text, ctid::text FROM titles UNION ALL SELECT xmin::text, ctid::text FROM title_principals")
    again = load(force=True)
    assert again["changed"]
    assert sum(file["inserted"] + file["updated"] + file["deleted"] for file in again["files"]) == 0
    after = rows(imdb, "SELECT xmin::text, ctid::text FROM titles UNION ALL SELECT xmin::text, ctid::text FROM title_principals")
    assert after == before


def test_check_mode_says_what_would_be_loaded_and_writes_nothing(imdb: t.Any, some_files: Files, load: Load) -> None:
    planned = without_wal(imdb, lambda: load(check=True))
    assert planned["changed"]
    assert {file["status"] for file in planned["files"]} == {"due"}
    assert set(planned["diff"]["after"]) == set(FORMATS)
    assert planned["queries"][0].startswith("COPY pg_temp.imdb_stage")
    assert not (some_files.path / "rejected").exists()
    done = load()
    assert done["queries"] == planned["queries"]


def test_a_newer_file_updates_and_lists_become_what_the_lines_say(imdb: t.Any, some_files: Files, load: Load) -> None:
    load()
    some_files.write(
        "title.basics",
        "tt0000001\tshort\tCarmencita II\tCarmencita\t0\t1894\t\\N\t1\tShort,Drama",
        "tt0000003\ttvEpisode\tÉpisode\tÉpisode\t0\t2001\t\\N\t45\t\\N",
        "tt0000004\tmovie\tNew\tNew\t0\t2024\t\\N\t90\tDrama",
        packed=True,
    )
    some_files.write("name.basics", "nm0000001\tFred Astaire\t1899\t1987\tactor\ttt0000001,tt0000004", packed=True)
    some_files.write("title.crew", "tt0000001\t\\N\tnm0000002")
    some_files.write("title.principals", 'tt0000001\t1\tnm0000002\tself\t\\N\t["Herself"]')
    result = by_kind(load())
    assert changes(result["title.basics"]) == (1 + 1 + 2, 1, 2)
    assert changes(result["name.basics"]) == (1, 0, 2)
    assert result["title.ratings"]["status"] == "unchanged"
    assert rows(imdb, "SELECT primary_title FROM titles ORDER BY tconst") == [
        ("Carmencita II",),
        ('Back\\slash \\N "quoted"',),
        ("Épisode",),
        ("New",),
    ]
    assert rows(imdb, "SELECT tconst, genero FROM title_generos NATURAL JOIN generos ORDER BY 1, 2") == [
        ("tt0000001", "Drama"),
        ("tt0000001", "Short"),
        ("tt0000004", "Drama"),
    ]
    assert rows(imdb, "SELECT * FROM title_directors") == []
    assert rows(imdb, "SELECT nconst FROM title_writers WHERE tconst = 'tt0000001'") == [("nm0000002",)]
    assert rows(imdb, "SELECT position, character_name FROM title_principal_characters") == [(1, "Herself")]
    # The sequence gives no number away for a genre that is there.
    assert rows(imdb, "SELECT genero, id_genero FROM generos ORDER BY 2") == [("Documentary", 1), ("Short", 2), ("Drama", 3)]


def test_going_back_to_the_older_file_loads_it_again(imdb: t.Any, files: Files, load: Load) -> None:
    old, new = ("tt0000001\tshort\tOld\tOld\t0\t1\t\\N\t1\t\\N", "tt0000001\tshort\tNew\tNew\t0\t1\t\\N\t1\t\\N")
    for line, title in ((old, "Old"), (new, "New"), (old, "Old")):
        files.write("title.basics", line)
        assert load()["changed"]
        assert rows(imdb, "SELECT primary_title FROM titles") == [(title,)]


def test_bad_lines_are_kept_aside_and_the_load_goes_on(imdb: t.Any, files: Files, load: Load) -> None:
    good = "tt000000{0}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N"
    bad: list[str | bytes] = ["tt0000003\tmovie", good.format(2), b"tt0000004\tmovie\t\xe9"]
    files.write("title.basics", good.format(1), good.format(2), *bad, good.format(5))
    files.write(
        "title.ratings",
        "tt0000001\t5.7\t2114",
        "tt0000009\t1.0\t1",
        "tt0000002\tgood\t1",
        "tt0000005\t1.0\t1",
    )
    result = load(max_bad_lines=10)
    counts = {kind: (file["lines"], file["rejected"]) for kind, file in by_kind(result).items()}
    assert counts == {"title.basics": (6, 3), "title.ratings": (4, 2)}
    assert files.rejected("title.basics") == [
        ["4", "2 columns in place of 9"],
        ["5", "duplicate key: tt0000002"],
        ["6", "the line is not valid UTF-8"],
    ]
    assert files.rejected("title.ratings") == [
        ["3", "orphan: tt0000009 is not in titles"],
        ["4", 'averageRating is not a rating from 0 to 10: "good"'],
    ]
    assert "tt0000004\tmovie\t\\xe9" in Path(by_kind(result)["title.basics"]["rejects_file"]).read_text()
    assert ["3 lines were not loaded" in warning for warning in result["warnings"]] == [True, False]
    assert rows(imdb, "SELECT tconst FROM titles ORDER BY 1") == [("tt0000001",), ("tt0000002",), ("tt0000005",)]
    # What was rejected is rejected the next time too: nothing is new, nothing is loaded.
    assert not load(max_bad_lines=10)["changed"]


def test_a_cured_file_leaves_no_old_file_of_rejected_lines(files: Files, load: Load) -> None:
    files.write("title.basics", "bad")
    load()
    files.write("title.basics", "tt0000001\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N")
    assert load()["files"][0]["rejects_file"] == ""
    assert list((files.path / "rejected").iterdir()) == []


def test_too_many_bad_lines_end_the_load(imdb: t.Any, files: Files, load: Load) -> None:
    lines = [f"tt{number:07d}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N" for number in range(1, 301)]
    files.write("title.basics", *lines[:200], *["bad"] * 12, *lines[200:])
    failed = load(batch_lines=100, max_bad_lines=10, max_bad_percent=1, fails=True)
    assert "12 bad lines or references in the first 312 lines" in failed["msg"]
    assert "more than max_bad_lines (10) and max_bad_percent (1 %) allow" in failed["msg"]
    assert "line 202: 1 columns in place of 9" in failed["msg"]
    assert failed["files"][0]["status"] == "failed"
    assert len(files.rejected("title.basics")) > 10
    # What was committed before stays; with another limit the next run converges.
    assert rows(imdb, "SELECT count(*) FROM titles") == [(200,)]
    assert rows(imdb, "SELECT status, message IS NOT NULL FROM imdb_load_journal") == [("failed", True)]
    again = load(batch_lines=100, max_bad_lines=20, max_bad_percent=1)
    assert again["files"][0]["reason"] == "the last load did not come to its end"
    assert (again["files"][0]["inserted"], again["files"][0]["rejected"]) == (100, 12)


def test_references_that_lead_nowhere_are_left_out_and_cured_later(imdb: t.Any, files: Files, load: Load) -> None:
    title = "tt000000{0}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N"
    files.write("title.basics", title.format(1))
    files.write("name.basics", "nm0000001\tA\t\\N\t\\N\t\\N\ttt0000001,tt0000002")
    files.write("title.crew", "tt0000001\tnm0000001,nm0000009\tnm0000008", "tt0000002\tnm0000001\t\\N")
    files.write("title.principals", "tt0000001\t1\tnm0000001\tactor\t\\N\t\\N", "tt0000002\t1\tnm0000001\tactor\t\\N\t\\N")
    result = by_kind(load())
    assert {kind: (file["rejected"], file["dropped_references"]) for kind, file in result.items()} == {
        "title.basics": (0, 0),
        "name.basics": (0, 1),
        "title.crew": (1, 2),
        "title.principals": (1, 0),
    }
    assert files.rejected("title.crew") == [
        ["2", "left out of directors: nm0000009 is not in names"],
        ["2", "left out of writers: nm0000008 is not in names"],
        ["3", "orphan: tt0000002 is not in titles"],
    ]
    assert not load()["changed"]
    files.write("title.basics", title.format(1), title.format(2))
    result = by_kind(load())
    assert {kind for kind, file in result.items() if file["status"] == "loaded"} == set(result)
    assert rows(imdb, "SELECT tconst FROM title_principals ORDER BY 1") == [("tt0000001",), ("tt0000002",)]
    assert rows(imdb, "SELECT tconst FROM name_known_for ORDER BY 1") == [("tt0000001",), ("tt0000002",)]


def test_duplicates_are_found_in_a_file_that_is_not_sorted(imdb: t.Any, files: Files, load: Load) -> None:
    lines = [f"tt{number:07d}\tmovie\tfirst\tT\t0\t\\N\t\\N\t\\N\t\\N" for number in range(1, 501)]
    far = f"tt{3:07d}\tmovie\tsecond\tT\t0\t\\N\t\\N\t\\N\t\\N"
    mixed = [*lines[:250], far, *lines[400:], *lines[250:400], lines[7].replace("first", "second"), far]
    files.write("title.basics", *mixed)
    for force in (False, True):
        result = load(batch_lines=100, force=force)
        assert result["files"][0]["rejected"] == 3
        assert files.rejected("title.basics") == [
            ["252", "duplicate key: tt0000003"],
            ["503", "duplicate key: tt0000008"],
            ["504", "duplicate key: tt0000003"],
        ]
        assert rows(imdb, "SELECT count(*), count(*) FILTER (WHERE primary_title = 'first') FROM titles") == [(500, 500)]


def test_a_row_that_the_server_refuses_is_kept_aside(imdb: t.Any, files: Files, load: Load) -> None:
    imdb.a.query("ALTER TABLE titles ADD CONSTRAINT no_thirteen CHECK (start_year <> 13)", db=imdb.db)
    lines = [f"tt{number:07d}\tmovie\tT\tT\t0\t{number % 100}\t\\N\t\\N\t\\N" for number in range(1, 201)]
    files.write("title.basics", *lines)
    result = load(batch_lines=150)
    assert (result["files"][0]["rejected"], result["files"][0]["inserted"]) == (2, 198)
    [first, second] = files.rejected("title.basics")
    assert (first[0], second[0]) == ("14", "114")
    assert first[1].startswith('refused by the server: new row for relation "titles" violates check constraint "no_thirteen"')


def test_an_interrupted_load_converges(imdb: t.Any, files: Files, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends the loader's session in the middle: what was committed stays, and the next run makes the rest."""
    lines = [f"tt{number:07d}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\tDrama,Crime" for number in range(1, 1001)]
    files.write("title.basics", *lines)
    payload = Batch.payload

    def kill_in_the_middle(batch: Batch) -> t.Any:
        if batch.lines == 500:
            imdb.a.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'imdb_load'")
        return payload(batch)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "payload", kill_in_the_middle)
        failed = load(batch_lines=100, fails=True)
    assert failed["files"][0]["status"] == "failed"
    assert rows(imdb, "SELECT count(*) FROM titles") == [(400,)]
    assert rows(imdb, "SELECT status FROM imdb_load_journal") == [("running",)]
    result = load(batch_lines=100)
    assert result["files"][0]["reason"] == "the last load did not come to its end"
    assert result["files"][0]["inserted"] == 600 + 1200
    assert rows(imdb, "SELECT count(*) FROM title_generos") == [(2000,)]
    assert sorted(rows(imdb, "SELECT status FROM imdb_load_journal")) == [("interrupted",), ("loaded",)]
    assert not load(batch_lines=100)["changed"]


def test_two_loads_at_once_are_refused(imdb: t.Any, some_files: Files, load: Load) -> None:
    other = imdb.a.session(imdb.db)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        assert "A load runs already" in load(fails=True)["msg"]
    finally:
        other.close()
    assert wait_until(lambda: load()["changed"])


def test_a_load_on_another_node_is_respected_until_it_is_dead(imdb: t.Any, some_files: Files, load: Load) -> None:
    imdb.a.query(
        "INSERT INTO imdb_load_journal (run_id, node, kind, path, size_bytes, mtime_ns, status, started_at) "
        "VALUES (%s, 'pg2', 'title.akas', '/x', 1, 1, 'running', clock_timestamp())",
        [str(uuid.uuid4())],
        imdb.db,
    )
    assert "A load of title.akas runs on node pg2" in load(fails=True)["msg"]
    imdb.a.query("UPDATE imdb_load_journal SET updated_at = updated_at - interval '3 minutes'", db=imdb.db)
    assert load()["changed"]
    assert rows(imdb, "SELECT status FROM imdb_load_journal WHERE node = 'pg2'") == [("interrupted",)]


def test_bad_requests_change_nothing(imdb: t.Any, files: Files, load: Load) -> None:
    assert "none of IMDb's files" in load(fails=True)["msg"]
    assert "There is no directory" in load(directory=str(files.path / "nowhere"), fails=True)["msg"]
    files.write("title.ratings", "tt0000001\t5.0\t1")
    assert "public.titles is empty" in load(fails=True)["msg"]
    assert "run_id must be a UUID" in load(run_id="x", fails=True)["msg"]
    assert "batch_lines must be between" in load(batch_lines=1, fails=True)["msg"]
    files.write("title.basics", "tt0000001\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N")
    (files.path / "title.akas.tsv").write_text("something else\n")
    assert "does not begin with the header of title.akas" in load(fails=True)["msg"]
    (files.path / "title.akas.tsv").unlink()
    (files.path / "rejected").write_text("in the way")
    assert "Cannot make the directory for rejected lines" in load(fails=True)["msg"]
    assert rows(imdb, "SELECT count(*) FROM titles") == [(0,)]
    assert rows(imdb, "SELECT count(*) FROM imdb_load_journal") == [(0,)]


def test_a_database_without_the_schema_is_named(pair: t.Any, some_files: Files, run_module: t.Any) -> None:
    failed = run_module("imdb_load", {**pair.login(pair.a), "directory": str(some_files.path)}, fails=True)
    assert "The IMDB schema is not complete" in failed["msg"]
    assert "public.imdb_load_journal" in failed["msg"] or "public.titles" in failed["msg"]


def test_a_file_that_changes_while_it_is_loaded_is_loaded_again(imdb: t.Any, files: Files) -> None:
    file = files.write("title.basics", "tt0000001\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N")
    connection = Connection({"host": "127.0.0.1", "port": str(imdb.a.port), "user": "postgres", "dbname": imdb.db})
    try:
        loader = Loader(connection, Options("a", str(files.path / "r")), lambda load: os.utime(file, (5, 5)))
        found = find_files(str(files.path), [])
        with pytest.raises(MultimasterError, match="changed while it was loaded"):
            loader.load(decide(found, loader.read(found), force=False))
    finally:
        connection.close()
    assert rows(imdb, "SELECT status FROM imdb_load_journal") == [("failed",)]


def test_rows_with_the_triggers_of_conflict_resolution(imdb: t.Any, some_files: Files, load: Load) -> None:
    """Columns and BEFORE INSERT triggers that others add to the tables are served as by any other writer."""
    imdb.a.query(
        """
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN new._version := CASE tg_op WHEN 'INSERT' THEN 1 ELSE old._version + 1 END; RETURN new; END $$;
        CREATE FUNCTION resolve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;
        """,
        db=imdb.db,
    )
    for target in TARGETS.values():
        for table in target.tables:
            imdb.a.query(
                f"ALTER TABLE {table} ADD COLUMN _version integer; "
                f"CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION stamp(); "
                f"CREATE TRIGGER resolve BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION resolve(); "
                f"ALTER TABLE {table} ENABLE REPLICA TRIGGER resolve",
                db=imdb.db,
            )
    load()
    load(force=True)
    some_files.write("title.ratings", "tt0000001\t5.8\t2115", "tt0000002\t10\t0")
    assert by_kind(load())["title.ratings"]["updated"] == 1
    assert rows(imdb, "SELECT tconst, _version FROM title_ratings ORDER BY 1") == [("tt0000001", 2), ("tt0000002", 1)]
    for target in TARGETS.values():
        for table in target.tables[:1]:
            assert rows(imdb, f"SELECT count(*) FROM {table} WHERE _version IS NULL") == [(0,)]


def test_rows_and_journal_reach_the_other_node(imdb: t.Any, some_files: Files, load: Load) -> None:
    subscribe(imdb)
    load(node_name="pg1")
    imdb.wait_for(imdb.b, "SELECT count(*) FROM imdb_load_journal WHERE status = 'loaded'", 7)
    assert content(imdb, imdb.b) == content(imdb)
    # The other node knows that it has them.
    there = load(imdb.b, node_name="pg2")
    assert not there["changed"]
    assert "was loaded on pg1" in there["files"][0]["reason"]
    # Deleting cascades here and arrives there row by row; truncating takes all tables with it.
    imdb.a.query("DELETE FROM titles WHERE tconst = 'tt0000001'", db=imdb.db)
    imdb.wait_for(imdb.b, "SELECT count(*) FROM titles", 2)
    assert content(imdb, imdb.b) == content(imdb)
    assert imdb.b.value("SELECT count(*) FROM title_principal_characters", db=imdb.db) == 0
    imdb.a.query("TRUNCATE titles, names CASCADE", db=imdb.db)
    imdb.wait_for(imdb.b, "SELECT count(*) FROM names", 0)
    assert content(imdb, imdb.b) == content(imdb)
    # The journal's word is not taken for an empty table.
    again = by_kind(load(node_name="pg1"))
    assert again["title.basics"]["reason"].endswith("public.titles")
    assert {file["status"] for file in again.values()} <= {"loaded", "unchanged"}
    imdb.wait_for(imdb.b, "SELECT count(*) FROM titles", 3)


def subscribe(pair: t.Any) -> None:
    pair.a.query("CREATE PUBLICATION pub_imdb FOR ALL TABLES", db=pair.db)
    pair.a.query("SELECT pg_create_logical_replication_slot('imdb_to_b', 'pgoutput')", db=pair.db)
    pair.b.query(
        f"CREATE SUBSCRIPTION sub_from_a CONNECTION 'host=127.0.0.1 port={pair.a.port} user=postgres dbname={pair.db}' "
        "PUBLICATION pub_imdb WITH (create_slot = false, slot_name = 'imdb_to_b', copy_data = false, origin = none)",
        db=pair.db,
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_the_server_takes_every_line_that_the_parser_accepts(imdb: t.Any, files: Files, kind: str) -> None:
    """Whatever was accepted arrives in the staging table as it stood in the file."""
    target = TARGETS[kind]
    connection = Connection({"host": "127.0.0.1", "port": str(imdb.a.port), "user": "postgres", "dbname": imdb.db})
    connection.execute("SET search_path = public; SET synchronous_commit = off; " + target.create_stage())
    columns = ", ".join(f"{name}::text" for name in target.stage)

    @given(lines=st.lists(lines_of(FORMATS[kind]), min_size=1, max_size=5))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def property(lines: list[str]) -> None:
        batch = Batch([f"{number}\t{line}" for number, line in enumerate(lines, start=1)])
        with connection.transaction():
            connection.copy_in(target.copy(), batch.payload())
            stored = connection.fetch(f"SELECT {columns} FROM pg_temp.imdb_stage ORDER BY line")
            for step in (*target.take_orphans(), *target.find_dropped().values()):
                connection.fetch(step)
        for line, row in zip(lines, stored):
            for value, found, name in zip(line.split("\t"), row.values(), row):
                assert same(name, value, found), (name, value, found)

    try:
        property()
    finally:
        connection.close()


def same(name: str, value: str, found: str | None) -> bool:
    if value == "\\N" or found is None:
        return value == "\\N" and found is None
    if name == "characters":
        return json.loads(value) == json.loads(found)
    if name.startswith("is_"):
        return value == {"true": "1", "false": "0"}[found]
    return value == found or (value.replace(".", "").isdigit() and float(value) == float(found))


def command(imdb: t.Any, files: Files, *arguments: str, **options: t.Any) -> t.Any:
    program = [sys.executable, str(ROOT / "roles/imdb/files/load_imdb.py"), "--directory", str(files.path)]
    login = ["--host", "127.0.0.1", "--port", str(imdb.a.port), "--user", "postgres", "--dbname", imdb.db]
    return subprocess.Popen([*program, *login, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def run_command(imdb: t.Any, files: Files, *arguments: str) -> tuple[int, str, str]:
    with command(imdb, files, *arguments) as process:
        output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors


def test_the_command_loads_as_the_module_does(imdb: t.Any, some_files: Files, load: Load) -> None:
    code, output, errors = run_command(imdb, some_files, "--check")
    assert (code, errors) == (0, "")
    assert "title.basics: would be loaded: not loaded yet" in output
    code, output, errors = run_command(imdb, some_files, "--json")
    assert code == 0
    assert [file["status"] for file in json.loads(output)] == ["loaded"] * 7
    assert "title.principals: 100.0 %, 2 lines" in errors
    code, output, errors = run_command(imdb, some_files)
    assert (code, errors) == (0, "")
    assert output.count("nothing to do: the same content was loaded on") == 7
    assert not load()["changed"]
    code, output, errors = run_command(imdb, some_files, "--kinds", "title.akas", "--port", "1")
    assert (code, output) == (1, "")
    assert errors.startswith("error: Cannot connect to")


def test_a_command_that_is_stopped_says_how_to_go_on(imdb: t.Any, files: Files, load: Load) -> None:
    lines = [f"tt{number:07d}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\tDrama,Crime" for number in range(1, 60001)]
    files.write("title.basics", *lines)
    with command(imdb, files, "--batch-lines", "1000") as process:
        wait_until(lambda: rows(imdb, "SELECT count(*) FROM titles") > [(1000,)])
        process.send_signal(signal.SIGTERM)
        _output, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert rows(imdb, "SELECT status FROM imdb_load_journal") == [("interrupted",)]
    wait_until(lambda: load(batch_lines=50000)["changed"])
    assert rows(imdb, "SELECT count(*) FROM titles") == [(60000,)]


def test_progress_is_in_the_journal_while_the_load_runs(imdb: t.Any, files: Files, load: Load) -> None:
    lines = [f"tt{number:07d}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N" for number in range(1, 3001)]
    files.write("title.basics", *lines)
    seen: list[tuple[t.Any, ...]] = []
    report = _imdb_load._FileLoader._put_aside

    def watch(loader: t.Any, rejected: t.Any) -> None:
        report(loader, rejected)
        seen.extend(rows(imdb, "SELECT status, lines, bytes_read > 0, bytes_read <= size_bytes FROM imdb_load_journal"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_imdb_load._FileLoader, "_put_aside", watch)
        load(batch_lines=1000)
    assert seen == [("running", lines, True, True) for lines in (1000, 2000, 3000, 3000)]


def test_a_title_that_is_deleted_meanwhile_does_not_end_the_load(imdb: t.Any, files: Files, load: Load) -> None:
    """Someone deletes a title after the check for orphans: its line is refused, the others are loaded."""
    title = "tt000000{0}\tmovie\tT\tT\t0\t\\N\t\\N\t\\N\t\\N"
    files.write("title.basics", *[title.format(number) for number in range(1, 6)])
    load()
    files.write("title.ratings", *[f"tt000000{number}\t5.0\t1" for number in range(1, 6)])
    take_orphans = _imdb_load._FileLoader._take_orphans
    once = threading.Event()

    def delete_after_the_check(loader: t.Any, batch: t.Any, outcome: t.Any) -> None:
        take_orphans(loader, batch, outcome)
        if not once.is_set():
            once.set()
            imdb.a.query("DELETE FROM titles WHERE tconst = 'tt0000003'", db=imdb.db)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_imdb_load._FileLoader, "_take_orphans", delete_after_the_check)
        result = by_kind(load())
    assert result["title.ratings"]["rejected"] == 1
    assert files.rejected("title.ratings") == [["4", "orphan: tt0000003 is not in titles"]]
    assert rows(imdb, "SELECT count(*) FROM title_ratings") == [(4,)]


def test_a_standby_is_refused() -> None:
    class Standby:
        where = "database imdb"

        def fetch(self, _query: str) -> list[dict[str, t.Any]]:
            return []

        def fetch_one(self, _query: str, _parameters: t.Any) -> dict[str, t.Any]:
            return {"in_recovery": True, "locked": True, "elsewhere": [], "last": [], "empty": {}}

    with pytest.raises(MultimasterError, match="is a standby and takes no rows"):
        Loader(t.cast(Connection, Standby()), Options("a", "/tmp")).read([])


def test_psycopg2_is_the_only_dependency_of_the_command() -> None:
    program = (
        "import sys; sys.path.insert(0, 'collections'); sys.modules['ansible'] = None\n"
        "import runpy; sys.argv = ['load_imdb.py', '--help']\n"
        "runpy.run_path('roles/imdb/files/load_imdb.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert psycopg2.__name__ not in done.stderr


def test_reports_come_after_every_batch(imdb: t.Any, some_files: Files) -> None:
    connection = Connection({"host": "127.0.0.1", "port": str(imdb.a.port), "user": "postgres", "dbname": imdb.db})
    reports: list[tuple[str, str, int]] = []

    def report(load: FileLoad) -> None:
        reports.append((load.file.kind, load.status, load.lines))

    try:
        loader = Loader(connection, Options("a", str(some_files.path / "r")), report)
        found = find_files(str(some_files.path), ["title.basics"])
        loader.load(decide(found, loader.read(found), force=False))
    finally:
        connection.close()
    assert reports == [("title.basics", "running", 3), ("title.basics", "loaded", 3)]
