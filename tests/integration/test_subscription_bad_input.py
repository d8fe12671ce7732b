# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of bad input is one clear sentence, and nothing has changed anywhere."""

from __future__ import annotations

import socket
import time
import typing as t
from pathlib import Path

import pytest
from servers import Authority, Server, free_port
from subscriptions import NAME, OWNER, SECRETS, Mesh, frozen, warnings_of

from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.checks import STATEMENTS

RunModule = t.Callable[..., t.Any]


@pytest.fixture
def refused(run_module: RunModule, mesh: Mesh) -> t.Callable[..., str]:
    """Run with these options, in check mode too, and return the sentence."""

    def run(**options: t.Any) -> str:
        arguments = mesh.arguments(mesh.a, **options)
        for check in (True, False):
            failed = run_module("pg_subscription_mm", arguments, check=check, fails=True)
            assert "Traceback" not in failed.output
            for secret in SECRETS:
                assert secret not in failed.output
        assert mesh.subscription(mesh.a) == {}
        assert mesh.slots(mesh.b) == []
        assert mesh.markers(mesh.a) == 0
        return failed["msg"]

    return run


# The peer


def test_does_not_resolve(refused: t.Callable[..., str]) -> None:
    assert "does not resolve" in refused(peer={"host": "no-such-host.invalid"})


def test_refuses(refused: t.Callable[..., str]) -> None:
    assert "cannot be reached" in refused(peer={"port": free_port()})


def test_accepts_and_says_nothing(refused: t.Callable[..., str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begin = time.monotonic()
        message = refused(peer={"port": listener.getsockname()[1], "connect_timeout": 2})
        assert time.monotonic() - begin < 600
    assert "does not answer in time" in message


def test_hangs_after_it_has_answered(run_module: RunModule, mesh: Mesh) -> None:
    with frozen(mesh.b):
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, peer={"connect_timeout": 2}), fails=True)
    assert "does not answer in time" in failed["msg"]


def test_certificate_of_another_authority(refused: t.Callable[..., str], tmp_path: Path) -> None:
    Authority("another authority").issue(tmp_path, "other", "replicator")
    message = refused(peer={"ca_cert": str(tmp_path / "ca.crt")})
    assert "no session comes about" in message
    assert "certificate verify failed" in message


def test_certificate_of_another_name(refused: t.Callable[..., str]) -> None:
    peer = {"host": "pg2.example.org", "connect_params": {"hostaddr": "127.0.0.1"}}
    assert "does not match host name" in refused(peer=peer)


def test_client_certificate_of_another_role(refused: t.Callable[..., str], mesh: Mesh) -> None:
    directory = mesh.a.certificates
    peer = {"ssl_cert": str(directory / "server.crt"), "ssl_key": str(directory / "server.key")}
    assert "authentication failed" in refused(peer=peer), "the server does not say that it is the certificate"


def test_a_file_that_is_not_there(refused: t.Callable[..., str]) -> None:
    assert "/nowhere/ca.crt" in refused(peer={"ca_cert": "/nowhere/ca.crt"})


def test_wrong_password(refused: t.Callable[..., str]) -> None:
    message = refused(peer_password="wrong")
    assert "password authentication failed" in message
    assert "answers, but no session comes about" in message


def test_no_such_database(refused: t.Callable[..., str]) -> None:
    assert '"nowhere"' in refused(peer={"db": "nowhere"})


def test_a_parameter_that_libpq_does_not_know(refused: t.Callable[..., str]) -> None:
    assert "sslmood" in refused(peer={"connect_params": {"sslmood": "bad"}})


def test_this_server_itself(refused: t.Callable[..., str], mesh: Mesh) -> None:
    assert "this server itself" in refused(peer={"port": mesh.a.port})


def test_publication_is_missing(refused: t.Callable[..., str]) -> None:
    message = refused(publications=["pub", "pub_imdb", "Other"])
    assert '"Other", pub_imdb' in message
    assert "lacks the publication" in message


def test_no_replication(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.b.query("ALTER ROLE replicator NOREPLICATION")
    try:
        assert "lacks REPLICATION" in refused()
    finally:
        mesh.b.query("ALTER ROLE replicator REPLICATION")


def test_tables_that_may_not_be_copied(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.b.query("REVOKE pg_read_all_data FROM replicator")
    mesh.b.query("GRANT SELECT ON u TO replicator", db=mesh.db)
    message = refused(copy_data=True)
    assert "public.t" in message
    assert "public.u" not in message
    assert "Grant it SELECT" in message


def test_rows_that_may_not_be_copied(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.b.query("ALTER TABLE t ENABLE ROW LEVEL SECURITY", db=mesh.db)
    assert "Row level security" in refused(copy_data=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wal_level": "replica"}, "wal_level is replica"),
        ({"max_replication_slots": 1}, "no free replication slot"),
        ({"max_wal_senders": 0}, "no free WAL sender"),
    ],
)
def test_peers_that_are_not_set_up(
    run_module: RunModule, mesh: Mesh, authority: Authority, settings: dict[str, t.Any], said: str
) -> None:
    peer = Server("c", authority, settings)
    try:
        peer.create()
        peer.query(f"CREATE DATABASE {mesh.db}")
        peer.query("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t", db=mesh.db)
        if settings.get("wal_level") != "replica":
            peer.query("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')", db=mesh.db)
        arguments = mesh.arguments(mesh.a) | {"peer": peer.as_peer(mesh.a)}
        assert said in run_module("pg_subscription_mm", arguments, fails=True)["msg"]
        assert peer.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name <> 'taken'") == 0
    finally:
        peer.destroy()
    assert mesh.subscription(mesh.a) == {}


# This node


def test_an_empty_node_is_not_left_without_the_rows_of_its_peer(
    refused: t.Callable[..., str], run_module: RunModule, mesh: Mesh
) -> None:
    mesh.insert(mesh.b, 1)
    message = refused()
    assert "public.t" in message
    assert "public.u" not in message
    allowed = run_module("pg_subscription_mm", mesh.arguments(mesh.a, uncopied_rows="warn"))
    assert any("public.t" in warning for warning in warnings_of(allowed))
    assert mesh.ids(mesh.a) == []


def test_an_empty_node_is_refused_before_it_joins_and_rows_that_were_deleted_are_none(
    run_module: RunModule, mesh: Mesh
) -> None:
    """Neither is a mesh held up whose first rows are on this node."""
    mesh.insert(mesh.b, 1)
    arguments = mesh.arguments(mesh.a)
    login = mesh.pair.login(mesh.a)
    secret = {"peer_password": arguments["peer_password"]}
    described = {key: value for key, value in arguments.items() if key not in {**login, **secret}}
    found = run_module("pg_node_differences", {**login, "subscriptions": [described], **secret})["differences"]
    assert [difference["loses_rows"] for difference in found] == [True]
    mesh.b.query("DELETE FROM t", db=mesh.db)
    found = run_module("pg_node_differences", {**login, "subscriptions": [described]})["differences"]
    assert [difference["loses_rows"] for difference in found] == [False]
    run_module("pg_subscription_mm", arguments)


def test_tables_that_hold_rows(refused: t.Callable[..., str], run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.a, 1)
    mesh.insert(mesh.b, 2)
    message = refused(copy_data=True)
    assert "public.t" in message
    assert "public.u" not in message
    assert_says_how_to_empty(message)
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True, copy_into_nonempty=True))
    assert mesh.ids(mesh.a) == [1, 2]


def assert_says_how_to_empty(message: str) -> None:
    assert "is sent to every node that subscribes to this one" in message
    assert STATEMENTS.format(tables="<tables>") in message


@pytest.mark.parametrize("at_once", [True, False])
def test_tables_emptied_as_the_message_says_stay_full_on_the_peer(run_module: RunModule, mesh: Mesh, at_once: bool) -> None:
    """The statement that everybody thinks of first is sent to the peer, this one is not."""
    mesh.insert(mesh.a, 1)
    mesh.insert(mesh.b, 2)
    run_module("pg_subscription_mm", mesh.arguments(mesh.b))
    emptied = STATEMENTS.format(tables="public.t, public.u")
    for each in [emptied] if at_once else emptied.split("; "):
        mesh.a.query(each, db=mesh.db)
    assert mesh.ids(mesh.a) == []
    mesh.insert(mesh.a, 3)
    mesh.wait_for_ids(mesh.b, [2, 3])
    mesh.a.query("TRUNCATE t", db=mesh.db)
    mesh.wait_for_ids(mesh.b, [])


def test_tables_that_are_missing(refused: t.Callable[..., str], mesh: Mesh) -> None:
    for number in range(12):
        mesh.create_table(f"w{number:02}", mesh.b)
    message = refused()
    assert "public.w00" in message
    assert "and 2 more" in message


def test_columns_that_are_missing(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.b.query("ALTER TABLE t ADD new int", db=mesh.db)
    assert "public.t.new" in refused()


def test_a_view_in_the_place_of_a_table(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.create_table("w", mesh.b)
    mesh.a.query("CREATE VIEW w AS SELECT 1", db=mesh.db)
    assert "public.w" in refused()


@pytest.mark.parametrize(
    ("take", "give", "said"),
    [
        ("ALTER ROLE {owner} NOLOGIN", "ALTER ROLE {owner} LOGIN", "LOGIN"),
        ("ALTER ROLE {owner} SUPERUSER", "ALTER ROLE {owner} NOSUPERUSER", "superuser"),
        ("REVOKE pg_create_subscription FROM {owner}", "GRANT pg_create_subscription TO {owner}", "pg_create_subscription"),
        ("REVOKE CREATE ON DATABASE {db} FROM {owner}", "GRANT CREATE ON DATABASE {db} TO {owner}", "CREATE on database"),
        ("REVOKE app FROM {owner}", "GRANT app TO {owner}", "GRANT app TO subscription_owner"),
    ],
)
def test_what_the_owner_lacks(refused: t.Callable[..., str], mesh: Mesh, take: str, give: str, said: str) -> None:
    mesh.a.query(take.format(owner=OWNER, db=mesh.db))
    try:
        assert said in refused()
    finally:
        mesh.a.query(give.format(owner=OWNER, db=mesh.db))


def test_an_owner_without_grants(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.a.query(f"GRANT INSERT, UPDATE, DELETE ON t TO {OWNER}; GRANT ALL ON u TO {OWNER}", db=mesh.db)
    mesh.a.query(f"REVOKE app FROM {OWNER}")
    try:
        message = refused(run_as_owner=True)
        assert "public.t" in message
        assert "public.u" not in message
    finally:
        mesh.a.query(f"GRANT app TO {OWNER}")


def test_a_superusers_tables(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.a.query("ALTER TABLE t OWNER TO postgres", db=mesh.db)
    message = refused()
    assert "public.t" in message
    assert "GRANT postgres" not in message


def test_an_owner_that_does_not_exist(refused: t.Callable[..., str]) -> None:
    assert "does not exist" in refused(owner="nobody_at_all")


def test_no_password(refused: t.Callable[..., str], mesh: Mesh) -> None:
    """The owner may not connect without one, although the peer would let the role in."""
    hba = mesh.b.data / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text(f"host all replicator 127.0.0.1/32 trust\n{before}")
    mesh.b.query("SELECT pg_reload_conf()")
    try:
        assert "password_required" in refused(peer_password=None)
    finally:
        hba.write_text(before)
        mesh.b.query("SELECT pg_reload_conf()")


def test_a_login_that_is_no_superuser(refused: t.Callable[..., str], mesh: Mesh) -> None:
    mesh.a.query("DO $$ BEGIN IF to_regrole('someone') IS NULL THEN CREATE ROLE someone LOGIN PASSWORD 'x'; END IF; END $$")
    assert "superuser" in refused(login_user="someone", login_password="x")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"publications": []}, "publications"),
        ({"publications": ["pub", "pub"]}, "twice"),
        ({"publications": None}, "publications"),
        ({"owner": None}, "owner"),
        ({"name": ""}, "empty"),
        ({"name": "n" * 64}, "64 bytes"),
        ({"slot_timeout": 0}, "slot_timeout"),
        ({"wait_timeout": -1}, "wait_timeout"),
        ({"streaming": "sometimes"}, "streaming"),
        ({"copy_data": True, "start_lsn": "0/1"}, "exclude each other"),
        ({"comment": "a\0b"}, "NUL"),
        ({"peer_password": "a\0b"}, "NUL"),
    ],
)
def test_arguments(refused: t.Callable[..., str], options: dict[str, t.Any], said: str) -> None:
    assert said in refused(**options)


# A peer that fails later


@pytest.fixture
def subscribed(run_module: RunModule, mesh: Mesh) -> Mesh:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    return mesh


def test_a_peer_that_is_down_does_not_stop_repair(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.b.stop()
    arguments = subscribed.arguments(subscribed.a)
    begin = time.monotonic()
    healthy = run_module("pg_subscription_mm", arguments)
    assert time.monotonic() - begin < 600
    assert not healthy["changed"]
    assert healthy["peer_reachable"] is False
    assert "cannot be reached" in warnings_of(healthy)[0]

    subscribed.alter(subscribed.a, "SET (binary = true, origin = any)")
    repaired = run_module("pg_subscription_mm", arguments)
    assert set(repaired["diff"]["before"]) == {"binary", "origin"}
    assert subscribed.subscription(subscribed.a)["suborigin"] == "none"

    failed = run_module("pg_subscription_mm", {**arguments, "peer_unreachable": "fail"}, fails=True)
    assert "cannot be reached" in failed["msg"]


@pytest.mark.parametrize("options", [{"publications": ["other"]}, {"slot_name": "other"}, {"peer": {"port": free_port()}}])
def test_nothing_untried_is_set(run_module: RunModule, subscribed: Mesh, options: dict[str, t.Any]) -> None:
    if "peer" not in options:
        subscribed.b.stop()
    before = subscribed.subscription(subscribed.a)
    failed = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, **options), fails=True)
    assert "could not be tried" in failed["msg"]
    assert subscribed.subscription(subscribed.a) == before


def test_a_rejected_login_never_replaces_one_that_works(run_module: RunModule, subscribed: Mesh) -> None:
    before = subscribed.subscription(subscribed.a)
    run_module("pg_subscription_mm", subscribed.arguments(subscribed.a, peer_password="wrong"), fails=True)
    assert subscribed.subscription(subscribed.a) == before


def test_an_apply_error_is_told(run_module: RunModule, subscribed: Mesh) -> None:
    subscribed.insert(subscribed.a, 1)
    subscribed.insert(subscribed.b, 1)
    subscribed.pair.wait_for(
        subscribed.a, f"SELECT apply_error_count > 0 FROM pg_stat_subscription_stats WHERE subname = '{NAME}'", True
    )
    failed = run_module("pg_subscription_mm", subscribed.arguments(subscribed.a), fails=True)
    assert "does not work" in failed["msg"]
    assert "workers failed" in failed["msg"]
    assert failed["apply_error_count"] > 0
    assert failed["changed"] is False


def test_disabled_on_error_is_told(run_module: RunModule, subscribed: Mesh) -> None:
    arguments = subscribed.arguments(subscribed.a, disable_on_error=True)
    run_module("pg_subscription_mm", arguments)
    subscribed.insert(subscribed.a, 1)
    subscribed.insert(subscribed.b, 1)
    subscribed.pair.wait_for(subscribed.a, f"SELECT subenabled FROM pg_subscription WHERE subname = '{NAME}'", False)
    # It is enabled again, trips again, and the task says so.
    failed = run_module("pg_subscription_mm", arguments, fails=True)
    assert "disable_on_error" in failed["msg"]


def test_a_key_that_the_server_cannot_read(run_module: RunModule, subscribed: Mesh, tmp_path: Path) -> None:
    """This task reads it (as root, here), the server's own user does not."""
    key = tmp_path / "replicator.key"
    key.write_bytes((subscribed.a.certificates / "replicator.key").read_bytes())
    key.chmod(0o600)
    failed = run_module(
        "pg_subscription_mm", subscribed.arguments(subscribed.a, peer={"ssl_key": str(key)}, wait_timeout=3), fails=True
    )
    assert "ssl_key" in failed["msg"]
