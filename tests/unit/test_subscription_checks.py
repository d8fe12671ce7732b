# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would stop a subscription is said before anything changes, in one sentence without secrets."""

from __future__ import annotations

import typing as t

import pytest
from subscription_cases import (
    CONNINFO,
    RUNNING_PEER,
    SLOT,
    WORKER,
    T,
    U,
    local,
    nothing_yet,
    peer,
    running,
    subscription,
    tables,
    wanted,
)

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.checks import listed
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    Identity,
    OtherSubscription,
    OwnerFacts,
    Subscription,
    Wanted,
    wanted_from,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.plan import plan_for
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import Slot
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import LocalTable, PublishedTable, State
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.wait import problems

APP = LocalTable("r", frozenset({"id"}), "app")


def refused(what: Wanted, state: State) -> str:
    with pytest.raises(MultimasterError) as error:
        plan_for(what, state)
    message = str(error.value)
    assert "s3cret" not in message + str(error.value.details)
    return message


OWNERS = [
    (None, "does not exist"),
    (OwnerFacts(superuser=True), "is a superuser"),
    (OwnerFacts(can_login=False), "ALTER ROLE owner LOGIN"),
    (OwnerFacts(creates_subscriptions=False), "GRANT pg_create_subscription TO owner"),
    (OwnerFacts(creates_in_database=False), "GRANT CREATE ON DATABASE imdb TO owner"),
    (OwnerFacts(False, False, False, False), "lacks the attribute LOGIN (ALTER ROLE owner LOGIN) and membership"),
]


@pytest.mark.parametrize(("owner", "said"), OWNERS)
def test_owners(owner: OwnerFacts | None, said: str) -> None:
    assert said in refused(wanted(), nothing_yet(local=local(owner=owner)))
    assert said in refused(wanted(), running(local=local(owner=owner, subscription=subscription())))


def test_a_password_that_is_required() -> None:
    without = {name: value for name, value in CONNINFO.items() if name != "password"}
    assert "password_required" in refused(wanted(conninfo=without), nothing_yet())
    plan_for(wanted(conninfo=without, password_required=False), nothing_yet())


PEERS = [
    ({"identity": local().identity}, "is this server itself"),
    ({"standby": True}, "is a standby"),
    ({"wal_level": "replica"}, "wal_level is replica"),
    ({"may_replicate": False}, "lacks REPLICATION"),
    ({"publications": frozenset({"other"})}, "lacks the publication pub"),
]


@pytest.mark.parametrize(("changes", "said"), PEERS)
def test_peers(changes: dict[str, t.Any], said: str) -> None:
    assert said in refused(wanted(), nothing_yet(peer=peer(**changes)))
    assert said in refused(wanted(), running(peer=peer(**changes)))


@pytest.mark.parametrize(
    "other", [Identity("1", "2026-01-02", 5432), Identity("1", "2026-01-01", 5433), Identity("2", "2026-01-01", 5432)]
)
def test_a_physical_copy_of_this_node_is_a_peer(other: Identity) -> None:
    """It has the same system identifier."""
    plan_for(wanted(), nothing_yet(peer=peer(identity=other)))


@pytest.mark.parametrize(("used", "copy_data", "fits"), [(9, False, True), (9, True, False), (8, True, True), (10, False, False)])
def test_free_slots(used: int, copy_data: bool, fits: bool) -> None:
    state = nothing_yet(peer=peer(slots={str(number): Slot(str(number)) for number in range(used)}))
    if fits:
        plan_for(wanted(copy_data=copy_data), state)
    else:
        assert "no free replication slot" in refused(wanted(copy_data=copy_data), state)


def test_free_senders() -> None:
    assert "no free WAL sender" in refused(wanted(), nothing_yet(peer=peer(senders=10)))


def test_a_replaced_slot_needs_no_other() -> None:
    slots = {str(number): Slot(str(number)) for number in range(9)}
    state = nothing_yet(peer=peer(slots={**slots, "slot": SLOT}))
    plan_for(wanted(leftover_slot="replace"), state)


def test_the_slot_of_another_subscription() -> None:
    other = OtherSubscription("other", "db", "slot", {**CONNINFO, "host": "another name of pg2"})
    assert "in use by another subscription, other in database db" in refused(wanted(), nothing_yet(local=local(others=(other,))))
    for elsewhere in (
        other._replace(slot="x"),
        other._replace(conninfo={**CONNINFO, "port": "1"}),
        other._replace(conninfo={**CONNINFO, "dbname": "x", "host": "another peer"}),
    ):
        plan_for(wanted(), nothing_yet(local=local(others=(elsewhere,))))


def test_the_slot_of_another_database() -> None:
    """As when the databases of a mesh are put into another order."""
    other = OtherSubscription("other", "x", "slot", {**CONNINFO, "dbname": "x"})
    for state in (
        nothing_yet(local=local(others=(other,))),
        running(local=local(subscription=subscription(slot_name="slot_x"), others=(other,))),
    ):
        said = refused(wanted(), state)
        assert "other in database x of this server uses it" in said
        assert "put that back as it was" in said


TABLES = [
    ({"local": {T: APP}}, "do not exist here: public.u"),
    ({"local": {T: APP, U: APP._replace(kind="v")}}, "something else here: public.u"),
    ({"local": {T: APP, U: APP._replace(columns=frozenset())}}, "columns that do not exist here: public.u.id"),
    ({"local": {T: APP, U: APP._replace(owner_reachable=False)}}, "owns public.u: GRANT app TO owner"),
]


@pytest.mark.parametrize(("changes", "said"), TABLES)
def test_new_tables(changes: dict[str, t.Any], said: str) -> None:
    assert said in refused(wanted(), nothing_yet(tables=tables(**changes)))
    assert said in refused(wanted(), running(subscription(tables={T: "r"}), tables=tables(**changes)))


def test_partitioned_tables_are_tables() -> None:
    plan_for(wanted(), nothing_yet(tables=tables(local={T: APP, U: APP._replace(kind="p")})))


def test_tables_of_a_superuser() -> None:
    theirs = LocalTable("r", frozenset({"id"}), "postgres", owner_is_superuser=True, owner_reachable=False)
    message = refused(wanted(), nothing_yet(tables=tables(local={T: APP, U: theirs})))
    assert "GRANT postgres" not in message
    assert "run_as_owner" in message


def test_run_as_owner_needs_grants_and_no_membership() -> None:
    reachable = LocalTable("r", frozenset({"id"}), "app", owner_reachable=False)
    plan_for(wanted(run_as_owner=True), nothing_yet(tables=tables(local={T: reachable, U: reachable})))
    denied = reachable._replace(owner_may_write=False)
    assert "lacks INSERT, UPDATE, DELETE or TRUNCATE on public.u" in refused(
        wanted(run_as_owner=True), nothing_yet(tables=tables(local={T: reachable, U: denied}))
    )


def test_a_new_owner_is_tried_on_all_tables() -> None:
    theirs = tables(local={T: APP._replace(owner_reachable=False), U: APP})
    assert "public.t" in refused(wanted(), running(subscription(owner="postgres"), tables=theirs))
    plan_for(wanted(), running(tables=theirs))


COPIES = [
    ({"nonempty": frozenset({U})}, "hold rows: public.u"),
    ({"published": {U: PublishedTable(frozenset({"id"}), readable=False)}}, "Grant it SELECT"),
    ({"published": {U: PublishedTable(frozenset({"id"}), row_security=True)}}, "Row level security"),
]


@pytest.mark.parametrize(("changes", "said"), COPIES)
def test_copies(changes: dict[str, t.Any], said: str) -> None:
    assert said in refused(wanted(copy_data=True), nothing_yet(tables=tables(**changes)))
    plan_for(wanted(), nothing_yet(tables=tables(**changes)))


def test_rows_that_stay_behind_are_named() -> None:
    behind = {T: PublishedTable(frozenset({"id"}), has_size=True), U: PublishedTable(frozenset({"id"}))}
    told = wanted(uncopied_rows="warn")
    assert "public.t." in plan_for(told, nothing_yet(tables=tables(published=behind))).warnings[0]
    assert plan_for(wanted(copy_data=True), nothing_yet(tables=tables(published=behind))).warnings == []
    here_too = tables(published=behind, nonempty=frozenset({T}))
    assert plan_for(wanted(), nothing_yet(tables=here_too)).warnings == []


def test_an_empty_node_that_would_copy_nothing_is_refused() -> None:
    behind = {T: PublishedTable(frozenset({"id"}), has_row=True), U: PublishedTable(frozenset({"id"}))}
    message = refused(wanted(), nothing_yet(tables=tables(published=behind)))
    assert "(public.t)" in message
    assert "multimaster_seed" in message
    # Also where a column is missing that the role would add first.
    columns = tables(published=behind, local={T: APP, U: APP._replace(columns=frozenset())})
    assert "multimaster_seed" in refused(wanted(), nothing_yet(tables=columns))
    assert plan_for(wanted(copy_data=True), nothing_yet(tables=tables(published=behind))).warnings == []


def test_an_empty_node_that_has_or_will_get_the_rows_is_no_such_node() -> None:
    behind = {T: PublishedTable(frozenset({"id"}), has_row=True), U: PublishedTable(frozenset({"id"}))}
    elsewhere = wanted(uncopied_rows="elsewhere")
    assert plan_for(elsewhere, nothing_yet(tables=tables(published=behind))).warnings == []
    rows = tables(published=behind)
    # It joined by another subscription; an interrupted run made the slot, which keeps what came since; rows here, too.
    other = OtherSubscription("sub_from_pg3", "imdb", "slot_3", CONNINFO)
    plan_for(wanted(), nothing_yet(tables=rows, local=local(others=(other,))))
    refused(wanted(), nothing_yet(tables=rows, local=local(others=(other._replace(database="shop"),))))
    plan_for(wanted(), nothing_yet(tables=rows, local=local(slot_made_here=True), peer=peer(slots={"slot": SLOT})))
    plan_for(wanted(), nothing_yet(tables=tables(published=behind, nonempty=frozenset({U}))))
    # Size without rows: they were deleted.
    emptied = {name: PublishedTable(frozenset({"id"}), has_size=True, has_row=False) for name in (T, U)}
    assert plan_for(wanted(), nothing_yet(tables=tables(published=emptied))).warnings == []


def test_what_the_run_would_make_first_is_pending_in_a_check_run() -> None:
    missing = peer(publications=frozenset(), tables=frozenset())
    pending = wanted(pending_publications=frozenset({"pub"}))
    plan = plan_for(pending, running(peer=missing._replace(slots=RUNNING_PEER.slots)))
    assert (plan.statements, plan.warnings) == ([], [plan.warnings[0]])
    assert "would publish pub" in plan.warnings[0]
    assert plan_for(pending, nothing_yet(peer=missing)).statements
    assert "lacks the publication" in refused(wanted(pending_publications=frozenset({"other"})), nothing_yet(peer=missing))
    lacking = OwnerFacts(creates_in_database=False)
    for owner in (None, lacking):
        plan = plan_for(wanted(pending_owner=True), running(local=local(owner=owner, subscription=subscription())))
        assert "would get what it lacks" in plan.warnings[0]
    assert "is a superuser" in refused(wanted(pending_owner=True), nothing_yet(local=local(owner=OwnerFacts(superuser=True))))


def test_nothing_is_pending_in_a_run_that_makes_it() -> None:
    params = {**PARAMS, "pending_publications": ["pub"], "pending_owner": True}
    assert wanted_from(params, {}).pending_publications == frozenset()
    assert not wanted_from(params, {}).pending_owner
    assert wanted_from(params, {}, check=True).pending_publications == {"pub"}


@pytest.mark.parametrize("changes", [{"standby": True}, {"superuser": False}])
def test_this_node(changes: dict[str, t.Any]) -> None:
    for what in (wanted(), wanted(present=False)):
        refused(what, nothing_yet(local=local(**changes)))


def test_long_lists_are_cut() -> None:
    assert listed(f"t{number:02}" for number in range(12)).endswith("t09 and 2 more")
    assert listed([("s", "T"), ("s", "t")]) == 's."T", s.t'


# Arguments

PARAMS: dict[str, t.Any] = {
    "name": "sub",
    "state": "present",
    "publications": ["pub"],
    "slot_name": None,
    "owner": "owner",
    "comment": None,
    "record_publisher": False,
    "enabled": True,
    "two_phase": None,
    "failover": None,
    "copy_data": False,
    "copy_into_nonempty": False,
    "uncopied_rows": "fail",
    "start_lsn": None,
    "leftover_slot": "fail",
    "lost_slot": "fail",
    "peer_unreachable": "warn",
    "detach": False,
    "pending_publications": [],
    "pending_owner": False,
    "wait": True,
    "wait_timeout": 300,
    "slot_timeout": 30,
    "binary": False,
    "streaming": "off",
    "synchronous_commit": "off",
    "disable_on_error": False,
    "password_required": True,
    "run_as_owner": False,
    "origin": "none",
}


def test_the_slot_is_named_after_the_subscription() -> None:
    assert wanted_from(PARAMS, {}).slot_name == "sub"
    assert wanted_from({**PARAMS, "slot_name": "other"}, {}).slot_name == "other"


def test_a_position() -> None:
    assert wanted_from({**PARAMS, "start_lsn": "1/A"}, {}).start_lsn == 2**32 + 10


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Sub"},
        {"name": 'a"b'},
        {"name": ""},
        {"publications": []},
        {"publications": ["a", '"a"']},
        {"start_lsn": "1"},
        {"start_lsn": "1/A", "copy_data": True},
        {"comment": "\0"},
        {"owner": ""},
        {"wait_timeout": 0},
        {"slot_timeout": -1},
    ],
)
def test_bad_arguments(changes: dict[str, t.Any]) -> None:
    with pytest.raises(MultimasterError):
        wanted_from({**PARAMS, **changes}, {})


# What a wait that ended says


@pytest.mark.parametrize(
    ("changes", "new_errors", "slot", "said"),
    [
        ({"enabled": False}, 0, SLOT, "It is disabled now."),
        ({"enabled": False, "disable_on_error": True}, 1, SLOT, "(disable_on_error)"),
        ({"apply_errors": 5, "worker": None}, 3, SLOT, "workers failed 3 times"),
        ({"worker": None}, 0, SLOT, "ssl_key"),
        ({"worker": None}, 0, None, "cannot be found"),
        ({"worker": None}, 0, SLOT._replace(wal_status="lost"), "no longer usable"),
        ({"worker": None}, 0, SLOT._replace(active=True, active_pid=9), "in use by process 9"),
        ({"tables": {T: "d", U: "r"}}, 0, SLOT, "1 of 2 tables are not ready: public.t"),
        ({"worker": WORKER._replace(received_lsn=None)}, 0, SLOT, "has not heard"),
    ],
)
def test_what_is_known_of_a_failure(changes: dict[str, t.Any], new_errors: int, slot: Slot | None, said: str) -> None:
    text = " ".join(problems(local(), subscription(**changes), new_errors, slot))
    assert said in text
    assert "server log" in text


def test_no_worker_is_left() -> None:
    text = " ".join(problems(local(max_workers=4, workers=4), subscription(worker=None), 0, SLOT))
    assert "max_logical_replication_workers" in text


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (subscription(), True),
        (subscription(worker=None), False),
        (subscription(enabled=False), False),
        (subscription(worker=WORKER._replace(received_lsn=None)), False),
        (subscription(tables={T: "s"}), False),
        (subscription(apply_errors=3), True),
        (subscription(apply_errors=3, worker=WORKER._replace(age=0.5)), False),
    ],
)
def test_what_works(current: Subscription, expected: bool) -> None:
    assert current.works is expected
