# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever owns a database gains nothing: what he has put in the way of others runs as nobody but him."""

from __future__ import annotations

import typing as t

import pytest
from mesh import ROOT, Node, run_playbook

HOSTILE = ROOT / "tests/hostile"
TRAPPED = "TRAPPED"
LOG = "/var/log/postgresql/postgresql-*-main.log"
# As the application states them for itself; a database's settings may be in its way otherwise.
BEGIN = (
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed -c standard_conforming_strings=on"
    " -c client_min_messages=warning -c search_path="
)
# Called by each trap: tries to make its owner a superuser.
CLIMB = """
CREATE FUNCTION public.climb() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'RESET ROLE';
    EXECUTE pg_catalog.format('ALTER ROLE %I SUPERUSER', (SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database
                              WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()));
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$;
"""
FREE = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['pg_roles', 'pg_stat_subscription', 'pg_publication_tables'] LOOP
        EXECUTE pg_catalog.format('DROP VIEW IF EXISTS public.%I', name);
    END LOOP;
    FOR name IN SELECT oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc
                WHERE pronamespace = 'public'::pg_catalog.regnamespace AND proowner = current_user::pg_catalog.regrole LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION IF EXISTS %s CASCADE', name);
    END LOOP;
END $$
"""


def as_owner(node: Node, db: str, *commands: str) -> None:
    session = node.session(db, options=BEGIN)
    try:
        with session.cursor() as cursor:
            for command in commands:
                cursor.execute(command)
    finally:
        session.close()


@pytest.fixture
def trapped(nodes: list[Node]) -> t.Iterator[list[Node]]:
    """Both databases of all nodes, with all that an owner can lay and set."""
    traps = (HOSTILE / "traps.sql").read_text().replace("RAISE LOG 'TRAPPED", "PERFORM public.climb(); RAISE LOG 'TRAPPED")
    settings = (HOSTILE / "settings.sql").read_text()
    try:
        for node in nodes:
            for db in ("imdb", "shop"):
                as_owner(node, db, CLIMB, traps, settings, f"ALTER DATABASE {db} SET role = '{db}'")
            node.close()
        yield nodes
    finally:
        for node in nodes:
            for db in ("imdb", "shop"):
                as_owner(node, db, FREE, f"ALTER DATABASE {db} RESET ALL", f"ALTER ROLE {db} IN DATABASE {db} RESET ALL")
            node.close()


def caught(node: Node) -> int:
    return len(node.host().run(f"grep -h {TRAPPED} {LOG}").stdout.splitlines())


def superusers(node: Node) -> str:
    return node.admin("SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolsuper", "postgres")


def test_playbooks_run_nothing_of_an_owner_s(trapped: list[Node]) -> None:
    before = [caught(node) for node in trapped]
    for playbook, *options in (("site", "--check", "--diff"), ("site",), ("load_imdb", "-e", "imdb_force=true")):
        run_playbook(playbook, *options)
    # What it finds is not what this is about.
    run_playbook("status", expect_success=False)
    assert [caught(node) for node in trapped] == before
    assert {superusers(node) for node in trapped} == {"1"}
    # It would be seen: a session that begins as the database has it.
    node = trapped[0]
    begin = "PGOPTIONS='-c statement_timeout=0 -c idle_session_timeout=0 -c default_transaction_read_only=off -c role=none'"
    seen = node.host("postgres").run(f"{begin} psql -X imdb -c \"SELECT format('%s'::text, 'x'::text)\"")
    try:
        assert caught(node) > before[0], seen.stderr
    finally:
        node.admin("ALTER ROLE imdb NOSUPERUSER", "postgres")
