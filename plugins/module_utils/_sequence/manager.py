# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""pg_sequence_mm: every sequence of a database yields only values of this node."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence import report
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.cover import (
    Cover,
    body,
    plan_cover,
    read_cover,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.locks import (
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    PAUSE_SECONDS,
    UNDEFINED_TABLE,
    holder,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import (
    Change,
    Column,
    Node,
    NoValueLeft,
    Sequence,
    Target,
    plan_sequence,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.reader import SequenceReader
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.selection import Selection
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.setter import SequenceSetter, statements

MEGABYTE = 1024 * 1024
MAX_NODES_LIMIT = 32767  # a smallint sequence has no more values


@dataclass(frozen=True)
class State:
    """What is: the sequences to be set, those left alone and why, and the cover."""

    cover: Cover
    sequences: list[Sequence] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    unread: list[tuple[Sequence, Column]] = field(default_factory=list)


@dataclass
class SequencePlan(Plan):
    """What is to be done, in the module's own terms; ``planned`` holds the unchanged sequences too."""

    state: State = field(default_factory=lambda: State(Cover()))
    cover: list[Statement] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    planned: list[Change] = field(default_factory=list)


class SequenceManager:
    """The sequences of one database and the cover for those to come."""

    def __init__(self, params: dict[str, t.Any], connection: Connection) -> None:
        check_parameters(params)
        self._params = params
        self._connection = connection
        self._is_present = params["state"] == "present"
        self._node = Node(params["node_id"] or 1, params["max_nodes"])
        self._selection = Selection(params["include"], params["exclude"])
        is_covered = self._is_present and params["cover_new_tables"]
        self._source = body(self._node, self._selection) if is_covered else None
        self._reader = SequenceReader(connection, self._node, params["unindexed_limit_mb"] * MEGABYTE)

    def read(self) -> State:
        cover = read_cover(self._connection)
        if not self._is_present:
            return State(cover)
        limit = time.monotonic() + self._params["lock_timeout"]
        while True:
            try:
                return self._read_sequences(cover)
            except MultimasterError as error:
                # A table that others drop between the two queries is no longer of interest.
                if error.details.get("sqlstate") not in (LOCK_NOT_AVAILABLE, DEADLOCK, UNDEFINED_TABLE):
                    raise
                if time.monotonic() > limit:
                    raise self._cannot_read(error) from None
            time.sleep(PAUSE_SECONDS)

    def _cannot_read(self, error: MultimasterError) -> MultimasterError:
        if error.details.get("sqlstate") == UNDEFINED_TABLE:
            return error
        return MultimasterError(
            f"The sequences and their tables cannot be read: {holder(self._connection)} keeps one of them locked, "
            f"for longer than lock_timeout ({self._params['lock_timeout']:g} s)."
        )

    def _read_sequences(self, cover: Cover) -> State:
        catalogue = self._reader.catalogue()
        skipped = list(catalogue.out_of_scope)
        chosen: list[Sequence] = []
        for sequence in catalogue.sequences:
            reason = self._selection.reason_to_skip(sequence.shown)
            if reason:
                skipped.append((sequence.shown, reason))
            else:
                chosen.append(sequence)
        unread = [
            (sequence, column)
            for sequence in chosen
            for column in sequence.columns
            if not sequence.cycle and not self._reader.reads(column)
        ]
        return State(cover, self._reader.positions(chosen), skipped, unread)

    def plan(self, state: State) -> SequencePlan:
        plan = SequencePlan(state=state)
        plan.cover = plan_cover(state.cover, self._source, plan.differences)
        if plan.cover and not state.cover.superuser:
            raise MultimasterError(
                "Only a superuser can make, alter or remove the event trigger for new tables: log in as one, or let "
                "cover_new_tables say what the database has."
            )
        if self._is_present:
            self._check_names(state, plan)
            plan.planned = self._planned(state.sequences)
            plan.changes = [each for each in plan.planned if each.is_needed]
            plan.warnings += self._warnings(plan)
        self._describe(plan)
        return plan

    def apply(self, plan: Plan) -> None:
        """The cover first, so that no table can be created unseen between the two."""
        self._apply(t.cast("SequencePlan", plan))

    def _apply(self, plan: SequencePlan) -> None:
        self._connection.apply(plan.cover)
        changes, plan.changes = plan.changes, []
        if plan.cover and self._is_present:  # what was created before the trigger was there
            changes = self.plan(self.read()).changes
        while changes:
            setter = SequenceSetter(self._connection, self._reader, self._decide, self._params["lock_timeout"])
            setter.set_all(changes)
            plan.changes += setter.done
            changes = self.plan(self.read()).changes if setter.has_missed else []
        plan.differences = Differences()
        plan_cover(plan.state.cover, self._source, plan.differences)
        self._describe(plan)

    def _decide(self, sequence: Sequence) -> Target:
        try:
            return plan_sequence(sequence, self._node, self._params["headroom"])
        except NoValueLeft:
            raise MultimasterError(report.no_value_left([sequence], self._node)) from None

    def _planned(self, sequences: t.Iterable[Sequence]) -> list[Change]:
        planned: list[Change] = []
        without: list[Sequence] = []
        for sequence in sequences:
            try:
                planned.append(Change(sequence, plan_sequence(sequence, self._node, self._params["headroom"])))
            except NoValueLeft:
                without.append(sequence)
        if without:
            raise MultimasterError(
                report.no_value_left(without, self._node) + " Nothing has been changed.",
                sequences=[sequence.shown for sequence in without],
            )
        return planned

    def _check_names(self, state: State, plan: SequencePlan) -> None:
        names = {sequence.shown for sequence in state.sequences} | {name for name, _reason in state.skipped}
        missing = self._selection.unknown(self._selection.include, names)
        if missing:
            raise MultimasterError(f"include names sequences that do not exist: {report.some(missing)}.")
        unknown = self._selection.unknown(self._selection.exclude, names)
        if unknown:
            plan.warnings.append(report.warn_unknown(unknown))

    def _warnings(self, plan: SequencePlan) -> t.Iterator[str]:
        short = self._short(plan)
        if short:
            yield report.warn_short(short)
        meeting = [each.before for each in plan.planned if not each.target.beyond_data]
        if meeting:
            yield report.warn_meeting_data(meeting)
        changed = {change.before.oid for change in plan.changes}
        unread = [pair for pair in plan.state.unread if pair[0].oid in changed]
        if unread:
            yield report.warn_unread(unread)
        # A divisor of the stride (1, or half of it) left every node a part of its values: no harm.
        unusual = [each.before for each in plan.changes if self._node.stride % abs(each.before.increment)]
        if unusual:
            yield report.warn_unusual_increment(unusual)

    def _short(self, plan: SequencePlan) -> list[dict[str, t.Any]]:
        return report.running_short(plan.planned, self._params["warn_below_percent"])

    def _describe(self, plan: SequencePlan) -> None:
        """Differences, statements and results from what is planned, or from what has been done."""
        report.add_to_diff(plan.differences, plan.changes)
        plan.statements = [*plan.cover, *statements(plan.changes)]
        plan.results = {"cover": _cover_result(plan.state.cover, self._source)}
        if self._is_present:
            plan.results.update(
                sequences=report.as_results(plan.changes),
                running_short=self._short(plan),
                skipped=[{"name": name, "reason": reason} for name, reason in plan.state.skipped],
                data_not_read=[{"name": s.shown, "column": c.shown} for s, c in plan.state.unread],
                counts={
                    "sequences": len(plan.planned),
                    "changed": len(plan.changes),
                    "skipped": len(plan.state.skipped),
                },
            )


# lock_timeout reaches the server in milliseconds, which it keeps in four bytes; a sequence has eight.
_MOST = {"headroom": 10**15, "unindexed_limit_mb": 10**9, "lock_timeout": 2_000_000, "warn_below_percent": 100}


def check_parameters(params: dict[str, t.Any]) -> None:
    """What the argument specification cannot say."""
    max_nodes, node_id = params["max_nodes"], params["node_id"]
    if not 2 <= max_nodes <= MAX_NODES_LIMIT:
        raise MultimasterError(f"max_nodes is {max_nodes}: it must be between 2 and {MAX_NODES_LIMIT}.")
    if node_id is None and params["state"] == "present":  # given as null
        raise MultimasterError(f"node_id is missing: say which of 1 to max_nodes ({max_nodes}) this node is.")
    if node_id is not None and not 1 <= node_id <= max_nodes:
        raise MultimasterError(
            f"node_id is {node_id}: it must be between 1 and max_nodes ({max_nodes}), and another one on every node."
        )
    if not params["include"]:
        raise MultimasterError('include is empty, so no sequence would be set: leave it out, or name some, or use "*".')
    for name, most in _MOST.items():
        require_number(name, params[name], 0, most)


def _cover_result(cover: Cover, source: str | None) -> dict[str, str]:
    return {"before": cover.state(source), "after": "absent" if source is None else "present"}
