# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IMDB schema suits several writing nodes, and applying it again changes nothing."""

from __future__ import annotations

import typing as t

import psycopg2
import pytest
from imdb_data import schema_sql
from psycopg2 import sql

# Everything about the tables that a second application could change
CATALOGUE = """
SELECT md5(string_agg(x, E'\\n' ORDER BY x)) FROM (
    SELECT c::text FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT (attrelid, attnum, attname, atttypid, attnotnull, attidentity)::text FROM pg_attribute
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT c::text FROM pg_constraint AS c
    UNION ALL SELECT d::text FROM pg_description AS d
    UNION ALL SELECT e::text FROM pg_extension AS e
) AS a (x)
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"


def tables(pair: t.Any) -> list[str]:
    return [name for (name,) in pair.a.query(TABLES, db=pair.db)]


def test_applying_it_again_changes_nothing(imdb: t.Any) -> None:
    before = imdb.a.value(CATALOGUE, db=imdb.db)
    imdb.a.query(schema_sql(), db=imdb.db)
    assert imdb.a.value(CATALOGUE, db=imdb.db) == before


def test_a_failure_leaves_nothing_behind(pair: t.Any) -> None:
    with pytest.raises(psycopg2.Error):
        pair.a.query(schema_sql() + "SELECT 1 / 0;", db=pair.db)
    assert tables(pair) == []


def test_what_is_missing_comes_back(imdb: t.Any) -> None:
    before = imdb.a.query("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", db=imdb.db)
    imdb.a.query("DROP INDEX public.titles_primary_title_trgm_idx; DROP TABLE public.title_akas", db=imdb.db)
    imdb.a.query(schema_sql(), db=imdb.db)
    assert imdb.a.query("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", db=imdb.db) == before


def test_the_owner_of_the_database_can_apply_it(pair: t.Any) -> None:
    pair.a.query("CREATE ROLE imdb_owner")
    try:
        pair.a.query(sql.SQL("ALTER DATABASE {} OWNER TO imdb_owner").format(sql.Identifier(pair.db)))
        pair.a.query("SET ROLE imdb_owner; " + schema_sql() + "; RESET ROLE", db=pair.db)
        owners = pair.a.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", db=pair.db)
        assert owners == [("imdb_owner",)]
    finally:
        pair.a.query(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(sql.Identifier(pair.db)))
        pair.a.query("DROP OWNED BY imdb_owner CASCADE", db=pair.db)
        pair.a.query("DROP ROLE imdb_owner")


def test_every_table_has_a_primary_key_and_a_comment(imdb: t.Any) -> None:
    names = tables(imdb)
    assert len(names) == 14
    for name in names:
        assert imdb.a.value("SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisprimary", [name], imdb.db) == 1
        assert imdb.a.value("SELECT obj_description(%s::regclass, 'pg_class')", [name], imdb.db)


def test_generos_is_the_one_table_with_a_generated_key_and_a_second_unique_key(imdb: t.Any) -> None:
    generated = imdb.a.query(
        "SELECT attrelid::regclass::text, attname::text FROM pg_attribute WHERE attidentity <> '' AND attrelid > 16383",
        db=imdb.db,
    )
    assert generated == [("generos", "id_genero")]
    unique = imdb.a.query(
        "SELECT indrelid::regclass::text FROM pg_index WHERE indisunique AND NOT indisprimary AND indrelid > 16383 "
        "AND indrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')",
        db=imdb.db,
    )
    assert unique == [("generos",)]
    # A key that the caller decided is as good as one of the sequence.
    imdb.a.query("INSERT INTO generos (id_genero, genero) VALUES (7, 'Drama')", db=imdb.db)
    assert imdb.a.value("INSERT INTO generos (genero) VALUES ('Crime') RETURNING id_genero", db=imdb.db) == 1


@pytest.mark.parametrize(
    "row",
    [
        "INSERT INTO titles VALUES ('0000001', 'movie', 'x', 'x')",
        "INSERT INTO titles VALUES ('tt0000001', 'movie', 'x', 'x', false, 1, 1, -1)",
        "INSERT INTO generos (genero) VALUES ('')",
        "INSERT INTO generos (genero) VALUES (repeat('x', 101))",
        "INSERT INTO title_ratings VALUES ('tt0000009', 5, 1)",
    ],
)
def test_wrong_rows_are_refused(imdb: t.Any, row: str) -> None:
    with pytest.raises(psycopg2.IntegrityError):
        imdb.a.query(row, db=imdb.db)


def test_the_search_for_titles_uses_its_index(imdb: t.Any) -> None:
    imdb.a.query("SET enable_seqscan = off", db=imdb.db)
    plan = imdb.a.query("EXPLAIN SELECT tconst FROM titles WHERE primary_title ILIKE '%men%'", db=imdb.db)
    imdb.a.query("RESET enable_seqscan", db=imdb.db)
    assert "titles_primary_title_trgm_idx" in str(plan)


def test_every_foreign_key_has_an_index(imdb: t.Any) -> None:
    """Or deleting a title or a person would read whole tables."""
    without = imdb.a.query(
        "SELECT conrelid::regclass::text, conkey FROM pg_constraint AS c WHERE contype = 'f' AND NOT EXISTS ("
        "SELECT FROM pg_index AS i WHERE i.indrelid = c.conrelid "
        "AND (i.indkey::int2[])[0 : cardinality(c.conkey) - 1] = c.conkey::int2[])",
        db=imdb.db,
    )
    assert without == []
