-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Compares the privileges held in this database with the entries of postgresql_privileges: which entries have to be
-- granted or revoked, which of them name objects that are not there, and what their roles hold beyond the entries.
with entry as (
  select e.value ->> 'index' as index, coalesce(e.value ->> 'state', 'present') = 'present' as present,
         coalesce((e.value ->> 'grant_option')::boolean, false) as grant_option, x.*
  from json_array_elements(:'wanted'::json -> 'privileges') e(value)
  cross join lateral json_to_record(e.value) as x(database text, type text, schema text, objs json, privs json, roles json,
                                                  target_roles json)
  where x.database = current_database()
), object as (
  select 'database' as type, null::name as schema, datname as name, datdba as owner, acldefault('d', datdba) as full_acl, datacl as acl
  from pg_database where datname = current_database()
  union all
  select 'schema', null, nspname, nspowner, acldefault('n', nspowner), nspacl from pg_namespace
  union all
  select case relkind when 'S' then 'sequence' else 'table' end, nspname, relname, relowner,
         acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner), relacl
  from pg_class join pg_namespace n on n.oid = relnamespace
  where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and nspname in (select schema from entry)
), entry_object as (
  -- Objects by entry: named ones are there even when the database does not have them.
  select entry.*, object.name as object, object.owner, object.full_acl, coalesce(object.acl, object.full_acl) as acl,
         object.name is not null as there
  from entry
  cross join lateral (
    select o.value as name from json_array_elements_text(entry.objs) o where entry.objs #>> '{0}' <> 'ALL_IN_SCHEMA'
    union all
    select name from object where type = entry.type and schema = entry.schema and entry.objs #>> '{0}' = 'ALL_IN_SCHEMA'
    union all
    select current_database() where entry.type = 'database' and entry.objs is null
  ) wanted(name)
  left join object on object.type = entry.type and object.name = wanted.name
    and (object.schema is null or object.schema = entry.schema)
  where entry.type <> 'default_privs'
  union all
  select entry.*, d.name, owner.oid, acldefault(d.kind, owner.oid),
         coalesce(defaclacl, case when entry.schema is null then acldefault(d.kind, owner.oid) end), true
  from entry
  cross join lateral json_array_elements_text(entry.objs) o
  join (values ('TABLES', 'r'::"char"), ('SEQUENCES', 's'), ('FUNCTIONS', 'f'), ('TYPES', 'T'), ('SCHEMAS', 'n')) d(name, kind)
    on d.name = o.value
  cross join lateral json_array_elements_text(coalesce(entry.target_roles, json_build_array(current_user))) target
  left join pg_roles owner on owner.rolname = target.value
  left join pg_default_acl on defaclrole = owner.oid
    and defaclobjtype = case d.kind when 's' then 'S' else d.kind end
    and defaclnamespace = coalesce((select oid from pg_namespace where nspname = entry.schema), 0)
  where entry.type = 'default_privs'
), wanted as (
  select eo.*, grantee.oid as grantee, privilege.name as privilege
  from entry_object eo
  cross join lateral json_array_elements_text(eo.roles) role
  left join lateral (
    select oid from pg_roles where rolname = role.value union all select 0::oid where upper(role.value) = 'PUBLIC'
  ) grantee on true
  cross join lateral json_array_elements_text(eo.privs) p
  cross join lateral (
    select privilege_type as name from aclexplode(eo.full_acl) where grantee = eo.owner and upper(p.value) in ('ALL', 'ALL PRIVILEGES')
    union
    select case upper(p.value) when 'TEMP' then 'TEMPORARY' else upper(p.value) end
    where upper(p.value) not in ('ALL', 'ALL PRIVILEGES')
  ) privilege
), held as (
  select distinct type, schema, object, owner, held.grantee, held.privilege_type as privilege, held.is_grantable
  from entry_object cross join lateral aclexplode(acl) held where there
), surplus as (
  select type, schema, object, coalesce(rolname, 'PUBLIC') as role, privilege
  from held left join pg_roles on pg_roles.oid = held.grantee
  where held.grantee <> held.owner
    and exists (select from wanted w where w.present and w.grantee = held.grantee and w.type = held.type
                and w.schema is not distinct from held.schema and w.object = held.object)
    and not exists (select from wanted w where w.present and w.grantee = held.grantee and w.type = held.type
                    and w.schema is not distinct from held.schema and w.object = held.object and w.privilege = held.privilege)
)
select json_build_object(
  'different', array(
    select distinct index::int from wanted w
    where w.present <> exists (
      select from held h where h.grantee = w.grantee and h.type = w.type and h.schema is not distinct from w.schema
      and h.object = w.object and h.privilege = w.privilege and (not w.present or not w.grant_option or h.is_grantable))
      and (w.grantee <> w.owner or w.grantee is null or w.owner is null)
    order by 1),
  'unknown', array(
    select distinct index::int from entry_object where not there
    union select distinct index::int from wanted where grantee is null order by 1),
  'surplus', (
    select coalesce(json_agg(s), '[]') from (
      select type, schema, json_agg(object) as objs, role, privileges as privs
      from (select type, schema, object, role, json_agg(privilege order by privilege)::text::jsonb as privileges
            from surplus where type <> 'default_privs' group by 1, 2, 3, 4) by_object
      group by type, schema, role, privileges) s)
)
