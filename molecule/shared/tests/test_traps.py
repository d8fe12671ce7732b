# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever owns a database gains nothing: what he has put in the way of others (tests/hostile) ran as nobody but him.

Comes after all that a scenario does."""

from __future__ import annotations

import pytest
from mesh import OWNERS, PORT, SHOP, Node, conninfo, hostile

# Which session a line is of, as log_line_prefix says it.
CONTROL = "control-of-the-test"


def caught(node: Node) -> tuple[list[str], list[str]]:
    """What fell into the traps in all that the scenario did, and on purpose below."""
    logs = node.host().check_output("cat /var/log/postgresql/*.log").splitlines()
    lines = [line for line in logs if hostile.TRAP in line]
    return [line for line in lines if CONTROL not in line], [line for line in lines if CONTROL in line]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def superusers(node: Node) -> str:
    return node.admin("SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper ORDER BY 1", "postgres")


def test_nobody_ran_what_the_owners_put_in_the_way(nodes: list[Node]) -> None:
    for node in nodes:
        assert caught(node)[0] == []
        assert superusers(node) == "postgres"


@pytest.mark.parametrize("database", ["imdb", SHOP])
def test_it_would_be_seen(nodes: list[Node], database: str) -> None:
    """In a session that begins as the database has it, but for what would keep it from ever asking."""
    node = nodes[0]
    before = len(caught(node)[1])
    done = node.host("postgres").run(
        "PGOPTIONS=%s PGAPPNAME=%s psql -X -p %s -d %s -c %s",
        hostile.APPLICATION, CONTROL, str(PORT), conninfo(dbname=database), "SELECT format('%s'::text, 'x'::text)",
    )  # fmt: skip
    try:
        assert len(caught(node)[1]) > before, done.stderr
        assert superusers(node) != "postgres"
    finally:
        node.admin(f"ALTER ROLE {quoted(OWNERS.get(database, database))} NOSUPERUSER", "postgres")
