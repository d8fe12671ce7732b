# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Removing a subscription, and its slot as far as the peer answers. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import checks, statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Local, Subscription, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_decisions import (
    refuse_active,
    refuse_unusable,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import Slot, show_lsn
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def plan_removal(wanted: Wanted, state: State) -> Plan:
    local, current = state.local, state.local.subscription
    if state.peer is None and not wanted.detach and wanted.peer_unreachable == "fail":
        raise MultimasterError(f"{state.unreachable} To remove the subscription all the same, set detach to true.")
    if state.peer is not None and state.peer.identity == local.identity:
        raise MultimasterError("The peer is this server itself: peer must name the other node.")
    plan = Plan(
        results={
            "slot": "absent",
            "slot_left": None,
            "copy_slots_left": [],
            "applied_lsn": None,
            "initial_state": {},
            "final_state": {},
        }
    )
    slot = (current.slot_name if current else None) or wanted.slot_name
    if current is not None:
        _drop_subscription(plan, wanted, state, current)
    if local.slot_made_here and (current is not None or state.peer is not None):
        plan.differences.add("slot_marker", "absent", "present")
        plan.statements.append(statements.drop_marker(wanted.name))
    if state.peer is None:
        _leave_slot(plan, wanted, state, current, slot)
    else:
        _drop_slot(plan, wanted, state.peer, local, slot)
        _drop_copy_slots(plan, state.peer, local)
    return plan


def _drop_subscription(plan: Plan, wanted: Wanted, state: State, current: Subscription) -> None:
    """Without its slot, which is dropped in a step of its own: so it works whether the peer answers or not."""
    plan.differences.add("state", "absent", "present")
    plan.results.update(initial_state=current.as_result(wanted.name), applied_lsn=show_lsn(current.remote_lsn))
    if current.enabled:
        plan.statements.append(statements.disable(wanted.name))
    if current.slot_name is not None:
        plan.statements.append(statements.set_options(wanted.name, {"slot_name": "none"}))
    if state.peer is None and current.not_ready:
        # DROP would try to reach the peer for the slots of unfinished copies, and has no limit for a peer that hangs.
        plan.statements.append(statements.set_no_connection(wanted.name))
    plan.statements.append(statements.drop(wanted.name))


def _leave_slot(plan: Plan, wanted: Wanted, state: State, current: Subscription | None, slot: str) -> None:
    why = "detach is true." if wanted.detach else state.unreachable
    if current is not None:
        plan.results.update(slot="left", slot_left=slot)
        plan.warnings.append(
            f"{why} The subscription {wanted.shown_name} is detached: its slot {slot} stays on the peer and holds WAL there. "
            "Run this again when the peer answers, or drop it there."
        )
        if current.not_ready:
            # Which of the tables have one is known to the peer alone.
            copies = f"pg_{current.oid}_sync_%_{state.local.identity.system_identifier}"
            plan.results.update(copy_slots_left=[copies])
            plan.warnings.append(
                f"{len(current.not_ready)} tables were still being copied: slots of these copies, whose names are like {copies}, "
                "may stay on the peer too and hold WAL. The same run drops them."
            )
    elif not wanted.detach:
        plan.results.update(slot="unknown")
        plan.warnings.append(f"{why} Whether the slot {slot} is still on the peer is not known.")


def _drop_slot(plan: Plan, wanted: Wanted, peer: PeerFacts, local: Local, name: str) -> None:
    slot = peer.slots.get(name)
    if slot is None:
        return
    problem = _why_left_alone(wanted, peer, local, slot)
    if problem:
        plan.results.update(slot="left", slot_left=name)
        plan.warnings.append(problem)
        return
    plan.differences.add("slot", "absent", "present")
    plan.results.update(slot="dropped")
    plan.statements.append(statements.drop_slot(name))


def _drop_copy_slots(plan: Plan, peer: PeerFacts, local: Local) -> None:
    """Those of this server's unfinished copies: of this subscription, and of earlier ones that are gone.

    DROP SUBSCRIPTION drops those of its own where the server itself reaches the peer; then there is nothing left to drop.
    """
    this = local.subscription.oid if local.subscription else None
    left = []
    for slot, oid in _copy_slots(peer, local):
        if oid == this or (oid not in local.subscription_oids and not slot.active):
            plan.differences.add(f"slot {slot.name}", "absent", "present")
            plan.statements.append(statements.drop_slot(slot.name))
        elif oid not in local.subscription_oids:
            left.append(slot.name)
    if left:
        plan.results.update(copy_slots_left=left)
        plan.warnings.append(
            "These slots of copies for a subscription that is gone are still in use on the peer and are left alone: "
            f"{', '.join(left)}. Run this again later, or drop them there."
        )


def _copy_slots(peer: PeerFacts, local: Local) -> t.Iterator[tuple[Slot, int]]:
    """With the oid of the subscription that they are for. Those of a copy of this server, with its identifier, look the same."""
    identifier = local.identity.system_identifier
    if peer.identity.system_identifier == identifier:
        return
    for name, slot in sorted(peer.slots.items()):
        match = re.fullmatch(rf"pg_([0-9]+)_sync_[0-9]+_{identifier}", name)
        if match and slot.fits(peer.database):
            yield slot, int(match[1])


def _why_left_alone(wanted: Wanted, peer: PeerFacts, local: Local, slot: Slot) -> str | None:
    try:
        refuse_unusable(slot, peer.database)
        if local.subscription is None or local.subscription.slot_name is None:
            refuse_active(slot)
    except MultimasterError as error:
        return str(error)
    others = local.others_with(slot.name, wanted.conninfo)
    if others:
        return (
            f"The slot {slot.name} on the peer is left alone: it is named by another subscription, "
            f"{checks.listed(other.name for other in others)}."
        )
    return None
