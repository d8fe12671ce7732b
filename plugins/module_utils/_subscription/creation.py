# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The plan of a subscription that does not exist yet. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import checks, slot_plan, statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    FAILOVER_VERSION,
    Local,
    Subscription,
    TableName,
    Wanted,
    after_plan,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_decisions import for_new_subscription
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import CREATE, SlotPlan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_plan import use_slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def plan_creation(wanted: Wanted, state: State) -> Plan:
    if state.peer is None:
        raise MultimasterError(f"The subscription {wanted.shown_name} cannot be made. {state.unreachable}")
    slot_plan.check_others(wanted, state.local)
    slot = _slot_for_creation(wanted, state, state.peer)
    tables = state.peer.tables
    copies = wanted.copy_data and bool(tables)
    slot_plan.check_free_slots(wanted, state.peer, int(slot.actions == (CREATE,)) + int(copies))
    # First, since it is what a node that joins must know before it is given what else it lacks.
    behind = [] if copies else _rows_left_behind(wanted, state, tables, begins=slot.outcome == "created")
    checks.check_tables(wanted, tables, state.tables, copy=copies)
    if copies:
        checks.check_nonempty(wanted, state.tables, state.local.event_triggers)
    plan = Plan(warnings=behind + _locales_apart(state.local, state.peer))
    use_slot(plan, wanted, slot, marked=state.local.slot_made_here)
    plan.statements += _creation_statements(wanted, marked=state.local.slot_made_here or CREATE in slot.actions)
    after = after_plan(wanted, None)._replace(creation_options=_set_by_default(wanted, state))
    _describe_creation(plan, wanted, after)
    plan.results.update(initial_state={}, final_state=after.as_result(wanted.name))
    return plan


def _slot_for_creation(wanted: Wanted, state: State, peer: PeerFacts) -> SlotPlan:
    slot = peer.slots.get(wanted.slot_name)
    if slot is None and wanted.start_lsn is not None:
        raise MultimasterError(
            f"start_lsn is given, but the peer has no slot {wanted.slot_name} that would have kept the changes since then. "
            "Bring the tables level, and leave start_lsn out."
        )
    return for_new_subscription(
        wanted.slot_name,
        slot,
        database=peer.database,
        made_here=state.local.slot_made_here,
        copy_data=wanted.copy_data,
        start_lsn=wanted.start_lsn,
        policy=wanted.leftover_slot,
        held=state.held,
    )


def _creation_statements(wanted: Wanted, marked: bool) -> list[Statement]:
    """All of it in one transaction, so that the worker starts as the owner and an interrupted run leaves nothing."""
    starts_at_once = wanted.start_lsn is None
    made = [
        statements.create(wanted, enabled=wanted.enabled and starts_at_once),
        statements.set_owner(wanted.name, wanted.owner),
    ]
    if wanted.comment:
        made.append(statements.set_comment(wanted.name, wanted.comment))
    if wanted.start_lsn is not None:
        made.append(statements.advance(wanted.name, wanted.start_lsn))
        if wanted.enabled:
            made.append(statements.enable(wanted.name))
    if marked:
        made.append(statements.drop_marker(wanted.name))
    return made


def _rows_left_behind(wanted: Wanted, state: State, names: t.Collection[TableName], begins: bool) -> list[str]:
    """A warning of the peer's rows that would not come, if there are any; an error where that can hardly be meant.

    ``begins``: no slot was left that keeps what the peer wrote before, and about which the user has decided.
    """
    here, there = state.tables.nonempty, state.tables.published
    behind = [name for name in names if name not in here and name in there and there[name].holds_rows]
    if not behind:
        return []
    joins = not here and not any(other.database == state.local.database for other in state.local.others)
    if joins and wanted.uncopied_rows == "elsewhere":
        return []
    if joins and begins and wanted.uncopied_rows == "fail":
        raise MultimasterError(
            f"The tables here are all empty, those of the peer hold rows ({checks.listed(behind)}), and copy_data is false: "
            "these rows would never come to this node. Have a node that is new or empty copy them: set copy_data to true for the "
            "subscription to a node that has all rows (with role multimaster, set multimaster_seed to the name of that node). "
            "Where the rows are to stay away, set uncopied_rows to warn (multimaster_uncopied_rows).",
            rows_left_behind=[checks.listed([name]) for name in behind],
        )
    return [
        "copy_data is false, and these tables are empty here while they hold rows on the peer, which stay there: "
        f"{checks.listed(behind)}."
    ]


def _locales_apart(local: Local, peer: PeerFacts) -> list[str]:
    here, there = local.locale, peer.locale
    if not here or not there or _spelt_alike(here) == _spelt_alike(there):
        return []
    return [
        f"The database {local.database} has the locale {here} here and {there} on the peer. Where a unique index, a CHECK, a "
        "generated column or a trigger sorts texts or changes their case, one node can refuse what the other has taken, and stop "
        "applying: have such things state a COLLATE of their own, or make the databases alike."
    ]


def _spelt_alike(locale: str) -> str:
    return locale.lower().replace("-", "")


def _set_by_default(wanted: Wanted, state: State) -> dict[str, t.Any]:
    """What only creation can set, as the server will show it."""
    known = {"two_phase", "failover"} if state.local.version >= FAILOVER_VERSION else {"two_phase"}
    return {name: bool(value) if name in known else value for name, value in wanted.creation_options.items()}


def _describe_creation(plan: Plan, wanted: Wanted, after: Subscription) -> None:
    differences = plan.differences
    differences.add("state", "present", "absent")
    for name, value in after.as_result(wanted.name).items():
        if name != "name" and value is not None:
            differences.add(name, value, None)
