# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Reads, plans and changes one subscription."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection, peer_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.rows import holding
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import tables
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.apply import apply
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.local import read as read_local
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    Local,
    Subscription,
    TableName,
    wanted_from,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts, held_by, read
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.plan import plan_for
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.session import Peer, PeerUnreachable
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_commands import wait_until_free
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_decisions import needs_look
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import UNKNOWN, Slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import PublishedTable, State, Tables

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.multimaster.postgresql.plugins.module_utils._core.background import Job


class Task:
    def __init__(self, module: AnsibleModule) -> None:
        params = module.params
        conninfo = peer_parameters(params)
        self.secrets = _conninfo.secrets(conninfo)
        module.no_log_values.update(self.secrets)
        _conninfo.build(conninfo)
        # What compares without a module of its own has no check mode, and changes nothing.
        self.peer = Peer(conninfo, module.warn, "look" if getattr(module, "check_mode", True) else "change")
        if not params["detach"]:
            self.peer.begin()
        # A description that is only compared has no such mode: what is missing differs.
        self.wanted = wanted_from(params, conninfo, getattr(module, "check_mode", False))
        self.job: Job[PeerFacts] | None = None if self.wanted.detach else self.peer.start(self.look)

    def manager(self, connection: Connection) -> SubscriptionManager:
        return SubscriptionManager(connection, self)

    def look(self, connection: Connection) -> PeerFacts:
        return read(connection, self.wanted.publications)

    def ask_peer(self) -> PeerFacts:
        return self.peer.run(self.look, self.wanted.slot_timeout)


# A walsender outlives its subscriber for a moment.
_LINGERING = 3


class SubscriptionManager:
    def __init__(self, connection: Connection, task: Task) -> None:
        self._connection = connection
        self._task = task
        self._wanted = task.wanted
        self._peer = task.peer
        self._state: State | None = None
        connection.hide(*task.secrets)
        if task.wanted.copy_data and not task.wanted.copy_into_nonempty:
            # Into empty tables, all rows of the peer are meant, those that it has from other nodes too.
            connection.expect("requested copy_data with origin = NONE but might copy data that had a different origin")

    def read(self) -> State:
        wanted, job = self._wanted, self._task.job
        local = read_local(self._connection, wanted, lock_timeout=wanted.wait_timeout)
        try:
            facts = None
            if job is not None:
                facts = self._settled(local, self._peer.wait(job, wanted.slot_timeout))
            self._state = self._with_details(State(local, facts))
        except PeerUnreachable as error:
            self._state = State(local, None, str(error))
        except MultimasterError as error:
            if wanted.present:
                raise
            raise MultimasterError(f"{error} To remove the subscription without the peer, set detach to true.") from None
        return self._state

    def plan(self, state: State) -> Plan:
        plan = plan_for(self._wanted, state)
        plan.results.update(
            name=self._wanted.name,
            exists=self._wanted.present,
            peer_reachable=None if self._wanted.detach else state.peer is not None,
        )
        return plan

    def apply(self, plan: Plan) -> None:
        state = t.cast("State", self._state)
        try:
            if plan.statements:
                self._run(plan, creates=self._wanted.present and state.local.subscription is None)
            now = self._awaited(plan, state)
        except MultimasterError as error:
            # A task that fails half way says so.
            error.details.setdefault("changed", bool(plan.statements))
            raise
        if now is not None:
            plan.results["final_state"] = now.as_result(self._wanted.name)

    def _run(self, plan: Plan, creates: bool) -> None:
        apply(self._connection, self._peer, self._wanted, plan.statements, creates)

    def _awaited(self, plan: Plan, state: State) -> Subscription | None:
        """The subscription as it is now that it works, or as it is anyhow where that is not waited for."""
        wanted, before = self._wanted, state.local.subscription
        if not wanted.present:
            return None
        if wanted.wait and wanted.enabled and state.peer is not None and state.local.max_workers:
            if not plan.statements and before is not None and before.works:
                return before
            from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.wait import (
                restarts_worker,
                wait,
            )

            # What a slot held that others used before is the first thing that can go wrong.
            position = state.peer.current_lsn if plan.results["slot"] == "adopted" else None
            worker = before.worker if before is not None and restarts_worker(plan.differences.names) else None
            old_worker = None if worker is None else worker.pid
            return wait(self._connection, wanted, self._slot_now, position=position, old_worker=old_worker)
        return read_local(self._connection, wanted).subscription if plan.statements else before

    def _slot_now(self) -> Slot | None:
        try:
            return self._task.ask_peer().slots.get(self._wanted.slot_name)
        except MultimasterError:
            return None

    def _settled(self, local: Local, facts: PeerFacts) -> PeerFacts:
        """The peer's facts once more, where the first look may have come at a bad moment."""
        wanted, current = self._wanted, local.subscription
        slot = facts.slots.get(wanted.slot_name)
        if current is None and slot is not None and slot.active:
            # An interrupted run that still makes it there, or a subscriber that has just gone.
            seconds = wanted.slot_timeout if local.slot_made_here else min(_LINGERING, wanted.slot_timeout)
            wait_until_free(self._peer, slot.name, seconds)
        elif current is None:
            if not local.waited:
                return facts
        elif slot is not None and not slot.lost and (current.remote_lsn or 0) <= (facts.current_lsn or 0):
            return facts
        # The peer was asked before this node: nothing is called lost or restored on the strength of that.
        return self._task.ask_peer()

    def _with_details(self, state: State) -> State:
        """What only a change needs to know: the tables that come in, and what a leftover slot holds."""
        wanted, local, facts = self._wanted, state.local, state.peer
        if facts is None or not wanted.present:
            return state
        names = set(state.new_tables)
        current = local.subscription
        if current is not None and (
            current.owner != wanted.owner or current.options["run_as_owner"] != wanted.options["run_as_owner"]
        ):
            names |= facts.tables
        tables = self._tables(names, state.new_tables) if names else state.tables
        slot = facts.slots.get(wanted.slot_name)
        held = state.held if current is not None or slot is None else self._look_into(slot, local)
        return State(local, facts, tables=tables, held=held)

    def _look_into(self, slot: Slot, local: Local) -> str:
        wanted = self._wanted
        if not needs_look(
            slot,
            made_here=local.slot_made_here,
            copy_data=wanted.copy_data,
            start_lsn=wanted.start_lsn,
            policy=wanted.leftover_slot,
        ):
            return UNKNOWN
        return self._peer.run(
            lambda connection: held_by(connection, slot.name, wanted.publications, wanted.slot_timeout), wanted.slot_timeout
        )

    def _tables(self, names: t.Collection[TableName], new: t.Collection[TableName]) -> Tables:
        wanted = self._wanted
        job = self._peer.start(lambda connection: tables.read_published(connection, new, wanted.publications))
        local = tables.read_local(self._connection, names, wanted.owner, wanted.options["run_as_owner"])
        present = [name for name in new if name in local and local[name].kind in ("r", "p")]
        nonempty = holding(self._connection, present, wanted.slot_timeout)
        published = self._peer.wait(job, wanted.slot_timeout)
        if not wanted.copy_data and not nonempty:
            published = self._with_rows(published)
        return Tables(local, published, nonempty)

    def _with_rows(self, published: t.Mapping[TableName, PublishedTable]) -> dict[TableName, PublishedTable]:
        """The peer's tables with whether each has a row, as far as its user may see that."""
        wanted = self._wanted
        visible = [name for name, table in published.items() if table.readable and not table.row_security]
        nonempty = self._peer.run(
            lambda connection: holding(connection, visible, wanted.slot_timeout), wanted.slot_timeout
        )
        return {**published, **{name: published[name]._replace(has_row=name in nonempty) for name in visible}}
