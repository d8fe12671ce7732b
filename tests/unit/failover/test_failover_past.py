# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a node from the past is told from the node, and from one that was rebuilt; no sound node is taken for one."""

from __future__ import annotations

import typing as t

from multimaster_failover.past import CLEARED, SECOND_LOOK, Judgement, Past, Verdict, show_position
from multimaster_failover.probe import Report, Slot

READERS = {"b": 16400}
SLOTS = {"a_to_b"}
SEGMENT = 0x1000000
COPY = "it is a copy from the past: "


class Story:
    """Looks at one node, each a while after the one before and over a connection of its own."""

    def __init__(self) -> None:
        self.past = Past()
        self.now = 10.0
        self.connection = 0

    def look(
        self,
        position: int,
        *,
        inserted: int = 0,
        xids: tuple[int, int] = (100, 100),
        system_id: str = "7",
        start: str = "first",
        readers: t.Mapping[str, int] | None = None,
        after: float = SECOND_LOOK + 0.1,
        same_connection: bool = False,
        **confirmed: int,
    ) -> Judgement:
        self.now += after
        self.connection += not same_connection
        slots = {name: Slot(value, True, False) for name, value in confirmed.items()}
        report = Report(
            self.now - 0.01, self.now, False, position, slots, {}, system_id, start, inserted, *xids, connection=self.connection
        )
        return self.past.judge(report, READERS if readers is None else readers, SLOTS)

    def twice(self, position: int, **looks: t.Any) -> Judgement:
        first = self.look(position, **looks)
        second = self.look(position, **looks)
        assert first.verdict in (Verdict.SUSPECTED, second.verdict)
        return second


def test_a_node_that_goes_on_is_no_copy() -> None:
    story = Story()
    for position in (0x5000, 0x5000, 0x6000):
        assert story.look(position, a_to_b=position) == Judgement(Verdict.SOUND)


def test_a_wal_switch_lets_a_subscriber_confirm_more_than_is_flushed() -> None:
    story = Story()
    for number in range(1, 100):
        end = number * SEGMENT
        assert story.look(end - 0x9000, inserted=end + 40, a_to_b=end) == Judgement(Verdict.SOUND)


def test_a_node_whose_subscriber_has_more_than_it_has_is_a_copy_and_stays_one_when_it_has_written_on() -> None:
    story = Story()
    assert story.look(0x4000, a_to_b=0x5000).verdict is Verdict.SUSPECTED
    said = story.look(0x4000, a_to_b=0x5000)
    assert said == Judgement(Verdict.COPY, COPY + "its WAL ends at 0/4000, and slot a_to_b has confirmed 0/5000")
    for position in range(0x9000, 0xF000, 0x1000):
        assert story.look(position, a_to_b=position, after=CLEARED) == said


def test_one_look_is_not_enough_nor_is_one_connection() -> None:
    for looks in ({"after": SECOND_LOOK / 2}, {"same_connection": True}):
        story = Story()
        story.look(0x4000, a_to_b=0x5000)
        assert story.look(0x4000, a_to_b=0x5000, **looks).verdict is Verdict.SUSPECTED
        assert story.look(0x5000, a_to_b=0x5000).verdict is Verdict.SOUND
        # It begins again from one.
        assert story.look(0x5000, a_to_b=0x6000).verdict is Verdict.SUSPECTED


def test_a_sign_in_the_middle_of_a_session_is_told_from_one_after_a_restart() -> None:
    story = Story()
    story.look(0x5000, a_to_b=0x5000)
    assert story.look(0x5000, a_to_b=0x6000, same_connection=True).mid_session
    assert story.look(0x5000, a_to_b=0x6000, after=0.1).mid_session
    story.look(0x6000, a_to_b=0x6000)
    assert not story.look(0x6000, a_to_b=0x7000, start="second").mid_session


def test_what_another_program_confirms_says_nothing_of_the_node() -> None:
    story = Story()
    for _look in range(3):
        assert story.look(0x4000, a_to_b=0x4000, audit=0x5000).verdict is Verdict.SOUND


def test_a_node_that_has_less_than_it_had_is_a_copy() -> None:
    story = Story()
    story.look(0x5000)
    said = story.twice(0x4FFF)
    assert said == Judgement(Verdict.COPY, COPY + "its WAL ends at 0/4FFF, and it had written up to 0/5000")
    assert story.look(0x9000, a_to_b=0x9000) == said


def test_a_copy_whose_wal_was_moved_on_by_switches_has_transactions_to_come_that_had_ended() -> None:
    story = Story()
    story.look(0x5000, xids=(200, 201))
    # Flushed past where the WAL ended then: these transactions are there for good.
    story.look(0x6000, xids=(210, 210))
    said = story.twice(5 * SEGMENT, inserted=5 * SEGMENT + 40, xids=(150, 150), start="second")
    assert said == Judgement(Verdict.COPY, COPY + "its next transaction is number 150, and number 199 had ended already")
    assert story.look(6 * SEGMENT, xids=(9000, 9000), a_to_b=6 * SEGMENT) == said


def test_a_crash_takes_away_transactions_whose_end_was_not_flushed_and_that_is_no_sign() -> None:
    story = Story()
    story.look(0x5000, xids=(200, 200))
    story.look(0x5000, inserted=0x5800, xids=(200, 240))
    story.look(0x5400, inserted=0x5900, xids=(238, 240))
    assert story.look(0x5400, xids=(205, 205), start="second").verdict is Verdict.SOUND


def test_a_verdict_that_a_running_server_disproves_is_lifted() -> None:
    def followed_and_condemned(start: str) -> Story:
        story = Story()
        for position in (0x4000, 0x5000, 0x6000):
            story.look(position, a_to_b=position)
        assert story.twice(0x6000, a_to_b=0x7000, start=start).verdict is Verdict.COPY
        return story

    story = followed_and_condemned("first")
    assert story.look(0x8000, a_to_b=0x8000).verdict is Verdict.COPY
    assert story.look(0x9000, a_to_b=0x9000, after=CLEARED).verdict is Verdict.SOUND
    # Not so one that was started since: that can be the copy.
    story = followed_and_condemned("second")
    for position in (0x8000, 0x9000, 0xA000):
        assert story.look(position, a_to_b=position, start="second", after=CLEARED).verdict is Verdict.COPY


def test_what_the_client_itself_remembers_is_not_outweighed_by_a_server_that_runs_on() -> None:
    """A machine that was put back with its memory is such a server."""
    story = Story()
    for position in (0x4000, 0x5000, 0x6000):
        story.look(position, a_to_b=position)
    assert story.twice(0x5000, a_to_b=0x6000).verdict is Verdict.COPY
    for position in (0x8000, 0x9000, 0xA000):
        assert story.look(position, a_to_b=position, after=CLEARED).verdict is Verdict.COPY


def test_what_is_known_of_a_node_ends_when_it_is_rebuilt() -> None:
    rebuilds: tuple[dict[str, t.Any], ...] = ({"system_id": "8"}, {"readers": {"b": 16500}})
    befores: tuple[dict[str, t.Any], ...] = ({}, {"a_to_b": 0x6000})
    for rebuilt in rebuilds:
        for before in befores:
            story = Story()
            story.look(0x5000, **before)
            assert story.twice(0x4000, **before).verdict is Verdict.COPY
            # While the peer's subscription is not there
            assert story.look(0x4000, readers={}).verdict is Verdict.COPY
            assert story.look(0x1000, **rebuilt).verdict is Verdict.SOUND
            assert story.twice(0x0FFF, **rebuilt).verdict is Verdict.COPY


def test_a_rebuilt_node_that_its_peer_reads_from_where_it_was_is_still_refused() -> None:
    story = Story()
    story.look(0x5000)
    assert story.twice(0x1000, system_id="8", a_to_b=0x5000).verdict is Verdict.COPY


def test_a_peer_that_is_known_only_later_changes_nothing() -> None:
    story = Story()
    story.look(0x5000, readers={})
    assert story.twice(0x4000).verdict is Verdict.COPY


def test_positions_are_shown_as_postgresql_does() -> None:
    assert show_position(0x16_B374D848) == "16/B374D848"
