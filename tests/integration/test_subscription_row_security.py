# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables with row security are copied and applied whole, and none of their policies runs as who replicates."""

from __future__ import annotations

import typing as t

import pytest
from servers import Server, wait_until
from subscriptions import Mesh

RunModule = t.Callable[..., t.Any]

# What a policy does, it does as whoever reads: this one shouts when that is not the application.
SECURE = """
CREATE FUNCTION mine(v text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF session_user <> 'reader' THEN
        RAISE EXCEPTION 'the policy ran as %', session_user;
    END IF;
    RETURN v = 'visible';
END $$;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_mine ON t USING (mine(v));
"""


@pytest.fixture
def secured(mesh: Mesh) -> t.Iterator[Mesh]:
    for server in (mesh.a, mesh.b):
        server.query("ALTER ROLE replicator BYPASSRLS; ALTER ROLE app NOBYPASSRLS")
    mesh.pair.both(SECURE)
    yield mesh
    for server in (mesh.a, mesh.b):
        server.query("ALTER ROLE replicator NOBYPASSRLS; ALTER ROLE app NOBYPASSRLS")


def test_rows_from_before_are_copied_and_later_ones_applied_in_both_directions(run_module: RunModule, secured: Mesh) -> None:
    mesh = secured
    mesh.insert(mesh.a, 1, 2)
    run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True))
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert mesh.ids(mesh.b) == [1, 2]
    mesh.assert_flows_both_ways()
    for server, number in ((mesh.a, 1), (mesh.b, 2)):
        server.query("UPDATE t SET v = 'visible' WHERE id = %s", [number], mesh.db)
        other = mesh.other(server)

        def has_arrived(other: Server = other, number: int = number) -> bool:
            return other.value("SELECT v FROM t WHERE id = %s", [number], mesh.db) == "visible"

        wait_until(has_arrived, 60, "the update")
    for server in (mesh.a, mesh.b):
        assert "ERROR:  the policy ran as" not in server.log_text()


def test_a_table_that_is_secured_later_goes_on(run_module: RunModule, mesh: Mesh) -> None:
    for server in (mesh.a, mesh.b):
        run_module("pg_subscription_mm", mesh.arguments(server))
    mesh.pair.both(SECURE)
    mesh.assert_flows_both_ways()


def test_forced_row_security_is_refused_before_replication_would_stop(run_module: RunModule, secured: Mesh) -> None:
    mesh = secured
    mesh.b.query("ALTER TABLE t FORCE ROW LEVEL SECURITY", db=mesh.db)
    for arguments in (mesh.arguments(mesh.b, copy_data=True), mesh.arguments(mesh.b)):
        refused = run_module("pg_subscription_mm", arguments, fails=True)
        assert "FORCE ROW LEVEL SECURITY is set on public.t" in refused["msg"]
        assert "ALTER ROLE app BYPASSRLS" in refused["msg"]
    assert mesh.subscription(mesh.b) == {}
    assert mesh.slots(mesh.a) == []
    # The way out that is named
    mesh.b.query("ALTER ROLE app BYPASSRLS")
    mesh.insert(mesh.a, 1)
    run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True))
    mesh.insert(mesh.a, 2)
    mesh.wait_for_ids(mesh.b, [1, 2])


def test_without_the_right_to_pass_it_the_copy_is_refused(run_module: RunModule, secured: Mesh) -> None:
    mesh = secured
    mesh.a.query("ALTER ROLE replicator NOBYPASSRLS")
    refused = run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True), fails=True)
    assert "Grant it BYPASSRLS there" in refused["msg"]
