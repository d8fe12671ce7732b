-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- 300 small tables, each with a sequence: what costs a moment for one costs minutes for many.

CREATE SCHEMA many;
DO $$
BEGIN
    FOR number IN 1..300 LOOP
        EXECUTE pg_catalog.format('CREATE TABLE many."t %s" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)', number);
    END LOOP;
END $$;
