# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What stops a table from being replicated here, said before anything changes. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.checks import listed
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.emptying import emptying
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import TableName, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import Tables


def check_tables(wanted: Wanted, names: t.Collection[TableName], tables: Tables, copy: bool) -> None:
    """Tables that the peer publishes and that this subscription does not know yet."""
    missing = [name for name in names if name not in tables.local]
    if missing:
        raise MultimasterError(
            f"The peer publishes tables that do not exist here: {listed(missing)}. Replication of all tables would stop "
            "at the first change of one of them: create them first."
        )
    other = [name for name in names if tables.local[name].kind not in ("r", "p")]
    if other:
        raise MultimasterError(f"The peer publishes tables whose names stand for something else here: {listed(other)}.")
    lacking = _lacking_columns(names, tables)
    if lacking:
        raise MultimasterError(f"The peer publishes columns that do not exist here: {listed(lacking)}. Add them first.")
    check_table_access(wanted, names, tables)
    if copy:
        _check_readable(wanted, names, tables)


def check_nonempty(wanted: Wanted, tables: Tables) -> None:
    if tables.nonempty and not wanted.copy_into_nonempty:
        raise MultimasterError(
            f"copy_data would copy into tables that hold rows: {listed(tables.nonempty)}. Set copy_data to false where the rows "
            "came from this node, set copy_into_nonempty to true where conflicts are merged, or empty the tables on this node. "
            + emptying()
        )


def check_table_access(wanted: Wanted, names: t.Collection[TableName], tables: Tables) -> None:
    if wanted.pending_owner:
        return
    owner = shown(wanted.owner)
    _check_row_security(wanted, names, tables)
    if wanted.options["run_as_owner"]:
        denied = [name for name in names if not tables.local[name].owner_may_write]
        if denied:
            raise MultimasterError(
                f"The owner {owner} lacks INSERT, UPDATE, DELETE or TRUNCATE on {listed(denied)}, "
                "which run_as_owner needs: grant them."
            )
        return
    out_of_reach = [name for name in names if not tables.local[name].owner_reachable]
    for table_owner in sorted({tables.local[name].owner for name in out_of_reach}):
        theirs = [name for name in out_of_reach if tables.local[name].owner == table_owner]
        role = shown(table_owner)
        # Whoever can act as a superuser is one.
        superuser = any(tables.local[name].owner_is_superuser for name in theirs)
        remedy = f"give these tables to a role that is no superuser and that {owner} is a member of"
        raise MultimasterError(
            f"The owner {owner} cannot act as {role}, which owns {listed(theirs)}: "
            f"{remedy if superuser else f'GRANT {role} TO {owner}'}, or set "
            f"run_as_owner to true and grant {owner} INSERT, UPDATE, DELETE and TRUNCATE on the tables."
        )


def _check_row_security(wanted: Wanted, names: t.Collection[TableName], tables: Tables) -> None:
    """PostgreSQL applies nothing to a table whose policies bind the role as which it is applied: not one row gets in."""
    bound = [name for name in names if tables.local[name].row_security]
    if not bound:
        return
    if wanted.options["run_as_owner"]:
        role = shown(wanted.owner)
        raise MultimasterError(
            f"Row level security binds the role {role}, as which changes are applied, on {listed(bound)}: replication would "
            f"stop at the first row of one of them. ALTER ROLE {role} BYPASSRLS, or set run_as_owner to false."
        )
    owners = sorted({shown(tables.local[name].owner) for name in bound})
    raise MultimasterError(
        f"FORCE ROW LEVEL SECURITY is set on {listed(bound)}, and changes are applied as the owner: replication would "
        f"stop at the first row of one of them. ALTER TABLE .. NO FORCE ROW LEVEL SECURITY, or let the owner pass: "
        f"{'; '.join(f'ALTER ROLE {role} BYPASSRLS' for role in owners)} (flags of its entry in postgresql_roles)."
    )


def _lacking_columns(names: t.Collection[TableName], tables: Tables) -> list[tuple[str, str, str]]:
    return [
        (*name, column)
        for name in names
        if name in tables.published
        for column in tables.published[name].columns - tables.local[name].columns
    ]


def _check_readable(wanted: Wanted, names: t.Collection[TableName], tables: Tables) -> None:
    user = shown(wanted.conninfo.get("user", ""))
    denied = [name for name in names if name in tables.published and not tables.published[name].readable]
    if denied:
        raise MultimasterError(
            f"The role {user} may not read tables on the peer that are to be copied: {listed(denied)}. Grant it SELECT on "
            "them and USAGE on their schemas there."
        )
    secured = [name for name in names if name in tables.published and tables.published[name].row_security]
    if secured:
        raise MultimasterError(
            f"Row level security on the peer hides rows of tables that are to be copied from the role {user}: "
            f"{listed(secured)}. Grant it BYPASSRLS there."
        )
