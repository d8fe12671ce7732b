# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of pg_subscription_mm that are killed, and the runs that come after them."""

from __future__ import annotations

import random
import time
import typing as t

import pytest
from servers import wait_until
from subscriptions import Mesh, finish, open_transaction, run, start

RunModule = t.Callable[..., t.Any]


@pytest.mark.parametrize("turn", range(20))
def test_killed_at_any_moment_and_run_again(mesh: Mesh, turn: int) -> None:
    mesh.insert(mesh.a, 1, 2)
    moments = [random.uniform(0.1, 0.8), random.uniform(0.1, 0.8)]
    begin = time.monotonic()
    processes = [start(mesh.arguments(mesh.b, copy_data=True)), start(mesh.arguments(mesh.a))]
    for moment, process in sorted(zip(moments, processes), key=lambda pair: pair[0]):
        time.sleep(max(0, begin + moment - time.monotonic()))
        process.kill()
        process.communicate()
    mesh.insert(mesh.a, 3)
    # Where the killed run came as far as the copy, its rows are there already.
    again = mesh.arguments(mesh.b, copy_data=True)
    both = [start(again), start(mesh.arguments(mesh.a))]
    results = [finish(process) for process in both]
    assert [result.get("msg") for result in results] == [None, None], f"killed after {moments}"
    mesh.wait_for_ids(mesh.b, [1, 2, 3])
    mesh.assert_flows_both_ways()
    for server in (mesh.a, mesh.b):
        assert mesh.slots(server) == [mesh.slot(mesh.other(server))]
        assert mesh.markers(server) == 0


def test_killed_after_the_slot_was_made(run_module: RunModule, mesh: Mesh) -> None:
    """Its slot is known as its own: what the peer wrote in the meantime is neither lost nor asked about."""
    mesh.a.query(f"SELECT pg_replication_origin_create('multimaster_slot_of_sub_from_peer_in_{mesh.db}')", db=mesh.db)
    mesh.b.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [mesh.slot(mesh.a)], mesh.db)
    mesh.insert(mesh.b, 1)
    made = run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert made["slot"] == "adopted"
    mesh.wait_for_ids(mesh.a, [1])
    assert mesh.markers(mesh.a) == 0


def test_killed_while_the_slot_is_made(mesh: Mesh) -> None:
    """The peer notices that the run is gone, and the next run does not trip over what was half made."""
    blocker = open_transaction(mesh.b, mesh.db)
    process = start(mesh.arguments(mesh.a))
    wait_until(lambda: mesh.slots(mesh.b), what="the slot in the making")
    process.kill()
    process.communicate()
    wait_until(lambda: not mesh.slots(mesh.b), what="the end of a slot whose maker is gone")
    again = start(mesh.arguments(mesh.a))
    time.sleep(2)
    blocker.close()
    result = finish(again)
    assert result.get("msg") is None
    assert result["changed"]
    assert mesh.slots(mesh.b) == [mesh.slot(mesh.a)]


def test_killed_before_the_position_was_set(run_module: RunModule, mesh: Mesh) -> None:
    """The subscription is made disabled, and starts where it was told once the next run has set that."""
    mesh.b.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [mesh.slot(mesh.a)], mesh.db)
    mesh.insert(mesh.b, 1)
    lsn = mesh.b.value("SELECT pg_current_wal_lsn()::text")
    mesh.insert(mesh.b, 2)
    # As far as such a run came: made, and neither advanced nor enabled.
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, leftover_slot="adopt", enabled=False))
    result = run_module("pg_subscription_mm", mesh.arguments(mesh.a, start_lsn=lsn))
    assert any("pg_replication_origin_advance" in query for query in result["queries"])
    mesh.insert(mesh.b, 3)
    mesh.wait_for_ids(mesh.a, [2, 3])


def test_the_peer_dies_during_the_run(mesh: Mesh) -> None:
    blocker = open_transaction(mesh.b, mesh.db)
    process = start(mesh.arguments(mesh.a))
    wait_until(lambda: mesh.slots(mesh.b), what="the slot in the making")
    blocker.close()
    mesh.b.stop("immediate")
    result = finish(process)
    mesh.b.start()
    assert mesh.subscription(mesh.a) == {} or not result.get("failed")
    assert run(mesh.arguments(mesh.a)).get("msg") is None
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])
