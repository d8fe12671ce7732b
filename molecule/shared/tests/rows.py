# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""For every table of the IMDB schema one row, and one column of it that may change."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """``key`` and ``values`` make a row; ``update`` is what an UPDATE sets. Keys of all samples fit together."""

    table: str
    key: dict[str, t.Any]
    values: dict[str, t.Any]
    update: dict[str, t.Any]


def samples(number: int) -> list[Sample]:
    """Rows whose keys hold ``number`` (below a million), parents before children."""
    title, series, person = f"tt8{number:06}", f"tt9{number:06}", f"nm8{number:06}"
    names = {"primary_title": "Ünïcode \\N 'quoted'", "original_title": "O", "title_type": "movie"}
    return [
        Sample("titles", {"tconst": title}, names, {"primary_title": "changed", "runtime_minutes": 90}),
        Sample("titles", {"tconst": series}, {**names, "title_type": "tvSeries"}, {"end_year": 1999}),
        Sample("names", {"nconst": person}, {"primary_name": "Ana"}, {"death_year": 2001}),
        Sample("generos", {"id_genero": 1_000_000 + number}, {"genero": f"género {number}"}, {"genero": f"changed {number}"}),
        Sample("title_generos", {"tconst": title, "id_genero": 1_000_000 + number}, {}, {"tconst": series}),
        Sample("title_akas", {"tconst": title, "ordering": 1}, {"title": "aka", "types": ["dvd", "tv"]}, {"types": None}),
        Sample("title_episodes", {"tconst": title}, {"parent_tconst": series}, {"season_number": 2}),
        Sample("title_ratings", {"tconst": title}, {"average_rating": 7.5, "num_votes": 3}, {"num_votes": 4}),
        Sample("name_professions", {"nconst": person, "profession": "actress"}, {}, {"profession": "producer"}),
        Sample("name_known_for", {"nconst": person, "tconst": title}, {}, {"tconst": series}),
        Sample("title_directors", {"tconst": title, "nconst": person}, {}, {"tconst": series}),
        Sample("title_writers", {"tconst": title, "nconst": person}, {}, {"tconst": series}),
        Sample("title_principals", {"tconst": title, "ordering": 1}, {"nconst": person, "category": "actor"}, {"job": "lead"}),
        Sample(
            "title_principal_characters",
            {"tconst": title, "ordering": 1, "position": 1}, {"character_name": "Self"}, {"character_name": "Other"},
        ),
        Sample(
            "imdb_load_journal",
            {"load_id": f"00000000-0000-4000-8000-{number:012}"},
            {
                "run_id": f"00000000-0000-4000-9000-{number:012}", "node": "none", "kind": "title.basics", "path": "/x",
                "size_bytes": 1, "mtime_ns": 1, "status": "failed",
            },
            {"message": "changed"},
        ),
    ]
