# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What stops a subscription, said before anything changes. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    FAILOVER_VERSION,
    Local,
    TableName,
    Wanted,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import show_lsn
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import Tables

_SHOWN_NAMES = 10


def listed(names: t.Iterable[t.Any]) -> str:
    """Names for a message, not more than a person reads."""
    texts = sorted(shown(*name) if isinstance(name, tuple) else shown(name) for name in names)
    rest = len(texts) - _SHOWN_NAMES
    return ", ".join(texts[:_SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def check_local(local: Local) -> None:
    if local.standby:
        raise MultimasterError("This server is a standby: subscriptions are made on the primary.")
    if not local.superuser:
        raise MultimasterError(
            "login_user is not a superuser: only one may read connection strings and hand subscriptions to their owner."
        )


def check_owner(wanted: Wanted, local: Local) -> None:
    """The apply worker logs in as the owner, and must be able to act as the tables' owner."""
    owner, facts = shown(wanted.owner), local.owner
    if facts is None and wanted.pending_owner:
        return
    if facts is None:
        raise MultimasterError(f"The owner {owner} does not exist: create the role (LOGIN, without a password) first.")
    if facts.superuser:
        raise MultimasterError(
            f"The owner {owner} is a superuser: the peer could then do anything here. Choose a role that is not."
        )
    lacks = []
    if not facts.can_login:
        lacks.append(f"the attribute LOGIN (ALTER ROLE {owner} LOGIN)")
    if not facts.creates_subscriptions:
        lacks.append(f"membership of pg_create_subscription (GRANT pg_create_subscription TO {owner})")
    if not facts.creates_in_database:
        database = shown(local.database)
        lacks.append(f"CREATE on database {database} (GRANT CREATE ON DATABASE {database} TO {owner})")
    if lacks and not wanted.pending_owner:
        raise MultimasterError(f"The owner {owner} cannot own a subscription: it lacks {' and '.join(lacks)}.")
    if wanted.options["password_required"] and not wanted.conninfo.get("password"):
        raise MultimasterError(
            f"The peer's password is not given, and the owner {owner} needs one: give peer.password, or set "
            "password_required to false where the peer's pg_hba asks for none."
        )


def check_peer(wanted: Wanted, local: Local, peer: PeerFacts) -> None:
    if peer.identity == local.identity:
        raise MultimasterError(
            f"The peer ({wanted.conninfo.get('host')} port {wanted.conninfo.get('port')}) is this server itself: "
            "peer must name the other node."
        )
    if wanted.creation_options.get("failover") and min(local.version, peer.version) < FAILOVER_VERSION:
        raise MultimasterError("failover needs PostgreSQL 17 or later on both nodes.")
    if peer.standby:
        raise MultimasterError("The peer is a standby: it can be subscribed to once it is promoted.")
    if peer.wal_level != "logical":
        raise MultimasterError(
            f"wal_level is {peer.wal_level} on the peer and must be logical: set it there and restart that server."
        )
    if not peer.may_replicate:
        user = shown(peer.user)
        raise MultimasterError(f"The role {user} lacks REPLICATION on the peer (ALTER ROLE {user} REPLICATION there).")
    missing = set(wanted.publications) - peer.publications - wanted.pending_publications
    if missing:
        raise MultimasterError(
            f"The peer's database {shown(peer.database)} lacks the publication {listed(missing)}: create it there first."
        )
    if peer.current_lsn is not None and wanted.start_lsn is not None and wanted.start_lsn > peer.current_lsn:
        raise MultimasterError(
            f"start_lsn {show_lsn(wanted.start_lsn)} is ahead of the peer's WAL ({show_lsn(peer.current_lsn)}): "
            "that position is of another server, or of the time before the peer was restored."
        )


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


def check_nonempty(wanted: Wanted, tables: Tables, event_triggers: t.Sequence[str] = ()) -> None:
    """``event_triggers``: of others. What one of them writes down would be there again with the next thing that is defined."""
    if tables.nonempty and not wanted.copy_into_nonempty:
        again = [f"ALTER EVENT TRIGGER {shown(name)} DISABLE" for name in event_triggers]
        before = "First, since event triggers can write rows anew until this node has joined"
        raise MultimasterError(
            f"copy_data would copy into tables that hold rows: {listed(tables.nonempty)}. Set copy_data to false where the rows "
            "came from this node, set copy_into_nonempty to true where conflicts are merged, or empty the tables on this node. "
            + emptying()
            + (f" {before}: {'; '.join(again)}." if again else "")
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
    running = {name: tables.published[name].code for name in names if name in tables.published and tables.published[name].code}
    if running:
        raise MultimasterError(
            "To copy a table with a row filter, or a partitioned one as a whole, the peer's server plans a query as the role "
            f"{user}, and would run functions of others as {user}, which may drop every slot: {listed(running)} has "
            f"{', '.join(sorted(set(filter(None, running.values()))))} in an index, a statistic, a check or its partitions. Drop "
            "that on the peer for the time of the copy, publish the table without a row filter or by its partitions, or set "
            "copy_data to false."
        )
    secured = [name for name in names if name in tables.published and tables.published[name].row_security]
    if secured:
        raise MultimasterError(
            f"Row level security on the peer hides rows of tables that are to be copied from the role {user}: "
            f"{listed(secured)}. Grant it BYPASSRLS there."
        )


# An origin of the session marks what it writes as coming from elsewhere: subscriptions with origin = none are not sent it.
# session_replication_role = replica stops no publishing. All in one session: the origin ends with it.
ORIGIN = "emptied_by_hand"
STATEMENTS = (
    f"SELECT pg_replication_origin_create('{ORIGIN}'); "
    f"SELECT pg_replication_origin_session_setup('{ORIGIN}'); "
    "TRUNCATE {tables}; "
    "SELECT pg_replication_origin_session_reset(); "
    f"SELECT pg_replication_origin_drop('{ORIGIN}');"
)


def emptying(tables: str = "<tables>") -> str:
    """Sentences on how to empty these tables here, and nowhere else. ``tables`` as they stand in a message."""
    return (
        "A plain TRUNCATE or DELETE is sent to every node that subscribes to this one, and empties its tables too. To empty "
        f"them here only, run as a superuser, in one session: {STATEMENTS.format(tables=tables)} Subscriptions with origin = any "
        "are sent it all the same: disable these first."
    )
