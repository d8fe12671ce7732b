# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at fault for an answer that does not come: one node, all of them, or this program."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from multimaster_failover import NodeSettings, Settings
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.connection import Patience
from multimaster_failover.pace import Pace
from multimaster_failover.past import Judgement, Verdict
from multimaster_failover.probe import Report


def answers(pace: Pace, now: float, **seconds: float) -> None:
    for node, each in seconds.items():
        pace.asked(node, now - each)
        assert pace.answered(node, now) == pytest.approx(each)


def test_where_all_is_well_every_wait_is_as_long_as_it_was_set() -> None:
    pace = Pace()
    answers(pace, 10, a=0.002, b=0.003)
    assert pace.is_calm(10)
    assert (pace.stretched(0.3, 10), pace.granted(3, 10)) == (0.3, 3)


def test_one_node_that_hangs_tells_nothing_of_the_others() -> None:
    pace = Pace()
    answers(pace, 10, a=0.002, b=0.003)
    pace.asked("a", 10)
    assert pace.is_calm(11)
    assert pace.stretched(0.3, 11) == 0.3


def test_where_all_nodes_are_slow_waits_become_longer_within_limits() -> None:
    pace = Pace()
    answers(pace, 10, a=0.5, b=0.1)
    assert not pace.is_calm(10)
    assert pace.stretched(0.3, 10) == pytest.approx(1.0)
    assert pace.granted(3, 10) == pytest.approx(5)
    # Also before they have answered
    for node in "ab":
        pace.asked(node, 10)
    assert pace.stretched(0.3, 10.5) == pytest.approx(5)
    assert (pace.stretched(0.3, 20), pace.granted(3, 20)) == (Pace.LONGEST, 9)


def test_what_this_program_does_late_is_nobody_s_fault_and_is_forgotten() -> None:
    pace = Pace()
    answers(pace, 10, a=0.002, b=0.002)
    pace.late(0.4, 10)
    assert pace.stretched(0.3, 10.1) == pytest.approx(4)
    assert pace.is_calm(10.1 + Pace.WINDOW)


def test_a_node_that_refuses_says_nothing_of_how_fast_anything_is() -> None:
    pace = Pace()
    answers(pace, 10, a=0.1)
    pace.asked("b", 10)
    pace.refused("b")
    assert pace.needs(11) == pytest.approx(0.1)


def test_patience_grows_with_every_time_that_nothing_came_and_ends_with_a_success() -> None:
    patience = Patience(1)
    for expected in (2, 4, 8, 16, 16):
        # Two that were begun together count once.
        tried = patience.seconds
        patience.was_in_vain(tried)
        patience.was_in_vain(tried)
        assert patience.seconds == expected
    assert patience.is_tried
    patience.worked(0.9)
    assert patience.seconds == pytest.approx(3.6)
    patience.worked(0.01)
    assert (patience.seconds, patience.is_tried) == (1, False)


SLOW, CALM = 0.2, 0.001


def blamed(
    states: t.Sequence[State],
    answered: t.Sequence[bool],
    *,
    silent: float = 1.0,
    needs: float = CALM,
    times: int = 1,
    suspected: int = 0,
) -> int:
    """How often the first node is set aside for its silence."""

    async def story() -> int:
        cluster = Cluster(Settings(nodes=[NodeSettings(f"pg{number}", number, {}) for number in (1, 2)]), "test")
        now = asyncio.get_running_loop().time()
        count = 0
        for _time in range(times):
            for node, state, answers in zip(cluster.nodes.values(), states, answered):
                node.become(state)
                node.report = Report(now, now, False, 1) if answers else Report(now - silent - 1, now - silent, False, 1)
            cluster.nodes["pg2"].judged = Judgement(Verdict(suspected))
            cluster.pace.late(needs, now)
            done = cluster.blame(cluster.nodes["pg1"], "it hangs", now - silent)
            assert done == (cluster.nodes["pg1"].state is State.ASIDE)
            count += done
        return count

    return asyncio.run(story())


UP, BEHIND, ASIDE = State.UP, State.CATCHING_UP, State.ASIDE


def test_one_that_is_silent_while_another_answers_is_set_aside() -> None:
    assert blamed([UP, UP], [False, True]) == 1


@pytest.mark.parametrize(
    ("states", "answered"),
    [
        ([UP, UP], [False, False]),  # both are silent
        ([UP, ASIDE], [False, True]),  # it is the last one
        ([UP, BEHIND], [False, True]),
    ],
)
def test_none_is_at_fault_where_all_are_silent_nor_is_the_last_one(states: list[State], answered: list[bool]) -> None:
    assert blamed(states, answered) == 0


def test_the_last_one_gives_way_in_the_end_to_one_that_is_behind_and_answers_but_to_no_copy() -> None:
    assert blamed([UP, BEHIND], [False, True], silent=6) == 1
    assert blamed([UP, BEHIND], [False, True], silent=6, suspected=2) == 0
    assert blamed([UP, UP], [False, True], suspected=2) == 0


def test_traffic_does_not_go_to_and_fro() -> None:
    assert blamed([UP, UP], [False, True], needs=SLOW, times=50) == 2
    assert blamed([UP, UP], [False, True], times=50) == 30
