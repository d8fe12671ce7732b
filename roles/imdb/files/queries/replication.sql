-- What each subscriber of this database has still to confirm of what was written up to a position.
SELECT
    count(*) AS subscribers,
    count(*) FILTER (WHERE pg_wal_lsn_diff(%(lsn)s::pg_lsn, confirmed_flush_lsn) > 0) AS behind,
    coalesce(
        string_agg(
            format(
                '%%s: %%s',
                slot_name,
                CASE
                    WHEN pg_wal_lsn_diff(%(lsn)s::pg_lsn, confirmed_flush_lsn) <= 0 THEN 'there'
                    ELSE pg_size_pretty(pg_wal_lsn_diff(%(lsn)s::pg_lsn, confirmed_flush_lsn)) || ' to go'
                        || CASE WHEN active THEN '' ELSE ', not connected' END
                END
            ),
            ', ' ORDER BY slot_name
        ),
        'no node subscribes to this one'
    ) AS progress
FROM pg_catalog.pg_replication_slots
WHERE slot_type = 'logical' AND database = current_database() AND NOT temporary
