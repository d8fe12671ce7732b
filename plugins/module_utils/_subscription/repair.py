# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What differs of a subscription that exists, and the plan that puts it right. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.conninfo import SECRETS
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import checks, slot_plan, statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Subscription, TableName, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import COPY, SlotPlan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_plan import use_slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


class Comparison(t.NamedTuple):
    """What has to be repaired."""

    slot: SlotPlan
    connection: bool
    publications: bool
    # What ALTER SUBSCRIPTION .. SET is to set, the slot's name included.
    options: dict[str, t.Any]
    owner: bool
    comment: bool
    enabled: bool
    # The peer's tables and those of the subscription differ.
    refresh: bool


def compare(plan: Plan, wanted: Wanted, state: State, current: Subscription) -> Comparison:
    """What differs goes into the plan's differences, what cannot be repaired into its warnings."""
    differences = plan.differences
    options = _compare_options(differences, wanted, current)
    _warn_of_creation_options(plan, wanted, current)
    connection = _compare_connection(differences, wanted, current)
    publications = differences.add("publications", sorted(wanted.publications), sorted(current.publications))
    owner = differences.add("owner", wanted.owner, current.owner)
    comment = wanted.comment is not None and differences.add("comment", wanted.comment, current.comment)
    enabled = differences.add("enabled", wanted.enabled, current.enabled)
    renamed = differences.add("slot_name", wanted.slot_name, current.slot_name)
    if renamed:
        options["slot_name"] = wanted.slot_name
    if state.local.slot_made_here:
        differences.add("slot_marker", "absent", "present")
    slot, refresh = SlotPlan("kept"), False
    if state.peer is None:
        _accept_unreachable(plan, wanted, state, connection or publications or renamed)
    else:
        if not _slot_is_fine(wanted, state.peer, current):
            # Imported only here: most runs find nothing to do.
            from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_plan import compare_slot

            slot = compare_slot(plan, wanted, state, state.peer, current)
        refresh = _compare_tables(plan, wanted, state.new_tables, current.tables.keys() - state.peer.tables)
    return Comparison(slot, connection, publications, options, owner, comment, enabled, refresh)


def _compare_options(differences: Differences, wanted: Wanted, current: Subscription) -> dict[str, t.Any]:
    return {option: value for option, value in wanted.options.items() if differences.add(option, value, current.options[option])}


def _warn_of_creation_options(plan: Plan, wanted: Wanted, current: Subscription) -> None:
    for option, value in wanted.creation_options.items():
        is_now = bool(current.creation_options[option])
        if value is not None and value != is_now:
            plan.warnings.append(
                f"{option} is {str(is_now).lower()} for the subscription {wanted.shown_name} and stays so: it can only be "
                "set when the subscription is made. Remove the subscription and make it again to change it."
            )


def _compare_connection(differences: Differences, wanted: Wanted, current: Subscription) -> bool:
    found = [
        differences.add(f"conninfo.{name}", wanted.conninfo.get(name), current.conninfo.get(name), secret=name in SECRETS)
        for name in sorted({*wanted.conninfo, *current.conninfo})
    ]
    return any(found)


def _accept_unreachable(plan: Plan, wanted: Wanted, state: State, needs_peer: bool) -> None:
    if wanted.peer_unreachable == "fail":
        raise MultimasterError(state.unreachable or "The peer does not answer.")
    if needs_peer:
        raise MultimasterError(
            f"{state.unreachable} The connection string, the publications and the slot of the subscription "
            f"{wanted.shown_name} are not changed to something that could not be tried."
        )
    plan.warnings.append(
        f"{state.unreachable} The subscription {wanted.shown_name} was compared with its description on this node only: "
        "its slot, its publications' tables and its progress were not looked at."
    )


def _slot_is_fine(wanted: Wanted, peer: PeerFacts, current: Subscription) -> bool:
    slot = peer.slots.get(wanted.slot_name)
    return (
        slot is not None
        and current.slot_name == wanted.slot_name
        and slot.fits(peer.database)
        and slot.wal_status in ("reserved", "extended")
        and not slot.lost
        and not (slot.active and current.worker is None)
        and (current.remote_lsn or 0) <= (peer.current_lsn or 0)
    )


def _compare_tables(plan: Plan, wanted: Wanted, new: t.Collection[TableName], gone: t.Collection[TableName]) -> bool:
    if not new and not gone:
        return False
    if not wanted.enabled:
        plan.warnings.append(
            f"The peer's tables differ from those of the subscription {wanted.shown_name}, and they stay so: PostgreSQL "
            f"refreshes only an enabled subscription. New: {checks.listed(new) or 'none'}. "
            f"Gone: {checks.listed(gone) or 'none'}."
        )
        return False
    # Only the tables of one side: those that both have are not listed.
    return plan.differences.add("tables", _described(new), _described(gone))


def _described(names: t.Iterable[TableName]) -> list[str]:
    return sorted(checks.listed([name]) for name in names)


def add_repair(plan: Plan, wanted: Wanted, state: State, current: Subscription, found: Comparison) -> None:
    name, planned = wanted.name, plan.statements
    if state.peer is not None and (found.owner or "run_as_owner" in found.options):
        known = [table for table in state.peer.tables if table in state.tables.local]
        checks.check_table_access(wanted, known, state.tables)
    use_slot(plan, wanted, found.slot, marked=True, source=current.slot_name)
    if found.enabled and not wanted.enabled:
        planned.append(statements.disable(name))
    if found.connection:
        planned.append(statements.set_connection(wanted))
    if found.publications:
        planned.append(statements.set_publications(wanted))
    if found.options:
        planned.append(statements.set_options(name, found.options))
    if found.owner:
        planned.append(statements.set_owner(name, wanted.owner))
    if found.comment:
        planned.append(statements.set_comment(name, wanted.comment or ""))
    if found.enabled and wanted.enabled:
        planned += _enabling(wanted, current)
    if state.local.slot_made_here:
        planned.append(statements.drop_marker(name))
    if COPY in found.slot.actions:
        planned.append(statements.drop_slot(t.cast("str", current.slot_name)))
    if found.refresh and state.peer is not None:
        planned.append(_refresh(plan, wanted, state, state.peer))


def _enabling(wanted: Wanted, current: Subscription) -> list[Statement]:
    start = [statements.enable(wanted.name)]
    if wanted.start_lsn is not None and current.remote_lsn is None:
        # A run that was to start it there ended in between.
        start.insert(0, statements.advance(wanted.name, wanted.start_lsn))
    return start


def _refresh(plan: Plan, wanted: Wanted, state: State, peer: PeerFacts) -> Statement:
    new = state.new_tables
    copy = wanted.copy_data and bool(new)
    if copy and state.tables.nonempty and not wanted.copy_into_nonempty:
        copy = False
        plan.warnings.append(
            f"No new table is copied, because these hold rows here: {checks.listed(state.tables.nonempty)}. Rows that the "
            "peer already has in the new tables stay there."
        )
    elif not copy:
        _warn_of_rows_left_behind(plan, state)
    checks.check_tables(wanted, new, state.tables, copy=copy)
    if copy:
        slot_plan.check_free_slots(wanted, peer, 1)
    return statements.refresh(wanted.name, copy)


def _warn_of_rows_left_behind(plan: Plan, state: State) -> None:
    here, there = state.tables.nonempty, state.tables.published
    behind = [name for name in state.new_tables if name not in here and name in there and there[name].holds_rows]
    if behind:
        plan.warnings.append(
            "copy_data is false, and these new tables are empty here while they hold rows on the peer, which stay there: "
            f"{checks.listed(behind)}."
        )
