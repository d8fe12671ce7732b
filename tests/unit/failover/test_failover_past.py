# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a node from the past is told from the node, and from one that was rebuilt."""

from __future__ import annotations

from multimaster_failover.past import Past, show_position
from multimaster_failover.probe import Report, Slot

READERS = {"b": 16400}


def report(position: int, system_id: str = "7", **confirmed: int) -> Report:
    slots = {name: Slot(value, True, False) for name, value in confirmed.items()}
    return Report(10, 10.1, False, position, slots, {}, system_id)


def test_a_node_that_goes_on_is_no_copy() -> None:
    past = Past()
    for position in (0x5000, 0x5000, 0x6000):
        assert past.judge(report(position, a_to_b=position), READERS) == ""


def test_a_node_whose_subscriber_has_more_than_it_has_is_a_copy_and_stays_one_when_it_has_written_on() -> None:
    past = Past()
    said = past.judge(report(0x4000, a_to_b=0x5000), READERS)
    assert said == "it is a copy from the past: its WAL ends at 0/4000, and slot a_to_b has confirmed 0/5000"
    assert past.judge(report(0x9000, a_to_b=0x9000), READERS) == said


def test_a_node_that_has_less_than_it_had_is_a_copy() -> None:
    past = Past()
    past.judge(report(0x5000), READERS)
    said = past.judge(report(0x4FFF), READERS)
    assert said == "it is a copy from the past: its WAL ends at 0/4FFF, and it had written up to 0/5000"
    assert past.judge(report(0x9000, a_to_b=0x9000), READERS) == said


def test_what_is_known_of_a_node_ends_when_it_is_rebuilt() -> None:
    for rebuilt, readers in ((report(0x1000, "8"), READERS), (report(0x1000), {"b": 16500})):
        for before in (report(0x5000), report(0x5000, a_to_b=0x6000)):
            past = Past()
            past.judge(before, READERS)
            past.judge(report(0x4000), READERS)
            # While the peer's subscription is not there
            assert past.judge(report(0x4000), {}) != ""
            assert past.judge(rebuilt, readers) == ""
            assert past.judge(report(0x0FFF, rebuilt.system_id), readers) != ""


def test_a_rebuilt_node_that_its_peer_reads_from_where_it_was_is_still_refused() -> None:
    past = Past()
    past.judge(report(0x5000), READERS)
    assert past.judge(report(0x1000, "8", a_to_b=0x5000), READERS) != ""


def test_a_peer_that_is_known_only_later_changes_nothing() -> None:
    past = Past()
    past.judge(report(0x5000), {})
    assert past.judge(report(0x4000), READERS) != ""


def test_positions_are_shown_as_postgresql_does() -> None:
    assert show_position(0x16_B374D848) == "16/B374D848"
