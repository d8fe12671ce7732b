# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a task says about sequences: the bounded diff, the results, the warnings. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import (
    Change,
    Column,
    Node,
    Sequence,
    Target,
)

# A diff or a warning with thousands of names is read by nobody; the results hold them all.
SEQUENCES_IN_DIFF = 50
NAMES_IN_MESSAGE = 10


def add_to_diff(differences: Differences, changes: t.Sequence[Change]) -> None:
    """One line per sequence, and one for all beyond the first fifty."""
    for change in changes[:SEQUENCES_IN_DIFF]:
        differences.add(f"sequence {change.before.shown}", _line(after(change.target)), _line(before(change.before)))
    rest = len(changes) - SEQUENCES_IN_DIFF
    if rest > 0:
        differences.add(f"{rest} more sequences", "set", "not set")


def before(sequence: Sequence) -> dict[str, t.Any]:
    return _state(sequence.increment, sequence.start, sequence.minimum, sequence.maximum, sequence.next_value)


def after(target: Target) -> dict[str, t.Any]:
    return _state(*target.definition, target.next_value)


def _state(increment: int, start: int, minimum: int, maximum: int, next_value: int) -> dict[str, t.Any]:
    return {
        "increment": increment,
        "start": start,
        "min_value": minimum,
        "max_value": maximum,
        "next_value": next_value,
    }


def _line(state: dict[str, t.Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in state.items())


def as_results(changes: t.Iterable[Change]) -> list[dict[str, t.Any]]:
    return [
        {"name": change.before.shown, "before": before(change.before), "after": after(change.target)}
        for change in changes
    ]


def running_short(planned: t.Iterable[Change], percent: float) -> list[dict[str, t.Any]]:
    """Sequences of whose values less than so much is left to the node."""
    return [
        {
            "name": sequence.shown,
            "left": target.left,
            "total": target.total,
            "left_percent": round(100 * target.left / target.total, 2),
            "limit": sequence.highest if sequence.increment > 0 else sequence.lowest,
        }
        for sequence, target in ((plan.before, plan.target) for plan in planned)
        if target.left is not None and 100 * target.left < percent * target.total
    ]


def warn_short(short: t.Sequence[dict[str, t.Any]]) -> str:
    count = "1 sequence runs" if len(short) == 1 else f"{len(short)} sequences run"
    names = some([f"{each['name']} ({each['left']} left up to {each['limit']})" for each in short])
    return f"{count} short of values: {names}. Widen the column and the sequence, for example to bigint."


def warn_meeting_data(sequences: t.Sequence[Sequence]) -> str:
    return (
        "Rows at the very end of the range leave nothing beyond them, so these sequences go on from their own last "
        f"value and can meet existing rows: {some([f'{each.shown} (data: {each.data})' for each in sequences])}."
    )


def warn_unread(unread: t.Sequence[tuple[Sequence, Column]]) -> str:
    names = some([f"{sequence.shown} ({column.shown})" for sequence, column in unread])
    return (
        "The largest value was not read where no index serves the column and the table is larger than "
        f"unindexed_limit_mb. Only the sequence's own last value counted for: {names}."
    )


def warn_unusual_increment(sequences: t.Sequence[Sequence]) -> str:
    return (
        "The increment was no divisor of the stride before: "
        f"{some([f'{each.shown} ({each.increment})' for each in sequences])}. An application that takes a block of "
        "values per value drawn (as Hibernate does with allocationSize) has to use blocks of 1, or the sequence has "
        "to be excluded. Where it was the stride of an earlier max_nodes, no node may yield values until all nodes "
        "have the new one."
    )


def warn_unknown(names: t.Sequence[str]) -> str:
    return f"exclude names sequences that do not exist: {some(names)}."


def no_value_left(sequences: t.Sequence[Sequence], node: Node) -> str:
    ranges = [f"{each.shown} ({each.minimum} to {each.maximum}, at {each.next_value})" for each in sequences]
    return (
        f"No value of their range is left for node {node.node_id} of {node.stride}: {some(ranges)}. Widen the range "
        "(ALTER SEQUENCE .. AS, MINVALUE, MAXVALUE) or exclude them; an excluded sequence can yield what other "
        "nodes yield."
    )


def some(names: t.Sequence[str]) -> str:
    """The first few of them and how many more there are."""
    shown = ", ".join(names[:NAMES_IN_MESSAGE])
    rest = len(names) - NAMES_IN_MESSAGE
    return f"{shown} and {rest} more" if rest > 0 else shown
