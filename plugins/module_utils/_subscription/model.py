# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What a subscription is: the description that a task gives and the one that a server holds."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import identifier, shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import check_slot_name, parse_lsn

# origin = none, run_as_owner and password_required begin with it.
MIN_VERSION = 160000
FAILOVER_VERSION = 170000

# What ALTER SUBSCRIPTION .. SET (..) can change, in the order of the statements.
ALTERABLE = (
    "binary",
    "streaming",
    "synchronous_commit",
    "disable_on_error",
    "password_required",
    "run_as_owner",
    "origin",
)
# What can only be given to CREATE SUBSCRIPTION (this module does not re-create a subscription for it).
ONLY_AT_CREATION = ("two_phase", "failover")

# States of a table in pg_subscription_rel: it follows the stream; its copy has not brought anything yet.
READY = "r"
COPYING = frozenset("id")

# A worker that failed before has to live so many seconds before it counts.
SETTLED = 1.0

# A table's schema and name.
TableName = tuple[str, str]


class Wanted(t.NamedTuple):
    """The task's arguments, checked as far as that is possible without a server."""

    name: str
    slot_name: str
    conninfo: dict[str, str]
    present: bool = True
    publications: tuple[str, ...] = ()
    owner: str = ""
    comment: str | None = None
    # Whether the comment says which server the peer was.
    record_publisher: bool = False
    enabled: bool = True
    # The options of ALTERABLE, then those of ONLY_AT_CREATION (None: not managed).
    options: t.Mapping[str, t.Any] = {}
    creation_options: t.Mapping[str, t.Any] = {}
    copy_data: bool = False
    copy_into_nonempty: bool = False
    uncopied_rows: str = "fail"
    # The peer's changes are here as far as this.
    start_lsn: int | None = None
    leftover_slot: str = "fail"
    lost_slot: str = "fail"
    peer_unreachable: str = "warn"
    detach: bool = False
    # What the run makes before this task, and a check run does not.
    pending_publications: frozenset[str] = frozenset()
    pending_owner: bool = False
    wait: bool = True
    wait_timeout: int = 300
    slot_timeout: int = 30

    @property
    def shown_name(self) -> str:
        return shown(self.name)


class Worker(t.NamedTuple):
    """The apply worker as pg_stat_subscription and pg_stat_activity know it."""

    pid: int
    # None until the first message from the peer. (The times of messages are set when the worker starts.)
    received_lsn: int | None = None
    age: float = 0.0


class Subscription(t.NamedTuple):
    """A subscription that is, or that will be."""

    oid: int | None
    enabled: bool
    conninfo: dict[str, str]
    slot_name: str | None
    publications: tuple[str, ...]
    owner: str
    comment: str
    options: t.Mapping[str, t.Any]
    creation_options: t.Mapping[str, t.Any]
    # How far the peer's changes are applied; None where nothing ever was.
    remote_lsn: int | None = None
    tables: t.Mapping[TableName, str] = {}
    worker: Worker | None = None
    apply_errors: int = 0
    sync_errors: int = 0

    @property
    def errors(self) -> int:
        return self.apply_errors + self.sync_errors

    @property
    def not_ready(self) -> list[TableName]:
        return sorted(name for name, state in self.tables.items() if state != READY)

    @property
    def works(self) -> bool:
        """All tables follow the stream, and the worker has heard of the peer and does not fail again and again."""
        if not self.enabled or self.worker is None or self.worker.received_lsn is None or self.not_ready:
            return False
        return self.errors == 0 or self.worker.age >= SETTLED

    def as_result(self, name: str) -> dict[str, t.Any]:
        return {
            "name": name,
            "enabled": self.enabled,
            "conninfo": _conninfo.without_secrets(self.conninfo),
            "slot_name": self.slot_name,
            "publications": list(self.publications),
            "owner": self.owner,
            "comment": self.comment,
            **self.options,
            **self.creation_options,
        }


class OwnerFacts(t.NamedTuple):
    """What a subscription's owner may do."""

    can_login: bool = True
    superuser: bool = False
    creates_subscriptions: bool = True
    creates_in_database: bool = True


class OtherSubscription(t.NamedTuple):
    """Another subscription of this server, in whichever database, and the slot that it names."""

    name: str
    database: str
    slot: str
    conninfo: dict[str, str]


class Identity(t.NamedTuple):
    """What no two running servers share, not even a node and its physical copy."""

    system_identifier: str
    started: str
    port: int


class Local(t.NamedTuple):
    """What this node says."""

    version: int
    database: str
    identity: Identity
    standby: bool = False
    superuser: bool = True
    max_workers: int = 4
    workers: int = 0
    subscription: Subscription | None = None
    others: tuple[OtherSubscription, ...] = ()
    # A replication origin of this node says that a run of this module made the slot, and that no subscription has
    # used it yet: the run ended in between.
    slot_made_here: bool = False
    owner: OwnerFacts | None = None
    # Another run was at work on this subscription until now.
    waited: bool = False
    # Of all subscriptions of this server.
    subscription_oids: frozenset[int] = frozenset()
    locale: str = ""
    # Of others, which run whenever something is defined here.
    event_triggers: tuple[str, ...] = ()

    def others_with(self, slot: str, conninfo: dict[str, str]) -> list[OtherSubscription]:
        """Those that name this slot, as far as is known of the same peer: host names are not compared."""
        return [
            other
            for other in self.others
            if other.slot == slot and all(other.conninfo.get(key) == conninfo.get(key) for key in ("port", "dbname"))
        ]

    def others_beside(self, slot: str, conninfo: dict[str, str]) -> list[OtherSubscription]:
        """Those that name this slot in another database of the same peer, which has one slot of a name."""
        return [
            other
            for other in self.others
            if other.slot == slot
            and other.conninfo.get("dbname") != conninfo.get("dbname")
            and all(other.conninfo.get(key) == conninfo.get(key) for key in ("host", "hostaddr", "port"))
        ]


def wanted_from(params: dict[str, t.Any], conninfo: dict[str, str], check: bool = False) -> Wanted:
    """The module's parameters as a description. A sentence says what is wrong with them. ``check``: nothing is changed."""
    name = identifier(params["name"], "The subscription's name")
    slot_name = params["slot_name"] or name
    check_slot_name(slot_name, given=params["slot_name"] is not None)
    for option in ("wait_timeout", "slot_timeout"):
        require_number(option, params[option], 1, 2_000_000)
    if params["copy_data"] and params["start_lsn"] is not None:
        raise MultimasterError("start_lsn and copy_data exclude each other: a copy brings what is there now.")
    if params["state"] == "absent":
        return Wanted(
            name,
            slot_name,
            conninfo,
            present=False,
            peer_unreachable=params["peer_unreachable"],
            detach=params["detach"],
            slot_timeout=params["slot_timeout"],
        )
    return Wanted(
        name,
        slot_name,
        conninfo,
        publications=_publications(params["publications"]),
        owner=identifier(params["owner"], "The owner's name"),
        comment=_comment(params["comment"]),
        record_publisher=params["record_publisher"],
        enabled=params["enabled"],
        options={option: params[option] for option in ALTERABLE},
        creation_options={option: params[option] for option in ONLY_AT_CREATION},
        copy_data=params["copy_data"],
        copy_into_nonempty=params["copy_into_nonempty"],
        uncopied_rows=params["uncopied_rows"],
        start_lsn=_start_lsn(params["start_lsn"]),
        leftover_slot=params["leftover_slot"],
        lost_slot=params["lost_slot"],
        peer_unreachable=params["peer_unreachable"],
        pending_publications=frozenset(_names(params["pending_publications"])) if check else frozenset(),
        pending_owner=check and params["pending_owner"],
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
        slot_timeout=params["slot_timeout"],
    )


def _publications(entries: list[str]) -> tuple[str, ...]:
    if not entries:
        raise MultimasterError("publications is empty: name at least one publication of the peer.")
    names = _names(entries)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MultimasterError(f"{', '.join(map(shown, twice))} is listed twice in publications.")
    return tuple(names)


def _names(entries: list[str]) -> list[str]:
    return [identifier(entry, "The publication's name") for entry in entries]


def _start_lsn(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", text):
        raise MultimasterError(f"start_lsn {text!r} is not a position in the WAL such as 16/B374D848.")
    return parse_lsn(text)


def _comment(comment: str | None) -> str | None:
    if comment is not None and "\0" in comment:
        raise MultimasterError("The comment holds a NUL character, which PostgreSQL cannot store.")
    return comment


def after_plan(wanted: Wanted, current: Subscription | None) -> Subscription:
    """The subscription as it will be."""
    after = Subscription(
        oid=current.oid if current else None,
        enabled=wanted.enabled,
        conninfo=wanted.conninfo,
        slot_name=wanted.slot_name,
        publications=wanted.publications,
        owner=wanted.owner,
        comment=wanted.comment or "",
        options=wanted.options,
        creation_options=wanted.creation_options,
    )
    if current is None:
        return after
    return after._replace(
        comment=current.comment if wanted.comment is None else wanted.comment,
        creation_options=current.creation_options,
    )
