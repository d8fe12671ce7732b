-- Which objects of the schema are missing, what was applied last, and who owns the database, as one line of JSON.
-- psql's variable "objects" has the names that must be there, separated by commas.
SELECT json_build_object(
    'missing', (
        SELECT coalesce(jsonb_agg(o.name), '[]')
        FROM unnest(string_to_array(:'objects', ',') || CASE
            WHEN EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm')
            THEN ARRAY['titles_primary_title_trgm_idx'] ELSE ARRAY[]::text[]
        END) AS o (name)
        WHERE to_regclass('public.' || quote_ident(o.name)) IS NULL
    ),
    'mark', substring(obj_description(to_regclass('public.imdb_load_journal'), 'pg_class') FROM 'schema [0-9a-f]{16}'),
    'owner', (SELECT pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database())
);
