-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- A row for every published table, {n} a number: other numbers are other rows.

INSERT INTO public."a ""x""" ("Spalte 'ä' %s {x} {{ y }} $1 \n ; -- =#@/") VALUES ('odd {n}');
INSERT INTO "Schéma 1"."Table.with 'all' %s {{ x }} $1\ ;--/*" VALUES ({n}, 'b', '{"a": 1}');
INSERT INTO public."line
break	tab" (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public."äääääääääääääääääääääääääääääää1" (v) VALUES ('long {n}');
INSERT INTO public."äääääääääääääääääääääääääääääää2" (v) VALUES ('long {n}');
INSERT INTO "Schéma 1"."order" VALUES ({n}, 't');
INSERT INTO public.types (id, mood, share, pair, moods, span, spans, real_number, double_number, exact, price, day, moment, plain_moment, lasting, bytes, document, documents, search, bits, address, place, identifier, words, no_words, position) VALUES ({n}, 'it''s "fine"', 99.99, ROW(1, E'a "b", (c)\\'), ARRAY['größer', 'so so']::public.mood[], '[1,9)', '{[2026-01-01 00:00:00.000001+00, 2026-06-01 12:00+03:30)}', 1.1::real / 3, 1.1::float8 / 3, 1e-30, 12.34::numeric, '2026-02-03', '2026-02-03 04:05:06.789012-03:30', '2026-02-03 04:05:06.789012', '1 year -2 months 3 days -04:05:06.789', '\x005c27ff'::bytea, '{"b": 1,  "a": 1}', ARRAY['{"a": "\\ \""}', NULL]::jsonb[], '''it'':1 b:2', B'101', '2001:db8::1/64', '(1.1,2.2)', '00000000-0000-4000-8000-000000000000', ARRAY['NULL', NULL, '', 'ß{},"\'], '{}', '16/B374D848');
INSERT INTO public.citext_key VALUES ('Straße {n}', 'v');
INSERT INTO public.no_case_key VALUES ('Straße {n}', 'v');
INSERT INTO public.second_key VALUES ({n}, 'code {n}', {n}, 'v');
INSERT INTO public.partial_key VALUES ({n}, 'Code {n}');
INSERT INTO public.deferrable_second_key VALUES ({n}, {n});
INSERT INTO public.deferrable_key (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.excluded VALUES ({n}, {n}, '[2026-01-01 00:00+00, 2026-01-02 00:00+00)');
INSERT INTO public.index_key VALUES ({n}, 'c{n}', 'v');
INSERT INTO public.no_key VALUES ('v', {n}), ('v', {n});
INSERT INTO public.no_columns DEFAULT VALUES;
INSERT INTO public.numbers (v) VALUES ('v {n}');
INSERT INTO public.shares_1 (v) VALUES ('v {n}');
INSERT INTO public.shares_2 DEFAULT VALUES;
INSERT INTO public.measured VALUES ('nörd', '2026-05-01', {n}, 1.5);
INSERT INTO public.measured VALUES ('nörd', '2020-05-01', {n}, 1.5);
INSERT INTO public.measured VALUES ('süd', '2026-05-01', {n}, 1.5);
INSERT INTO public.parent (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.child VALUES (1000000 + {n}, 'v', 'extra');
INSERT INTO public.tree VALUES (-{n}, {n}), ({n}, NULL);
INSERT INTO public.secured (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.forced (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.triggered (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.ruled (id, v) VALUES ({n}, 'v {n}');
INSERT INTO public.elsewhere (id, v) VALUES ({n}, 'v {n}');
