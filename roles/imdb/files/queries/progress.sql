-- How far a load is. It is over when no file waits or runs, or when nobody holds its lock any more.
SELECT
    count(*) AS files,
    count(*) FILTER (WHERE status IN ('queued', 'running')) AS open,
    EXISTS (
        SELECT FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_database AS d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND l.objid = 1768776802 AND d.datname = current_database()
    ) AS alive,
    count(*) FILTER (WHERE status = 'loaded') || ' of ' || count(*) || ' files done' || coalesce(
        ', ' || string_agg(
            format(
                '%%s: %%s %%%%, %%s lines, %%s lines/s, %%s rejected',
                kind,
                to_char(100.0 * bytes_read / greatest(size_bytes, 1), 'FM990.0'),
                to_char(lines, 'FM999,999,999,990'),
                to_char(lines / greatest(extract(epoch FROM coalesce(finished_at, updated_at) - started_at), 0.001), 'FM999,999,990'),
                to_char(rejected, 'FM999,999,990')
            ),
            '; ' ORDER BY started_at
        ) FILTER (WHERE status = 'running'),
        ''
    ) AS progress
FROM public.imdb_load_journal
WHERE run_id = %(run_id)s::uuid
