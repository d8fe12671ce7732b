# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The smallest set of statements that repairs a subscription. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot import checks as slot_checks
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot import statements as _slot_statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.model import COPY
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.plan import use_slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import checks, statements, table_checks
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.comparison import Comparison
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Subscription, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import State


def add_repair(plan: Plan, wanted: Wanted, state: State, current: Subscription, found: Comparison) -> None:
    name, planned = wanted.name, plan.statements
    if state.peer is not None and (found.owner or "run_as_owner" in found.options):
        known = [table for table in state.peer.tables if table in state.tables.local]
        table_checks.check_table_access(wanted, known, state.tables)
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
        planned.append(_slot_statements.drop(t.cast("str", current.slot_name)))
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
    table_checks.check_tables(wanted, new, state.tables, copy=copy)
    if copy:
        slot_checks.check_free_slots(wanted, peer, 1)
    return statements.refresh(wanted.name, copy)


def _warn_of_rows_left_behind(plan: Plan, state: State) -> None:
    here, there = state.tables.nonempty, state.tables.published
    behind = [name for name in state.new_tables if name not in here and name in there and there[name].holds_rows]
    if behind:
        plan.warnings.append(
            "copy_data is false, and these new tables are empty here while they hold rows on the peer, which stay there: "
            f"{checks.listed(behind)}."
        )
