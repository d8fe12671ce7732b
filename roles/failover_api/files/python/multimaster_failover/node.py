# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node as the client knows it: its pool, its probe, its state and why."""

from __future__ import annotations

import time
import typing as t

from .catching_up import CatchUp
from .choice import Candidate, State
from .connection import Connection, Deadline, Patience, connect, conninfo, discard
from .lag import Trail
from .past import Judgement, Past, Verdict
from .pool import Pool
from .probe import Probe, Report
from .settings import NodeSettings, Settings

# What is done on a new connection before anybody waits for it
WarmUp = t.Callable[[Connection], t.Awaitable[None]]


class Node:
    """State changes are made by the client; this holds what they are made of."""

    def __init__(
        self, node: NodeSettings, settings: Settings, application_name: str, warm_up: WarmUp | None = None
    ) -> None:
        self.name, self.node_id = node.name, node.node_id
        self.role = settings.role(node.name)
        text = conninfo(node.connection, application_name=application_name, statement_timeout=settings.statement_timeout)

        patience = Patience(settings.connect_timeout)

        async def opener() -> Connection:
            connection = await connect(text, patience)
            if warm_up is not None:
                with Deadline(connection, patience.seconds):
                    try:
                        await warm_up(connection)
                    except BaseException:
                        discard(connection)
                        raise
            return connection

        self.pool = Pool(opener, settings.pool_min, settings.pool_max)
        self.probe = Probe(text, patience)
        self.trail = Trail()
        self.past = Past()
        self.judged = Judgement(Verdict.SOUND)
        self.state = State.ASIDE
        self.reason = "not asked yet"
        self.since = time.time()
        # The last answer, and the one since the node came back; None while it is set aside
        self.report: Report | None = None
        self.fresh: Report | None = None
        self.catch_up: CatchUp | None = None
        self.behind_since = 0.0
        # It is up for want of another, and may lack rows
        self.lacks_rows = False
        # Since when nobody can say how far it is behind; None while that is known
        self.unknown_since: float | None = None
        # Since when it is waited for what it says to a probe, or when it was asked last (the loop's clock)
        self.asked = 0.0
        # Nothing that it said keeps it from being used: it is only slow, or was not asked yet.
        self.is_expected = True
        self.strikes = 0
        # Writes under way on it
        self.writes = 0

    def become(self, state: State, reason: str = "") -> None:
        if state is not self.state:
            self.since = time.time()
        self.state, self.reason = state, reason

    def begin_catching_up(self, since: float, reason: str) -> None:
        """From what was written up to ``since`` (the loop's clock) on."""
        self.behind_since = since
        self.catch_up = CatchUp(self.name)
        self.unknown_since = None
        self.become(State.CATCHING_UP, reason)

    def candidate(self, now: float, alone_for: float, *, is_read: bool) -> Candidate:
        """``alone_for``: seconds since the last node that was up to date went. Until then, nobody waited for this one."""
        behind = now - self.behind_since if self.state is State.CATCHING_UP else 0.0
        return Candidate(self.name, self.state, min(behind, alone_for), is_read, self.judged.verdict)

    async def works(self, connection: Connection, timeout: float) -> bool:
        """Whether an idle connection still answers."""
        with Deadline(connection, timeout):
            try:
                await connection.execute("SELECT 1")
            except Exception:  # noqa: BLE001 - whatever it is, the connection is not kept
                return False
        return True

    def answered_since(self, moment: float) -> bool:
        """Whether a probe that began after this moment of the loop's clock was answered."""
        return self.report is not None and self.report.started >= moment

    def as_dict(self) -> dict[str, t.Any]:
        """For a status page. Probe time in seconds."""
        return {
            "name": self.name,
            "role": self.role,
            "state": self.state.value,
            "reason": self.reason,
            "suspected": self.judged.why,
            "since": self.since,
            "probe_seconds": round(self.report.seconds, 6) if self.report else None,
            "pool": {"size": self.pool.size, "free": self.pool.free, "waiting": self.pool.waiting},
        }
