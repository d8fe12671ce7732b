# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Which values of a sequence belong to a node, and how a sequence is set so that it yields only these.

Pure arithmetic. A node owns the values that are congruent to its node id modulo the stride
(``max_nodes``), so whatever two nodes yield differs, at any time and without talking to each other.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Node:
    """A node's share of the integers."""

    node_id: int
    stride: int

    def owns(self, value: int) -> bool:
        return (value - self.node_id) % self.stride == 0

    def at_or_above(self, value: int) -> int:
        """The node's first value that is not smaller."""
        return value + (self.node_id - value) % self.stride

    @property
    def mirrored(self) -> Node:
        return Node(-self.node_id, self.stride)


@dataclass(frozen=True)
class Column:
    """A column that holds values of a sequence.

    ``lowest`` and ``highest`` are the limits of its type (None: none that matters).
    ``scanned_bytes`` is what finding its largest value has to read because no index serves it;
    None where that cannot be told (a foreign table). ``relations`` counts what reading it locks.
    """

    schema: str
    table: str
    name: str
    lowest: int | None = None
    highest: int | None = None
    scanned_bytes: int | None = 0
    relations: int = 2
    # As whom rows are read, where that is not oneself; and whether row security hides rows from that role, too.
    reader: str | None = None
    hides: bool = False

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.table}.{self.name}"


@dataclass(frozen=True)
class Sequence:
    """A sequence as it is.

    ``data`` is the value of its columns that lies farthest in its direction. ``own_data`` is the
    farthest one that this node owns and that the sequence has yet to yield (None: none).
    """

    schema: str
    name: str
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 2**63 - 1
    cycle: bool = False
    last_value: int = 1
    is_called: bool = False
    data: int | None = None
    own_data: int | None = None
    columns: tuple[Column, ...] = ()
    oid: int = 0
    # As whom it is read, where that is not oneself.
    reader: str | None = None

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def next_value(self) -> int:
        """What it yields next, unless its range ends before."""
        return self.last_value + self.increment if self.is_called else self.last_value

    def is_in_step(self, node: Node) -> bool:
        """Whether it yields only values of that node, going upwards or downwards."""
        return abs(self.increment) == node.stride and node.owns(self.last_value)

    @property
    def lowest(self) -> int:
        """The smallest value that the sequence and its columns can hold."""
        return max([self.minimum, *(c.lowest for c in self.columns if c.lowest is not None)])

    @property
    def highest(self) -> int:
        """The largest value that the sequence and its columns can hold."""
        return min([self.maximum, *(c.highest for c in self.columns if c.highest is not None)])


@dataclass(frozen=True)
class Target:
    """A sequence as it is to be. ``restart`` None: its position is right.

    ``next_value``: what it then yields next. ``left`` and ``total``: how many values the node has
    from there on, and in all (``left`` None: the sequence cycles). ``beyond_data``: whether the
    next value lies beyond all data, as far as the data mattered.
    """

    increment: int
    start: int
    minimum: int
    maximum: int
    restart: int | None
    next_value: int
    left: int | None
    total: int
    beyond_data: bool = True

    def differs_from(self, sequence: Sequence) -> bool:
        return self.restart is not None or self.definition != (
            sequence.increment, sequence.start, sequence.minimum, sequence.maximum
        )

    @property
    def definition(self) -> tuple[int, int, int, int]:
        return self.increment, self.start, self.minimum, self.maximum


@dataclass(frozen=True)
class Change:
    """A sequence as it is, and as it is to be."""

    before: Sequence
    target: Target

    @property
    def is_needed(self) -> bool:
        return self.target.differs_from(self.before)


class NoValueLeft(Exception):
    """The sequence cannot be set: nothing that it can still yield belongs to the node."""


def plan_sequence(sequence: Sequence, node: Node, headroom: int = 0) -> Target:
    """How the sequence has to be set. Raises NoValueLeft where it cannot be."""
    if sequence.increment > 0:
        return _plan_ascending(sequence, node, headroom)
    return _mirror_target(_plan_ascending(_mirror(sequence), node.mirrored, headroom))


def _plan_ascending(sequence: Sequence, node: Node, headroom: int) -> Target:
    first = node.at_or_above(sequence.minimum)
    limit = sequence.highest
    # PostgreSQL wants MINVALUE < MAXVALUE, and a cycling sequence returns to MINVALUE.
    if first > limit or (sequence.cycle and first == sequence.maximum):
        raise NoValueLeft
    minimum = first if sequence.cycle else sequence.minimum
    start = node.at_or_above(max(sequence.start, minimum))
    if start > limit:
        start = first

    restart = _restart(sequence, node, headroom, first)
    natural = sequence.last_value + node.stride if sequence.is_called else sequence.last_value
    if restart == natural:
        restart = None
    next_value = natural if restart is None else restart
    left = None if sequence.cycle else max(0, (limit - next_value) // node.stride + 1)
    return Target(
        increment=node.stride,
        start=start,
        minimum=minimum,
        maximum=sequence.maximum,
        restart=restart,
        next_value=next_value,
        left=left,
        total=(limit - first) // node.stride + 1,
        beyond_data=_is_beyond_data(sequence, node, next_value),
    )


def _restart(sequence: Sequence, node: Node, headroom: int, first: int) -> int | None:
    """Where the sequence has to go on; None where it is."""
    # Values that come round again are met by design: data says nothing about a cycling sequence.
    data = None if sequence.cycle else sequence.data
    if sequence.is_in_step(node) and (sequence.cycle or sequence.own_data is None):
        return None
    used = sequence.last_value if sequence.is_called else sequence.last_value - 1
    beyond = used if data is None else max(used, data)
    margin = 0 if sequence.increment == node.stride else headroom
    for taken, limit in (
        (beyond + margin, sequence.highest),
        (beyond, sequence.highest),
        # A row at the very end of the range leaves nothing beyond it: go on from the sequence itself.
        (used, sequence.highest),
        (used, sequence.maximum),
    ):
        candidate = node.at_or_above(taken + 1)
        if candidate <= limit:
            return candidate
    if sequence.cycle:
        return first
    if not sequence.is_called:
        raise NoValueLeft  # it would still yield last_value, which belongs to another node
    return None  # used up: its next value lies beyond the maximum, so it yields nothing


def _is_beyond_data(sequence: Sequence, node: Node, next_value: int) -> bool:
    if sequence.cycle or sequence.data is None:
        return True
    if sequence.is_in_step(node):
        # What lies further ahead came from other nodes and is never met.
        return sequence.own_data is None or next_value > sequence.own_data
    return next_value > sequence.data


def _mirror(sequence: Sequence) -> Sequence:
    """A descending sequence as an ascending one: every value with its sign turned."""
    return replace(
        sequence,
        start=-sequence.start,
        increment=-sequence.increment,
        minimum=-sequence.maximum,
        maximum=-sequence.minimum,
        last_value=-sequence.last_value,
        data=_negated(sequence.data),
        own_data=_negated(sequence.own_data),
        columns=tuple(
            replace(column, lowest=_negated(column.highest), highest=_negated(column.lowest))
            for column in sequence.columns
        ),
    )


def _mirror_target(target: Target) -> Target:
    return replace(
        target,
        start=-target.start,
        increment=-target.increment,
        minimum=-target.maximum,
        maximum=-target.minimum,
        restart=_negated(target.restart),
        next_value=-target.next_value,
    )


def _negated(value: t.Any) -> t.Any:
    return None if value is None else -value
