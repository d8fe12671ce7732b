# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""plan_sequence against a model of PostgreSQL's own nextval()."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import (
    Change,
    Column,
    Node,
    NoValueLeft,
    Sequence,
    Target,
    plan_sequence,
)

TYPES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}


class Exhausted(Exception):
    pass


def draw(sequence: Sequence) -> tuple[int, Sequence]:
    """nextval(): the value, and the sequence after it."""
    value = sequence.last_value
    if sequence.is_called:
        value += sequence.increment
        if not sequence.minimum <= value <= sequence.maximum:
            if not sequence.cycle:
                raise Exhausted
            value = sequence.minimum if sequence.increment > 0 else sequence.maximum
    return value, replace(sequence, last_value=value, is_called=True)


def draw_many(sequence: Sequence, count: int) -> tuple[list[int], Sequence]:
    """Up to so many values; fewer where the range ends."""
    values = []
    for _each in range(count):
        try:
            value, sequence = draw(sequence)
        except Exhausted:
            break
        values.append(value)
    return values, sequence


def as_set(sequence: Sequence, target: Target) -> Sequence:
    """ALTER SEQUENCE, with the checks that PostgreSQL makes."""
    changed = replace(
        sequence,
        increment=target.increment,
        start=target.start,
        minimum=target.minimum,
        maximum=target.maximum,
    )
    if target.restart is not None:
        changed = replace(changed, last_value=target.restart, is_called=False)
    assert changed.minimum < changed.maximum
    assert changed.minimum <= changed.start <= changed.maximum
    assert changed.minimum <= changed.last_value <= changed.maximum
    return changed


@st.composite
def nodes(draw_from: st.DrawFn) -> Node:
    stride = draw_from(st.sampled_from([2, 3, 8, 8, 16, 100]))
    return Node(draw_from(st.integers(1, stride)), stride)


@st.composite
def sequences(draw_from: st.DrawFn) -> Sequence:
    """Any sequence that PostgreSQL accepts, often a narrow one, so that ends are met."""
    span = TYPES[draw_from(st.sampled_from(list(TYPES)))]
    anywhere = st.integers(-span, span - 1)
    minimum = draw_from(st.one_of(st.sampled_from([1, -span, -5, 0]), anywhere))
    maximum = draw_from(
        st.one_of(st.just(span - 1), st.integers(1, 300).map(lambda width: min(span - 1, minimum + width)), anywhere)
    )
    assume(minimum < maximum)
    inside = st.one_of(
        st.integers(minimum, maximum),
        st.integers(0, 40).map(lambda back: max(minimum, maximum - back)),
        st.integers(0, 40).map(lambda on: min(maximum, minimum + on)),
    )
    increment = draw_from(st.sampled_from([1, -1, 1, -1, 8, -8, 50, -3]))
    data = draw_from(st.one_of(st.none(), inside))
    column = draw_from(st.sampled_from([Column("s", "t", "c"), Column("s", "t", "c", -(2**31), 2**31 - 1)]))
    return Sequence(
        schema="s",
        name="q",
        start=draw_from(inside),
        increment=increment,
        minimum=minimum,
        maximum=maximum,
        cycle=draw_from(st.booleans()),
        last_value=draw_from(inside),
        is_called=draw_from(st.booleans()),
        data=data,
        columns=(column,) if data is not None else (),
    )


def as_read(sequence: Sequence, node: Node) -> Sequence:
    """With the own value ahead that the module's reading would find."""
    if sequence.data is None or not (sequence.is_in_step(node) and node.owns(sequence.data)):
        return sequence
    ahead = (sequence.data - sequence.next_value) * (1 if sequence.increment > 0 else -1)
    return replace(sequence, own_data=sequence.data) if ahead >= 0 else sequence


def planned(sequence: Sequence, node: Node, headroom: int = 0) -> Target:
    sequence = as_read(sequence, node)
    try:
        return plan_sequence(sequence, node, headroom)
    except NoValueLeft:
        assume(False)
        raise


@settings(max_examples=400, deadline=None)
@given(sequences(), nodes(), st.integers(0, 1000), st.integers(1, 60))
def test_all_values_drawn_belong_to_the_node_and_are_new(
    sequence: Sequence, node: Node, headroom: int, count: int
) -> None:
    target = planned(sequence, node, headroom)
    values, _after = draw_many(as_set(sequence, target), count)
    assert all(node.owns(value) for value in values)
    assert all(sequence.minimum <= value <= sequence.maximum for value in values)
    if not sequence.cycle:
        assert len(set(values)) == len(values)
        direction = 1 if sequence.increment > 0 else -1
        used = sequence.last_value if sequence.is_called else sequence.last_value - direction
        assert all(direction * value > direction * used for value in values)
        if sequence.data is not None and target.beyond_data:
            if sequence.is_in_step(node):  # then others may be ahead
                assert sequence.data not in values
            else:
                assert all(direction * value > direction * sequence.data for value in values)


@settings(max_examples=200, deadline=None)
@given(sequences(), nodes(), nodes(), st.integers(1, 60))
def test_two_nodes_never_yield_the_same_value(sequence: Sequence, one: Node, other: Node, count: int) -> None:
    other = Node((other.node_id - 1) % one.stride + 1, one.stride)
    assume(one != other)
    values = [draw_many(as_set(sequence, planned(sequence, node)), count)[0] for node in (one, other)]
    assert not set(values[0]) & set(values[1])


@settings(max_examples=400, deadline=None)
@given(sequences(), nodes(), st.integers(0, 1000), st.integers(0, 200))
def test_a_second_plan_changes_nothing_whatever_was_drawn(
    sequence: Sequence, node: Node, headroom: int, count: int
) -> None:
    changed = as_set(sequence, planned(sequence, node, headroom))
    for drawn in (0, count):
        _values, now = draw_many(changed, drawn)
        assert not Change(now, plan_sequence(as_read(now, node), node, headroom)).is_needed


@settings(max_examples=200, deadline=None)
@given(sequences(), nodes(), st.integers(0, 50), st.integers(0, 1000))
def test_own_rows_ahead_are_never_met(sequence: Sequence, node: Node, drawn: int, ahead: int) -> None:
    sequence = replace(sequence, cycle=False)
    _values, now = draw_many(as_set(sequence, planned(sequence, node)), drawn)
    left = plan_sequence(as_read(now, node), node).left
    assume(left)
    assert left is not None
    own = now.next_value + ahead % left * now.increment
    now = replace(now, data=own, own_data=own)
    target = plan_sequence(now, node)
    values, _now = draw_many(as_set(now, target), 60)
    assert (own in values) <= (not target.beyond_data)
    assert target.beyond_data or target.restart is None


@settings(max_examples=150, deadline=None)
@given(sequences(), nodes())
def test_a_descending_sequence_is_an_ascending_one_in_the_mirror(sequence: Sequence, node: Node) -> None:
    mirrored = replace(
        sequence,
        start=-sequence.start,
        increment=-sequence.increment,
        minimum=-sequence.maximum,
        maximum=-sequence.minimum,
        last_value=-sequence.last_value,
        data=None if sequence.data is None else -sequence.data,
        columns=(),
    )
    target, mirror = planned(replace(sequence, columns=()), node), planned(mirrored, Node(-node.node_id, node.stride))
    assert (target.increment, target.start, target.next_value) == (-mirror.increment, -mirror.start, -mirror.next_value)
    assert (target.left, target.total) == (mirror.left, mirror.total)


@settings(max_examples=200, deadline=None)
@given(sequences(), nodes())
def test_start_is_the_nodes_own_after_truncate_restart_identity(sequence: Sequence, node: Node) -> None:
    changed = as_set(sequence, planned(sequence, node))
    restarted = replace(changed, last_value=changed.start, is_called=False)
    assert node.owns(changed.start)
    assert not Change(restarted, plan_sequence(restarted, node)).is_needed


@settings(max_examples=150, deadline=None)
@given(sequences(), nodes())
def test_left_counts_what_can_be_drawn(sequence: Sequence, node: Node) -> None:
    target = planned(replace(sequence, columns=()), node)
    if sequence.cycle:
        assert target.left is None
        return
    values, _after = draw_many(as_set(sequence, target), 50)
    assert target.left is not None
    assert len(values) == min(50, target.left)
    assert target.left <= target.total


@pytest.mark.parametrize(
    ("sequence", "node", "expected"),
    [
        # (increment, start, min, max, restart)
        pytest.param({}, Node(1, 8), (8, 1, 1, 2**63 - 1, None), id="fresh, node 1"),
        pytest.param({}, Node(2, 8), (8, 2, 1, 2**63 - 1, 2), id="fresh, node 2"),
        pytest.param({}, Node(8, 8), (8, 8, 1, 2**63 - 1, 8), id="fresh, the last node"),
        pytest.param(
            {"last_value": 100, "is_called": True}, Node(2, 8), (8, 2, 1, 2**63 - 1, 106), id="values were drawn"
        ),
        pytest.param(
            {"last_value": 100, "is_called": True, "data": 250}, Node(2, 8), (8, 2, 1, 2**63 - 1, 258), id="data beyond"
        ),
        pytest.param(
            {"last_value": 1, "is_called": True}, Node(1, 8), (8, 1, 1, 2**63 - 1, None), id="the position suits already"
        ),
        pytest.param(
            {"increment": 8, "start": 2, "last_value": 34, "is_called": True, "data": 90001},
            Node(2, 8),
            (8, 2, 1, 2**63 - 1, None),
            id="other nodes are ahead",
        ),
        pytest.param(
            {"increment": 8, "start": 2, "last_value": 34, "is_called": True, "data": 90001, "own_data": 42},
            Node(2, 8),
            (8, 2, 1, 2**63 - 1, 90002),
            id="own rows ahead",
        ),
        pytest.param(
            {"increment": 8, "start": 3, "last_value": 35, "is_called": True},
            Node(2, 8),
            (8, 10, 1, 2**63 - 1, 42),
            id="a copy of node 3",
        ),
        pytest.param(
            {"increment": 8, "start": 2, "last_value": 34, "is_called": True},
            Node(2, 16),
            (16, 2, 1, 2**63 - 1, None),
            id="twice the nodes",
        ),
        pytest.param(
            {"cycle": True, "maximum": 20, "last_value": 20, "is_called": True, "data": 20},
            Node(3, 8),
            (8, 3, 3, 20, 3),
            id="a cycle starts again at an own value",
        ),
        pytest.param(
            {"increment": -1, "minimum": -(2**63), "maximum": -1, "start": -1, "last_value": -1},
            Node(2, 8),
            (-8, -6, -(2**63), -1, -6),
            id="descending",
        ),
        pytest.param(
            {"maximum": 100, "last_value": 99, "is_called": True}, Node(1, 8), (8, 1, 1, 100, None), id="used up"
        ),
        pytest.param(
            {"maximum": 100, "last_value": 5, "is_called": True, "data": 100},
            Node(1, 8),
            (8, 1, 1, 100, 9),
            id="a row at the very end",
        ),
        pytest.param(
            {"maximum": 100, "start": 100, "last_value": 5, "is_called": True},
            Node(1, 8),
            (8, 1, 1, 100, 9),
            id="nothing own from the start on",
        ),
        pytest.param(
            {"data": 2**31 - 1, "columns": (Column("s", "t", "c", -(2**31), 2**31 - 1),), "is_called": True},
            Node(1, 8),
            (8, 1, 1, 2**63 - 1, None),
            id="the column ends before the sequence",
        ),
    ],
)
def test_examples(sequence: dict[str, t.Any], node: Node, expected: tuple[object, ...]) -> None:
    target = plan_sequence(Sequence("s", "q", **sequence), node)
    assert (*target.definition, target.restart) == expected


def test_headroom_counts_when_the_stride_changes_and_only_then() -> None:
    node = Node(2, 8)
    fresh = Sequence("s", "q", last_value=100, is_called=True)
    assert plan_sequence(fresh, node, 1000).restart == 1106
    assert plan_sequence(replace(fresh, maximum=500), node, 1000).restart == 106
    assert plan_sequence(replace(fresh, increment=8), node, 1000).restart == 106


@pytest.mark.parametrize(
    "sequence",
    [
        {"maximum": 3},
        {"maximum": 5, "cycle": True},
        {"minimum": 1, "maximum": 100, "start": 100, "last_value": 100},
        {"increment": -1, "minimum": -2, "maximum": -1, "start": -1, "last_value": -1},
    ],
)
def test_a_range_without_a_value_for_the_node_is_an_error(sequence: dict[str, t.Any]) -> None:
    with pytest.raises(NoValueLeft):
        plan_sequence(Sequence("s", "q", **sequence), Node(5, 8))


@pytest.mark.parametrize("node_id", range(1, 9))
def test_growing_to_twice_the_nodes_keeps_the_nodes_apart(node_id: int) -> None:
    """A node with the new stride and one that still has the old one."""
    new = Node(node_id, 16)
    for other in range(1, 9):
        if other != node_id:
            assert not any(Node(other, 8).owns(value) for value in range(1000) if new.owns(value))
