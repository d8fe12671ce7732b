# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What has to become of the slot of a subscription that exists. Pure."""

from __future__ import annotations

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot import checks
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.decisions import (
    for_existing_subscription,
    refuse_active,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.model import CREATE, DROP, SlotPlan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import COPYING, Subscription, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def compare_slot(plan: Plan, wanted: Wanted, state: State, peer: PeerFacts, current: Subscription) -> SlotPlan:
    checks.check_not_restored(wanted, current.remote_lsn, peer.current_lsn)
    if current.slot_name != wanted.slot_name:
        checks.check_others(wanted, state.local)
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
            checks.check_free_slots(wanted, peer, 1)
    elif now is not None and now.wal_status == "unreserved":
        plan.warnings.append(
            f"The slot {now.name} on the peer is about to lose the WAL that it needs (wal_status unreserved): let the "
            "subscription catch up, or raise max_slot_wal_keep_size there."
        )
    return slot
