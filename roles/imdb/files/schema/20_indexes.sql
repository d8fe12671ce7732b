-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Indexes for what the API asks (a title with its genres, credits, episodes; a person with theirs) and for the
-- foreign keys whose column does not begin a primary key. Every further index costs each load on each node.

-- GET /names/{nconst}: the person's credits
CREATE INDEX IF NOT EXISTS title_principals_nconst_idx ON public.title_principals (nconst);
CREATE INDEX IF NOT EXISTS title_directors_nconst_idx ON public.title_directors (nconst);
CREATE INDEX IF NOT EXISTS title_writers_nconst_idx ON public.title_writers (nconst);
-- GET /titles/{tconst}: who is known for it, its episodes in order
CREATE INDEX IF NOT EXISTS name_known_for_tconst_idx ON public.name_known_for (tconst);
CREATE INDEX IF NOT EXISTS title_episodes_parent_idx
    ON public.title_episodes (parent_tconst, season_number, episode_number);
-- the titles of a genre
CREATE INDEX IF NOT EXISTS title_generos_id_genero_idx ON public.title_generos (id_genero);
-- a person by name or by the beginning of it
CREATE INDEX IF NOT EXISTS names_primary_name_idx ON public.names (primary_name text_pattern_ops);

-- GET /titles?q=: any part of a title, in any case (primary_title ILIKE '%q%'). pg_trgm belongs to PostgreSQL's
-- contrib package; where that is not installed the search works all the same, by reading the table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm') THEN
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_trgm') THEN
            CREATE EXTENSION pg_trgm WITH SCHEMA public;
        END IF;
        EXECUTE (
            SELECT format(
                'CREATE INDEX IF NOT EXISTS titles_primary_title_trgm_idx ON public.titles USING gin (primary_title %I.gin_trgm_ops)',
                n.nspname)
            FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
            WHERE e.extname = 'pg_trgm');
    END IF;
END
$$;
