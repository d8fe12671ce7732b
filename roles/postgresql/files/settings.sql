-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What the role must know of the settings of a server that it manages, as one line of JSON. Reads only.
with entry as (
  -- The last entry of a setting is the one that counts.
  select distinct on (lower(name collate "C")) lower(name collate "C") as name, setting, sourcefile, sourceline, error
  from pg_file_settings where name is not null order by lower(name collate "C"), seqno desc
)
select json_build_object(
  'settings', (
    select json_object_agg(wanted.name, case when s.name is not null then
             json_build_object('type', s.vartype, 'context', s.context, 'choices', s.enumvals,
                               'current', coalesce(entry.setting, s.setting)) end)
    from json_array_elements_text(:'wanted'::json -> 'settings') wanted(name)
    left join pg_settings s on lower(s.name collate "C") = wanted.name
    left join entry on entry.name = wanted.name),
  -- What the settings file has and will no longer have, where that needs a restart.
  'dropped', array(
    select s.name from entry join pg_settings s on lower(s.name collate "C") = entry.name
    where s.context = 'postmaster' and entry.sourcefile = :'wanted'::json ->> 'settings_file'
      and entry.name not in (select json_array_elements_text(:'wanted'::json -> 'settings'))),
  -- What the running server has not taken over, because it can only do so at its start.
  'pending_restart', array(
    select name from pg_settings where pending_restart
    union
    select s.name from entry join pg_settings s on lower(s.name collate "C") = entry.name where entry.error is not null and s.context = 'postmaster'
    union
    -- One that went from the files has an error without a file.
    select coalesce(substring(error from '"([^"]+)"'), error) from pg_file_settings where error is not null and sourcefile is null),
  'file_errors', array(
    select format('%s line %s: %s', f.sourcefile, f.sourceline, f.error)
    from pg_file_settings f left join pg_settings s on lower(s.name collate "C") = lower(f.name collate "C")
    where f.error is not null and f.sourcefile is not null and s.context is distinct from 'postmaster'),
  'hba_errors', array(
    select format('line %s: %s', line_number, error) from pg_hba_file_rules where error is not null),
  'included', exists (select from pg_file_settings where sourcefile = :'wanted'::json ->> 'settings_file'),
  'overridden', (
    -- Its name as the server spells it, for who takes it back: TimeZone.
    select coalesce(jsonb_agg(jsonb_build_object('name', coalesce(s.name, entry.name), 'file', entry.sourcefile, 'line', entry.sourceline)), '[]')
    from entry
    join json_array_elements_text(:'wanted'::json -> 'settings') wanted(name) using (name)
    left join pg_settings s on lower(s.name collate "C") = entry.name
    where entry.sourcefile <> :'wanted'::json ->> 'settings_file')
);
