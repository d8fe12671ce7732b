-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Goes to one database, where it is there: the one that psql's variable "index" says, by its place in the list of "wanted". What
-- comes next, up to \endif, is asked there. One of another encoding is refused for that, and cannot read all of what is wanted.
select exists (select from pg_database where datallowconn and pg_encoding_to_char(encoding) = 'UTF8'
                      and datname = :'wanted'::json -> 'databases' ->> :index) as here \gset
\if :here
select format('dbname=''%s''', replace(replace(:'wanted'::json -> 'databases' ->> :index, '\', '\\'), '''', '\''')) as conninfo \gset
\connect -reuse-previous=on :"conninfo"
