# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Good lines of IMDb's files: one of each kind, and strategies for any number of them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FileFormat

GOOD = {
    "title.basics": "tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short",
    "name.basics": "nm0000001\tFred Astaire\t1899\t1987\tactor,miscellaneous\ttt0000001",
    "title.ratings": "tt0000001\t5.7\t2114",
    "title.episode": "tt0000001\ttt0000001\t1\t9",
    "title.akas": "tt0000001\t1\tカルメンチータ\tJP\t\\N\timdbDisplay\x02tv\t\\N\t0",
    "title.crew": "tt0000001\tnm0000001\t\\N",
    "title.principals": 'tt0000001\t1\tnm0000001\tself\t\\N\t["Self","The \\"Other\\""]',
}

_characters = st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)] + ["\x7f"])
_null = st.just("\\N")
title_ids = st.integers(0, 10**10 - 1).map(lambda number: f"tt{number:07d}")
name_ids = st.integers(0, 10**10 - 1).map(lambda number: f"nm{number:07d}")


def _text(longest: int) -> st.SearchStrategy[str]:
    return st.text(_characters, min_size=1, max_size=min(longest, 40)).filter(lambda text: text != "\\N")


def _words(separator: str) -> st.SearchStrategy[str]:
    word = st.text(_characters.filter(lambda char: char != ","), min_size=1, max_size=15)
    return st.lists(word, min_size=1, max_size=4).map(separator.join).filter(lambda text: text != "\\N")


def _json(names: list[str], ascii: bool) -> str:
    return json.dumps(names, ensure_ascii=ascii, separators=(",", ":"))


_VALUES: dict[str, st.SearchStrategy[str]] = {
    "tconst": title_ids,
    "titleId": title_ids,
    "parentTconst": title_ids,
    "nconst": name_ids,
    "ordering": st.integers(0, 999999).map(str),
    "isAdult": st.sampled_from(["0", "1"]),
    "isOriginalTitle": st.sampled_from(["0", "1"]) | _null,
    "averageRating": st.integers(0, 100).map(lambda tenths: f"{tenths / 10:.1f}") | st.sampled_from(["7", "10"]),
    "numVotes": st.integers(0, 999999999).map(str),
    "startYear": st.integers(0, 9999).map(str) | _null,
    "endYear": st.integers(0, 9999).map(str) | _null,
    "birthYear": st.integers(0, 9999).map(str) | _null,
    "deathYear": st.integers(0, 9999).map(str) | _null,
    "runtimeMinutes": st.integers(0, 9999999).map(str) | _null,
    "seasonNumber": st.integers(0, 999999999).map(str) | _null,
    "episodeNumber": st.integers(0, 999999999).map(str) | _null,
    "genres": _words(",") | _null,
    "primaryProfession": _words(",") | _null,
    "types": _words("\x02") | _null,
    "attributes": _words("\x02") | _null,
    "knownForTitles": st.lists(title_ids, min_size=1, max_size=4).map(",".join) | _null,
    "directors": st.lists(name_ids, min_size=1, max_size=4).map(",".join) | _null,
    "writers": st.lists(name_ids, min_size=1, max_size=4).map(",".join) | _null,
    "characters": st.builds(_json, st.lists(st.text(_characters, max_size=20), min_size=1, max_size=3), st.booleans()) | _null,
    "titleType": _text(50),
    "primaryTitle": _text(1000),
    "originalTitle": _text(1000),
    "primaryName": _text(500),
    "title": _text(1000),
    "category": _text(100),
    "region": _text(20).map(lambda text: text[:20]) | _null,
    "language": _text(20).map(lambda text: text[:20]) | _null,
    "job": _text(1000) | _null,
}


def lines_of(format: FileFormat) -> st.SearchStrategy[str]:
    return st.tuples(*(_VALUES[column.name] for column in format.columns)).map("\t".join)
