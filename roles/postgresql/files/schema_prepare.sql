-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Where a database keeps which schema files were applied, and what psql's variable "role", which applies one, needs for that.
--
-- It is kept in a view: the rows of a table would be replicated to the other nodes, and would be missing in a copy of the schema
-- alone. The role is the database's own affair: what it might record of itself gives it nothing.
--
-- The database's owner can have made the schema since it was looked for, and so could put a view of his in the place of this one, for
-- the function below to read as a superuser.
begin;
create schema if not exists multimaster;
do $prepare$
declare
  owner text;
begin
  select r.rolname into owner from pg_catalog.pg_roles r
  where not r.rolsuper and r.rolname operator(pg_catalog.<>) current_user and r.oid operator(pg_catalog.=) any (array(
    select n.nspowner from pg_catalog.pg_namespace n where n.nspname operator(pg_catalog.=) 'multimaster'
    union all
    select c.relowner from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
    where n.nspname operator(pg_catalog.=) 'multimaster' and c.relname operator(pg_catalog.=) 'schema_files'
    union all
    select f.proowner from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) f.pronamespace
    where n.nspname operator(pg_catalog.=) 'multimaster' and f.proname operator(pg_catalog.=) 'record_schema_file'));
  if owner is not null then
    raise 'the schema multimaster, or what keeps the record in it, belongs to %, and nothing is taken that is not a superuser''s', owner
      using hint = 'Look at it, and rename or drop it.';
  end if;
  if pg_catalog.to_regclass('multimaster.schema_files') is null then
    create view multimaster.schema_files (name, sha256, applied) as
      select null::pg_catalog.text, null::pg_catalog.text, null::pg_catalog.timestamptz where false;
  end if;
end $prepare$;
create or replace function multimaster.record_schema_file(name pg_catalog.text, sha256 pg_catalog.text) returns pg_catalog.void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
declare
  others text;
begin
  lock table multimaster.schema_files in exclusive mode;
  select string_agg(format('(%L::text, %L::text, %L::timestamptz)', f.name, f.sha256, f.applied), ', ')
    into others from multimaster.schema_files f where f.name <> $1;
  execute 'create or replace view multimaster.schema_files (name, sha256, applied) as values '
    || concat_ws(', ', others, format('(%L::text, %L::text, %L::timestamptz)', $1, $2, now()));
end $function$;
revoke all on function multimaster.record_schema_file(pg_catalog.text, pg_catalog.text) from public;
\if :{?role}
grant usage on schema multimaster to :"role";
grant execute on function multimaster.record_schema_file(pg_catalog.text, pg_catalog.text) to :"role";
select pg_catalog.has_database_privilege(:'role', pg_catalog.current_database(), 'temporary') as "temporary" \gset
\if :temporary
\else
grant temporary on database :"DBNAME" to :"role";
\endif
\endif
commit;
