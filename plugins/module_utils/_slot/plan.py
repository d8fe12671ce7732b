# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What becomes of the slot, as statements of a plan. Pure."""

from __future__ import annotations

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot import statements as _slot_statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._slot.model import COPY, DROP, SlotPlan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import statements
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Wanted


def use_slot(plan: Plan, wanted: Wanted, slot: SlotPlan, *, marked: bool, source: str | None = None) -> None:
    failover = bool(wanted.creation_options.get("failover"))
    for action in slot.actions:
        if action == DROP:
            plan.statements.append(_slot_statements.drop(wanted.slot_name))
        elif action == COPY:
            plan.statements.append(_slot_statements.copy(source or wanted.slot_name, wanted.slot_name))
        else:
            if not marked:
                # Committed before the slot is made: whatever ends this run, the next one knows whose slot it is.
                plan.statements.append(statements.set_marker(wanted.name))
            plan.statements.append(_slot_statements.create(wanted.slot_name, failover))
    if slot.warning:
        plan.warnings.append(slot.warning)
    plan.results.update(slot=slot.outcome)
