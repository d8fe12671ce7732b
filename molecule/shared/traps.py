# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the owner of a database puts in the way of whoever else works in it, and whether somebody ran it."""

from __future__ import annotations

import contextlib
import typing as t

from mesh import OWNERS, Node, hostile

# Fires for whoever writes into the table, but for apply.
_ON_TABLE = """
CREATE FUNCTION public.trapped_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.trapped('the trigger on ' || TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER "trapped row" AFTER INSERT OR UPDATE OR DELETE ON public.{} FOR EACH ROW EXECUTE FUNCTION public.trapped_row();
"""


def lay(nodes: list[Node], tables: dict[str, str]) -> None:
    """In each database, as its owner; with a trigger on the database's table. Once."""
    for node in nodes:
        for db, table in tables.items():
            if node.value("SELECT pg_catalog.to_regproc('public.trapped_row') IS NULL", db=db):
                _as_owner(node, db, hostile.read("traps.sql"), _ON_TABLE.format(table))


def caught(node: Node) -> list[str]:
    """What the server's log has of somebody who ran one."""
    logs = node.host().check_output("cat /var/log/postgresql/*.log").splitlines()
    return [line for line in logs if hostile.TRAP in line]


@contextlib.contextmanager
def settings(nodes: list[Node], *databases: str) -> t.Iterator[None]:
    """All that an owner may set for every session in his database, and for his own."""
    for node in nodes:
        for db in databases:
            _as_owner(node, db, hostile.read("settings.sql"))
    try:
        yield
    finally:
        for node in nodes:
            for db in databases:
                name, owner = quoted(db), quoted(OWNERS.get(db, db))
                _as_owner(node, db, f"ALTER DATABASE {name} RESET ALL", f"ALTER ROLE {owner} IN DATABASE {name} RESET ALL")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_owner(node: Node, db: str, *commands: str) -> None:
    session = node.session(db, options=f"{hostile.APPLICATION} -c search_path=pg_catalog -c client_min_messages=warning")
    try:
        with session.cursor() as cursor:
            for command in commands:
                cursor.execute(command)
    finally:
        session.close()
