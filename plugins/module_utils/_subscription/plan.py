# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a task would do: from what is and what is wanted to ordered statements. Pure."""

from __future__ import annotations

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import checks
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.creation import plan_creation
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Subscription, Wanted, after_plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.publisher import (
    Publisher,
    recorded,
    with_record,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.removal import plan_removal
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.repair import add_repair, compare
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def plan_for(wanted: Wanted, state: State) -> Plan:
    checks.check_local(state.local)
    if not wanted.present:
        return plan_removal(wanted, state)
    checks.check_owner(wanted, state.local)
    if state.peer is not None:
        checks.check_peer(wanted, state.local, state.peer)
    state, pending = _with_pending(wanted, state)
    wanted, warnings = _with_publisher(wanted, state)
    warnings += pending
    if state.local.subscription is not None:
        plan = _plan_repair(wanted, state, state.local.subscription)
    else:
        plan = plan_creation(wanted, state)
    plan.warnings += warnings
    if wanted.enabled and not state.local.max_workers:
        plan.warnings.append(
            "max_logical_replication_workers is 0 on this node: nothing is replicated to it until that is raised."
        )
    return plan


def _with_pending(wanted: Wanted, state: State) -> tuple[State, list[str]]:
    """In a check run: the state without the tables of publications that are yet to be made, and what that run would do first."""
    pending = []
    if wanted.pending_owner:
        pending.append(f"The owner {shown(wanted.owner)} would get what it lacks before the subscription {wanted.shown_name}.")
    missing = set(wanted.publications) - state.peer.publications if state.peer else set()
    if state.peer and missing:
        pending.append(
            f"The peer would publish {checks.listed(missing)} before the subscription {wanted.shown_name}. The tables of that "
            "cannot be compared yet."
        )
        known = state.local.subscription.tables.keys() if state.local.subscription else ()
        state = state._replace(peer=state.peer._replace(tables=state.peer.tables.union(known)))
    return state, pending


def _with_publisher(wanted: Wanted, state: State) -> tuple[Wanted, list[str]]:
    """The comment that names the peer, where that is wanted, and a warning where it names another server."""
    if not wanted.record_publisher or wanted.comment is not None or state.peer is None or state.peer.timeline is None:
        return wanted, []
    peer = Publisher(state.peer.identity.system_identifier, state.peer.timeline)
    current = state.local.subscription
    comment = current.comment if current else ""
    known = recorded(comment) or peer
    warnings = []
    if known != peer:
        warnings.append(
            f"The subscription {wanted.shown_name} was made with the server {known.system_identifier} on timeline "
            f"{known.timeline}, and the peer is {peer.system_identifier} on timeline {peer.timeline}: it was restored, promoted "
            "or replaced, and may lack rows that never come. Where that is not so, remove the subscription's comment "
            "(COMMENT ON SUBSCRIPTION .. IS NULL)."
        )
    return wanted._replace(comment=with_record(comment, peer)), warnings


def _plan_repair(wanted: Wanted, state: State, current: Subscription) -> Plan:
    plan = Plan()
    found = compare(plan, wanted, state, current)
    plan.results.update(
        slot=found.slot.outcome,
        initial_state=current.as_result(wanted.name),
        final_state=after_plan(wanted, current).as_result(wanted.name),
    )
    if plan.differences:
        add_repair(plan, wanted, state, current, found)
    return plan
