# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expiring the surplus: never too much, never what another needs, never the last."""

from __future__ import annotations

from backups import chain
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.retention import (
    foresee_expiry,
    needs,
    plan_expiry,
)

KINDS = st.lists(st.sampled_from(["full", "diff", "incr", "incr"]), max_size=40)
KEEP = st.one_of(st.none(), st.integers(0, 8))


def plan_of(kinds: str, **keep: int) -> tuple[list[int], list[int], list[int]]:
    """Positions of what goes with full ones, goes by itself, and is held."""
    backups = chain([{"F": "full", "D": "diff", "I": "incr"}[each] for each in kinds])
    position = {each.label: number for number, each in enumerate(backups)}
    plan = plan_expiry(backups, **keep)
    with_full, by_itself, held = ([position[label] for label in labels] for labels in (plan.with_full, plan.sets, plan.held))
    return with_full, by_itself, held


@given(
    st.lists(st.sampled_from(["full", "diff", "incr"]), max_size=12),
    st.lists(st.sampled_from(["full", "diff", "incr"]), max_size=9),
)
def test_foreseen_is_what_happens(there: list[str], coming: list[str]) -> None:
    keep = {"full": 2, "diff": 2, "incr": 3}
    backups = chain([*there, *coming])
    left = backups[: len(there)]
    for each in backups[len(there) :]:
        left.append(each)
        gone = plan_expiry(left, **keep).labels
        left = [one for one in left if one.label not in gone]
    before = [each.label for each in backups[: len(there)]]
    expected = [label for label in before if label not in {each.label for each in left}]
    assert foresee_expiry(backups[: len(there)], coming, **keep) == expected


def test_two_full_backups_push_out_all_that_two_are_kept_of() -> None:
    backups = chain(["full", "incr", "full", "diff", "incr"])
    assert foresee_expiry(backups, ["full", "incr", "full"], full=2) == [each.label for each in backups]
    assert foresee_expiry(backups, ["full"], full=2) == [each.label for each in backups[:2]]
    assert foresee_expiry(backups, ["full", "full"], full=9) == []


def test_nothing_stated_nothing_expires() -> None:
    assert plan_of("FIDIFI") == ([], [], [])


def test_incrementals_beyond_their_number_oldest_first() -> None:
    assert plan_of("FIDIDIDI", incr=2) == ([], [1, 3], [])


def test_a_chain_goes_from_its_end_and_only_as_a_whole() -> None:
    assert plan_of("FIIIDI", incr=1) == ([], [3, 2, 1], [])
    assert plan_of("FIIIDI", incr=2) == ([], [], [1, 2])


def test_a_differential_that_an_incremental_stands_on_stays() -> None:
    assert plan_of("FDIDD", diff=1, incr=5) == ([], [3], [1])
    assert plan_of("FDIDD", diff=1, incr=0) == ([], [2, 1, 3], [])


def test_a_full_backup_goes_with_all_that_stands_on_it() -> None:
    assert plan_of("FIDFIF", full=2, incr=9) == ([0, 1, 2], [], [])


def test_the_newest_is_never_expired() -> None:
    assert plan_of("FI", full=1, diff=0, incr=0) == ([], [], [])
    assert plan_of("FDI", full=1, diff=0, incr=0) == ([], [], [1])


def test_two_weeks_of_the_default_schedule_keep_two_seven_and_fourteen() -> None:
    """Full weekly, differential daily, incremental every six hours."""
    week = "FIII" + "DIII" * 6
    backups = chain([{"F": "full", "D": "diff", "I": "incr"}[each] for each in week * 2 + "F"])
    plan = plan_expiry(backups, 2, 7, 14)
    left = [each for each in backups if each.label not in plan.labels]
    assert [sum(each.type == kind for each in left) for kind in ("full", "diff")] == [2, 6]
    # fourteen, and what the oldest of them stand on
    assert 14 <= sum(each.type == "incr" for each in left) <= 16


@given(KINDS, st.one_of(st.none(), st.integers(1, 4)), KEEP, KEEP)
def test_what_is_kept_can_be_restored(kinds: list[str], full: int | None, diff: int | None, incr: int | None) -> None:
    backups = chain(kinds)
    plan = plan_expiry(backups, full, diff, incr)
    gone = set(plan.labels)
    left = [each for each in backups if each.label not in gone]
    assert len(plan.labels) == len(gone)
    assert gone <= {each.label for each in backups}
    for each in left:
        assert not needs(each) & gone
    if backups:
        assert backups[-1].label not in plan.sets
        assert left
    # one by one, and at no moment is one removed that another which is there still needs
    there = {each.label: each for each in backups if each.label not in plan.with_full}
    for label in plan.sets:
        del there[label]
        assert not any(label in needs(each) for each in there.values())


@given(KINDS, st.one_of(st.none(), st.integers(1, 4)), KEEP, KEEP)
def test_no_more_than_the_surplus_goes(kinds: list[str], full: int | None, diff: int | None, incr: int | None) -> None:
    backups = chain(kinds)
    plan = plan_expiry(backups, full, diff, incr)
    left = [each for each in backups if each.label not in plan.with_full]
    for kind, keep in (("diff", diff), ("incr", incr)):
        of_kind = [each.label for each in left if each.type == kind]
        newest = of_kind if keep is None else of_kind[len(of_kind) - min(keep, len(of_kind)) :]
        assert not set(newest) & set(plan.sets)
        # what is there too many is only what is held, or the newest of all
        surplus = set(of_kind) - set(newest) - set(plan.sets) - set(plan.held)
        assert surplus <= {each.label for each in backups[-1:]}
    fulls = [each for each in backups if each.type == "full" and each.label not in plan.with_full]
    assert full is None or len(fulls) <= full
    assert not any(each.type == "full" for each in backups if each.label in plan.sets)


@given(KINDS, st.one_of(st.none(), st.integers(1, 4)), KEEP, KEEP)
def test_a_second_run_finds_nothing(kinds: list[str], full: int | None, diff: int | None, incr: int | None) -> None:
    backups = chain(kinds)
    gone = set(plan_expiry(backups, full, diff, incr).labels)
    again = plan_expiry([each for each in backups if each.label not in gone], full, diff, incr)
    assert again.labels == []
