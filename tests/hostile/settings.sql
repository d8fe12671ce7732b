-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What the owner of a database may set for every session in it, and for his own. None of it may reach a session of the collection.

DO $$
DECLARE
    setting record;
BEGIN
    FOR setting IN
        SELECT * FROM (VALUES
            ('statement_timeout', '1ms'),
            ('lock_timeout', '1ms'),
            ('idle_in_transaction_session_timeout', '1ms'),
            ('idle_session_timeout', '50ms'),
            ('default_transaction_read_only', 'on'),
            ('default_transaction_isolation', 'serializable'),
            ('default_transaction_deferrable', 'on'),
            ('search_path', 'public, pg_catalog'),
            ('standard_conforming_strings', 'off'),
            ('backslash_quote', 'on'),
            ('escape_string_warning', 'off'),
            ('DateStyle', 'German, DMY'),
            ('IntervalStyle', 'sql_standard'),
            ('TimeZone', 'America/St_Johns'),
            ('extra_float_digits', '-10'),
            ('bytea_output', 'escape'),
            ('xmloption', 'document'),
            ('lc_numeric', 'C'),
            ('client_encoding', 'LATIN1'),
            ('quote_all_identifiers', 'on'),
            ('row_security', 'off'),
            ('client_min_messages', 'error'),
            ('array_nulls', 'off'),
            ('transform_null_equals', 'on'),
            ('enable_seqscan', 'off'),
            ('work_mem', '64kB'),
            ('default_table_access_method', 'heap'),
            ('check_function_bodies', 'on')
        ) AS settings (name, value)
    LOOP
        -- search_path is a list, which takes its value as it is written.
        EXECUTE pg_catalog.format('ALTER DATABASE %I SET %I TO %s', pg_catalog.current_database(), setting.name,
            CASE setting.name WHEN 'search_path' THEN setting.value ELSE pg_catalog.quote_literal(setting.value) END);
        -- What a role says in one database counts more than what the database says.
        EXECUTE pg_catalog.format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I TO %s', pg_catalog.current_database(), setting.name,
            CASE setting.name WHEN 'search_path' THEN setting.value ELSE pg_catalog.quote_literal(setting.value) END);
    END LOOP;
    -- Whoever may become the owner begins as him, a superuser too.
    EXECUTE pg_catalog.format('ALTER DATABASE %I SET role TO %L', pg_catalog.current_database(), current_user);
END $$;
