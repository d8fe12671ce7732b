# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a restored copy are counted without running what their tables' owners have written as the superuser."""

from __future__ import annotations

import contextlib

import pytest
from servers import Pair
from subscriptions import Mesh

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.proof import _check, _count

OWNERS_CODE = """
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE FUNCTION tell(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'app' THEN RAISE EXCEPTION 'run by %', current_user; END IF;
    RETURN $1;
END $$;
CREATE TABLE guarded (id int PRIMARY KEY, v text);
INSERT INTO guarded VALUES (1, 'a'), (2, E'b\\nc');
CREATE POLICY mine ON guarded USING (tell('p') = 'p');
CREATE INDEX ON guarded ((tell('i')), id);
RESET ROLE;
CREATE TABLE mine AS SELECT 1 AS one
"""


@pytest.mark.parametrize("security", ["", "ENABLE", "FORCE"])
def test_rows_are_counted_as_their_tables_owner(pair: Pair, security: str) -> None:
    Mesh(pair)
    with contextlib.closing(pair.a.session(pair.db)) as session, session.cursor() as cursor:
        cursor.execute(OWNERS_CODE)
    if security:
        pair.a.query("ALTER TABLE guarded ENABLE ROW LEVEL SECURITY", db=pair.db)
        pair.a.query(f"ALTER TABLE guarded {security} ROW LEVEL SECURITY", db=pair.db)
    with contextlib.closing(pair.a.session(pair.db, options=options("change"))) as session:
        assert _count(session) == {"public.guarded": 2, "public.mine": 1, "public.t": 0, "public.u": 0}


IN_THE_WAY_OF_AMCHECK = """
CREATE EXTENSION amcheck WITH SCHEMA public;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE FUNCTION public.verify_heapam(oid) RETURNS TABLE (blkno bigint, msg text) LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'run by %', current_user; END $$;
CREATE FUNCTION public.verify_heapam(regclass, boolean DEFAULT true) RETURNS TABLE (blkno bigint, msg text) LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'run by %', current_user; END $$;
CREATE FUNCTION public.bt_index_check(oid, boolean) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'run by %', current_user; END $$;
RESET ROLE;
CREATE TABLE checked (id int PRIMARY KEY)
"""


def test_only_amcheck_s_own_functions_check(pair: Pair) -> None:
    """Where it was made in a schema of which somebody else has functions that would fit as well."""
    with contextlib.closing(pair.a.session(pair.db)) as session, session.cursor() as cursor:
        cursor.execute(IN_THE_WAY_OF_AMCHECK)
    with contextlib.closing(pair.a.session(pair.db, options=options("load"))) as session:
        checked, problems, unchecked = _check(session)
    assert (problems, unchecked) == ([], [])
    assert checked > 100
