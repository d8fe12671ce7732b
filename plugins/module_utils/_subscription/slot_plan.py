# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What becomes of the slot of a subscription, and what stops it from being used, said before anything changes. Pure."""

from __future__ import annotations

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    COPYING,
    Local,
    Subscription,
    Wanted,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_decisions import (
    for_existing_subscription,
    refuse_active,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import (
    COPY,
    CREATE,
    DROP,
    SlotPlan,
    show_lsn,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def use_slot(plan: Plan, wanted: Wanted, slot: SlotPlan, *, marked: bool, source: str | None = None) -> None:
    failover = bool(wanted.creation_options.get("failover"))
    for action in slot.actions:
        if action == DROP:
            plan.statements.append(statements.drop_slot(wanted.slot_name))
        elif action == COPY:
            plan.statements.append(statements.copy_slot(source or wanted.slot_name, wanted.slot_name))
        else:
            if not marked:
                # Committed before the slot is made: whatever ends this run, the next one knows whose slot it is.
                plan.statements.append(statements.set_marker(wanted.name))
            plan.statements.append(statements.create_slot(wanted.slot_name, failover))
    if slot.warning:
        plan.warnings.append(slot.warning)
    plan.results.update(slot=slot.outcome)


def compare_slot(plan: Plan, wanted: Wanted, state: State, peer: PeerFacts, current: Subscription) -> SlotPlan:
    check_not_restored(wanted, current.remote_lsn, peer.current_lsn)
    if current.slot_name != wanted.slot_name:
        check_others(wanted, state.local)
    slot = for_existing_subscription(
        wanted.slot_name,
        current.slot_name,
        peer.slots,
        database=peer.database,
        subscription=wanted.shown_name,
        applied=current.remote_lsn,
        consumed=current.remote_lsn is not None or not COPYING.issuperset(current.tables.values()),
        policy=wanted.lost_slot,
    )
    now = peer.slots.get(current.slot_name or "")
    if now is not None and current.worker is None:
        ours = current.conninfo.get("application_name", wanted.name)
        if now.application is not None and now.application != ours:
            refuse_active(now)
    if CREATE in slot.actions:
        plan.differences.add("slot", "present", "lost" if DROP in slot.actions else "absent")
        if DROP not in slot.actions:
            check_free_slots(wanted, peer, 1)
    elif now is not None and now.wal_status == "unreserved":
        plan.warnings.append(
            f"The slot {now.name} on the peer is about to lose the WAL that it needs (wal_status unreserved): let the "
            "subscription catch up, or raise max_slot_wal_keep_size there."
        )
    return slot


def check_not_restored(wanted: Wanted, applied: int | None, current_lsn: int | None) -> None:
    if applied is not None and current_lsn is not None and applied > current_lsn:
        raise MultimasterError(
            f"The subscription {wanted.shown_name} has applied the peer's WAL up to {show_lsn(applied)}, and the peer's "
            f"WAL ends at {show_lsn(current_lsn)}: the peer was restored from an older state. What it writes "
            "does not arrive until its WAL passes that position. Rebuild the peer from this node, or subscribe anew."
        )


def check_free_slots(wanted: Wanted, peer: PeerFacts, needed: int) -> None:
    """``needed``: one for the subscription, and one more while tables are copied."""
    if len(peer.slots) + needed > peer.max_slots:
        raise MultimasterError(
            f"The peer has no free replication slot: {len(peer.slots)} of max_replication_slots = {peer.max_slots} are "
            f"in use and {needed} more {'is' if needed == 1 else 'are'} needed. Raise it there, or drop slots "
            "that nothing uses."
        )
    if peer.senders + needed > peer.max_senders:
        raise MultimasterError(
            f"The peer has no free WAL sender: {peer.senders} of max_wal_senders = {peer.max_senders} are in use and "
            f"{needed} more {'is' if needed == 1 else 'are'} needed. Raise it there."
        )


def check_others(wanted: Wanted, local: Local) -> None:
    for other in local.others_with(wanted.slot_name, wanted.conninfo):
        raise MultimasterError(
            f"The slot {wanted.slot_name} is in use by another subscription, {shown(other.name)} in database "
            f"{shown(other.database)} of this server. Choose another slot_name."
        )
    for other in local.others_beside(wanted.slot_name, wanted.conninfo):
        raise MultimasterError(
            f"The slot {wanted.slot_name} cannot be that of the subscription {wanted.shown_name} in database "
            f"{shown(local.database)}: {shown(other.name)} in database {shown(other.database)} of this server uses it, and a "
            "slot's name is unique on the whole server of the peer. Choose another slot_name. Role multimaster names slots by "
            "the order of multimaster_databases: put that back as it was, new databases last, or state the slot_suffix of each "
            "database as it is in use."
        )
