# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A healthy pair as data, for the tests of plans: each test changes what it is about."""

from __future__ import annotations

import typing as t

from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    Identity,
    Local,
    OwnerFacts,
    Subscription,
    Wanted,
    Worker,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import Slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import (
    LocalTable,
    PublishedTable,
    State,
    Tables,
)

PASSWORD = "it's s3cret"
CONNINFO = {"host": "pg2", "port": "5432", "user": "replicator", "dbname": "imdb", "password": PASSWORD}
OPTIONS: dict[str, t.Any] = {
    "binary": False,
    "streaming": "off",
    "synchronous_commit": "off",
    "disable_on_error": False,
    "password_required": True,
    "run_as_owner": False,
    "origin": "none",
}
T, U = ("public", "t"), ("public", "u")


def wanted(**changes: t.Any) -> Wanted:
    options = {**OPTIONS, **{name: changes.pop(name) for name in list(changes) if name in OPTIONS}}
    defaults: dict[str, t.Any] = {
        "name": "sub",
        "slot_name": "slot",
        "conninfo": CONNINFO,
        "publications": ("pub",),
        "owner": "owner",
        "options": options,
        "creation_options": {"two_phase": None, "failover": None},
    }
    return Wanted(**{**defaults, **changes})


WORKER = Worker(7, received_lsn=95, age=60)


def subscription(**changes: t.Any) -> Subscription:
    options = {**OPTIONS, **{name: changes.pop(name) for name in list(changes) if name in OPTIONS}}
    defaults: dict[str, t.Any] = {
        "oid": 16400,
        "enabled": True,
        "conninfo": CONNINFO,
        "slot_name": "slot",
        "publications": ("pub",),
        "owner": "owner",
        "comment": "",
        "options": options,
        "creation_options": {"two_phase": False, "failover": None},
        "remote_lsn": 90,
        "tables": {T: "r", U: "r"},
        "worker": WORKER,
    }
    return Subscription(**{**defaults, **changes})


def local(**changes: t.Any) -> Local:
    defaults: dict[str, t.Any] = {
        "version": 160014,
        "database": "imdb",
        "identity": Identity("1", "2026-01-01", 5432),
        "owner": OwnerFacts(),
    }
    return Local(**{**defaults, **changes})


def peer(**changes: t.Any) -> PeerFacts:
    defaults: dict[str, t.Any] = {
        "version": 160014,
        "database": "imdb",
        "identity": Identity("2", "2026-01-01", 5432),
        "current_lsn": 200,
        "user": "replicator",
        "slots": {},
        "publications": frozenset({"pub"}),
        "tables": frozenset({T, U}),
    }
    return PeerFacts(**{**defaults, **changes})


SLOT = Slot("slot", database="imdb", confirmed_flush_lsn=100)


def tables(**changes: t.Any) -> Tables:
    defaults: dict[str, t.Any] = {
        "local": {name: LocalTable("r", frozenset({"id"}), "app") for name in (T, U)},
        "published": {name: PublishedTable(frozenset({"id"})) for name in (T, U)},
    }
    return Tables(**{**defaults, **changes})


def nothing_yet(**changes: t.Any) -> State:
    return State(**{"local": local(), "peer": peer(), "tables": tables(), **changes})


RUNNING_PEER = peer(slots={"slot": SLOT._replace(active=True, application="sub")})


def running(current: Subscription | None = None, **changes: t.Any) -> State:
    defaults: dict[str, t.Any] = {
        "local": local(subscription=current or subscription()),
        "peer": RUNNING_PEER,
        "tables": tables(),
    }
    return State(**{**defaults, **changes})


def shown(plan: Plan) -> list[str]:
    return [render(statement.shown) for statement in plan.statements]


def sent(plan: Plan) -> list[str]:
    return [render(statement.command) for statement in plan.statements]
