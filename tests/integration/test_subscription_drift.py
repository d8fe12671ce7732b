# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_subscription_mm finds each kind of drift, reports it in check mode, and repairs it with the fewest statements."""

from __future__ import annotations

import typing as t

import pytest
from servers import REPLICATOR_PASSWORD
from subscriptions import NAME, OWNER, Mesh, warnings_of

RunModule = t.Callable[..., t.Any]


@pytest.fixture
def subscribed(run_module: RunModule, mesh: Mesh) -> Mesh:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, comment="as it should be"))
    return mesh


def assert_repaired(run_module: RunModule, mesh: Mesh, names: set[str], statements: int, **options: t.Any) -> t.Any:
    """Reported in check mode, repaired by so many statements, and then gone."""
    arguments = mesh.arguments(mesh.a, comment="as it should be", **options)
    before = mesh.subscription(mesh.a)
    would_be = run_module("pg_subscription_mm", arguments, check=True)
    assert would_be["changed"]
    assert mesh.subscription(mesh.a) == before
    repaired = run_module("pg_subscription_mm", arguments)
    assert repaired["diff"] == would_be["diff"]
    assert repaired["queries"] == would_be["queries"]
    assert set(repaired["diff"]["before"]) == set(repaired["diff"]["after"]) == names
    assert len(repaired["queries"]) == statements
    assert not run_module("pg_subscription_mm", arguments)["changed"]
    return repaired


@pytest.mark.parametrize(
    ("drift", "names"),
    [
        ("SET (binary = true)", {"binary"}),
        ("SET (streaming = on)", {"streaming"}),
        ("SET (streaming = parallel)", {"streaming"}),
        ("SET (synchronous_commit = remote_apply)", {"synchronous_commit"}),
        ("SET (disable_on_error = true)", {"disable_on_error"}),
        ("SET (password_required = false)", {"password_required"}),
        ("SET (run_as_owner = true)", {"run_as_owner"}),
        ("SET (origin = any)", {"origin"}),
        ("SET (binary = true, origin = any, disable_on_error = true)", {"binary", "origin", "disable_on_error"}),
        ("DISABLE", {"enabled"}),
        ("OWNER TO postgres", {"owner"}),
        ("CONNECTION 'host=127.0.0.1 password=x'", {"conninfo.*"}),
    ],
)
def test_each_option(run_module: RunModule, subscribed: Mesh, drift: str, names: set[str]) -> None:
    subscribed.alter(subscribed.a, drift)
    if names == {"conninfo.*"}:
        names = {f"conninfo.{name}" for name in ("port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert")}
        names |= {"conninfo.sslkey", "conninfo.connect_timeout", "conninfo.tcp_user_timeout"}
    assert_repaired(run_module, subscribed, names, statements=1)
    subscribed.insert(subscribed.b, 1)
    subscribed.wait_for_ids(subscribed.a, [1])


def test_the_comment(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.a.query(f"COMMENT ON SUBSCRIPTION {NAME} IS 'another'", db=subscribed.db)
    assert_repaired(run_module, subscribed, {"comment"}, statements=1)
    assert not run_module("pg_subscription_mm", subscribed.arguments(subscribed.a))["changed"], "left out: left alone"
    removed = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, comment=""))
    assert removed["queries"] == [f'COMMENT ON SUBSCRIPTION "{NAME}" IS NULL']


def test_the_record_of_the_publisher(run_module: RunModule, subscribed: Mesh) -> None:
    """Which server it came from is noted once, seen by everyone who asks the subscriber, and a difference only warned of."""
    arguments = {**subscribed.arguments(subscribed.a), "record_publisher": True}
    system = subscribed.b.value("SELECT system_identifier::text FROM pg_control_system()")
    noted = run_module("pg_subscription_mm", arguments)
    assert noted["final_state"]["comment"] == f"as it should be [publisher: system {system}, timeline 1]"
    again = run_module("pg_subscription_mm", arguments)
    assert not again["changed"]
    assert warnings_of(again) == []
    login = {name: value for name, value in arguments.items() if name.startswith("login_") and name != "login_db"}
    info = run_module("pg_multimaster_info", {**login, "login_db": "postgres", "databases": [subscribed.db]})
    assert info["subscriptions"][0]["publisher"] == {"system_identifier": system, "timeline": 1}
    subscribed.a.query(f"COMMENT ON SUBSCRIPTION {NAME} IS '[publisher: system 1, timeline 1]'", db=subscribed.db)
    differs = run_module("pg_subscription_mm", arguments)
    assert not differs["changed"]
    assert "was made with the server 1 on timeline 1" in str(warnings_of(differs))


def test_a_password(run_module: RunModule, subscribed: Mesh) -> None:
    """That it differs is shown, what it was and is is not."""
    arguments = subscribed.arguments(subscribed.a)
    right = subscribed.subscription(subscribed.a)["subconninfo"]
    subscribed.alter(subscribed.a, "CONNECTION '{}'".format(right.replace("s3cret", "0ld").replace("'", "''")))
    repaired = assert_repaired(run_module, subscribed, {"conninfo.password"}, statements=1)
    assert "0ld" not in repaired.output
    assert REPLICATOR_PASSWORD not in repaired.output
    subscribed.b.query("ALTER ROLE replicator PASSWORD 'an''other'")
    try:
        assert "password" in run_module("pg_subscription_mm", arguments, fails=True)["msg"]
        changed = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, peer_password="an'other"))
        assert list(changed["diff"]["before"]) == ["conninfo.password"]
        subscribed.insert(subscribed.b, 1)
        subscribed.wait_for_ids(subscribed.a, [1])
    finally:
        subscribed.b.query("ALTER ROLE replicator PASSWORD %s", [REPLICATOR_PASSWORD])


def test_all_at_once_is_one_transaction(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.alter(subscribed.a, "DISABLE")
    subscribed.alter(subscribed.a, "SET (binary = true, origin = any)")
    subscribed.alter(subscribed.a, "OWNER TO postgres")
    repaired = assert_repaired(run_module, subscribed, {"enabled", "binary", "origin", "owner"}, statements=3)
    assert repaired["queries"] == [
        f"ALTER SUBSCRIPTION \"{NAME}\" SET (binary = false, origin = 'none')",
        f'ALTER SUBSCRIPTION "{NAME}" OWNER TO "{OWNER}"',
        f'ALTER SUBSCRIPTION "{NAME}" ENABLE',
    ]


def test_publications(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.b.query("CREATE PUBLICATION another FOR TABLE t", db=subscribed.db)
    options: dict[str, t.Any] = {"publications": ["another"]}
    repaired = assert_repaired(run_module, subscribed, {"publications", "tables"}, statements=2, **options)
    assert repaired["diff"]["before"]["tables"] == ["public.u"]
    assert repaired["queries"][1] == f'ALTER SUBSCRIPTION "{NAME}" REFRESH PUBLICATION WITH (copy_data = false)'
    options["publications"] = ["pub", "another"]
    assert_repaired(run_module, subscribed, {"publications", "tables"}, statements=2, **options)
    options["publications"] = ["another", "pub"]
    assert not run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, **options))["changed"]
    # The same tables in another publication: nothing to refresh.
    options["publications"] = ["pub"]
    assert_repaired(run_module, subscribed, {"publications"}, statements=1, **options)


def test_what_the_same_run_would_make_before_is_no_error_of_a_check_run(run_module: RunModule, subscribed: Mesh) -> None:
    """A publication that was dropped, one by a new name, and a grant that was revoked."""
    mesh = subscribed
    mesh.b.query("DROP PUBLICATION pub", db=mesh.db)
    mesh.a.query(f"REVOKE CREATE ON DATABASE {mesh.db} FROM {OWNER}")
    for publication, changed in (("pub", False), ("pub_new", True)):
        pending = [publication]
        arguments = mesh.arguments(mesh.a, publications=pending, pending_publications=pending, pending_owner=True)
        report = run_module("pg_subscription_mm", arguments, check=True)
        assert report["changed"] == changed
        assert any(f"would publish {publication}" in warning for warning in warnings_of(report))
        assert "lacks" in run_module("pg_subscription_mm", arguments, fails=True)["msg"]
    mesh.a.query(f"GRANT CREATE ON DATABASE {mesh.db} TO {OWNER}")
    mesh.b.query("CREATE PUBLICATION pub_new FOR ALL TABLES", db=mesh.db)
    done = run_module("pg_subscription_mm", arguments)
    assert done["queries"] == report["queries"]


def test_tables_that_come_and_go(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.create_table("w")
    repaired = assert_repaired(run_module, subscribed, {"tables"}, statements=1)
    assert repaired["diff"]["after"]["tables"] == ["public.w"]
    subscribed.insert(subscribed.b, 1, table="w")
    subscribed.wait_for_ids(subscribed.a, [1], table="w")
    subscribed.b.query("DROP TABLE w", db=subscribed.db)
    repaired = assert_repaired(run_module, subscribed, {"tables"}, statements=1)
    assert repaired["diff"] == {"before": {"tables": ["public.w"]}, "after": {"tables": []}}


def test_a_new_table_is_copied_only_into_emptiness(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.create_table("w")
    subscribed.insert(subscribed.b, 1, 2, table="w")
    repaired = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, copy_data=True))
    assert repaired["queries"] == [f'ALTER SUBSCRIPTION "{NAME}" REFRESH PUBLICATION WITH (copy_data = true)']
    assert subscribed.ids(subscribed.a, "w") == [1, 2]

    subscribed.create_table("x")
    subscribed.create_table("y")
    subscribed.insert(subscribed.b, 1, 2, table="x")
    subscribed.insert(subscribed.a, 1, table="x")
    repaired = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, copy_data=True))
    assert repaired["queries"] == [f'ALTER SUBSCRIPTION "{NAME}" REFRESH PUBLICATION WITH (copy_data = false)']
    (warning,) = warnings_of(repaired)
    assert "public.x" in warning
    assert "public.y" not in warning
    subscribed.insert(subscribed.b, 3, table="x")
    subscribed.wait_for_ids(subscribed.a, [1, 3], table="x")


def test_rows_that_a_new_table_has_on_the_peer_are_told(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.create_table("w")
    subscribed.create_table("x")
    subscribed.insert(subscribed.b, 1, table="w")
    repaired = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a))
    assert repaired["changed"]
    (warning,) = warnings_of(repaired)
    assert "public.w" in warning
    assert "public.x" not in warning
    assert subscribed.ids(subscribed.a, "w") == []


def test_a_new_table_that_is_missing_here(run_module: RunModule, subscribed: Mesh) -> None:
    """Replication of all tables would stop at its first row."""
    subscribed.create_table("w", subscribed.b)
    failed = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, binary=True), fails=True)
    assert "public.w" in failed["msg"]
    assert subscribed.subscription(subscribed.a)["subbinary"] is False, "before anything changes"


def test_partitions_are_followed_as_published(run_module: RunModule, mesh: Mesh) -> None:
    for server in (mesh.a, mesh.b):
        server.query(
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); ALTER TABLE p OWNER TO app;"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); ALTER TABLE p1 OWNER TO app;"
            "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); ALTER TABLE p2 OWNER TO app",
            db=mesh.db,
        )
    mesh.b.query("CREATE PUBLICATION parts FOR TABLE p", db=mesh.db)
    arguments = mesh.arguments(mesh.a, publications=["parts"])
    run_module("pg_subscription_mm", arguments)
    assert not run_module("pg_subscription_mm", arguments)["changed"]
    mesh.b.query("ALTER PUBLICATION parts SET (publish_via_partition_root = true)", db=mesh.db)
    repaired = run_module("pg_subscription_mm", arguments)
    assert repaired["diff"] == {"before": {"tables": ["public.p1", "public.p2"]}, "after": {"tables": ["public.p"]}}
    assert not run_module("pg_subscription_mm", arguments)["changed"]
    mesh.b.query("INSERT INTO p VALUES (1), (11)", db=mesh.db)
    mesh.pair.wait_for(mesh.a, "SELECT count(*) FROM p", 2)


def test_a_disabled_subscription_is_not_refreshed(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.create_table("w")
    result = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, enabled=False))
    assert result["queries"] == [f'ALTER SUBSCRIPTION "{NAME}" DISABLE']
    assert any("public.w" in warning for warning in warnings_of(result))


def test_two_phase_stays_and_is_named(run_module: RunModule, subscribed: Mesh) -> None:
    result = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, two_phase=True))
    assert not result["changed"]
    assert any("two_phase" in warning for warning in warnings_of(result))
    assert warnings_of(run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, two_phase=False))) == []


def test_another_slot_name_loses_nothing(run_module: RunModule, subscribed: Mesh) -> None:
    """The new slot is a copy of the old one. What was written while the worker was down arrives, once."""
    subscribed.alter(subscribed.a, "DISABLE")
    subscribed.wait_for_slot(subscribed.b, active=False)
    subscribed.insert(subscribed.b, 1, 2)
    name = subscribed.slot(subscribed.a) + "_new"
    repaired = assert_repaired(run_module, subscribed, {"slot_name", "enabled"}, statements=4, slot_name=name)
    assert repaired["slot"] == "copied"
    assert subscribed.slots(subscribed.b) == [name]
    subscribed.insert(subscribed.b, 3)
    subscribed.wait_for_ids(subscribed.a, [1, 2, 3])


def test_another_slot_name_while_rows_flow(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.insert(subscribed.b, *range(50))
    run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, slot_name=subscribed.slot(subscribed.a) + "_new"))
    subscribed.insert(subscribed.b, *range(50, 100))
    subscribed.wait_for_ids(subscribed.a, range(100))
    assert subscribed.a.value("SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = %s", [NAME]) == 0


def test_a_slot_taken_off_by_hand_is_taken_up_again(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.alter(subscribed.a, "DISABLE")
    subscribed.alter(subscribed.a, "SET (slot_name = NONE)")
    subscribed.insert(subscribed.b, 1)
    repaired = assert_repaired(run_module, subscribed, {"slot_name", "enabled"}, statements=2)
    assert repaired["slot"] == "adopted"
    subscribed.wait_for_ids(subscribed.a, [1])
