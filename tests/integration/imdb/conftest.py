# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database with the IMDB schema on both servers, and files to load."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest
from imdb_data import ROOT, Files, schema_sql

# The strategies for good lines
sys.path.append(str(ROOT / "tests/unit/imdb"))


@pytest.fixture
def imdb(pair: t.Any) -> t.Any:
    """Both servers have the schema; nothing replicates yet."""
    pair.both(schema_sql())
    return pair


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def some_files(files: Files) -> Files:
    """One file of each kind, small, with something of everything."""
    files.write(
        "title.basics",
        "tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short",
        "tt0000002\ttvSeries\tBack\\slash \\N \"quoted\"\t\\\\\t1\t\\N\t1999\t\\N\t\\N",
        "tt0000003\ttvEpisode\tÉpisode\tÉpisode\t0\t2001\t\\N\t45\tShort",
        packed=True,
    )
    files.write(
        "name.basics",
        "nm0000001\tFred Astaire\t1899\t1987\tactor,producer\ttt0000001,tt0000003",
        "nm0000002\tLauren Bacall\t1924\t\\N\t\\N\t\\N",
        packed=True,
    )
    files.write("title.ratings", "tt0000001\t5.7\t2114", "tt0000002\t10\t0")
    files.write("title.episode", "tt0000003\ttt0000002\t1\t9")
    files.write(
        "title.akas",
        "tt0000001\t1\tカルメンチータ\tJP\tja\timdbDisplay\x02tv\tliteral title\t0",
        "tt0000001\t2\tCarmencita\t\\N\t\\N\toriginal\t\\N\t1",
    )
    files.write("title.crew", "tt0000001\tnm0000001\tnm0000001,nm0000002", "tt0000002\t\\N\tnm0000002")
    files.write(
        "title.principals",
        'tt0000001\t1\tnm0000001\tself\t\\N\t["Self","The \\"Other\\" \\u00c9"]',
        "tt0000001\t2\tnm0000002\tproducer\tproducer\t\\N",
    )
    return files
