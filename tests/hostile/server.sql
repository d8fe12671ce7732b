-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What a superuser has done to one of the databases: run in it with psql, after schema.sql. :'folder' is an empty folder of the server's.
-- Says "moved" when it changed something.

SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = 'Speicher ''1''') AS due \gset
\if :due
SELECT pg_catalog.format('CREATE TABLESPACE "Speicher ''1''" LOCATION %L', :'folder') \gexec
ALTER TABLE public.elsewhere SET TABLESPACE "Speicher '1'";
ALTER INDEX public.elsewhere_pkey SET TABLESPACE "Speicher '1'";
\echo moved
\endif
