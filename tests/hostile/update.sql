-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Of the rows of insert.sql; their keys stay.

UPDATE public."a ""x""" SET "UPPER.dotted" = 'changed' WHERE "Spalte 'ä' %s {x} {{ y }} $1 \n ; -- =#@/" = 'odd {n}';
UPDATE "Schéma 1"."Table.with 'all' %s {{ x }} $1\ ;--/*" SET payload = '[2]' WHERE "key ""1""" = {n};
UPDATE public."line
break	tab" SET v = 'changed {n}' WHERE id = {n};
UPDATE public."äääääääääääääääääääääääääääääää1" SET v = 'changed {n}' WHERE v = 'long {n}';
UPDATE public."äääääääääääääääääääääääääääääää2" SET v = 'changed {n}' WHERE v = 'long {n}';
UPDATE "Schéma 1"."order" SET "table" = 'u' WHERE "user" = {n};
UPDATE public.types SET mood = 'größer', share = 0, words = ARRAY['x'] WHERE id = {n};
UPDATE public.citext_key SET v = 'changed' WHERE name = 'STRASSE {n}' OR name = 'STRAßE {n}';
UPDATE public.no_case_key SET v = 'changed' WHERE name = 'STRASSE {n}' OR name = 'STRAßE {n}';
UPDATE public.second_key SET v = 'changed' WHERE id = {n};
UPDATE public.partial_key SET gone = true WHERE id = {n};
UPDATE public.deferrable_second_key SET place = -{n} WHERE id = {n};
UPDATE public.deferrable_key SET v = 'changed {n}' WHERE id = {n};
UPDATE public.excluded SET during = '[2026-03-01 00:00+00, 2026-03-02 00:00+00)' WHERE id = {n};
UPDATE public.index_key SET v = 'changed' WHERE code = 'c{n}';
UPDATE public.no_key SET v = 'changed' WHERE n = {n};
UPDATE public.numbers SET v = 'changed {n}' WHERE v = 'v {n}';
UPDATE public.shares_1 SET v = 'changed {n}' WHERE v = 'v {n}';
UPDATE public.measured SET value = 2.5 WHERE place = 'nörd' AND day = '2026-05-01' AND id = {n};
UPDATE public.measured SET value = 2.5 WHERE place = 'nörd' AND day = '2020-05-01' AND id = {n};
UPDATE public.measured SET value = 2.5 WHERE place = 'süd' AND day = '2026-05-01' AND id = {n};
UPDATE public.parent SET v = 'changed {n}' WHERE id = {n};
UPDATE public.child SET extra = 'changed' WHERE id = 1000000 + {n};
UPDATE public.tree SET above = -{n} WHERE id = {n};
UPDATE public.secured SET v = 'changed {n}' WHERE id = {n};
UPDATE public.forced SET v = 'changed {n}' WHERE id = {n};
UPDATE public.triggered SET v = 'changed {n}' WHERE id = {n};
UPDATE public.ruled SET v = 'changed {n}' WHERE id = {n};
UPDATE public.elsewhere SET v = 'changed {n}' WHERE id = {n};
