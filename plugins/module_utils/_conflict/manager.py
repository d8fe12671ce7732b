# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""pg_conflict_policy: what happens to replicated rows that conflict."""

from __future__ import annotations

import time
import typing as t
from functools import partial

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.plan import (
    LAST_UPDATE_WINS,
    ConflictPlan,
    TableChange,
    make_plan,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.read import State, read
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.selection import Selection, listed
from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.sql import MAX_NODE_ID, Settings
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import identifier, shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.own_schema import require_own_schema
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.locks import (
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    LOCK_TIMEOUT_MS,
    PAUSE_SECONDS,
    holder,
)

# How many tables are kept from everybody at once while what was written to them reaches the peers.
_REMOVED_AT_ONCE = 50
_LOCKED_SECONDS = 5.0
# A hundred years, as long as the history may be kept.
MAX_SECONDS = 36500 * 86400

_SLOTS = "FROM pg_replication_slots WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary"
_HAS_SLOTS = f"SELECT EXISTS (SELECT {_SLOTS})"
_BEHIND = f"""
SELECT slot_name, active, pg_wal_lsn_diff(%(lsn)s::pg_lsn, confirmed_flush_lsn)::bigint AS bytes
{_SLOTS}
  AND (confirmed_flush_lsn IS NULL OR confirmed_flush_lsn < %(lsn)s::pg_lsn)
ORDER BY slot_name
"""


class PeersBehind(MultimasterError):
    """Subscribers have not confirmed yet what was written here."""


class ConflictManager:
    def __init__(self, params: dict[str, t.Any], connection: Connection) -> None:
        check_parameters(params)
        self._params = params
        self._connection = connection
        self._selection = Selection.of(params)
        self._owner = identifier(params["history_owner"], "The name in history_owner") if params["history_owner"] else ""
        self._settings = None
        if params["policy"] == LAST_UPDATE_WINS:
            self._settings = Settings(
                params["node_id"],
                params["history_days"],
                params["delete_window"],
                self._owner,
                tuple(identifier(role, "The name in history_readers") for role in params["history_readers"]),
            )

    def read(self) -> State:
        self._require_owner()
        require_own_schema(self._connection)
        return read(self._connection, self._selection.names, self._selection.schemas or ())

    def _require_owner(self) -> None:
        """In check mode as in a run, which the server would end at its first statement for it."""
        owner = self._owner
        if self._settings is None or not owner or self._params["pending_owner"]:
            return
        if not self._connection.fetch_value("SELECT count(*) FROM pg_roles WHERE rolname = %s", [owner]):
            raise MultimasterError(
                f"history_owner is {shown(owner)}, a role that does not exist: create it first. Nothing was changed."
            )

    def plan(self, state: State) -> ConflictPlan:
        return make_plan(self._selection, self._params["policy"], self._settings, state)

    def apply(self, plan: Plan) -> None:
        self._apply(t.cast("ConflictPlan", plan))

    def _apply(self, plan: ConflictPlan) -> None:
        if not plan.statements:
            return
        self._connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        self._with_patience([], partial(self._connection.apply, plan.first))
        removals = [change for change in plan.changes if change.after != LAST_UPDATE_WINS]
        for change in plan.changes:
            if change.after == LAST_UPDATE_WINS:
                self._with_patience([change], partial(self._connection.apply, [change.statement]))
        for start in range(0, len(removals), _REMOVED_AT_ONCE):
            self._remove(removals[start : start + _REMOVED_AT_ONCE])
        self._with_patience([], partial(self._connection.apply, plan.last))

    def _with_patience(self, changes: t.Sequence[TableChange], action: t.Callable[[], None]) -> None:
        """Short attempts: while a task waits for a table, so does everybody who comes after it."""
        limit = time.monotonic() + self._params["lock_timeout"]
        while True:
            try:
                return action()
            except MultimasterError as error:
                if error.details.get("sqlstate") not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                    raise
                if time.monotonic() > limit:
                    who = holder(self._connection, [change.table.oid for change in changes] or None)
                    what = listed(change.table for change in changes) or "The history of conflicts"
                    raise MultimasterError(
                        f"{what} cannot be changed: {who} holds a lock for longer than "
                        f"lock_timeout ({self._params['lock_timeout']:g} s). Run again when it has ended; "
                        "tables that were changed before are right."
                    ) from None
            time.sleep(PAUSE_SECONDS)

    def _remove(self, changes: t.Sequence[TableChange]) -> None:
        """Drop columns that the peers' queues no longer speak of.

        A change that was queued with the columns could not be applied by a node that dropped them. So the
        peers have to have received everything before: first without locks, then what came meanwhile.
        """
        has_peers = self._has_peers(changes)
        # What was committed with synchronous_commit off is written, and sent, within three of these.
        delay = self._connection.fetch_value("SELECT setting::int FROM pg_settings WHERE name = 'wal_writer_delay'")

        def remove() -> None:
            with self._connection.transaction():
                names = sql.SQL(", ").join(compose("{}", change.table.qualified) for change in changes)
                self._connection.execute(compose("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names))
                if has_peers:
                    time.sleep(3 * delay / 1000)
                    self._wait_for_peers(min(_LOCKED_SECONDS, self._params["drain_timeout"]), changes)
                for change in changes:
                    self._connection.execute(change.statement.command)

        limit = time.monotonic() + self._params["drain_timeout"]
        while True:
            if has_peers:
                self._wait_for_peers(max(0.0, limit - time.monotonic()), changes)
            try:
                return self._with_patience(changes, remove)
            except PeersBehind:
                # The tables are free again, and everybody who waited for them goes first.
                if time.monotonic() > limit:
                    raise
                time.sleep(PAUSE_SECONDS)

    def _has_peers(self, changes: t.Sequence[TableChange]) -> bool:
        has_columns = any(change.table.is_published and change.table.own_columns for change in changes)
        return has_columns and self._connection.fetch_value(_HAS_SLOTS)

    def _wait_for_peers(self, seconds: float, changes: t.Sequence[TableChange]) -> None:
        limit = time.monotonic() + seconds
        lsn = self._connection.fetch_value("SELECT pg_current_wal_flush_lsn()::text")
        while True:
            behind = self._connection.fetch(_BEHIND, {"lsn": lsn})
            if not behind:
                return
            if time.monotonic() > limit:
                slots = ", ".join(f"{row['slot_name']} ({row['bytes']} bytes behind)" for row in behind)
                raise PeersBehind(
                    f"The policy of {listed(change.table for change in changes)} cannot be removed: not everything that was "
                    f"written here has reached the subscribers of the slots {slots} within "
                    f"{self._params['drain_timeout']:g} s, and changes that are queued hold columns that would be gone. "
                    "Wait for them, or drop a slot that nobody will use again."
                )
            time.sleep(0.05)


def check_parameters(params: dict[str, t.Any]) -> None:
    """What the argument specification cannot say."""
    if params["policy"] == LAST_UPDATE_WINS:
        if params["node_id"] is None:
            raise MultimasterError("node_id is missing: say which node this is, with another number on every node.")
        if not 1 <= params["node_id"] <= MAX_NODE_ID:
            raise MultimasterError(
                f"node_id is {params['node_id']}: it must be between 1 and {MAX_NODE_ID}, and another one on every node."
            )
    if not 1 <= params["history_days"] <= 36500:
        raise MultimasterError(f"history_days is {params['history_days']}: it must be between 1 and 36500.")
    if params["delete_window"] > params["history_days"] * 86400:
        raise MultimasterError("delete_window must not be longer than history_days.")
    for name in ("delete_window", "lock_timeout", "drain_timeout"):
        if params[name] < 0:
            raise MultimasterError(f"{name} is {params[name]}: it must not be negative.")
        if not params[name] <= MAX_SECONDS:
            raise MultimasterError(f"{name} is {params[name]}: it must be a number of seconds, {MAX_SECONDS} at most.")
