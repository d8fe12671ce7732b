# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Which backups are surplus: pgBackRest has no retention for incremental backups, and counts full ones among the
differential. Pure: backups in, labels out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from itertools import count


class Countable(t.Protocol):
    @property
    def label(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def prior(self) -> str | None: ...

    @property
    def references(self) -> tuple[str, ...]: ...


@dataclass
class Expiry:
    """``with_full``: what goes with surplus full backups, by pgBackRest itself. ``sets``: what goes one by one, in this
    order. ``held``: surplus backups that a kept one needs."""

    with_full: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        return self.with_full + self.sets


def plan_expiry(
    backups: t.Sequence[Countable], full: int | None = None, diff: int | None = None, incr: int | None = None
) -> Expiry:
    """What to expire so that at most so many of each type are kept; None keeps all of that type.

    ``backups`` are those of one repository, oldest first. A surplus full backup goes with all that depends on it, as
    pgBackRest does it. A surplus differential or incremental goes only when no kept backup needs it, the oldest first
    and what depends on it before it. The newest backup of all is never surplus.
    """
    plan = Expiry()
    fulls = [each.label for each in backups if each.type == "full"]
    gone_fulls = set(_surplus(fulls, full))
    plan.with_full = [each.label for each in backups if each.label in gone_fulls or _full_of(each) in gone_fulls]
    left = [each for each in backups if each.label not in plan.with_full]

    surplus = set(_surplus([each.label for each in left if each.type == "diff"], diff))
    surplus |= set(_surplus([each.label for each in left if each.type == "incr"], incr))
    if left:
        surplus.discard(left[-1].label)
    wanted = _kept_alive(left, surplus)
    plan.held = [each.label for each in left if each.label in surplus and each.label in wanted]
    plan.sets = _leaves_first([each for each in left if each.label in surplus and each.label not in wanted])
    return plan


@dataclass(frozen=True)
class _Foreseen:
    """A backup that is not taken yet."""

    label: str
    type: str
    prior: str | None
    references: tuple[str, ...]


def foresee_expiry(
    backups: t.Sequence[Countable],
    kinds: t.Sequence[str],
    full: int | None = None,
    diff: int | None = None,
    incr: int | None = None,
) -> list[str]:
    """Which of ``backups``, those of one repository and oldest first, go when one of each of ``kinds`` is taken in turn and what
    is surplus expires after each. Labels, oldest first."""
    left: list[Countable] = list(backups)
    numbers = count()
    for kind in kinds:
        left.append(_next_backup(left, kind, f"foreseen-{next(numbers)}"))
        gone = set(plan_expiry(left, full, diff, incr).labels)
        left = [each for each in left if each.label not in gone]
    kept = {each.label for each in left}
    return [each.label for each in backups if each.label not in kept]


def _next_backup(backups: t.Sequence[Countable], kind: str, name: str) -> _Foreseen:
    """As pgBackRest builds it: a differential one on the last full one, an incremental one on the last of any type."""
    last_full = next((each for each in reversed(backups) if each.type == "full"), None)
    if kind == "full" or last_full is None:
        return _Foreseen(name, "full", None, ())
    prior = last_full if kind == "diff" else backups[-1]
    return _Foreseen(f"{last_full.label}_{name}", kind, prior.label, (*prior.references, prior.label))


def _surplus(labels: list[str], keep: int | None) -> list[str]:
    return [] if keep is None else labels[: max(0, len(labels) - keep)]


def _full_of(backup: Countable) -> str:
    """A label starts with the label of the full backup that all of its set stands on."""
    return backup.label.partition("_")[0]


def needs(backup: Countable) -> set[str]:
    """Backups without which this one cannot be restored or that pgBackRest removes only together with it."""
    return {*backup.references, *([backup.prior] if backup.prior else [])}


def _kept_alive(backups: list[Countable], surplus: set[str]) -> set[str]:
    """Labels that the backups which stay need, directly or through another."""
    wanted: set[str] = set()
    for each in reversed(backups):
        if each.label not in surplus or each.label in wanted:
            wanted |= needs(each)
    return wanted


def _needed_by(backups: t.Iterable[Countable]) -> set[str]:
    return {label for each in backups for label in needs(each)}


def _leaves_first(backups: list[Countable]) -> list[str]:
    """Oldest chain first; in a chain what depends on another before that other."""
    order: list[str] = []
    left = list(backups)
    while left:
        needed = _needed_by(left)
        # Dependencies point to older backups only, so the newest of what is left is always free.
        leaf = next(each for each in left if each.label not in needed)
        order.append(leaf.label)
        left.remove(leaf)
    return order
