# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Waiting until a subscription works, and saying what is known when it does not."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.checks import listed
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.local import read
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Local, Subscription, Wanted
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import Slot

# So many new errors during the wait are no accident: the workers start again every few seconds.
_ENOUGH_ERRORS = 3

# An idle worker looks every second whether its subscription has changed; a busy one works on with what it has.
_RESTARTING = frozenset({"binary", "streaming", "origin", "password_required", "slot_name", "publications", "owner", "enabled"})
_LONGEST_OLD_WORKER = 5

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


def restarts_worker(changed: t.Iterable[str]) -> bool:
    """Whether these differences make the worker start anew. It notices when it is between two transactions."""
    return any(name in _RESTARTING or name.startswith("conninfo.") for name in changed)


def wait(
    connection: Connection,
    wanted: Wanted,
    slot: t.Callable[[], Slot | None],
    *,
    position: int | None = None,
    old_worker: int | None = None,
) -> Subscription:
    """Until the subscription works, has got over what the peer's WAL holds up to a position, and has a new worker.

    ``slot`` reads the slot on the peer, for the error message only.
    """
    begin = time.monotonic()
    pause, first_errors = _FIRST_PAUSE, None
    while True:
        local = read(connection, wanted)
        now = local.subscription
        if now is None:
            raise MultimasterError(f"The subscription {wanted.shown_name} was removed while it was waited for.")
        if first_errors is None:
            first_errors = now.errors
        seconds = time.monotonic() - begin
        is_new = seconds >= _LONGEST_OLD_WORKER or now.worker is None or now.worker.pid != old_worker
        if now.works and is_new and _is_past(now, position):
            return now
        new_errors = now.errors - first_errors
        if not now.enabled or new_errors >= _ENOUGH_ERRORS or seconds >= wanted.wait_timeout:
            raise MultimasterError(
                f"The subscription {wanted.shown_name} does not work after {seconds:.0f} s: "
                + " ".join(problems(local, now, new_errors, slot())),
                tables_not_ready=[listed([name]) for name in now.not_ready],
                apply_error_count=now.apply_errors,
                sync_error_count=now.sync_errors,
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _is_past(now: Subscription, position: int | None) -> bool:
    return position is None or (now.worker is not None and (now.worker.received_lsn or 0) >= position)


def problems(local: Local, now: Subscription, new_errors: int, slot: Slot | None) -> list[str]:
    """What can be known without the server's log. Pure."""
    found = []
    if not now.enabled:
        found.append("It is disabled now" + (" (disable_on_error)." if now.options["disable_on_error"] else "."))
    if new_errors:
        found.append(
            f"Its workers failed {new_errors} times in the meantime ({now.apply_errors} errors of the apply worker and "
            f"{now.sync_errors} of copies in all): a row that is here already, a missing column, or a lacking privilege."
        )
    if local.max_workers <= local.workers:
        found.append(
            f"All {local.max_workers} logical replication workers (max_logical_replication_workers) are in use: raise it."
            if local.max_workers
            else "max_logical_replication_workers is 0: no worker may start on this node."
        )
    elif now.worker is None and not new_errors and now.enabled:
        found.append("Its apply worker does not stay up" + _why_no_worker(slot))
    elif now.worker is not None and now.worker.received_lsn is None:
        found.append("Its apply worker has not heard of the peer yet.")
    if now.not_ready:
        found.append(f"{len(now.not_ready)} of {len(now.tables)} tables are not ready: {listed(now.not_ready)}.")
    return [*found, "This node's server log has the workers' own words."]


def _why_no_worker(slot: Slot | None) -> str:
    if slot is None:
        return ": the slot cannot be found on the peer."
    if slot.lost:
        return f": the slot {slot.name} on the peer is no longer usable (wal_status {slot.wal_status})."
    if slot.active:
        return f": the slot {slot.name} on the peer is in use by process {slot.active_pid} there."
    return (
        ". The peer accepts this task's connection, so look at the files in it: the operating system's user of this server "
        "must be able to read ca_cert, ssl_cert and ssl_key, and the key must be closed to others."
    )
