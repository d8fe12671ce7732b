-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What the role must know of the database that connect.sql went to, as one line of JSON. Reads only.
--
-- A view runs its owner's functions as whoever reads it: nothing is taken from a schema, or a view in it, that is not a superuser's.
select coalesce(json_object_agg(what, role.rolname) filter (where not role.rolsuper and role.rolname <> current_user), '{}') as foreign_owners,
       coalesce(bool_or(is_view) and bool_and(role.rolsuper or role.rolname = current_user), false) as tracked
from (
  select 'schema multimaster' as what, nspowner as owner, false as is_view from pg_namespace where nspname = 'multimaster'
  union all
  select 'view multimaster.schema_files', c.relowner, true from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'multimaster' and c.relname = 'schema_files') found
join pg_roles role on role.oid = found.owner \gset
select json_build_object(
  'database', current_database(),
  'extensions', array(select extname from pg_extension),
  'foreign_owners', :'foreign_owners'::json,
\if :tracked
  'schema_files', (
    select json_object_agg(name, json_build_object('sha256', sha256, 'applied', to_char(applied, 'YYYY-MM-DD HH24:MI')))
    from multimaster.schema_files),
\endif
  'privileges', (
    -- Compares the privileges held in this database with the entries of postgresql_privileges: which entries have to be
    -- granted or revoked, which of them name objects that are not there, and what their roles hold beyond the entries.
    -- Joined by equality throughout (no schema is ''), so that thousands of tables are hashed and not compared in pairs.
    with entry as (
      select (e.value ->> 'index')::int as index, coalesce(e.value ->> 'state', 'present') = 'present' as present,
             coalesce((e.value ->> 'grant_option')::boolean, false) as grant_option,
             coalesce((e.value ->> 'optional')::boolean, false) as optional,
             x.type, coalesce(x.schema, '') as schema, x.objs, x.privs, x.roles, x.target_roles
      from json_array_elements(:'wanted'::json -> 'privileges') e(value)
      cross join lateral json_to_record(e.value) as x(database text, type text, schema text, objs json, privs json, roles json,
                                                      target_roles json)
      where x.database = current_database()
    ), object as materialized (
      select 'database' as type, '' as schema, datname::text as name, datdba as owner, acldefault('d', datdba) as full_acl, datacl as acl
      from pg_database where datname = current_database()
      union all
      select 'schema', '', nspname, nspowner, acldefault('n', nspowner), nspacl from pg_namespace
      union all
      select case relkind when 'S' then 'sequence' else 'table' end, nspname, relname, relowner,
             acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner), relacl
      from pg_class join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and nspname in (select schema from entry)
      union all
      select 'column', nspname, json_build_array(relname, attname)::text, relowner, acldefault('c', relowner), attacl
      from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'p', 'v', 'm', 'f') and attnum > 0 and not attisdropped
        and nspname in (select schema from entry where type = 'column')
    ), named as (
      -- The objects that each entry names, there or not.
      select entry.index, o.value as name from entry cross join lateral json_array_elements_text(entry.objs) o
      where entry.objs #>> '{0}' <> 'ALL_IN_SCHEMA' and entry.type <> 'default_privs'
      union all
      select entry.index, object.name from entry join object on object.type = entry.type and object.schema = entry.schema
      where entry.objs #>> '{0}' = 'ALL_IN_SCHEMA'
      union all
      select entry.index, current_database() from entry where entry.type = 'database' and entry.objs is null
    ), entry_object as materialized (
      select entry.index, entry.present, entry.grant_option, entry.type, entry.schema, entry.privs, entry.roles, named.name as object,
             object.owner, object.full_acl, coalesce(object.acl, object.full_acl) as acl, object.name is not null as there
      from named
      join entry using (index)
      left join object on object.type = entry.type and object.schema = entry.schema and object.name = named.name
      union all
      select entry.index, entry.present, entry.grant_option, entry.type, entry.schema, entry.privs, entry.roles,
             format('%s of %s', d.name, target.value), owner.oid, acldefault(d.kind, owner.oid),
             coalesce(defaclacl, case when entry.schema = '' then acldefault(d.kind, owner.oid) end),
             owner.oid is not null and (entry.schema = '' or exists (select from pg_namespace where nspname = entry.schema))
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
    ), wanted as materialized (
      select eo.index, eo.present, eo.grant_option, eo.type, eo.schema, eo.object, eo.owner, grantee.oid as grantee, privilege.name as privilege
      from entry_object eo
      cross join lateral json_array_elements_text(eo.roles) role
      left join (select rolname::text as name, oid from pg_roles union all select 'PUBLIC', 0) grantee
        on grantee.name = case upper(role.value collate "C") when 'PUBLIC' then 'PUBLIC' else role.value end
      cross join lateral json_array_elements_text(eo.privs) p
      cross join lateral (
        select privilege_type as name from aclexplode(eo.full_acl) where grantee = eo.owner and upper(p.value collate "C") in ('ALL', 'ALL PRIVILEGES')
        union
        select case upper(p.value collate "C") when 'TEMP' then 'TEMPORARY' else upper(p.value collate "C") end
        where upper(p.value collate "C") not in ('ALL', 'ALL PRIVILEGES')
      ) privilege
    ), held as materialized (
      select type, schema, object, owner, held.grantee, held.privilege_type as privilege, bool_or(held.is_grantable) as is_grantable
      from (select distinct on (type, schema, object) * from entry_object where there) eo cross join lateral aclexplode(acl) held
      group by 1, 2, 3, 4, 5, 6
    ), governed as (
      select distinct type, schema, object, grantee from wanted
      where present and type <> 'default_privs' and index in (select index from entry where not optional)
    ), surplus as (
      select type, schema, object, grantee, privilege from held join governed using (type, schema, object, grantee)
      where grantee <> owner
      except
      select type, schema, object, grantee, privilege from wanted where present
    )
    select json_build_object(
      'different', array(
        select distinct wanted.index from wanted left join held using (type, schema, object, grantee, privilege)
        where wanted.present <> (held.object is not null and (not wanted.present or not wanted.grant_option or held.is_grantable))
          and (wanted.grantee <> wanted.owner or wanted.grantee is null or wanted.owner is null)
        order by 1),
      'unknown', array(
        select distinct index from entry_object where not there
        union select distinct index from wanted where grantee is null order by 1),
      'surplus', (
        select coalesce(jsonb_agg(s), '[]') from (
          select type, schema, jsonb_agg(object) as objs, role, privileges as privs
          from (
            select type, schema, object, coalesce(rolname, 'PUBLIC') as role, jsonb_agg(privilege order by privilege) as privileges
            from surplus left join pg_roles on pg_roles.oid = grantee group by 1, 2, 3, 4) by_object
          group by type, schema, role, privileges) s)
    )
  ));
