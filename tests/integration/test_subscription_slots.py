# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pg_subscription_mm does with slots that are there already, are missing, or cannot be made."""

from __future__ import annotations

import re
import time
import typing as t

import pytest
from servers import wait_until
from subscriptions import NAME, Mesh, foreign_slot_user, frozen, open_transaction, run, warnings_of

RunModule = t.Callable[..., t.Any]


def make_slot(mesh: Mesh, name: str = "") -> str:
    name = name or mesh.slot(mesh.a)
    mesh.b.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [name], mesh.db)
    return name


# Leftover slots: there is no subscription here, and the slot exists


def test_an_unused_slot_without_changes_is_adopted(run_module: RunModule, mesh: Mesh) -> None:
    make_slot(mesh)
    # Neither of these is a change for this subscription.
    mesh.b.query("CREATE TABLE unpublished (id int); CREATE PUBLICATION only_t FOR TABLE t", db=mesh.db)
    mesh.b.query("INSERT INTO unpublished VALUES (1)", db=mesh.db)
    mesh.a.query("CREATE TABLE unpublished (id int)", db=mesh.db)
    made = run_module("pg_subscription_mm", mesh.arguments(mesh.a, publications=["only_t"]))
    assert made["slot"] == "adopted"
    assert warnings_of(made) == []
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])


def test_a_leftover_slot_with_changes_is_the_users_decision(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])
    mesh.drop_subscription_only(mesh.a)
    mesh.insert(mesh.b, 2)
    for check in (True, False):
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a), check=check, fails=True)
        for way_out in ("start_lsn", "leftover_slot: replace", "leftover_slot: adopt", "copy_data"):
            assert way_out in failed["msg"]
    assert mesh.subscription(mesh.a) == {}
    assert mesh.slots(mesh.b) == [mesh.slot(mesh.a)], "neither taken nor dropped"

    # What may come again is made room for.
    mesh.a.query("TRUNCATE t", db=mesh.db)
    adopted = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="adopt"))
    assert adopted["slot"] == "adopted"
    assert any("duplicate key" in warning for warning in warnings_of(adopted))
    assert set(mesh.ids(mesh.a)) >= {2}, "the task waits for what the slot held"


def test_an_adopted_slot_that_sends_rows_again(run_module: RunModule, mesh: Mesh) -> None:
    """The task does not call that a success."""
    make_slot(mesh)
    mesh.insert(mesh.b, 1)
    mesh.insert(mesh.a, 1)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="adopt"), fails=True)
    # As often as it takes to be no accident; more where this machine is slow to look.
    assert re.search(r"workers failed ([3-9]|\d{2,}) times", failed["msg"])
    assert failed["apply_error_count"] >= 3
    assert failed["changed"]


def test_a_leftover_slot_is_replaced_on_request(run_module: RunModule, mesh: Mesh) -> None:
    make_slot(mesh)
    mesh.insert(mesh.b, 1)
    replaced = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="replace"))
    assert replaced["slot"] == "replaced"
    assert any("do not arrive" in warning for warning in warnings_of(replaced))
    mesh.insert(mesh.b, 2)
    mesh.wait_for_ids(mesh.a, [2])


def test_a_leftover_slot_gives_way_to_a_copy(run_module: RunModule, mesh: Mesh) -> None:
    """The copy brings what the slot held, and brings it once."""
    make_slot(mesh)
    mesh.insert(mesh.b, 1, 2)
    mesh.b.query("UPDATE t SET v = 'changed' WHERE id = 2", db=mesh.db)
    replaced = run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True))
    assert replaced["slot"] == "replaced"
    mesh.insert(mesh.b, 3)
    mesh.wait_for_ids(mesh.a, [1, 2, 3])
    assert mesh.a.value("SELECT v FROM t WHERE id = 2", db=mesh.db) == "changed"
    assert mesh.a.value("SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = %s", [NAME]) == 0


def test_detached_and_resumed_exactly(run_module: RunModule, mesh: Mesh) -> None:
    """The removal says how far it was, and a new subscription goes on from there: every row once."""
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.insert(mesh.b, *range(10))
    mesh.wait_for_ids(mesh.a, range(10))
    removed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent", detach=True))
    assert removed["slot_left"] == mesh.slot(mesh.a)
    mesh.insert(mesh.b, *range(10, 20))
    again = mesh.arguments(mesh.a, start_lsn=removed["applied_lsn"])
    assert run_module("pg_subscription_mm", again)["slot"] == "adopted"
    mesh.insert(mesh.b, *range(20, 30))
    mesh.wait_for_ids(mesh.a, range(30))
    assert mesh.a.value("SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = %s", [NAME]) == 0
    assert not run_module("pg_subscription_mm", again)["changed"]


def test_a_start_without_a_slot_or_ahead_of_the_peer(run_module: RunModule, mesh: Mesh) -> None:
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, start_lsn="0/1"), fails=True)
    assert "no slot" in failed["msg"]
    make_slot(mesh)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, start_lsn="FFF/0"), fails=True)
    assert "ahead of the peer's WAL" in failed["msg"]
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, start_lsn="nowhere"), fails=True)
    assert "start_lsn" in failed["msg"]


# Slots that are not this subscription's


def test_a_slot_in_use_is_refused(run_module: RunModule, mesh: Mesh) -> None:
    user = foreign_slot_user(mesh.b, make_slot(mesh), mesh.db)
    try:
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="replace"), fails=True)
    finally:
        user.terminate()
        user.wait()
    assert "in use by another subscription" in failed["msg"]
    assert mesh.slot(mesh.a) in failed["msg"]
    assert mesh.markers(mesh.a) == 0


def test_a_slot_that_another_subscription_here_names_is_refused(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, name="first"))
    mesh.a.query("ALTER SUBSCRIPTION first DISABLE", db=mesh.db)
    mesh.wait_for_slot(mesh.b, active=False)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="replace"), fails=True)
    assert "in use by another subscription, first" in failed["msg"]
    removed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent"))
    assert removed["slot"] == "left"
    assert mesh.slots(mesh.b) == [mesh.slot(mesh.a)]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("SELECT pg_create_physical_replication_slot(%s)", "physical"),
        ("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", "test_decoding"),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_slot_of_another_kind_is_left_alone(run_module: RunModule, mesh: Mesh, command: str, said: str, state: str) -> None:
    mesh.b.query(command, [mesh.slot(mesh.a)], mesh.db)
    arguments = mesh.arguments(mesh.a, leftover_slot="replace", state=state)
    result = run_module("pg_subscription_mm", arguments, fails=state == "present")
    assert said in (result.get("msg") or warnings_of(result)[0])
    assert mesh.b.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [mesh.slot(mesh.a)]) == 1
    mesh.b.query("SELECT pg_drop_replication_slot(%s)", [mesh.slot(mesh.a)])


def test_a_slot_of_another_database_is_left_alone(run_module: RunModule, mesh: Mesh) -> None:
    mesh.b.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [mesh.slot(mesh.a)], "postgres")
    try:
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="replace"), fails=True)
        assert "belongs to database postgres" in failed["msg"]
    finally:
        mesh.b.query("SELECT pg_drop_replication_slot(%s)", [mesh.slot(mesh.a)])


def test_slots_that_would_change_hands(run_module: RunModule, mesh: Mesh, second_mesh: Mesh) -> None:
    """What another order of the databases comes to: each is to have the slot of the other."""
    for each in (mesh, second_mesh):
        run_module("pg_subscription_mm", each.arguments(each.a))
    before = [each.subscription(each.a) for each in (mesh, second_mesh)]
    arguments = second_mesh.arguments(second_mesh.a, slot_name=mesh.slot(mesh.a))
    said = run_module("pg_subscription_mm", arguments, fails=True)["msg"]
    assert f"{NAME} in database {mesh.db} of this server uses it" in said
    assert "slot_suffix" in said
    assert "drop it there" not in said
    assert [each.subscription(each.a) for each in (mesh, second_mesh)] == before
    for each in (mesh, second_mesh):
        assert each.slot(each.a) in each.slots(each.b)


@pytest.mark.parametrize("name", ["Slot-A", "a" * 64, "ü", " "])
def test_a_slot_name_that_is_not_permitted(run_module: RunModule, mesh: Mesh, name: str) -> None:
    assert "slot" in run_module("pg_subscription_mm", mesh.arguments(mesh.a, slot_name=name), fails=True)["msg"]


# Lost slots: the subscription exists, and its slot does not


def test_a_lost_slot_is_never_made_anew_silently(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])
    mesh.alter(mesh.a, "DISABLE")
    mesh.wait_for_slot(mesh.b, active=False)
    mesh.b.query("SELECT pg_drop_replication_slot(%s)", [mesh.slot(mesh.a)])
    mesh.insert(mesh.b, 2)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a), fails=True)
    assert "lost" in failed["msg"]
    assert "resync" in failed["msg"]
    assert mesh.slots(mesh.b) == []
    assert mesh.subscription(mesh.a)["subenabled"] is False, "before anything changes"

    made = run_module("pg_subscription_mm", mesh.arguments(mesh.a, lost_slot="recreate"))
    assert made["slot"] == "recreated"
    assert "slot" in made["diff"]["before"]
    assert any("lost here" in warning for warning in warnings_of(made))
    mesh.insert(mesh.b, 3)
    mesh.wait_for_ids(mesh.a, [1, 3])


def test_a_slot_whose_wal_is_gone(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.alter(mesh.a, "DISABLE")
    mesh.wait_for_slot(mesh.b, active=False)
    mesh.b.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    mesh.b.query("SELECT pg_reload_conf()")
    try:
        for _each in range(3):
            mesh.b.query("SELECT pg_switch_wal()")
            mesh.b.query("CREATE TABLE IF NOT EXISTS x (); CHECKPOINT")
        query = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
        wait_until(lambda: mesh.b.value(query, [mesh.slot(mesh.a)]) == "lost", what="wal_status lost")
    finally:
        mesh.b.query("ALTER SYSTEM RESET max_slot_wal_keep_size")
        mesh.b.query("SELECT pg_reload_conf()")
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a), fails=True)
    assert "no longer usable" in failed["msg"]
    made = run_module("pg_subscription_mm", mesh.arguments(mesh.a, lost_slot="recreate"))
    assert made["slot"] == "recreated"
    mesh.insert(mesh.b, 3)
    mesh.wait_for_ids(mesh.a, [3])


def test_a_peer_that_was_restored(run_module: RunModule, mesh: Mesh) -> None:
    """Its WAL ends before what was applied here. Nothing else would ever say so."""
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.alter(mesh.a, "DISABLE")
    mesh.wait_for_slot(mesh.b, active=False)
    mesh.pair.wait_for(mesh.a, "SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL", 0)
    oid = mesh.subscription(mesh.a)["oid"]
    mesh.a.query("SELECT pg_replication_origin_advance(%s, 'FFF/0')", [f"pg_{oid}"], mesh.db)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a), fails=True)
    assert "restored" in failed["msg"]


# Making a slot


def test_a_long_transaction_is_named(run_module: RunModule, mesh: Mesh) -> None:
    blocker = open_transaction(mesh.b, mesh.db, application_name="nightly job")
    pid = blocker.info.backend_pid
    begin = time.monotonic()
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, slot_timeout=3), fails=True)
    assert time.monotonic() - begin < 600
    assert f"process {pid}" in failed["msg"]
    assert "user postgres" in failed["msg"].replace("of user", "user")
    assert [each["pid"] for each in failed["blockers"]] == [pid]
    assert failed["blockers"][0]["query"] is None, "not for a role that may not see it"
    assert mesh.slots(mesh.b) == []
    assert mesh.markers(mesh.a) == 0
    assert mesh.subscription(mesh.a) == {}

    mesh.b.query("GRANT pg_read_all_stats TO replicator")
    try:
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, slot_timeout=3), fails=True)
        assert "pg_current_xact_id" in failed["blockers"][0]["query"]
        assert failed["blockers"][0]["application"] == "nightly job"
        assert failed["blockers"][0]["seconds"] >= 3
        with blocker.cursor() as cursor:
            cursor.execute("ALTER ROLE postgres PASSWORD 'hunter2'")
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, slot_timeout=3), fails=True)
        assert "ALTER ROLE postgres PASSWORD" in failed["msg"]
        assert "hunter2" not in failed.output
    finally:
        mesh.b.query("REVOKE pg_read_all_stats FROM replicator")
        blocker.close()
    assert run_module("pg_subscription_mm", mesh.arguments(mesh.a))["changed"]


# Removal


def test_removed_with_its_slot(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    arguments = mesh.arguments(mesh.a, state="absent")
    would_be = run_module("pg_subscription_mm", arguments, check=True)
    assert mesh.subscription(mesh.a)
    removed = run_module("pg_subscription_mm", arguments)
    assert removed["queries"] == would_be["queries"]
    assert removed["slot"] == "dropped"
    assert not removed["exists"]
    assert removed["slot_left"] is None
    assert mesh.slots(mesh.b) == []
    again = run_module("pg_subscription_mm", arguments)
    assert not again["changed"]
    assert warnings_of(again) == []


def test_removed_while_the_peer_is_down(run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.b, 1)
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True))
    arguments = mesh.arguments(mesh.a, state="absent")
    mesh.b.stop()
    failed = run_module("pg_subscription_mm", {**arguments, "peer_unreachable": "fail"}, fails=True)
    assert "detach" in failed["msg"]
    removed = run_module("pg_subscription_mm", arguments)
    assert removed["changed"]
    assert removed["slot"] == "left"
    assert removed["slot_left"] == mesh.slot(mesh.a)
    assert removed["peer_reachable"] is False
    assert any(mesh.slot(mesh.a) in warning for warning in warnings_of(removed))
    assert mesh.subscription(mesh.a) == {}
    again = run_module("pg_subscription_mm", arguments)
    assert not again["changed"]
    assert again["slot"] == "unknown"

    mesh.b.start()
    orphan = run_module("pg_subscription_mm", arguments)
    assert orphan["changed"]
    assert orphan["slot"] == "dropped"
    assert mesh.slots(mesh.b) == []


def test_slots_of_unfinished_copies_go_too(run_module: RunModule, mesh: Mesh) -> None:
    """The peer is away when the subscription is removed, and has the slot of a copy that never came to its end."""
    for server in (mesh.a, mesh.b):
        mesh.insert(server, 1)
    copying = mesh.arguments(mesh.a, copy_data=True, copy_into_nonempty=True, wait=False)
    run_module("pg_subscription_mm", copying)
    wait_until(lambda: len(mesh.slots(mesh.b)) == 2, what="a slot for the copy, which fails at the row that both have")
    mesh.b.stop()
    arguments = mesh.arguments(mesh.a, state="absent")
    removed = run_module("pg_subscription_mm", arguments)
    (pattern,) = removed["copy_slots_left"]
    assert any(pattern in warning for warning in warnings_of(removed))

    mesh.b.start()
    # How many it has depends on the moment: a copy that failed is tried again, and other tables have theirs for a short while.
    slots = mesh.slots(mesh.b)
    assert mesh.slot(mesh.a) in slots
    assert all(mesh.b.value("SELECT %s LIKE %s", [name, pattern]) for name in slots if name != mesh.slot(mesh.a))
    would_be = run_module("pg_subscription_mm", arguments, check=True)
    result = run_module("pg_subscription_mm", arguments)
    assert result["queries"] == would_be["queries"]
    assert result["changed"]
    assert result["copy_slots_left"] == []
    assert mesh.slots(mesh.b) == []
    assert not run_module("pg_subscription_mm", arguments)["changed"]


def test_removed_in_the_middle_of_a_copy(run_module: RunModule, mesh: Mesh) -> None:
    for server in (mesh.a, mesh.b):
        mesh.insert(server, 1)
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True, copy_into_nonempty=True, wait=False))
    wait_until(lambda: len(mesh.slots(mesh.b)) == 2, what="a slot for the copy, which fails at the row that both have")
    removed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent"))
    assert removed["slot"] == "dropped"
    assert mesh.slots(mesh.b) == []


def test_an_orphan_slot_in_use_is_left(run_module: RunModule, mesh: Mesh) -> None:
    user = foreign_slot_user(mesh.b, make_slot(mesh), mesh.db)
    try:
        result = run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent"))
    finally:
        user.terminate()
        user.wait()
    assert not result["changed"]
    assert result["slot_left"] == mesh.slot(mesh.a)
    assert "in use" in warnings_of(result)[0]


def test_detached_from_a_peer_that_hangs_in_the_middle_of_a_copy(mesh: Mesh) -> None:
    """DROP SUBSCRIPTION by itself would wait for the peer without a limit."""
    mesh.insert(mesh.b, 1)
    holder = mesh.a.session(mesh.db)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN SHARE MODE")
    run(mesh.arguments(mesh.a, copy_data=True, wait=False))
    with frozen(mesh.b):
        begin = time.monotonic()
        result = run(mesh.arguments(mesh.a, state="absent", peer={"connect_timeout": 2}))
        assert time.monotonic() - begin < 600
    holder.close()
    assert result.get("msg") is None
    assert result["slot_left"] == mesh.slot(mesh.a)
    assert mesh.subscription(mesh.a) == {}
