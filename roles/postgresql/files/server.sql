-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What the role must know of the server, as lines of JSON. Reads only. Each answer is one line, which json_agg of rows would not be
-- and jsonb_agg is. psql takes what is wanted in its variable "wanted", so that no name is ever part of a statement.
select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select') as superuser \gset
select json_build_object(
  'version', current_setting('server_version_num')::int / 10000,
  'wal_level', current_setting('wal_level'),
  'data_checksums', current_setting('data_checksums'),
  'loaded', extract(epoch from pg_conf_load_time()),
  'databases', (
    select json_object_agg(datname, json_build_object(
             'owner', pg_get_userbyid(datdba), 'connection_limit', datconnlimit,
             'encoding', pg_encoding_to_char(encoding), 'collate', datcollate,
             'comment', shobj_description(oid, 'pg_database')))
    from pg_database where not datistemplate),
  'roles', (
    select json_object_agg(rolname, json_build_object(
             'flags', json_build_object(
               'SUPERUSER', rolsuper, 'CREATEROLE', rolcreaterole, 'CREATEDB', rolcreatedb, 'INHERIT', rolinherit,
               'LOGIN', rolcanlogin, 'REPLICATION', rolreplication, 'BYPASSRLS', rolbypassrls),
             'connection_limit', rolconnlimit,
             'settings', (select json_object_agg(split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)) from unnest(rolconfig) entry),
             'expires_as_wanted', wanted.value ->> 'expires' is null
                                  or rolvaliduntil is not distinct from (wanted.value ->> 'expires')::timestamptz,
             'comment', shobj_description(oid, 'pg_authid'),
             'member_of', array(select pg_get_userbyid(roleid) from pg_auth_members where member = pg_roles.oid)))
    from pg_roles
    join json_array_elements(:'wanted'::json -> 'roles') wanted on wanted.value ->> 'name' = rolname)
);
\if :superuser
select json_build_object(
  -- A verifier never leaves the server: the salt is enough to make it from the password, a digest is enough to compare.
  'passwords', (
    select json_object_agg(rolname, json_build_object(
             'salt', substring(rolpassword from '^SCRAM-SHA-256\$\d+:([^$]+)\$'),
             'iterations', substring(rolpassword from '^SCRAM-SHA-256\$(\d+):')::int,
             'digest', encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex')))
    from pg_authid
    where rolpassword is not null
      and rolname in (select value ->> 'name' from json_array_elements(:'wanted'::json -> 'roles')))
);
\endif
