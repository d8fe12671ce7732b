# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The return to the first node by itself: when, when not, and how long it waits."""

from __future__ import annotations

import pytest
from failover_clients import Client, Store, play, rounds
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.errors import SwitchRefused
from multimaster_failover.execution import Executor
from multimaster_failover.switching import Failback, Switcher

# In seconds, so that it is over only when a test says so.
AFTER = 10_000.0


class Unhurried(Switcher):
    """Whether the target has caught up is the test's to say."""

    refusal = ""

    async def _check(self, *_ignored: object) -> None:
        if self.refusal:
            raise SwitchRefused(self.refusal)


class Returning:
    """A client that returns to pg1 by itself."""

    def __init__(self, cluster: Cluster) -> None:
        object.__setattr__(cluster.settings, "failback_after", AFTER)
        self.switcher = Unhurried(cluster, Executor(cluster))
        self.failback = Failback(cluster, self.switcher)

    async def after(self, seconds: float) -> None:
        """What it does when pg1 has been up to date for so long."""
        await self.failback.once()
        if self.failback._good_since is not None:
            self.failback._good_since -= seconds
        await self.failback.once()

    def hold(self, seconds: float) -> None:
        """pg1 has been active again for so long."""
        assert self.failback._regained is not None
        self.failback._regained -= seconds


def lose_and_regain(client: Client, name: str) -> None:
    client.sees(**{name: State.ASIDE})
    client.sees(**{name: State.UP})


def test_a_first_node_that_failed_is_returned_to_after_the_wait() -> None:
    async def story(_store: Store, one: Client, _two: Client) -> None:
        returning = Returning(one.cluster)
        lose_and_regain(one, "pg1")
        await returning.after(AFTER - 1000)
        assert one.active == "pg2"
        await returning.after(1001)
        assert one.active == "pg1"
        assert one.cluster.events.last(1)[0].by == "auto_failback via one"

    play(story)


def test_a_switch_on_purpose_stays_for_all_clients_and_for_those_that_start_later() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        returning = [Returning(client.cluster) for client in (one, two)]
        assert await one.switch("pg2", force=True, by="administrator")
        await rounds(one, two)
        late = Client("late", store)
        late.cluster.active = late.cluster.record = None
        await late.follower.start()
        late.cluster.reconsider("first choice")
        for each in (*returning, Returning(late.cluster)):
            await each.after(2 * AFTER)
        await rounds(one, two, late)
        assert [client.active for client in (one, two, late)] == ["pg2", "pg2", "pg2"]
        await late.follower.stop()
        # The first node's failure meanwhile is no reason to go there.
        lose_and_regain(one, "pg1")
        await returning[0].after(2 * AFTER)
        assert one.active == "pg2"
        # After the way back on purpose, and a failure, it is one again.
        assert await one.switch("pg1", force=True)
        lose_and_regain(one, "pg1")
        assert one.active == "pg2"
        await returning[0].after(2 * AFTER)
        assert one.active == "pg1"

    play(story)


def test_a_wish_survives_that_the_store_forgot_or_holds_nonsense() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        assert await one.switch("pg2", force=True)
        await rounds(one, two)
        store.record = None
        await rounds(one, two)
        assert store.record is not None
        assert store.record.requested
        one.cluster.foreign_epoch = 99
        one.cluster.decide("pg2")
        await rounds(one, two)
        assert store.record.epoch == 100
        assert store.record.requested

    play(story)


def test_one_that_is_lost_again_soon_is_waited_for_twice_as_long() -> None:
    async def story(_store: Store, one: Client, _two: Client) -> None:
        returning = Returning(one.cluster)

        async def takes(wait: float) -> None:
            lose_and_regain(one, "pg1")
            await returning.after(0.9 * wait)
            assert one.active == "pg2"
            await returning.after(0.2 * wait)
            assert one.active == "pg1"

        await takes(AFTER)
        for factor in (2, 4, 8, 16, 32, 64, 64):
            await takes(factor * AFTER)
        # It was steady.
        returning.hold(Failback.STEADY * 64 * AFTER)
        await takes(AFTER)

    play(story)


def test_to_leave_it_on_purpose_is_not_to_lose_it() -> None:
    async def story(_store: Store, one: Client, _two: Client) -> None:
        returning = Returning(one.cluster)
        lose_and_regain(one, "pg1")
        await returning.after(1.1 * AFTER)
        assert await one.switch("pg2", force=True)
        assert await one.switch("pg1", force=True)
        returning.hold(Failback.STEADY * AFTER)
        lose_and_regain(one, "pg1")
        await returning.after(1.1 * AFTER)
        assert one.active == "pg1"

    play(story)


def test_each_reason_for_a_refusal_is_one_event() -> None:
    async def story(_store: Store, one: Client, _two: Client) -> None:
        returning = Returning(one.cluster)

        def refused() -> list[str]:
            return [event.why for event in one.cluster.events.last(100) if event.kind == "refused"]

        lose_and_regain(one, "pg1")
        for _ignored in range(5):
            for returning.switcher.refusal in ("pg1 lacks rows", "nobody reads"):
                await returning.after(1.1 * AFTER)
        assert refused() == ["pg1 lacks rows", "nobody reads"]
        # What somebody asks for is told each time.
        for _ignored in range(2):
            with pytest.raises(SwitchRefused):
                await returning.switcher.switch_to("pg1", by="administrator")
        assert refused()[2:] == ["nobody reads"] * 2
        # The next loss is another story.
        returning.switcher.refusal = ""
        await returning.after(1.1 * AFTER)
        assert one.active == "pg1"
        lose_and_regain(one, "pg1")
        returning.switcher.refusal = "nobody reads"
        await returning.after(2.1 * AFTER)
        assert refused()[4:] == ["nobody reads"]

    play(story)
