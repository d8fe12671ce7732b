-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- The rows of insert.sql as update.sql left them.

DELETE FROM public."a ""x""" WHERE "Spalte 'ä' %s {x} {{ y }} $1 \n ; -- =#@/" = 'odd {n}';
DELETE FROM "Schéma 1"."Table.with 'all' %s {{ x }} $1\ ;--/*" WHERE "key ""1""" = {n};
DELETE FROM public."line
break	tab" WHERE id = {n};
DELETE FROM public."äääääääääääääääääääääääääääääää1" WHERE v = 'changed {n}';
DELETE FROM public."äääääääääääääääääääääääääääääää2" WHERE v = 'changed {n}';
DELETE FROM "Schéma 1"."order" WHERE "user" = {n};
DELETE FROM public.types WHERE id = {n};
DELETE FROM public.citext_key WHERE name = 'straße {n}';
DELETE FROM public.no_case_key WHERE name = 'straße {n}';
DELETE FROM public.second_key WHERE id = {n};
DELETE FROM public.partial_key WHERE id = {n};
DELETE FROM public.deferrable_second_key WHERE id = {n};
DELETE FROM public.deferrable_key WHERE id = {n};
DELETE FROM public.excluded WHERE id = {n};
DELETE FROM public.index_key WHERE code = 'c{n}';
DELETE FROM public.no_key WHERE n = {n};
DELETE FROM public.numbers WHERE v = 'changed {n}';
DELETE FROM public.shares_1 WHERE v = 'changed {n}';
DELETE FROM public.measured WHERE place = 'nörd' AND day = '2026-05-01' AND id = {n};
DELETE FROM public.measured WHERE place = 'nörd' AND day = '2020-05-01' AND id = {n};
DELETE FROM public.measured WHERE place = 'süd' AND day = '2026-05-01' AND id = {n};
DELETE FROM public.parent WHERE id = {n};
DELETE FROM public.child WHERE id = 1000000 + {n};
DELETE FROM public.tree WHERE id IN ({n}, -{n});
DELETE FROM public.secured WHERE id = {n};
DELETE FROM public.forced WHERE id = {n};
DELETE FROM public.triggered WHERE id = {n};
DELETE FROM public.ruled WHERE id = {n};
DELETE FROM public.elsewhere WHERE id = {n};
