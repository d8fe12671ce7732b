# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sample's films become files that the loader takes without a rejected line."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS, FileReader

PROGRAM = Path(__file__).resolve().parents[3] / "roles/imdb/files/make_imdb_sample.py"


def load_program() -> t.Any:
    spec = importlib.util.spec_from_file_location("make_imdb_sample", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_imdb_sample"] = module
    spec.loader.exec_module(module)
    return module


sample = load_program()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "movies.db"
    connection = sqlite3.connect(path)
    connection.execute(
        'CREATE TABLE omdb ("ID" INTEGER, "imdbID" TEXT, "Title" TEXT, "Year" INTEGER, "Runtime" REAL, "Genre" TEXT, '
        '"Director" TEXT, "Writer" TEXT, "Cast" TEXT, "Metacritic" INTEGER)'
    )
    connection.executemany(
        "INSERT INTO omdb VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (2, "tt0000002", "Second\tFilm", 1999, 90.4, "Drama, Comedy", "Ana Díaz", None, "Ed Begley, Jr., Ana Díaz", 50),
            (1, "tt0000001", "First Film", 1998, None, None, None, "Bo Ek", "", None),
            (3, "tt0000002", "Second Film Again", 2001, 95.0, "Drama", "Ana Díaz", None, None, None),
        ],
    )
    connection.commit()
    connection.close()
    return path


def test_names_keep_what_follows_their_comma() -> None:
    assert sample.split("Ed Begley, Jr., Ana Díaz, Ana Díaz") == ["Ed Begley, Jr.", "Ana Díaz"]
    assert sample.split(None) == sample.split("") == []


def test_films_are_sorted_and_each_is_there_once(database: Path) -> None:
    films = sample.read_films(database)
    assert [(film.tconst, film.title) for film in films] == [("tt0000001", "First Film"), ("tt0000002", "Second Film")]


def test_the_loader_takes_every_line(database: Path, tmp_path: Path) -> None:
    lines = sample.tables(sample.read_films(database))
    assert set(lines) == set(sample.HEADERS) <= set(FORMATS)
    for kind, rows in lines.items():
        count = sample.write(tmp_path, kind, rows)
        [batch] = FileReader(str(tmp_path / f"{kind}.tsv.gz"), FORMATS[kind]).batches()
        assert (len(batch.rows), batch.rejected) == (count, [])


def test_people_have_their_professions_and_films(database: Path, tmp_path: Path) -> None:
    lines = {kind: list(rows) for kind, rows in sample.tables(sample.read_films(database)).items()}
    names = {line[1]: line for line in lines["name.basics"]}
    assert names["Ana Díaz"][4:] == ["actor,director", "tt0000002"]
    assert names["Ed Begley, Jr."][4] == "actor"
    credits = [line[1:4:2] for line in lines["title.principals"] if line[0] == "tt0000002"]
    assert credits == [["1", "actor"], ["2", "actor"], ["3", "director"]]
    assert lines["title.crew"][1] == ["tt0000002", names["Ana Díaz"][0], "\\N"]


def test_the_same_films_give_the_same_bytes(database: Path, tmp_path: Path) -> None:
    contents = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for kind, rows in sample.tables(sample.read_films(database)).items():
            sample.write(tmp_path / folder, kind, rows)
        contents.append({file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()})
    assert contents[0] == contents[1]


@given(names=st.lists(st.text(min_size=1), unique=True))
def test_identifiers_are_unique_and_hang_on_the_name(names: list[str]) -> None:
    ids = sample.identifiers(names)
    assert len(set(ids.values())) == len(names)
    assert sample.identifiers(reversed(names)) == ids
    assert all(FORMATS["name.basics"].columns[0].complaint(value) is None for value in ids.values())


def test_made_files_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made_from = {
        "package": sample.PACKAGE,
        "version": sample.VERSION,
        "wheel": sample.WHEEL_SHA256,
        "program": sample.sha256(PROGRAM),
    }
    monkeypatch.setattr(sample, "download", lambda directory: pytest.fail("nothing is to be downloaded"))
    assert sample.main(["--output", str(tmp_path), "--check"]) == 0
    assert capsys.readouterr().out == "changed\n"
    assert list(tmp_path.iterdir()) == []
    for kind in sample.HEADERS:
        (tmp_path / f"{kind}.tsv.gz").touch()
    (tmp_path / sample.MADE_FROM).write_text(sample.json.dumps(made_from))
    assert sample.main(["--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "unchanged\n"


def test_a_download_that_is_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command: list[str], **_options: t.Any) -> t.Any:
        target = Path(command[command.index("--dest") + 1])
        (target / f"bokeh_sampledata-{sample.VERSION}-py3-none-any.whl").write_bytes(b"something else")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(sample.subprocess, "run", pip)
    with pytest.raises(SystemExit, match="is not the file that this was written for"):
        sample.download(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = type("Done", (), {"returncode": 1, "stderr": "ERROR: no route\nERROR: No matching distribution"})
    monkeypatch.setattr(sample.subprocess, "run", lambda *_arguments, **_options: failed)
    with pytest.raises(SystemExit, match=r"No matching distribution.*Check the network"):
        sample.download(tmp_path)
