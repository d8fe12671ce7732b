# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node is used, and when one that came back may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multimaster_failover.catching_up import CatchUp
from multimaster_failover.choice import Candidate, State, choose
from multimaster_failover.lag import Trail, lag
from multimaster_failover.probe import Report, Slot, read_report

UP, BEHIND, ASIDE = State.UP, State.CATCHING_UP, State.ASIDE


def candidates(*states: State, behind_for: float = 0.0) -> list[Candidate]:
    return [Candidate(name, state, behind_for) for name, state in zip("abc", states)]


@pytest.mark.parametrize(
    ("states", "active", "chosen"),
    [
        ([UP, UP], None, "a"),
        ([UP, UP], "b", "b"),  # traffic does not return by itself
        ([ASIDE, UP], "a", "b"),
        ([ASIDE, BEHIND], "a", None),  # it may lack rows
        ([BEHIND, UP], "a", "a"),  # the last active one has everything
        ([ASIDE, BEHIND, UP], "a", "c"),
        ([ASIDE, ASIDE], "a", None),
        ([BEHIND, BEHIND], None, "a"),  # nothing was acknowledged yet
        ([ASIDE, BEHIND], None, None),  # who knows what the other has
        ([UP, UP], "gone", "a"),
    ],
)
def test_choice(states: list[State], active: str | None, chosen: str | None) -> None:
    assert choose(candidates(*states), active, 5) == chosen


def test_a_node_that_is_behind_is_used_when_nothing_else_came_for_long() -> None:
    assert choose(candidates(ASIDE, BEHIND, behind_for=4.9), "a", 5) is None
    assert choose(candidates(ASIDE, BEHIND, behind_for=5.0), "a", 5) == "b"


def test_the_first_node_is_one_that_its_peers_read() -> None:
    unread = Candidate("a", BEHIND, 4.9, is_read=False)
    assert choose([unread, Candidate("b", BEHIND)], None, 5) == "b"
    assert choose([unread, Candidate("b", ASIDE)], None, 5) is None
    assert choose([unread, Candidate("b", BEHIND)], None, 5, recorded="a") == "b"
    assert choose([Candidate("a", BEHIND, 5.0, is_read=False)], None, 5) == "a"


def test_one_that_starts_goes_on_with_the_node_that_others_used_last() -> None:
    assert choose(candidates(ASIDE, BEHIND), None, 5, recorded="b") == "b"
    assert choose(candidates(BEHIND, BEHIND), None, 5, recorded="b") == "b"
    assert choose(candidates(ASIDE, BEHIND), None, 5, recorded="a") is None
    assert choose(candidates(ASIDE, BEHIND, behind_for=5.0), None, 5, recorded="a") == "b"


def suspected(*found: tuple[State, int]) -> list[Candidate]:
    return [Candidate(name, state, suspicion=suspicion) for name, (state, suspicion) in zip("abc", found)]


@pytest.mark.parametrize(
    ("found", "active", "chosen"),
    [
        ([(ASIDE, 2), (UP, 0)], "a", "b"),
        ([(UP, 2), (UP, 0)], "a", "b"),
        ([(BEHIND, 2), (ASIDE, 0)], "a", None),  # the other is waited for: it is no copy
        ([(UP, 2), (BEHIND, 0)], "a", "b"),  # what it lacks arrives; what the copy is given does not
        ([(UP, 2), (UP, 2)], "b", "b"),  # all of them: the alternative is nothing
        ([(UP, 2), (BEHIND, 1)], "a", "b"),
        ([(ASIDE, 1), (BEHIND, 2)], None, "b"),
        ([(ASIDE, 2), (ASIDE, 2)], "a", None),
        ([(UP, 1)], "a", "a"),
    ],
)
def test_what_looks_like_a_copy_from_the_past_is_used_only_where_all_do(
    found: list[tuple[State, int]], active: str | None, chosen: str | None
) -> None:
    assert choose(suspected(*found), active, 5) == chosen


@given(
    st.lists(st.tuples(st.sampled_from(State), st.sampled_from([0, 1, 2])), min_size=1, max_size=3),
    st.sampled_from(["a", "b", "c", None]),
)
def test_no_copy_is_used_beside_a_sound_node_and_the_last_ones_go_on(
    found: list[tuple[State, int]], active: str | None
) -> None:
    chosen = choose(suspected(*found), active, 5)
    sound = [suspicion == 0 for _state, suspicion in found]
    if chosen is not None:
        assert dict(zip("abc", sound))[chosen] or not any(sound)
    elif not any(sound):
        assert all(state is ASIDE for state, _suspicion in found)


@given(st.lists(st.sampled_from(State), min_size=1, max_size=3), st.sampled_from(["a", "b", "c", None]), st.floats(0, 10))
def test_a_node_set_aside_is_never_chosen_and_one_that_is_up_always_will_do(
    states: list[State], active: str | None, behind_for: float
) -> None:
    chosen = choose(candidates(*states, behind_for=behind_for), active, 5)
    by_name = dict(zip("abc", states))
    assert chosen is None or by_name[chosen] is not ASIDE
    assert chosen is not None or UP not in states


def report(position: int, **confirmed: int) -> Report:
    return Report(10, 10.1, False, position, {name: Slot(value, True, False) for name, value in confirmed.items()})


def slot_name(publisher: str, subscriber: str) -> str:
    return f"{publisher}_to_{subscriber}"


def test_catching_up_takes_both_directions_and_what_there_was_at_the_return() -> None:
    catch_up = CatchUp("a")

    def missing(a: Report | None, b: Report | None, max_lag: int = 100) -> list[str]:
        reports = {name: each for name, each in (("a", a), ("b", b)) if each is not None}
        return catch_up.missing(reports, ["b"], slot_name, max_lag)

    assert missing(None, None) == ["a does not answer"]
    assert missing(report(500), None) == ["b does not answer"]
    assert missing(report(500, a_to_b=400), report(900, b_to_a=300)) == ["a lacks 600 bytes of b", "b lacks 100 bytes of a"]
    # The goal stays where it was; what is written since only must not pile up.
    assert missing(report(600, a_to_b=500), report(5000, b_to_a=900)) == ["a is 4100 bytes behind b"]
    assert missing(report(600, a_to_b=500), report(950, b_to_a=900)) == []


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        ({}, "b has no slot b_to_a"),
        ({"b_to_a": Slot(900, False, True)}, "slot b_to_a of b is lost"),
        # b is a copy from the past: a has read on in what it no longer has.
        ({"b_to_a": Slot(901, True, False)}, "a has more of b than that has itself"),
    ],
)
def test_without_a_sound_slot_a_node_never_counts_as_caught_up(slots: dict[str, Slot], said: str) -> None:
    b = Report(10, 10.1, False, 900, slots)
    assert CatchUp("a").missing({"a": report(1, a_to_b=1), "b": b}, ["b"], slot_name, 10**9) == [said]


def test_lag_in_bytes_and_seconds() -> None:
    trail = Trail()
    for time, position in ((0, 100), (1, 100), (2, 300), (3, 500)):
        trail.add(time, position)
    publisher = report(500, x=100)
    found = lag(publisher, "x", trail, 5)
    assert (found.size, found.seconds, found.problem) == (400, 3, "")
    assert lag(report(500, x=500), "x", trail, 5).seconds == 0
    assert lag(report(500, x=501), "x", trail, 5).size is None
    assert lag(report(500), "x", trail, 5).problem == "there is no slot x"
    assert lag(None, "x", trail, 5).problem == "the publisher does not answer"
    # After a WAL switch the end of the segment is confirmed, and flushed is less.
    switched = Report(10, 10.1, False, 500, {"x": Slot(512, True, False)}, inserted=552)
    assert lag(switched, "x", trail, 5).size == 0
    # Another cluster at the same address, whose WAL is shorter
    trail.add(6, 50)
    assert trail.age(40, 8) == 2


def test_what_a_node_answers_becomes_a_report() -> None:
    row = (False, "1234", "1300", "77", "80", {"s": ["1000", True, "reserved"], "t": [None, False, "lost"]}, {"u": 16400})
    slots = {"s": Slot(1000, True, False), "t": Slot(0, False, True)}
    found = read_report(row, 1, 2, system_id="7", server_start="now", connection=3)
    assert found == Report(1, 2, False, 1234, slots, {"u": 16400}, "7", "now", 1300, 77, 80, 3)
    standby = read_report((True, None, None, "77", "80", None, None), 1, 2)
    assert (standby.read_only, standby.position, dict(standby.slots)) == (True, 0, {})
