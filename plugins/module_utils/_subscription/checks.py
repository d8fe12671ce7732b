# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What stops a subscription, said in one sentence before anything changes. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.model import show_lsn
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import FAILOVER_VERSION, Local, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts

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
