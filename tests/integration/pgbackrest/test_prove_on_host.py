# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_prove: a sound copy is counted and stays silent, a damaged one is named, and nothing else is ever started."""

from __future__ import annotations

import typing as t

import pytest
from host import COPY, COPY_PORT, DATA, Host, Result


def prove(node: Host, *, fails: bool = False, check: bool = False, **arguments: t.Any) -> Result:
    return node.module("pgbackrest_prove", {"pg_path": COPY, **arguments}, fails=fails, check=check)


@pytest.fixture
def restored(backed_up: Host) -> Host:
    backed_up.restore(type="immediate")
    return backed_up


def test_a_sound_copy(restored: Host) -> None:
    foretold = prove(restored, check=True)
    assert foretold["changed"]
    restored.run("test", "!", "-e", f"{COPY}/restored_copy.log")

    proof = prove(restored)
    database = next(each for each in proof["databases"] if each["name"] == "postgres")
    assert database["rows"] == {"public.rows": 2}
    assert database["checked"] > 200
    assert proof["problems"] == []
    assert proof["recovered_to"]["lsn"]
    # It was stopped again, and can be examined again.
    restored.run("test", "!", "-e", f"{COPY}/postmaster.pid")
    assert prove(restored, amcheck=False)["databases"][-1]["checked"] == 0


def test_it_is_silent_whatever_the_live_node_s_configuration_says(backed_up: Host) -> None:
    backed_up.sql("ALTER SYSTEM SET listen_addresses = '*'; ", port=5432)
    backed_up.sql("ALTER SYSTEM SET archive_mode = 'always'")
    backed_up.sql(
        "CREATE SUBSCRIPTION kept CONNECTION 'host=192.0.2.1' PUBLICATION p WITH (connect = false, slot_name = 'live_slot')"
    )
    try:
        backed_up.backup("full")
        backed_up.restore(type="immediate")
        proof = prove(backed_up, keep_running=True)
        assert proof["subscriptions"] == ["postgres: kept"]
        assert backed_up.sql("SHOW listen_addresses", COPY_PORT) == ""
        assert backed_up.sql("SHOW archive_mode", COPY_PORT) == "off"
        assert backed_up.sql("SHOW max_logical_replication_workers", COPY_PORT) == "0"
        assert backed_up.sql("SELECT subenabled, subslotname IS NULL FROM pg_subscription", COPY_PORT) == "f|t"
        assert str(COPY_PORT) not in backed_up.run("ss", "-Hltn").stdout
        # The one that runs is examined again, and left running.
        assert prove(backed_up, keep_running=True)["databases"]
        assert prove(backed_up)["databases"]
    finally:
        backed_up.sql("ALTER SUBSCRIPTION kept SET (slot_name = NONE)")
        backed_up.sql("DROP SUBSCRIPTION kept")


@pytest.mark.fault
@pytest.mark.core
def test_damage_is_named(backed_up: Host) -> None:
    backed_up.make_big()
    backed_up.sql("ALTER TABLE big ADD PRIMARY KEY (id)")
    index, table = backed_up.sql("SELECT pg_relation_filepath('big_pkey'), pg_relation_filepath('big')").split("|")
    backed_up.backup("full")
    backed_up.restore(type="immediate")
    # An index that lacks entries of its table: nothing reads wrong, rows are only not found any more.
    backed_up.run("python3", "-c", f"f=open('{COPY}/{index}','r+b'); f.seek(3*8192); f.write(bytes(8192))")
    failed = prove(backed_up, fails=True)
    assert "big_pkey" in failed["msg"]
    assert "is damaged" in failed["msg"]
    backed_up.run("test", "!", "-e", f"{COPY}/postmaster.pid")

    backed_up.restore(type="immediate", delta=True)
    backed_up.run("python3", "-c", f"f=open('{COPY}/{table}','r+b'); f.seek(5*8192+200); f.write(b'x'*100)")
    failed = prove(backed_up, fails=True)
    assert "big" in failed["msg"]
    assert any("big" in each for each in failed["problems"])


def test_what_is_no_restored_copy_is_never_started(restored: Host) -> None:
    assert "no restored cluster" in prove(restored, fails=True, pg_path="/var/lib/postgresql/16/none")["msg"]
    assert "is no restored copy" in prove(restored, fails=True, pg_path=DATA)["msg"]
    restored.server("stop")
    try:
        assert "is no restored copy" in prove(restored, fails=True, pg_path=DATA)["msg"]
    finally:
        restored.server("start")
    assert "has no PostgreSQL 16 in /nowhere" in prove(restored, fails=True, bin_path="/nowhere")["msg"]
    assert "has no database none" in prove(restored, fails=True, databases=["none"])["msg"]


def test_a_server_that_does_not_start_says_why(restored: Host) -> None:
    failed = prove(restored, fails=True, settings={"shared_buffers": "none at all"})
    assert "did not start" in failed["msg"]
    assert "shared_buffers" in failed["msg"]


def test_two_copies_on_one_port(restored: Host) -> None:
    prove(restored, keep_running=True, amcheck=False)
    restored.sql("CREATE TABLE only_here AS SELECT 1", COPY_PORT)
    other = f"{COPY}-2"
    restored.restore(type="immediate", pg_path=other)
    failed = prove(restored, fails=True, pg_path=other)
    assert f"Another server has port {COPY_PORT}" in failed["msg"]
    restored.run("test", "!", "-e", f"{other}/restored_copy.log")
    assert restored.sql("SELECT count(*) FROM only_here", COPY_PORT) == "1"
    # On a port of its own it is that copy, whose rows are counted.
    proof = prove(restored, pg_path=other, port=COPY_PORT + 1)
    assert proof["databases"][-1]["rows"] == {"public.rows": 2}
    # The port of one and the directory of the other that runs.
    prove(restored, pg_path=other, port=COPY_PORT + 1, keep_running=True, amcheck=False)
    assert "another port" in prove(restored, fails=True, pg_path=other)["msg"]


def test_a_node_with_more_subscriptions_than_a_server_has_room_for_by_default(backed_up: Host) -> None:
    backed_up.sql("ALTER SYSTEM SET max_replication_slots = 20")
    backed_up.server("restart")
    try:
        backed_up.sql("SELECT pg_replication_origin_create('peer_' || n) FROM generate_series(1, 11) n")
        backed_up.sql("SELECT pg_replication_origin_advance('peer_' || n, '0/1000000') FROM generate_series(1, 11) n")
        backed_up.sql("CHECKPOINT")
        backed_up.backup("full")
        backed_up.restore(type="immediate")
        proof = prove(backed_up, keep_running=True, amcheck=False)
        assert proof["databases"][-1]["rows"] == {"public.rows": 2}
        assert backed_up.sql("SELECT count(*) FROM pg_replication_origin_status", COPY_PORT) == "11"
    finally:
        backed_up.sql("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")
        backed_up.sql("ALTER SYSTEM RESET max_replication_slots")
        backed_up.sql("CHECKPOINT")
        backed_up.server("restart")


def test_limits_of_the_backed_up_server_do_not_hold_for_its_examination(backed_up: Host) -> None:
    backed_up.sql("CREATE DATABASE hurried")
    try:
        backed_up.sql("ALTER DATABASE hurried SET statement_timeout = '1ms'")
        backed_up.sql("ALTER DATABASE hurried SET default_transaction_read_only = on")
        backed_up.backup("full")
        backed_up.restore(type="immediate")
        proof = prove(backed_up, databases=["hurried"])
        assert [each["name"] for each in proof["databases"]] == ["hurried"]
        assert proof["databases"][0]["checked"] > 200
    finally:
        backed_up.sql("DROP DATABASE hurried")


def test_what_cannot_be_checked_is_not_called_damaged(backed_up: Host) -> None:
    backed_up.sql("CREATE FUNCTION fickle(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'")
    try:
        backed_up.sql("CREATE INDEX rows_fickle ON rows (fickle(id))")
        backed_up.sql(
            "CREATE OR REPLACE FUNCTION fickle(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION $$not today$$; END'"
        )
        backed_up.backup("full")
        backed_up.restore(type="immediate")
        failed = prove(backed_up, fails=True)
        assert "could not be checked: postgres: public.rows_fickle: not today." in failed["msg"]
        assert "damaged" not in failed["msg"]
        assert failed["problems"] == []
        backed_up.run("test", "!", "-e", f"{COPY}/postmaster.pid")
    finally:
        backed_up.sql("DROP FUNCTION fickle CASCADE")
