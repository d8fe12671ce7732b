# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node is the active one. Pure: what is known goes in, a name comes out."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass


class State(enum.Enum):
    """What a node can be used for."""

    # It answers, and has everything.
    UP = "up"
    # It answers, and may lack rows.
    CATCHING_UP = "catching_up"
    # It does not answer, or takes no writes.
    ASIDE = "aside"


@dataclass(frozen=True)
class Candidate:
    """A node as the choice sees it.

    ``behind_for``: seconds for which it has answered without being up to date, and no node has been; ``is_read``: whether its
    peers that answer read what it writes; ``suspicion``: whether it looks like a copy from the past, see ``past.Verdict``.
    """

    name: str
    state: State
    behind_for: float = 0.0
    is_read: bool = True
    suspicion: int = 0


def last_resort(candidates: t.Sequence[Candidate], active: str | None) -> str | None:
    """Where every node looks like a copy from the past: the one that looks it least, and of equals the active one.

    None while any node does not, also one that does not answer: that is waited for, since what such a copy is given never
    reaches it.
    """
    if any(not candidate.suspicion for candidate in candidates):
        return None
    answering = [candidate for candidate in candidates if candidate.state is not State.ASIDE] or candidates
    return min(answering, key=lambda candidate: (candidate.suspicion, candidate.name != active)).name


def choose(
    candidates: t.Sequence[Candidate], active: str | None, stale_wait: float, recorded: str | None = None
) -> str | None:
    """The node to use, in the order of preference of the candidates; None where there is none.

    ``active`` is the one that was used here last, ``recorded`` the one that all clients used last, where that is known. The
    active node stays while it is up to date, and if no other was used since also when it comes back: it has all that was
    acknowledged. Otherwise another one that is up to date; and after ``stale_wait`` seconds without any, one that lacks rows:
    they arrive later, and nothing written is lost. With no node active before, one that its peers read need not wait if it is
    the recorded one, or if every node answers: had it fewer rows than they, they would have said so. One that looks like a copy
    from the past is used only where all do.
    """
    resort = last_resort(candidates, active)
    if resort is not None:
        return next((each.name for each in candidates if each.name == resort and each.state is not State.ASIDE), None)
    all_answer = all(candidate.state is not State.ASIDE for candidate in candidates)
    # What is acknowledged there from now on would be lost.
    must_leave = any(candidate.name == active and candidate.suspicion for candidate in candidates)
    candidates = [candidate for candidate in candidates if not candidate.suspicion]
    for candidate in candidates:
        used_last = recorded in (active, None)
        if candidate.name == active and (candidate.state is State.UP or (candidate.state is State.CATCHING_UP and used_last)):
            return active
    for candidate in candidates:
        if candidate.state is State.UP:
            return candidate.name
    behind = [candidate for candidate in candidates if candidate.state is State.CATCHING_UP]
    for candidate in sorted(behind, key=lambda candidate: candidate.name != recorded):
        may_begin = active is None and candidate.is_read and (all_answer or candidate.name == recorded)
        if may_begin or must_leave or candidate.behind_for >= stale_wait:
            return candidate.name
    return None
