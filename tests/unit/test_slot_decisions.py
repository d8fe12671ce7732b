# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which slot is taken, made, replaced, copied or refused."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_decisions import (
    SlotPlan,
    for_existing_subscription,
    for_new_subscription,
    needs_look,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import (
    CHANGES,
    COPY,
    CREATE,
    DROP,
    EMPTY,
    UNKNOWN,
    Slot,
    check_slot_name,
    parse_lsn,
    show_lsn,
    slot_from,
)

USABLE = Slot("s", database="imdb", confirmed_flush_lsn=100)


def new(slot: Slot | None, **changes: t.Any) -> SlotPlan:
    defaults: dict[str, t.Any] = {
        "database": "imdb",
        "made_here": False,
        "copy_data": False,
        "start_lsn": None,
        "policy": "fail",
    }
    return for_new_subscription("s", slot, **{**defaults, **changes})


def existing(slots: dict[str, Slot], current: str | None = "s", wanted: str = "s", **changes: t.Any) -> SlotPlan:
    defaults: dict[str, t.Any] = {
        "database": "imdb",
        "subscription": "sub",
        "applied": 90,
        "consumed": True,
        "policy": "fail",
    }
    return for_existing_subscription(wanted, current, slots, **{**defaults, **changes})


@given(st.integers(0, 2**64 - 1))
def test_positions_come_back(lsn: int) -> None:
    assert parse_lsn(show_lsn(lsn)) == lsn


def test_positions_as_postgresql_shows_them() -> None:
    assert show_lsn(parse_lsn("16/B374D848")) == "16/B374D848"
    assert parse_lsn("0/0") == 0
    assert parse_lsn(None) is None
    assert show_lsn(None) is None


@pytest.mark.parametrize("name", ["slot_1_to_2", "a", "0", "_" * 63])
def test_a_permitted_name(name: str) -> None:
    check_slot_name(name, given=True)


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "ü", "a" * 64, "a\n"])
def test_a_name_that_is_not_permitted(name: str) -> None:
    with pytest.raises(MultimasterError, match="slot_name is not given"):
        check_slot_name(name, given=False)


def test_a_row_of_any_version() -> None:
    row = {
        "slot_name": "s",
        "plugin": "pgoutput",
        "slot_type": "logical",
        "database": "imdb",
        "temporary": False,
        "active": True,
        "active_pid": 7,
        "wal_status": "reserved",
        "confirmed_flush_lsn": "0/64",
        "application": "sub",
    }
    assert slot_from(row) == USABLE._replace(active=True, active_pid=7, application="sub")
    assert slot_from({**row, "conflicting": True}).lost
    assert slot_from({**row, "invalidation_reason": "idle_timeout"}).lost
    assert slot_from({**row, "wal_status": "lost"}).lost
    assert not slot_from({**row, "wal_status": "unreserved"}).lost


# A subscription that does not exist yet


def test_no_slot_is_made() -> None:
    assert new(None) == SlotPlan("created", (CREATE,))


def test_what_an_interrupted_run_made_is_taken() -> None:
    assert new(USABLE, made_here=True) == SlotPlan("adopted")
    assert new(USABLE, made_here=True, copy_data=True) == SlotPlan("adopted")


def test_a_slot_that_holds_nothing_is_taken() -> None:
    assert new(USABLE, held=EMPTY) == SlotPlan("adopted")


@pytest.mark.parametrize("held", [CHANGES, UNKNOWN])
def test_a_slot_with_changes_is_not_decided_about(held: str) -> None:
    with pytest.raises(MultimasterError, match="leftover_slot"):
        new(USABLE, held=held)
    adopted, replaced = new(USABLE, held=held, policy="adopt"), new(USABLE, held=held, policy="replace")
    assert (adopted.outcome, adopted.actions) == ("adopted", ())
    assert (replaced.outcome, replaced.actions) == ("replaced", (DROP, CREATE))
    assert adopted.warning
    assert replaced.warning


def test_a_known_position_makes_a_slot_safe() -> None:
    assert new(USABLE, held=CHANGES, start_lsn=5) == SlotPlan("adopted")


def test_a_copy_replaces_what_an_earlier_subscription_left() -> None:
    plan = new(USABLE, copy_data=True)
    assert (plan.outcome, plan.actions) == ("replaced", (DROP, CREATE))


@pytest.mark.parametrize("policy", ["fail", "adopt"])
def test_a_slot_without_its_wal_is_of_no_use(policy: str) -> None:
    lost = USABLE._replace(wal_status="lost")
    with pytest.raises(MultimasterError, match="no longer usable"):
        new(lost, policy=policy, made_here=True)
    assert new(lost, policy="replace").actions == (DROP, CREATE)
    assert new(lost, policy=policy, copy_data=True).actions == (DROP, CREATE)


REFUSED = [
    ({"active": True, "active_pid": 7}, "in use by another subscription"),
    ({"active": True, "active_pid": 7, "application": "other"}, "of other"),
    ({"slot_type": "physical", "plugin": None, "database": None}, "physical"),
    ({"plugin": "test_decoding"}, "test_decoding"),
    ({"database": "other"}, "belongs to database other"),
    ({"temporary": True}, "temporary"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_is_not_ours_is_refused_whatever_is_asked_for(changes: dict[str, t.Any], said: str) -> None:
    for policy in ("fail", "adopt", "replace"):
        for copy_data in (True, False):
            with pytest.raises(MultimasterError, match=said):
                new(USABLE._replace(**changes), policy=policy, copy_data=copy_data, made_here=True, start_lsn=None)


def test_a_slot_is_looked_into_only_where_that_decides() -> None:
    question: dict[str, t.Any] = {"made_here": False, "copy_data": False, "start_lsn": None, "policy": "fail"}
    assert needs_look(USABLE, **question)
    assert not needs_look(None, **question)
    assert not needs_look(USABLE._replace(active=True), **question)
    assert not needs_look(USABLE._replace(wal_status="lost"), **question)
    assert not needs_look(USABLE._replace(slot_type="physical"), **question)
    for name, value in {"made_here": True, "copy_data": True, "start_lsn": 1, "policy": "adopt"}.items():
        assert not needs_look(USABLE, **{**question, name: value})


# A subscription that exists


def test_its_own_slot_is_kept() -> None:
    assert existing({"s": USABLE}) == SlotPlan("kept")
    assert existing({"s": USABLE._replace(active=True)}) == SlotPlan("kept")


@pytest.mark.parametrize("slots", [{}, {"s": USABLE._replace(wal_status="lost")}])
def test_a_lost_slot_is_an_error_unless_that_is_said(slots: dict[str, Slot]) -> None:
    with pytest.raises(MultimasterError, match="resync") as error:
        existing(slots)
    assert "0/5A" in str(error.value), "since when"
    plan = existing(slots, policy="recreate")
    assert plan.outcome == "recreated"
    assert plan.actions == ((DROP, CREATE) if slots else (CREATE,))
    assert "lost here" in (plan.warning or "")


def test_another_name_is_a_copy() -> None:
    assert existing({"s": USABLE}, wanted="n") == SlotPlan("copied", (COPY,))


def test_another_name_that_exists() -> None:
    behind = USABLE._replace(name="n", confirmed_flush_lsn=100)
    assert existing({"s": USABLE, "n": behind}, wanted="n") == SlotPlan("adopted"), "an interrupted run made the copy"
    with pytest.raises(MultimasterError, match="stands ahead"):
        existing({"s": USABLE, "n": behind._replace(confirmed_flush_lsn=101)}, wanted="n")
    with pytest.raises(MultimasterError, match="in use"):
        existing({"s": USABLE, "n": behind._replace(active=True)}, wanted="n")
    with pytest.raises(MultimasterError, match="resync"):
        existing({"n": behind}, wanted="n")


def test_a_slot_that_was_taken_off() -> None:
    assert existing({"s": USABLE}, current=None) == SlotPlan("adopted")
    with pytest.raises(MultimasterError, match="resync"):
        existing({}, current=None)
    assert existing({}, current=None, consumed=False) == SlotPlan("created", (CREATE,))


@pytest.mark.parametrize(("changes", "said"), REFUSED[2:])
def test_a_slot_of_another_kind_is_refused(changes: dict[str, t.Any], said: str) -> None:
    with pytest.raises(MultimasterError, match=said):
        existing({"s": USABLE._replace(**changes)}, policy="recreate")


@pytest.mark.parametrize(
    "decide",
    [
        lambda: new(USABLE, held=CHANGES),
        lambda: new(USABLE._replace(wal_status="lost")),
        lambda: existing({}),
    ],
)
def test_whoever_is_told_to_empty_tables_is_told_how_without_emptying_the_peers(decide: t.Callable[[], SlotPlan]) -> None:
    with pytest.raises(MultimasterError) as error:
        decide()
    message = str(error.value)
    assert "A plain TRUNCATE or DELETE is sent to every node" in message
    assert "pg_replication_origin_session_setup" in message
