# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several clients over one record: who is heard, and that two that reach different nodes do not quarrel for ever."""

from __future__ import annotations

import json

import pytest
from failover_clients import Client, Store, play, rounds
from hypothesis import given
from hypothesis import strategies as st
from multimaster_failover import derived_key, following
from multimaster_failover.agreement import Record, new_record, parse_record
from multimaster_failover.choice import State


def test_a_failover_seen_by_one_is_followed_by_the_other() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        assert (one.active, two.active) == ("pg1", "pg1")
        one.sees(pg1=State.ASIDE)
        await rounds(one, two, count=1)
        assert (one.active, two.active) == ("pg2", "pg2")
        assert store.record is not None
        assert (store.record.node, store.record.by) == ("pg2", "one")
        # Traffic does not go back when the node does.
        one.sees(pg1=State.UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_one_that_has_been_behind_for_long_is_used_only_after_all_others_were_gone_for_long() -> None:
    async def story(_store: Store, one: Client, _two: Client) -> None:
        cluster, wait = one.cluster, one.cluster.settings.stale_wait
        one.sees(pg1=State.ASIDE)
        one.sees(pg1=State.CATCHING_UP)
        assert one.active == "pg2"
        cluster.nodes["pg1"].behind_since -= 1000 * wait
        # Two late probes, or one session that somebody ended
        one.sees(pg2=State.ASIDE)
        assert (one.active, cluster.current()) == ("pg2", None)
        one.sees(pg2=State.UP)
        # Each time is one of its own.
        one.sees(pg2=State.ASIDE)
        assert (one.active, cluster.current()) == ("pg2", None)
        assert cluster.none_up_since is not None
        cluster.none_up_since -= wait
        cluster.reconsider("test")
        assert one.active == "pg1"
        assert cluster.current() is cluster.nodes["pg1"]

    play(story)


def test_both_fail_over_without_the_store_and_agree_when_it_is_back() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        store.away = True
        for client in (one, two):
            client.sees(pg1=State.ASIDE)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")
        store.away, store.record = False, None
        await rounds(one, two)
        assert one.cluster.record == two.cluster.record == store.record

    play(story)


def test_with_a_store_that_can_only_be_read_all_end_on_the_node_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.0)

    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        store.read_only = True
        # Seen by one alone, and over again
        one.sees(pg1=State.ASIDE)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg1")
        one.sees(pg1=State.CATCHING_UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg1")
        one.sees(pg1=State.UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg1", "pg1")
        # Seen by all
        for client in (one, two):
            client.sees(pg1=State.ASIDE)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")
        for client in (one, two):
            client.sees(pg1=State.UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg1", "pg1")
        # What somebody forces stays, and is told to the others as soon as that is possible.
        assert await one.switch("pg2", force=True)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg1")
        store.read_only = False
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_what_was_told_stays_while_only_an_older_word_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.0)

    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        older = store.record
        one.cluster.switch("pg2", "somebody")
        await rounds(one, two)
        # The server that took it is away, and another one is a replica from before.
        store.record, store.read_only = older, True
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_a_word_that_was_not_taken_once_is_not_taken_back() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        store.read_only = True
        one.cluster.switch("pg2", "somebody")
        await rounds(one, two)
        store.read_only = False
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_who_wanted_a_switch_is_known_to_all() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        assert await one.switch("pg2", force=True, by="administrator")
        await rounds(one, two)
        assert store.record is not None
        assert store.record.by == "administrator via one"
        last = [client.cluster.events.last(1)[0] for client in (one, two)]
        assert [(event.kind, event.by) for event in last] == [
            ("switch", "administrator via one"),
            ("followed", "administrator via one"),
        ]

    play(story)


def test_a_record_that_names_a_node_out_of_reach_is_followed_once_that_answers() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        # Cut off together with pg1, which goes on answering
        two.sees(pg2=State.ASIDE)
        one.sees(pg1=State.ASIDE)
        await rounds(one)
        assert (one.active, two.active) == ("pg2", "pg1")
        # Joined again: pg2 has what the others wrote meanwhile, although it lacks what was written here.
        two.sees(pg2=State.CATCHING_UP)
        await rounds(one, two, count=1)
        assert (one.active, two.active) == ("pg2", "pg2")
        assert two.cluster.current() is two.cluster.nodes["pg2"]

    play(story)


def test_a_node_that_comes_back_is_not_used_at_once_where_the_others_have_moved_on() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        two.sees(pg2=State.ASIDE)
        one.sees(pg1=State.ASIDE)
        await rounds(one, two)
        two.sees(pg1=State.ASIDE)
        assert (one.active, two.active) == ("pg2", "pg1")
        # It lacks what was written on pg2 since.
        for client in (one, two):
            client.sees(pg1=State.CATCHING_UP)
        await rounds(one, two)
        assert two.cluster.current() is None
        # With nothing else to be had it is used in the end, by this one alone.
        two.waits_for_another_in_vain("pg1")
        assert two.cluster.current() is two.cluster.nodes["pg1"]
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg1")
        two.sees(pg2=State.CATCHING_UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_a_node_that_was_taken_for_want_of_another_is_not_for_those_who_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.0)

    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        for client in (one, two):
            client.loses_and_regains("pg2")
        # Out of reach for one of the two only
        one.sees(pg1=State.ASIDE)
        one.waits_for_another_in_vain("pg2")
        assert one.active == "pg2"
        await rounds(one, count=1)
        assert store.record is not None
        assert (store.record.node, store.record.behind) == ("pg2", True)
        await rounds(two, count=1)
        assert two.active == "pg1"
        # It says so, and so the other is back as soon as it can be.
        await rounds(one, two)
        one.sees(pg1=State.CATCHING_UP)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg1", "pg1")

    play(story)


def test_one_that_has_caught_up_since_is_good_for_all() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        for client in (one, two):
            client.loses_and_regains("pg2")
        one.sees(pg1=State.ASIDE)
        one.cluster.mark_up(one.cluster.nodes["pg2"])
        one.cluster.reconsider("test")
        await rounds(one)
        one.cluster.caught_up(one.cluster.nodes["pg2"])
        await rounds(one, two, count=1)
        assert store.record is not None
        assert not store.record.behind
        assert (one.active, two.active) == ("pg2", "pg2")

    play(story)


def test_a_forced_switch_is_followed_at_once_and_said_once() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        for client in (one, two):
            client.sees(pg2=State.CATCHING_UP)
        assert await one.switch("pg2", force=True)
        await rounds(one, two, count=1)
        assert (one.active, two.active) == ("pg2", "pg2")
        assert two.cluster.nodes["pg2"].state is State.UP
        assert not await one.switch("pg2", force=True)
        assert not await one.switch("pg2")

    play(story)


def test_a_forced_switch_is_followed_once_the_node_answers() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        two.sees(pg2=State.ASIDE)
        assert await one.switch("pg2", force=True)
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg1")
        two.sees(pg2=State.CATCHING_UP)
        assert two.active == "pg2"

    play(story)


def test_a_switch_to_the_node_that_one_client_uses_alone_is_told_to_the_others() -> None:
    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        two.sees(pg1=State.ASIDE)
        # Somebody says pg1 again, which two cannot reach.
        one.cluster.switch("pg2", "somebody")
        one.cluster.switch("pg1", "somebody")
        await rounds(one, two, count=1)
        assert (one.active, two.active) == ("pg1", "pg2")
        assert await two.switch("pg2")
        await rounds(two, one, count=1)
        assert (one.active, two.active) == ("pg2", "pg2")
        assert not await two.switch("pg2")

    play(story)


@pytest.mark.parametrize("started_before", [True, False])
def test_a_record_that_names_no_node_of_ours_is_overruled_once(
    started_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = new_record("renamed", 41, "older")

    async def story(store: Store, one: Client, two: Client) -> None:
        if started_before:
            await rounds(one, two)
        store.record = foreign
        if not started_before:
            one.cluster.active = one.cluster.record = None
            await one.follower.start()
            one.cluster.reconsider("first choice")
        await rounds(one, two)
        assert store.record == one.cluster.record == two.cluster.record
        assert store.record.node == "pg1"
        assert store.record.epoch > 41
        # They agree again.
        one.cluster.switch("pg2", "somebody")
        await rounds(one, two)
        assert (one.active, two.active) == ("pg2", "pg2")
        # Clients with other settings do not quarrel with these.
        store.record, store.proposals = new_record("renamed", 99, "older"), 0
        for _ignored in range(20):
            await rounds(one, two)
            epoch = store.record.epoch
            if store.record.node != "renamed":
                store.record = new_record("renamed", epoch + 1, "older")
        assert epoch < 110
        await one.follower.stop()

    play(story)
    assert "names a node that is not configured here" in caplog.text


def test_two_that_reach_different_nodes_keep_to_these_and_stay_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.0)

    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(one, two)
        one.sees(pg1=State.ASIDE)
        two.sees(pg2=State.ASIDE)
        await rounds(one, two, count=50)
        assert (one.active, two.active) == ("pg2", "pg1")

    assert play(story).proposals < 10


def test_one_that_starts_apart_brings_the_others_to_a_node_that_all_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.0)

    async def story(store: Store, one: Client, two: Client) -> None:
        await rounds(two)
        assert store.record is not None
        assert store.record.node == "pg1"
        late = Client("late", store)
        late.cluster.active, late.cluster.record = "pg2", store.record
        late.cluster.nodes["pg1"].become(State.ASIDE)
        await rounds(late, two)
        assert (late.active, two.active) == ("pg2", "pg2")

    play(story)


records = st.builds(Record, st.text(), st.integers(0, 2**31), st.text(), st.text(), st.booleans(), st.booleans())


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert parse_record(record.to_json()) == record


def test_a_record_has_what_its_readers_know() -> None:
    assert sorted(json.loads(new_record("pg1", 1, "one").to_json())) == ["by", "epoch", "node", "since"]
    assert json.loads(new_record("pg1", 1, "one", forced=True).to_json())["forced"] is True
    assert json.loads(new_record("pg1", 1, "one", requested=True).to_json())["requested"] is True


def with_epoch(epoch: str) -> str:
    return f'{{"node":"a","epoch":{epoch},"since":"","by":""}}'


NO_EPOCHS = [with_epoch(epoch) for epoch in ('"x"', "1e999", "-1e999", "NaN", "-1", "1e300", str(2**53 + 1), "null")]


@pytest.mark.parametrize("text", [None, "", b"\xff", "{", "[]", "5", '{"node": "pg1"}', "[" * 100_000, *NO_EPOCHS])
def test_what_is_no_record_is_none(text: str | bytes | None) -> None:
    assert parse_record(text) is None


def test_an_epoch_may_be_large() -> None:
    record = parse_record(with_epoch(str(2**53)))
    assert record is not None
    assert record.epoch == 2**53


def test_ranks() -> None:
    first = new_record("pg1", 1, "one")
    assert new_record("pg2", 2, "one").rank > first.rank
    assert new_record("pg2", 1, "two").rank > first.rank


@given(st.text(min_size=1), st.text(), st.integers(0, 20))
def test_derived_keys_are_negative_stable_32_bit(text: str, content: str, attempt: int) -> None:
    encodable = text.encode(errors="replace").decode(), content.encode(errors="replace").decode()
    key = derived_key(*encodable, attempt)
    assert -(2**31) <= key <= -1
    assert key == derived_key(*encodable, attempt)


def test_derived_keys_differ_and_stay_what_they_are() -> None:
    keys = {derived_key(text, content, attempt) for text in "abc" for content in "xyz" for attempt in range(3)}
    assert len(keys) == 27
    assert derived_key("ab", "c") != derived_key("a", "bc")
    # Rows were stored under these: another way of deriving would store repetitions again.
    assert derived_key("9f2c-1", "Noir") == -972753126
