# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of nodes that look like copies from the past: none is used beside a sound one; where all do, one goes on."""

from __future__ import annotations

import asyncio
import typing as t

from multimaster_failover import NodeSettings, Settings
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.past import Judgement, Verdict

SOUND = Judgement(Verdict.SOUND)
SUSPECTED = Judgement(Verdict.SUSPECTED, "it may be one")
COPY = Judgement(Verdict.COPY, "it is one")


def play(story: t.Callable[[Cluster], None]) -> list[tuple[str, str]]:
    async def run() -> None:
        cluster = Cluster(Settings(nodes=[NodeSettings("pg1", 1, {}), NodeSettings("pg2", 2, {})]), "test")
        cluster.events.listeners.append(lambda event: events.append((event.kind, event.node)))
        for node in cluster.nodes.values():
            node.become(State.UP)
        cluster.reconsider("test")
        events.clear()
        story(cluster)

    events: list[tuple[str, str]] = []
    asyncio.run(run())
    return events


def test_beside_a_sound_node_none_is_used_that_looks_like_a_copy() -> None:
    def story(cluster: Cluster) -> None:
        assert not cluster.may_use(cluster.nodes["pg1"], SUSPECTED)
        assert (cluster.active, cluster.nodes["pg1"].state) == ("pg2", State.ASIDE)
        # Not even when that one is away.
        cluster.set_aside(cluster.nodes["pg2"], "it crashed")
        assert not cluster.may_use(cluster.nodes["pg1"], COPY)
        assert cluster.current() is None

    play(story)


def test_a_sign_in_the_middle_of_a_session_is_looked_at_twice_before_anything_happens() -> None:
    def story(cluster: Cluster) -> None:
        assert cluster.may_use(cluster.nodes["pg1"], Judgement(Verdict.SUSPECTED, "it may be one", mid_session=True))
        assert cluster.active == "pg1"

    assert play(story) == []


def test_where_all_look_like_copies_the_active_one_goes_on_with_an_alarm_until_one_does_not() -> None:
    def story(cluster: Cluster) -> None:
        one, two = cluster.nodes.values()
        assert not cluster.may_use(two, COPY)
        for _look in range(3):
            assert cluster.may_use(one, COPY)
            cluster.reconsider("")
        assert cluster.current() is one
        assert one.lacks_rows
        assert one.as_dict()["suspected"] == "it is one"
        # The other is cleared, and has yet to catch up.
        assert cluster.may_use(two, SOUND)
        two.begin_catching_up(0, "it has just come back")
        assert not cluster.may_use(one, COPY)
        assert cluster.current() is two

    events = play(story)
    assert events.count(("alarm", "pg1")) == 1
    assert ("cleared", "pg2") in events
