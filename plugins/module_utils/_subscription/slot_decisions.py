# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether a subscription may use a slot that exists, or lacks one. Pure.

Why a slot is not simply taken or re-made:

- A slot remembers what its subscriber confirmed, not what it applied. A new subscription starts from
  there, so that a slot which another subscription used sends rows again that are here already: duplicate
  keys, and the whole subscription stops.
- A dropped slot takes the changes with it that it held. They never arrive, and nothing says so.

So a slot is adopted where no subscription can have used it, or where it holds no change; it is replaced where
the initial copy brings all that it held; and otherwise the user decides.
"""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.checks import emptying
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import (
    CHANGES,
    COPY,
    CREATE,
    DROP,
    EMPTY,
    PLUGIN,
    UNKNOWN,
    Slot,
    SlotPlan,
    show_lsn,
)


def refuse_unusable(slot: Slot, database: str) -> None:
    """A slot of another kind is never touched."""
    if slot.fits(database):
        return
    if slot.slot_type != "logical":
        problem = "is a physical slot"
    elif slot.plugin != PLUGIN:
        problem = f"is of the output plugin {slot.plugin}, not {PLUGIN}"
    elif slot.database != database:
        problem = f"belongs to database {shown(slot.database or '')}, not to {shown(database)}"
    else:
        problem = "is a temporary slot of a session"
    raise MultimasterError(
        f"The slot {slot.name} on the peer {problem}. It is left alone: choose another slot_name, or drop it there."
    )


def refuse_active(slot: Slot) -> None:
    if slot.active:
        by = f" of {shown(slot.application)}" if slot.application else ""
        raise MultimasterError(
            f"The slot {slot.name} on the peer is in use by another subscription (session{by}, "
            f"process {slot.active_pid} there). It is left alone: choose another slot_name."
        )


def needs_look(slot: Slot | None, *, made_here: bool, copy_data: bool, start_lsn: int | None, policy: str) -> bool:
    """Whether the decision for a new subscription depends on what the slot holds."""
    if slot is None or slot.active or slot.lost or slot.slot_type != "logical" or slot.plugin != PLUGIN:
        return False
    return not made_here and not copy_data and start_lsn is None and policy == "fail"


def for_new_subscription(
    name: str,
    slot: Slot | None,
    *,
    database: str,
    made_here: bool,
    copy_data: bool,
    start_lsn: int | None,
    policy: str,
    held: str = UNKNOWN,
) -> SlotPlan:
    """``made_here``: an interrupted run of this module made the slot, and nothing has used it since."""
    if slot is None:
        return SlotPlan("created", (CREATE,))
    refuse_unusable(slot, database)
    refuse_active(slot)
    anew = (DROP, CREATE)
    if slot.lost:
        if copy_data or policy == "replace":
            return SlotPlan("replaced", anew)
        raise MultimasterError(
            f"The slot {name} that an earlier subscription left on the peer is no longer usable: the WAL it needs is "
            "removed, and the changes in it are lost. Bring the tables level and set leftover_slot to replace, or "
            "empty them on this node and set copy_data to true. " + emptying()
        )
    if made_here or start_lsn is not None:
        return SlotPlan("adopted")
    if copy_data:
        return SlotPlan(
            "replaced",
            anew,
            f"The slot {name}, left on the peer by an earlier subscription, is dropped and made anew: "
            "the initial copy brings the changes that it held.",
        )
    if policy == "replace":
        return SlotPlan(
            "replaced",
            anew,
            f"The slot {name}, left on the peer by an earlier subscription, is dropped and made anew, as "
            "leftover_slot says: the changes that it held do not arrive here.",
        )
    if policy == "adopt":
        return SlotPlan(
            "adopted",
            warning=f"The slot {name}, left on the peer by an earlier subscription, is adopted, as leftover_slot says: "
            "changes that are here already may come again, and stop the subscription with a duplicate key.",
        )
    if held == EMPTY:
        return SlotPlan("adopted")
    holds = "holds changes" if held == CHANGES else "may hold changes"
    raise MultimasterError(
        f"The slot {name} on the peer was left there by an earlier subscription and {holds}. Taking it may send rows "
        "again that are here already; dropping it loses those that are not. Say which: start_lsn (the applied_lsn that "
        "the removal returned) to go on exactly from there, leftover_slot: replace to go on without these changes, "
        "leftover_slot: adopt to have them all sent, or copy_data: true into tables that are empty on this node. " + emptying()
    )


def for_existing_subscription(
    wanted: str,
    current: str | None,
    slots: t.Mapping[str, Slot],
    *,
    database: str,
    subscription: str,
    applied: int | None,
    consumed: bool,
    policy: str,
) -> SlotPlan:
    """``current`` is the slot that the subscription names now; ``consumed`` whether it ever used one."""
    slot, wanted_slot = slots.get(current or wanted), slots.get(wanted)
    for each in (slot, wanted_slot):
        if each is not None:
            refuse_unusable(each, database)
    if slot is None and current is None and not consumed:
        return SlotPlan("created", (CREATE,))
    if slot is None or slot.lost:
        return _lost(current or wanted, wanted, slots, subscription, applied, policy)
    if current == wanted:
        return SlotPlan("kept")
    if wanted_slot is None:
        # A copy starts where the old slot stands: nothing between the two is lost.
        return SlotPlan("copied", (COPY,))
    refuse_active(wanted_slot)
    if current is not None and _position(wanted_slot) > _position(slot):
        raise MultimasterError(
            f"The slot {wanted} on the peer exists and stands ahead of {current}, which the subscription "
            f"{subscription} uses: changes between the two would be lost. Drop {wanted} there; it is then made as a copy."
        )
    return SlotPlan("adopted")


def _lost(name: str, wanted: str, slots: t.Mapping[str, Slot], subscription: str, applied: int | None, policy: str) -> SlotPlan:
    slot = slots.get(name)
    what = "does not exist on the peer" if slot is None else "is no longer usable, because the WAL it needs is removed"
    since = f" since {show_lsn(applied)}" if applied else ""
    if policy == "recreate":
        old = slots.get(wanted)
        return SlotPlan(
            "recreated",
            (DROP, CREATE) if old is not None else (CREATE,),
            f"The slot {name} of the subscription {subscription} {what}. It is made anew, as lost_slot says: changes "
            f"that the peer made{since} and that had not arrived are lost here until the tables are brought level.",
        )
    raise MultimasterError(
        f"The slot {name} of the subscription {subscription} {what}: rows that the peer wrote{since} are lost on their "
        "way, and a resync is needed. Remove the subscription, empty the tables on this node and subscribe with "
        "copy_data: true; or bring the tables level by other means and set lost_slot to recreate. " + emptying()
    )


def _position(slot: Slot) -> int:
    return slot.confirmed_flush_lsn or 0
