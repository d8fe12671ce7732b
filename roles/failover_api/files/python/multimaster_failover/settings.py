# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failover client is made of, and how long it waits for what. All times are seconds."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

ROLES = ("primary", "secondary")


@dataclass(frozen=True)
class NodeSettings:
    """One master. ``connection`` holds libpq's parameters (host, port, dbname, user, password, sslmode ...)."""

    name: str
    node_id: int
    connection: t.Mapping[str, t.Any] = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """The nodes in the order of preference, and the times. The defaults keep a gap below half a second when a node hangs."""

    nodes: t.Sequence[NodeSettings]
    # Name of the slot on the node `publisher` that feeds the node `subscriber`
    slot_name: str = "slot_{publisher}_to_{subscriber}"
    pool_min: int = 4
    pool_max: int = 20
    probe_interval: float = 0.2
    probe_timeout: float = 0.25
    connect_timeout: float = 1.0
    # An attempt that is not answered by then has met a node that hangs.
    deadline: float = 0.3
    # A request with all its attempts
    budget: float = 3.0
    # So long the server itself works on a statement before it gives up and says so.
    statement_timeout: float = 1.5
    # So many writes in a row without an answer set a node aside though its probes are answered: its disk hangs.
    write_strikes: int = 3
    # Whether a node that comes back must have caught up before it is used
    catch_up: bool = True
    # A node that has caught up with what there was when it returned may still be this much behind what was written since.
    max_lag_bytes: int = 1 << 20
    # A node that stands by and has lacked the active one's writes for so long has to catch up before it is used.
    behind_after: float = 30.0
    # With every node that is up to date gone for so long, one that is behind is used.
    stale_wait: float = 5.0
    # How long a planned switch waits for the target to catch up, and for writes in flight
    switch_wait: float = 2.0
    switch_pause: float = 0.012
    # Whether the first node becomes active again by itself, and after how long
    auto_failback: bool = False
    failback_after: float = 10.0
    # How often the shared state is read
    follow_interval: float = 0.25

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if not names or len(set(names)) != len(names) or len({node.node_id for node in self.nodes}) != len(names):
            raise ValueError("nodes must be listed, each with a name and a node_id of its own")
        if self.deadline >= self.budget:
            raise ValueError("deadline must be shorter than budget: a second attempt needs time as well")
        if not 1 <= self.pool_min <= self.pool_max:
            raise ValueError("pool_min must be at least 1 and at most pool_max")

    def role(self, name: str) -> str:
        """``primary`` for the first node, ``secondary`` for the second, and the name of any further one."""
        index = [node.name for node in self.nodes].index(name)
        return ROLES[index] if index < len(ROLES) else name
