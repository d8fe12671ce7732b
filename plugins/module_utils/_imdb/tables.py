# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""How the lines of each of IMDb's files become rows of the schema in roles/imdb/files/schema.

A batch of lines is copied into a temporary table and brought into the tables by a few set-based statements:
insert what is new, update what differs, delete what a line no longer lists. A row that is already right is not touched,
not even locked: loading the same lines again writes nothing, so nothing is replicated either.
All statements are INSERT .. SELECT .. ON CONFLICT, UPDATE and DELETE with explicit columns, so that
triggers and columns that others add to the tables (conflict resolution) work as with any other writer.
"""

from __future__ import annotations

from dataclasses import dataclass

STAGE = "pg_temp.imdb_stage"
SEEN = "pg_temp.imdb_seen"


@dataclass(frozen=True)
class Reference:
    """A column of the staging table, or the items of a list in it, that must be a key of another table."""

    column: str
    table: str
    key: str
    is_list: bool = False


@dataclass(frozen=True)
class Target:
    """The tables that one kind of file fills.

    Each step returns the numbers of rows inserted, updated and deleted; it takes as parameters, by the list's column,
    the items that find_dropped returned.
    """

    stage: dict[str, str]
    tables: tuple[str, ...]
    steps: tuple[str, ...]
    key: str
    references: tuple[Reference, ...] = ()

    def create_stage(self) -> str:
        columns = ", ".join(f"{name} {kind}" for name, kind in self.stage.items())
        return (
            f"DROP TABLE IF EXISTS {STAGE}, {SEEN}; "
            f"CREATE TEMPORARY TABLE imdb_stage (line bigint NOT NULL, {columns}) ON COMMIT DELETE ROWS"
        )

    def copy(self) -> str:
        """No accepted line contains the quote character, so that CSV mode takes every field as it stands."""
        return (
            f"COPY {STAGE} FROM STDIN "
            r"WITH (FORMAT csv, DELIMITER E'\t', NULL '\N', QUOTE E'\x01', ESCAPE E'\x01', ENCODING 'UTF8')"
        )

    def take_orphans(self) -> list[str]:
        """Each removes the lines that refer to nothing, and returns their numbers and the reason."""
        return [
            f"DELETE FROM {STAGE} AS s WHERE NOT EXISTS "
            f"(SELECT FROM {r.table} AS r WHERE r.{r.key} = s.{r.column}) "
            f"RETURNING line, 'orphan: ' || s.{r.column} || ' is not in {_plain(r.table)}' AS reason"
            for r in self.references
            if not r.is_list
        ]

    def find_dropped(self) -> dict[str, str]:
        """By column, a query for the items of lists that refer to nothing: line number, item and reason."""
        return {
            r.column: f"SELECT s.line, i.item, 'left out of {r.column}: ' || i.item || ' is not in {_plain(r.table)}' AS reason "
            f"FROM {STAGE} AS s CROSS JOIN LATERAL string_to_table(s.{r.column}, ',') AS i (item) "
            f"WHERE NOT EXISTS (SELECT FROM {r.table} AS r WHERE r.{r.key} = i.item) ORDER BY s.line"
            for r in self.references
            if r.is_list
        }

    def create_seen(self) -> str:
        """Only for files that are not sorted: the keys of all earlier lines."""
        return 'CREATE TEMPORARY TABLE imdb_seen (key text COLLATE "C" PRIMARY KEY)'

    def take_duplicates(self) -> list[str]:
        key = self.key
        return [
            f"DELETE FROM {STAGE} AS s WHERE s.ctid = ANY (ARRAY("
            f"SELECT d.ctid FROM (SELECT s.ctid, row_number() OVER (PARTITION BY {key} ORDER BY s.line) AS n FROM {STAGE} AS s)"
            f" AS d WHERE d.n > 1)) RETURNING line, 'duplicate key: ' || {key} AS reason",
            f"DELETE FROM {STAGE} AS s WHERE EXISTS (SELECT FROM {SEEN} AS k WHERE k.key = {key}) "
            f"RETURNING line, 'duplicate key: ' || {key} AS reason",
        ]

    def remember_keys(self) -> str:
        return f"INSERT INTO {SEEN} (key) SELECT {self.key} FROM {STAGE} AS s ON CONFLICT DO NOTHING"


def _plain(table: str) -> str:
    return table.partition(".")[2]


def _upsert(table: str, key: str, values: dict[str, str], more: str = "") -> str:
    """Rows of the staging table ``s`` (joined with ``more``) into ``table``.

    The outer join leaves out the rows that are right already: ON CONFLICT would lock each of them.
    """
    keys = key.split(", ")
    rest = {name: value for name, value in values.items() if name not in keys}
    same_key = " AND ".join(f"t.{name} = {values[name]}" for name in keys)
    now = ", ".join(f"t.{name}" for name in rest)
    return f"""
        WITH done AS (
            INSERT INTO {table} AS t ({", ".join(values)})
            SELECT {", ".join(values.values())}
            FROM {STAGE} AS s {more} LEFT JOIN {table} AS t ON {same_key}
            WHERE t.{keys[0]} IS NULL OR ROW({now}) IS DISTINCT FROM ROW({", ".join(rest.values())})
            ON CONFLICT ({key}) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in rest)}
            WHERE ROW({now}) IS DISTINCT FROM ROW({", ".join(f"excluded.{name}" for name in rest)})
            RETURNING t.xmax = 0 AS is_new
        )
        SELECT count(*) FILTER (WHERE is_new) AS inserted, count(*) FILTER (WHERE NOT is_new) AS updated, 0 AS deleted
        FROM done"""


def _inserted(command: str) -> str:
    return f"WITH done AS ({command} RETURNING 1) SELECT count(*) AS inserted, 0 AS updated, 0 AS deleted FROM done"


def _deleted(command: str) -> str:
    return f"WITH done AS ({command} RETURNING 1) SELECT 0 AS inserted, 0 AS updated, count(*) AS deleted FROM done"


def _links(table: str, owner: str, item: str, items: str, refers_to: Reference | None = None) -> tuple[str, str]:
    """A comma-separated list as rows (owner, item): drop the rows that it no longer names, add those that it does."""
    existing = f"WHERE i.item <> ALL (%({items})s::text[])" if refers_to else ""
    return (
        _deleted(
            f"DELETE FROM {table} AS d USING {STAGE} AS s "
            f"WHERE d.{owner} = s.{owner} AND d.{item} <> ALL (coalesce(string_to_array(s.{items}, ','), '{{}}'))"
        ),
        _inserted(
            f"INSERT INTO {table} ({owner}, {item}) SELECT s.{owner}, i.item "
            f"FROM {STAGE} AS s CROSS JOIN LATERAL string_to_table(s.{items}, ',') AS i (item) {existing} "
            "ON CONFLICT DO NOTHING"
        ),
    )


_ID = 'text COLLATE "C"'
_TITLE = Reference("tconst", "public.titles", "tconst")
_NAME = Reference("nconst", "public.names", "nconst")


def _columns(*names: str) -> dict[str, str]:
    return {name: f"s.{name}" for name in names}


def _title_basics() -> Target:
    genres = f"FROM {STAGE} AS s CROSS JOIN LATERAL string_to_table(s.genres, ',') AS i (item)"
    return Target(
        stage={
            "tconst": _ID,
            "title_type": "text",
            "primary_title": "text",
            "original_title": "text",
            "is_adult": "boolean",
            "start_year": "smallint",
            "end_year": "smallint",
            "runtime_minutes": "integer",
            "genres": "text",
        },
        key="s.tconst",
        tables=("public.titles", "public.generos", "public.title_generos"),
        steps=(
            _upsert(
                "public.titles",
                "tconst",
                _columns(
                    "tconst", "title_type", "primary_title", "original_title",
                    "is_adult", "start_year", "end_year", "runtime_minutes",
                ),
            ),
            # Not left to ON CONFLICT alone: each attempt would use up a value of the sequence.
            _inserted(
                f"INSERT INTO public.generos (genero) SELECT DISTINCT i.item {genres} "
                "WHERE NOT EXISTS (SELECT FROM public.generos AS g WHERE g.genero = i.item) ORDER BY i.item "
                "ON CONFLICT (genero) DO NOTHING"
            ),
            _deleted(
                f"DELETE FROM public.title_generos AS d USING {STAGE} AS s, public.generos AS g "
                "WHERE d.tconst = s.tconst AND g.id_genero = d.id_genero "
                "AND g.genero <> ALL (coalesce(string_to_array(s.genres, ','), '{}'))"
            ),
            _inserted(
                f"INSERT INTO public.title_generos (tconst, id_genero) SELECT s.tconst, g.id_genero {genres} "
                "JOIN public.generos AS g ON g.genero = i.item ON CONFLICT DO NOTHING"
            ),
        ),
    )


def _name_basics() -> Target:
    known_for = Reference("known_for", "public.titles", "tconst", is_list=True)
    return Target(
        stage={
            "nconst": _ID,
            "primary_name": "text",
            "birth_year": "smallint",
            "death_year": "smallint",
            "professions": "text",
            "known_for": _ID,
        },
        key="s.nconst",
        tables=("public.names", "public.name_professions", "public.name_known_for"),
        references=(known_for,),
        steps=(
            _upsert("public.names", "nconst", _columns("nconst", "primary_name", "birth_year", "death_year")),
            *_links("public.name_professions", "nconst", "profession", "professions"),
            *_links("public.name_known_for", "nconst", "tconst", "known_for", known_for),
        ),
    )


def _title_ratings() -> Target:
    return Target(
        stage={"tconst": _ID, "average_rating": "numeric(3, 1)", "num_votes": "integer"},
        key="s.tconst",
        tables=("public.title_ratings",),
        references=(_TITLE,),
        steps=(_upsert("public.title_ratings", "tconst", _columns("tconst", "average_rating", "num_votes")),),
    )


def _title_episode() -> Target:
    return Target(
        stage={"tconst": _ID, "parent_tconst": _ID, "season_number": "integer", "episode_number": "integer"},
        key="s.tconst",
        tables=("public.title_episodes",),
        references=(_TITLE, Reference("parent_tconst", "public.titles", "tconst")),
        steps=(
            _upsert(
                "public.title_episodes", "tconst", _columns("tconst", "parent_tconst", "season_number", "episode_number")
            ),
        ),
    )


def _title_akas() -> Target:
    return Target(
        stage={
            "tconst": _ID,
            "ordering": "integer",
            "title": "text",
            "region": "text",
            "language": "text",
            "types": "text",
            "attributes": "text",
            "is_original_title": "boolean",
        },
        key="s.tconst || ' ' || s.ordering",
        tables=("public.title_akas",),
        references=(_TITLE,),
        steps=(
            _upsert(
                "public.title_akas",
                "tconst, ordering",
                {
                    **_columns("tconst", "ordering", "title", "region", "language"),
                    "types": r"string_to_array(s.types, E'\x02')",
                    "attributes": r"string_to_array(s.attributes, E'\x02')",
                    "is_original_title": "s.is_original_title",
                },
            ),
        ),
    )


def _title_crew() -> Target:
    directors = Reference("directors", "public.names", "nconst", is_list=True)
    writers = Reference("writers", "public.names", "nconst", is_list=True)
    return Target(
        stage={"tconst": _ID, "directors": _ID, "writers": _ID},
        key="s.tconst",
        tables=("public.title_directors", "public.title_writers"),
        references=(_TITLE, directors, writers),
        steps=(
            *_links("public.title_directors", "tconst", "nconst", "directors", directors),
            *_links("public.title_writers", "tconst", "nconst", "writers", writers),
        ),
    )


def _title_principals() -> Target:
    return Target(
        stage={
            "tconst": _ID,
            "ordering": "integer",
            "nconst": _ID,
            "category": "text",
            "job": "text",
            "characters": "jsonb",
        },
        key="s.tconst || ' ' || s.ordering",
        tables=("public.title_principals", "public.title_principal_characters"),
        references=(_TITLE, _NAME),
        steps=(
            _upsert(
                "public.title_principals", "tconst, ordering", _columns("tconst", "ordering", "nconst", "category", "job")
            ),
            _deleted(
                f"DELETE FROM public.title_principal_characters AS d USING {STAGE} AS s "
                "WHERE d.tconst = s.tconst AND d.ordering = s.ordering AND s.characters ->> (d.position - 1) IS NULL"
            ),
            _upsert(
                "public.title_principal_characters",
                "tconst, ordering, position",
                {**_columns("tconst", "ordering"), "position": "c.position", "character_name": "c.character_name"},
                more="CROSS JOIN LATERAL jsonb_array_elements_text(s.characters) "
                "WITH ORDINALITY AS c (character_name, position)",
            ),
        ),
    )


TARGETS: dict[str, Target] = {
    "title.basics": _title_basics(),
    "name.basics": _name_basics(),
    "title.ratings": _title_ratings(),
    "title.episode": _title_episode(),
    "title.akas": _title_akas(),
    "title.crew": _title_crew(),
    "title.principals": _title_principals(),
}
