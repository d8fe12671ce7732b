# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Queries of tables that belong to others, run so that what their owners have written gains nothing.

To plan a query is enough to run code of a table's owner: the planner evaluates what is constant in the expressions of
indexes, statistics and checks, as whoever asks. SET ROLE is no protection, since such code can take it back. Only a function that
runs with the rights of its owner cannot become anybody else again.

Whose name a query has is not enough: the owner of a table can be another one by the time the query is planned, and whoever owns a
schema can drop what is in it and put something of his own in its place, waiting for the query with a lock in his hand.
"""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql

_CREATE = (
    "CREATE FUNCTION pg_temp.multimaster_read() RETURNS SETOF pg_catalog.json LANGUAGE sql SECURITY DEFINER "
    "SET search_path = pg_catalog, pg_temp AS {body}; ALTER FUNCTION pg_temp.multimaster_read() OWNER TO {owner}"
)


_CREATE_VALUE = (
    "CREATE FUNCTION pg_temp.multimaster_value() RETURNS pg_catalog.json LANGUAGE plpgsql SECURITY DEFINER "
    "SET search_path = pg_catalog, pg_temp AS {body}; ALTER FUNCTION pg_temp.multimaster_value() OWNER TO {owner}"
)


def value_as(connection: Connection, owner: str, body: str) -> t.Any:
    """What a PL/pgSQL body returns as JSON, run as the role ``owner``; whatever it does is rolled back.

    For a superuser's connection.
    """
    inside = connection.in_transaction
    connection.execute("SAVEPOINT multimaster_read" if inside else "BEGIN READ WRITE")
    try:
        connection.execute(compose(_CREATE_VALUE, body=sql.Literal(body), owner=owner))
        return connection.fetch_value("SELECT pg_temp.multimaster_value() AS value")
    finally:
        connection.execute("ROLLBACK TO multimaster_read; RELEASE multimaster_read" if inside else "ROLLBACK")


# As whom a superuser reads what is a superuser's own, where others have a hand in it: a role that has no rights, and is nobody.
NOBODY = "pg_database_owner"


class Lent(t.NamedTuple):
    """A relation, or one column of it, that NOBODY may read for the time of one query."""

    schema: str
    name: str
    column: str | None = None

    @property
    def grant(self) -> sql.Composed:
        what = compose("SELECT ({})", self.column) if self.column else sql.SQL("SELECT")
        return compose(
            "GRANT USAGE ON SCHEMA {schema} TO {nobody}; GRANT {what} ON TABLE {relation} TO {nobody}",
            schema=self.schema,
            what=what,
            relation=(self.schema, self.name),
            nobody=NOBODY,
        )


def fetch_as(connection: Connection, owner: str, query: str, lent: t.Sequence[Lent] = ()) -> list[dict[str, t.Any]]:
    """Rows of a query, as the role ``owner`` sees them; values are as JSON has them.

    For a superuser's connection, in a transaction or not. The function is called once, and nobody else ever sees it: whatever its
    owner's code does is rolled back. It is an error where row security would hide rows from the owner, too.
    """
    body = sql.Literal(f"SELECT pg_catalog.row_to_json(r) FROM ({query}) r")
    inside = connection.in_transaction
    connection.execute("SAVEPOINT multimaster_read" if inside else "BEGIN READ WRITE")
    try:
        for each in lent:
            connection.execute(each.grant)
        connection.execute(compose(_CREATE, body=body, owner=owner))
        return [row["row"] for row in connection.fetch("SELECT pg_temp.multimaster_read() AS row")]
    finally:
        connection.execute("ROLLBACK TO multimaster_read; RELEASE multimaster_read" if inside else "ROLLBACK")
