# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_subscription_mm: from what is and what is wanted to the fewest statements, without a server."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import extensions, sql
from subscription_cases import (
    CONNINFO,
    OPTIONS,
    PASSWORD,
    RUNNING_PEER,
    SLOT,
    T,
    U,
    local,
    nothing_yet,
    peer,
    running,
    sent,
    shown,
    subscription,
    tables,
    wanted,
)

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import (
    Identity,
    OtherSubscription,
    OwnerFacts,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.plan import plan_for
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_model import EMPTY
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.state import PublishedTable
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.statements import SlotStatement

MARK = "'multimaster_slot_of_sub_in_' || current_database()"
CREATE = (
    "CREATE SUBSCRIPTION \"sub\" CONNECTION 'host=pg2 port=5432 user=replicator dbname=imdb password=********' "
    "PUBLICATION \"pub\" WITH (create_slot = false, slot_name = 'slot', enabled = {enabled}, copy_data = {copy}, "
    "binary = false, streaming = 'off', synchronous_commit = 'off', disable_on_error = false, "
    "password_required = true, run_as_owner = false, origin = 'none')"
)
MAKE_SLOT = [f"SELECT pg_replication_origin_create({MARK})", "SELECT pg_create_logical_replication_slot('slot', 'pgoutput')"]
DROP_MARK = f"SELECT pg_replication_origin_drop({MARK})"
OWNER = 'ALTER SUBSCRIPTION "sub" OWNER TO "owner"'
anything = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


# Making one


def test_slot_first_then_subscription() -> None:
    plan = plan_for(wanted(), nothing_yet())
    assert shown(plan) == [*MAKE_SLOT, CREATE.format(enabled="true", copy="false"), OWNER, DROP_MARK]
    assert [statement.on_peer for statement in plan.statements] == [False, True, False, False, False]
    assert not any(statement.own_transaction for statement in plan.statements)
    assert plan.differences.after["state"] == "present"
    assert plan.differences.after["slot_name"] == "slot"
    assert plan.results["slot"] == "created"
    assert plan.warnings == []


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        ("libc C.UTF-8", "libc C.utf8", False),
        ("libc de_DE.UTF-8", "libc C", True),
        ("libc tr_TR.UTF-8", "icu tr-TR", True),
        ("", "libc C", False),
    ],
)
def test_locales_that_differ_are_told(here: str, there: str, told: bool) -> None:
    plan = plan_for(wanted(), nothing_yet(local=local(locale=here), peer=peer(locale=there)))
    assert [f"has the locale {here} here and {there} on the peer" in warning for warning in plan.warnings] == [True] * told


def test_the_password_is_sent_and_not_shown() -> None:
    plan = plan_for(wanted(), nothing_yet())
    assert "s3cret" in PASSWORD
    assert "s3cret" in sent(plan)[2]
    assert "s3cret" not in str([shown(plan), plan.differences.as_diff(), plan.results])


def test_a_slot_that_this_node_made_before() -> None:
    state = nothing_yet(local=local(slot_made_here=True), peer=peer(slots={"slot": SLOT}))
    assert shown(plan_for(wanted(), state)) == [CREATE.format(enabled="true", copy="false"), OWNER, DROP_MARK]


def test_a_mark_whose_slot_was_never_made() -> None:
    plan = plan_for(wanted(), nothing_yet(local=local(slot_made_here=True)))
    assert shown(plan) == [MAKE_SLOT[1], CREATE.format(enabled="true", copy="false"), OWNER, DROP_MARK]


def test_a_slot_with_nothing_in_it() -> None:
    plan = plan_for(wanted(), nothing_yet(peer=peer(slots={"slot": SLOT}), held=EMPTY))
    assert shown(plan) == [CREATE.format(enabled="true", copy="false"), OWNER]


def test_a_copy_and_a_slot_in_its_way() -> None:
    plan = plan_for(wanted(copy_data=True), nothing_yet(peer=peer(slots={"slot": SLOT})))
    drop = "SELECT pg_drop_replication_slot('slot')"
    assert shown(plan) == [drop, *MAKE_SLOT, CREATE.format(enabled="true", copy="true"), OWNER, DROP_MARK]


def test_a_start_at_a_position() -> None:
    """An origin's position is not transactional, so the subscription is committed first and enabled last."""
    plan = plan_for(wanted(start_lsn=150, comment="c"), nothing_yet(peer=peer(slots={"slot": SLOT})))
    create, owner, comment, advance, enable = shown(plan)
    assert create == CREATE.format(enabled="false", copy="false")
    assert owner == OWNER
    assert comment == "COMMENT ON SUBSCRIPTION \"sub\" IS 'c'"
    assert "pg_replication_origin_advance('pg_' || s.oid, '0/96')" in advance
    assert enable == 'ALTER SUBSCRIPTION "sub" ENABLE'
    assert [statement.own_transaction for statement in plan.statements] == [False, False, False, True, False]


def test_a_start_that_an_interrupted_run_did_not_set() -> None:
    current = subscription(enabled=False, remote_lsn=None)
    state = running(current, peer=peer(slots={"slot": SLOT}))
    advance, enable = shown(plan_for(wanted(start_lsn=150), state))
    assert "pg_replication_origin_advance" in advance
    assert enable == 'ALTER SUBSCRIPTION "sub" ENABLE'
    state = running(subscription(enabled=False), peer=peer(slots={"slot": SLOT}))
    assert shown(plan_for(wanted(start_lsn=150), state)) == [enable], "it has a position of its own"


@given(anything, anything, anything)
def test_names_are_quoted(name: str, owner: str, publication: str) -> None:
    what = wanted(name=name, owner=owner, publications=(publication,))
    texts = shown(plan_for(what, nothing_yet(peer=peer(publications=frozenset({publication})))))

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    assert texts[2].startswith(f"CREATE SUBSCRIPTION {quoted(name)} CONNECTION '")
    assert f"PUBLICATION {quoted(publication)} WITH (" in texts[2]
    assert texts[3] == f"ALTER SUBSCRIPTION {quoted(name)} OWNER TO {quoted(owner)}"


@given(st.dictionaries(st.sampled_from(["host", "user", "dbname", "options"]), anything), anything)
def test_any_connection_string_arrives_whole(parameters: dict[str, str], password: str) -> None:
    what = wanted(conninfo={**parameters, "password": password})
    state = nothing_yet()
    command = plan_for(what, state).statements[2].command
    assert isinstance(command, sql.Composed)
    literal: t.Any = next(part for part in command.seq if hasattr(part, "shown"))
    assert extensions.parse_dsn(literal.wrapped) == {**parameters, "password": password}
    assert extensions.parse_dsn(literal.shown) == {**parameters, "password": "********"}


# Nothing to do


def test_nothing_to_do() -> None:
    plan = plan_for(wanted(), running())
    assert plan.statements == []
    assert not plan.differences
    assert plan.warnings == []
    assert plan.results["initial_state"] == plan.results["final_state"]
    assert "s3cret" not in str(plan.results)


@given(st.permutations(["a", "b", "c"]), st.permutations(["a", "b", "c"]))
def test_the_order_of_publications_is_of_no_account(one: list[str], other: list[str]) -> None:
    state = running(subscription(publications=tuple(one)), peer=RUNNING_PEER._replace(publications=frozenset("abc")))
    assert plan_for(wanted(publications=tuple(other)), state).statements == []


# Drift


@pytest.mark.parametrize(
    ("option", "drifted", "text"),
    [
        ("binary", True, "binary = false"),
        ("streaming", "parallel", "streaming = 'off'"),
        ("synchronous_commit", "on", "synchronous_commit = 'off'"),
        ("disable_on_error", True, "disable_on_error = false"),
        ("password_required", False, "password_required = true"),
        ("run_as_owner", True, "run_as_owner = false"),
        ("origin", "any", "origin = 'none'"),
    ],
)
def test_one_option(option: str, drifted: t.Any, text: str) -> None:
    plan = plan_for(wanted(), running(subscription(**{option: drifted})))
    assert shown(plan) == [f'ALTER SUBSCRIPTION "sub" SET ({text})']
    assert plan.differences.as_diff() == {"before": {option: drifted}, "after": {option: OPTIONS[option]}}


def test_several_options_are_one_statement() -> None:
    plan = plan_for(wanted(binary=True, origin="any"), running())
    assert shown(plan) == ["ALTER SUBSCRIPTION \"sub\" SET (binary = true, origin = 'any')"]


def test_the_connection_string() -> None:
    drifted = {**CONNINFO, "host": "old", "password": "0ld", "application_name": "x"}
    plan = plan_for(wanted(), running(subscription(conninfo=drifted)))
    assert shown(plan) == [
        "ALTER SUBSCRIPTION \"sub\" CONNECTION 'host=pg2 port=5432 user=replicator dbname=imdb password=********'"
    ]
    assert plan.differences.before["conninfo.host"] == "old"
    assert plan.differences.before["conninfo.application_name"] == "x"
    assert plan.differences.after["conninfo.application_name"] is None
    assert "0ld" not in str([shown(plan), plan.differences.as_diff(), plan.results])


def test_everything_at_once_and_in_order() -> None:
    current = subscription(
        enabled=False, binary=True, owner="postgres", comment="old", publications=("x",), conninfo={"host": "old"}
    )
    plan = plan_for(wanted(comment="new"), running(current))
    assert shown(plan) == [
        "ALTER SUBSCRIPTION \"sub\" CONNECTION 'host=pg2 port=5432 user=replicator dbname=imdb password=********'",
        'ALTER SUBSCRIPTION "sub" SET PUBLICATION "pub" WITH (refresh = false)',
        'ALTER SUBSCRIPTION "sub" SET (binary = false)',
        'ALTER SUBSCRIPTION "sub" OWNER TO "owner"',
        "COMMENT ON SUBSCRIPTION \"sub\" IS 'new'",
        'ALTER SUBSCRIPTION "sub" ENABLE',
    ]
    assert not any(statement.own_transaction or statement.on_peer for statement in plan.statements)


def test_disabling_comes_first() -> None:
    plan = plan_for(wanted(enabled=False, binary=True), running())
    assert shown(plan) == ['ALTER SUBSCRIPTION "sub" DISABLE', 'ALTER SUBSCRIPTION "sub" SET (binary = true)']


@pytest.mark.parametrize(("wanted_comment", "statements"), [(None, 0), ("old", 0), ("new", 1), ("", 1)])
def test_the_comment(wanted_comment: str | None, statements: int) -> None:
    plan = plan_for(wanted(comment=wanted_comment), running(subscription(comment="old")))
    assert len(plan.statements) == statements


RECORD = "[publisher: system 2, timeline 1]"


@pytest.mark.parametrize(
    ("comment", "then"), [("", RECORD), ("mine", f"mine {RECORD}"), (RECORD, RECORD), (f"mine {RECORD}", f"mine {RECORD}")]
)
def test_the_comment_names_the_server_of_the_peer(comment: str, then: str) -> None:
    state = running(subscription(comment=comment))
    assert state.peer is not None
    plan = plan_for(wanted(record_publisher=True), state._replace(peer=state.peer._replace(timeline=1)))
    assert shown(plan) == ([] if comment == then else [f"COMMENT ON SUBSCRIPTION \"sub\" IS '{then}'"])
    assert plan.warnings == []
    # A person's own comment, a peer that is a standby, and what was not asked for: nothing.
    assert plan_for(wanted(record_publisher=True, comment=comment), running(subscription(comment=comment))).statements == []
    assert plan_for(wanted(), running(subscription(comment=comment))).statements == []


@pytest.mark.parametrize("record", ["[publisher: system 3, timeline 1]", "[publisher: system 2, timeline 7]"])
def test_another_server_than_the_recorded_one_is_warned_of_and_not_recorded(record: str) -> None:
    state = running(subscription(comment=record))
    assert state.peer is not None
    plan = plan_for(wanted(record_publisher=True), state._replace(peer=state.peer._replace(timeline=1)))
    assert plan.statements == []
    assert "it was restored, promoted or replaced" in plan.warnings[0]


def test_a_new_subscription_names_the_server_of_the_peer() -> None:
    plan = plan_for(wanted(record_publisher=True), nothing_yet(peer=peer(timeline=1)))
    assert f"COMMENT ON SUBSCRIPTION \"sub\" IS '{RECORD}'" in shown(plan)


@pytest.mark.parametrize("option", ["two_phase", "failover"])
def test_what_only_creation_can_set(option: str) -> None:
    newer: dict[str, t.Any] = {"version": 170000}
    state = running(local=local(subscription=subscription(), **newer), peer=RUNNING_PEER._replace(**newer))
    plan = plan_for(wanted(creation_options={option: True}), state)
    assert plan.statements == []
    assert not plan.differences
    assert option in plan.warnings[0]
    assert plan_for(wanted(creation_options={option: False}), state).warnings == []
    state = nothing_yet(local=local(**newer), peer=peer(**newer))
    assert f"{option} = true" in sent(plan_for(wanted(creation_options={option: True}), state))[2]


@pytest.mark.parametrize(("here", "there"), [(160014, 170000), (170000, 160014)])
def test_failover_needs_newer_servers(here: int, there: int) -> None:
    what = wanted(creation_options={"failover": True})
    with pytest.raises(MultimasterError, match="PostgreSQL 17"):
        plan_for(what, nothing_yet(local=local(version=here), peer=peer(version=there)))
    state = nothing_yet(local=local(version=170000), peer=peer(version=170000))
    assert "pg_create_logical_replication_slot('slot', 'pgoutput', failover => true)" in shown(plan_for(what, state))[1]


# Tables


def test_a_table_that_came() -> None:
    state = running(subscription(tables={T: "r"}))
    plan = plan_for(wanted(), state)
    assert shown(plan) == ['ALTER SUBSCRIPTION "sub" REFRESH PUBLICATION WITH (copy_data = false)']
    assert plan.statements[0].own_transaction
    assert plan.differences.as_diff() == {"before": {"tables": []}, "after": {"tables": ["public.u"]}}


def test_a_table_that_went() -> None:
    state = running(subscription(tables={T: "r", U: "r", ("x", "Y"): "r"}))
    plan = plan_for(wanted(copy_data=True), state)
    assert shown(plan) == ['ALTER SUBSCRIPTION "sub" REFRESH PUBLICATION WITH (copy_data = false)']
    assert plan.differences.as_diff() == {"before": {"tables": ['x."Y"']}, "after": {"tables": []}}


@pytest.mark.parametrize(
    ("copy_data", "nonempty", "into_nonempty", "copies"),
    [(True, (), False, True), (False, (), False, False), (True, (U,), False, False), (True, (U,), True, True)],
)
def test_what_a_refresh_copies(copy_data: bool, nonempty: t.Any, into_nonempty: bool, copies: bool) -> None:
    state = running(subscription(tables={T: "r"}), tables=tables(nonempty=frozenset(nonempty)))
    plan = plan_for(wanted(copy_data=copy_data, copy_into_nonempty=into_nonempty), state)
    assert shown(plan)[-1].endswith(f"(copy_data = {str(copies).lower()})")
    assert bool(plan.warnings) == (copy_data and not copies)


def test_a_refresh_without_a_copy_names_rows_that_stay_behind() -> None:
    behind = {T: PublishedTable(frozenset({"id"}), has_size=True), U: PublishedTable(frozenset({"id"}), has_size=True)}
    refreshed = subscription(tables={T: "r"})
    (warning,) = plan_for(wanted(), running(refreshed, tables=tables(published=behind))).warnings
    assert "public.u." in warning
    assert "public.t" not in warning, "it is not new"
    assert plan_for(wanted(copy_data=True), running(refreshed, tables=tables(published=behind))).warnings == []


def test_new_publications_with_the_same_tables_need_no_refresh() -> None:
    assert len(plan_for(wanted(), running(subscription(publications=("old",)))).statements) == 1


# A peer that does not answer


def test_local_drift_is_repaired_without_the_peer() -> None:
    state = running(subscription(binary=True), peer=None, unreachable="The peer is down.")
    plan = plan_for(wanted(), state)
    assert shown(plan) == ['ALTER SUBSCRIPTION "sub" SET (binary = false)']
    assert plan.warnings[0].startswith("The peer is down.")
    with pytest.raises(MultimasterError, match="The peer is down"):
        plan_for(wanted(peer_unreachable="fail"), state)


@pytest.mark.parametrize("drift", [{"conninfo": {"host": "x"}}, {"publications": ("x",)}, {"slot_name": "x"}])
def test_what_needs_the_peer_is_not_done_without_it(drift: dict[str, t.Any]) -> None:
    with pytest.raises(MultimasterError, match="could not be tried"):
        plan_for(wanted(), running(subscription(**drift), peer=None, unreachable="The peer is down."))


def test_nothing_is_made_without_the_peer() -> None:
    with pytest.raises(MultimasterError, match=r"cannot be made\. The peer is down"):
        plan_for(wanted(), nothing_yet(peer=None, unreachable="The peer is down."))


# Slots of a subscription that exists


def test_a_slot_that_is_copied_to_another_name() -> None:
    plan = plan_for(wanted(slot_name="new"), running())
    assert shown(plan) == [
        "SELECT pg_copy_logical_replication_slot('slot', 'new')",
        "ALTER SUBSCRIPTION \"sub\" SET (slot_name = 'new')",
        "SELECT pg_drop_replication_slot('slot')",
    ]
    assert [statement.on_peer for statement in plan.statements] == [True, False, True]
    assert all(isinstance(statement, SlotStatement) == statement.on_peer for statement in plan.statements)


def test_a_lost_slot_on_request() -> None:
    plan = plan_for(wanted(lost_slot="recreate"), running(peer=peer()))
    assert shown(plan) == ["SELECT pg_create_logical_replication_slot('slot', 'pgoutput')"]
    assert plan.differences.as_diff() == {"before": {"slot": "absent"}, "after": {"slot": "present"}}


def test_a_slot_that_another_subscriber_has_taken() -> None:
    taken = peer(slots={"slot": SLOT._replace(active=True, active_pid=9, application="other")})
    with pytest.raises(MultimasterError, match="in use by another subscription"):
        plan_for(wanted(), running(subscription(worker=None), peer=taken))
    assert plan_for(wanted(), running(peer=taken)).statements == [], "a worker that runs has it"


def test_a_slot_about_to_lose_its_wal() -> None:
    state = running(peer=peer(slots={"slot": SLOT._replace(active=True, wal_status="unreserved")}))
    assert "unreserved" in plan_for(wanted(), state).warnings[0]


def test_a_peer_that_was_restored() -> None:
    with pytest.raises(MultimasterError, match="restored"):
        plan_for(wanted(), running(peer=RUNNING_PEER._replace(current_lsn=89)))


def test_a_mark_that_was_left() -> None:
    plan = plan_for(wanted(), running(local=local(subscription=subscription(), slot_made_here=True)))
    assert shown(plan) == [DROP_MARK]
    assert plan.differences


# Workers switched off


def test_no_workers_are_a_warning() -> None:
    plan = plan_for(wanted(), running(local=local(subscription=subscription(), max_workers=0)))
    assert "max_logical_replication_workers" in plan.warnings[0]


# Removing one


def removal(**changes: t.Any) -> t.Any:
    return wanted(present=False, **changes)


DETACH = [
    'ALTER SUBSCRIPTION "sub" DISABLE',
    "ALTER SUBSCRIPTION \"sub\" SET (slot_name = 'none')",
    'DROP SUBSCRIPTION "sub"',
]


def test_removal_with_the_slot() -> None:
    plan = plan_for(removal(), running())
    assert shown(plan) == [*DETACH, "SELECT pg_drop_replication_slot('slot')"]
    assert [statement.on_peer for statement in plan.statements] == [False, False, False, True]
    assert (plan.results["slot"], plan.results["slot_left"], plan.results["applied_lsn"]) == ("dropped", None, "0/5A")


def test_removal_without_the_peer() -> None:
    plan = plan_for(removal(), running(peer=None, unreachable="The peer is down."))
    assert shown(plan) == DETACH
    assert (plan.results["slot"], plan.results["slot_left"]) == ("left", "slot")
    assert "The peer is down." in plan.warnings[0]
    with pytest.raises(MultimasterError, match="detach"):
        plan_for(removal(peer_unreachable="fail"), running(peer=None, unreachable="The peer is down."))
    assert shown(plan_for(removal(peer_unreachable="fail", detach=True), running(peer=None))) == DETACH


def test_removal_without_the_peer_in_the_middle_of_a_copy() -> None:
    """DROP would try to reach the peer, and has no limit for one that hangs."""
    plan = plan_for(removal(), running(subscription(tables={T: "d"}), peer=None, unreachable="The peer is down."))
    assert shown(plan)[2].startswith('ALTER SUBSCRIPTION "sub" CONNECTION \'host=/nonexistent')
    assert shown(plan)[3] == DETACH[2]
    assert plan.results["copy_slots_left"] == ["pg_16400_sync_%_1"]
    assert "pg_16400_sync_%_1" in plan.warnings[1]


def copy_slot(oid: int, identifier: str = "1", **changes: t.Any) -> t.Any:
    name = f"pg_{oid}_sync_17000_{identifier}"
    return SLOT._replace(name=name, **changes)


def copies(*slots: t.Any, **changes: t.Any) -> Plan:
    state = nothing_yet(local=local(subscription_oids=frozenset({16400})), peer=peer(slots={slot.name: slot for slot in slots}))
    return plan_for(removal(), state._replace(**changes))


def test_removal_takes_the_slots_of_unfinished_copies_along() -> None:
    plan = copies(copy_slot(16300), copy_slot(16300, "2"), copy_slot(16400))
    assert shown(plan) == ["SELECT pg_drop_replication_slot('pg_16300_sync_17000_1')"], "neither of others nor in use"
    assert plan.differences
    assert plan.results["copy_slots_left"] == []
    current = local(subscription=subscription(tables={T: "d"}), subscription_oids=frozenset({16400}))
    (*_others, last) = shown(copies(copy_slot(16400, active=True), local=current))
    assert last == "SELECT pg_drop_replication_slot('pg_16400_sync_17000_1')"


def test_removal_names_slots_of_copies_that_are_in_use() -> None:
    plan = copies(copy_slot(16300, active=True))
    assert plan.statements == []
    assert not plan.differences
    assert plan.results["copy_slots_left"] == ["pg_16300_sync_17000_1"]
    assert "pg_16300_sync_17000_1" in plan.warnings[0]


def test_removal_leaves_slots_that_may_be_of_a_copy_of_this_server() -> None:
    same = peer(identity=Identity("1", "2026-01-02", 5433), slots={"pg_16300_sync_17000_1": copy_slot(16300)})
    assert copies(peer=same).statements == []


def test_removal_of_what_is_not_there() -> None:
    plan = plan_for(removal(), nothing_yet())
    assert plan.statements == []
    assert not plan.differences


def test_removal_of_an_orphan_slot() -> None:
    plan = plan_for(removal(), nothing_yet(peer=peer(slots={"slot": SLOT})))
    assert shown(plan) == ["SELECT pg_drop_replication_slot('slot')"]
    assert plan.differences


@pytest.mark.parametrize(
    "slot", [SLOT._replace(active=True, active_pid=9), SLOT._replace(plugin="x"), SLOT._replace(database="x")]
)
def test_removal_leaves_slots_of_others(slot: t.Any) -> None:
    plan = plan_for(removal(), nothing_yet(peer=peer(slots={"slot": slot})))
    assert plan.statements == []
    assert not plan.differences
    assert plan.results["slot_left"] == "slot"
    assert len(plan.warnings) == 1


def test_removal_leaves_a_slot_that_another_subscription_names() -> None:
    other = OtherSubscription("other", "imdb", "slot", CONNINFO)
    plan = plan_for(removal(), running(local=local(subscription=subscription(), others=(other,))))
    assert shown(plan) == DETACH
    assert "other" in plan.warnings[0]


def test_removal_takes_the_slot_that_the_subscription_names() -> None:
    state = running(subscription(slot_name="old"), peer=peer(slots={"old": SLOT._replace(name="old"), "slot": SLOT}))
    assert shown(plan_for(removal(), state))[-1] == "SELECT pg_drop_replication_slot('old')"


def test_removal_takes_the_mark_along() -> None:
    plan = plan_for(removal(), nothing_yet(local=local(slot_made_here=True), peer=peer(slots={"slot": SLOT})))
    assert shown(plan) == [DROP_MARK, "SELECT pg_drop_replication_slot('slot')"]


def test_removal_does_not_ask_for_the_owner() -> None:
    state = running(local=local(subscription=subscription(), owner=OwnerFacts(superuser=True)))
    assert len(plan_for(removal(owner=""), state).statements) == 4
