-- Which objects of the schema are missing, what was applied last, and who owns the database.
SELECT
    (
        SELECT coalesce(json_agg(o.name), '[]')
        FROM unnest(string_to_array(%(objects)s, ',') || CASE
            WHEN EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm')
            THEN ARRAY['titles_primary_title_trgm_idx'] ELSE ARRAY[]::text[]
        END) AS o (name)
        WHERE to_regclass('public.' || quote_ident(o.name)) IS NULL
    ) AS missing,
    (
        SELECT substring(obj_description(to_regclass('public.imdb_load_journal'), 'pg_class') FROM 'schema [0-9a-f]{16}')
    ) AS mark,
    (SELECT pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database()) AS owner
