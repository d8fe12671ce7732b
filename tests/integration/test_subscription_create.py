# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_subscription_mm makes both directions of a pair."""

from __future__ import annotations

import typing as t

import pytest
from subscriptions import NAME, OWNER, SECRETS, Mesh, finish, run, start, warnings_of

RunModule = t.Callable[..., t.Any]


def test_both_directions_and_a_second_run(run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.a, 1, 2, 3)
    copying = mesh.arguments(mesh.b, copy_data=True, comment='it\'s "b"')

    would_be = run_module("pg_subscription_mm", copying, check=True)
    assert would_be["changed"]
    assert mesh.subscription(mesh.b) == {}
    assert mesh.slots(mesh.a) == []

    made = run_module("pg_subscription_mm", copying)
    assert made["queries"] == would_be["queries"]
    assert made["diff"] == would_be["diff"]
    assert made["slot"] == "created"
    assert made["initial_state"] == {}
    assert made["final_state"] == would_be["final_state"]
    assert mesh.ids(mesh.b) == [1, 2, 3], "the task waits for the copy"

    made = run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert made["changed"]
    mesh.assert_flows_both_ways()
    assert mesh.markers(mesh.a) == mesh.markers(mesh.b) == 0

    for arguments in (copying, mesh.arguments(mesh.a)):
        again = run_module("pg_subscription_mm", arguments)
        assert not again["changed"]
        assert again["queries"] == []
        assert again["diff"] == {"before": {}, "after": {}}
        assert again["initial_state"] == again["final_state"]
        assert again["slot"] == "kept"
        assert warnings_of(again) == []


def test_what_is_made_is_what_was_asked_for(run_module: RunModule, mesh: Mesh) -> None:
    options: dict[str, t.Any] = {
        "binary": True,
        "streaming": "parallel",
        "synchronous_commit": "remote_apply",
        "disable_on_error": True,
        "run_as_owner": True,
        "two_phase": True,
    }
    mesh.pair.both(f"GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {OWNER}")
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, **options))
    row = mesh.subscription(mesh.a)
    assert row["subbinary"] is row["subdisableonerr"] is row["subrunasowner"] is row["subpasswordrequired"] is True
    assert (row["substream"], row["subsynccommit"], row["suborigin"]) == ("p", "remote_apply", "none")
    assert row["subtwophasestate"] in ("p", "e")
    assert row["subslotname"] == mesh.slot(mesh.a)
    assert mesh.a.value("SELECT subowner::regrole::text FROM pg_subscription WHERE subname = %s", [NAME], mesh.db) == OWNER
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])
    assert not run_module("pg_subscription_mm", mesh.arguments(mesh.a, **options))["changed"]


def test_locales_that_differ_are_told_where_it_is_made(run_module: RunModule, mesh: Mesh) -> None:
    """What sorts or changes the case of texts can decide otherwise on the other node."""
    was = "UPDATE pg_database SET datlocprovider = 'c', daticulocale = NULL WHERE datname = %s"
    mesh.b.query("UPDATE pg_database SET datlocprovider = 'i', daticulocale = 'tr-TR' WHERE datname = %s", [mesh.db])
    try:
        (warning,) = warnings_of(run_module("pg_subscription_mm", mesh.arguments(mesh.a)))
        assert f"The database {mesh.db} has the locale libc C" in warning
        assert "and icu tr-TR on the peer" in warning
        assert warnings_of(run_module("pg_subscription_mm", mesh.arguments(mesh.a))) == []
    finally:
        mesh.b.query(was, [mesh.db])


def test_event_triggers_that_write_rows_anew_are_named(run_module: RunModule, mesh: Mesh) -> None:
    """Else the way out led back to where it began, with each thing that a run defines."""
    mesh.pair.both("CREATE TABLE public.ddl (id serial PRIMARY KEY, tag text)")
    mesh.pair.both("ALTER TABLE public.ddl OWNER TO app")
    mesh.b.query("CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS "
                 "$$BEGIN INSERT INTO public.ddl(tag) VALUES (tg_tag); END$$", db=mesh.db)  # fmt: skip
    mesh.b.query('CREATE EVENT TRIGGER "note it" ON ddl_command_end EXECUTE FUNCTION public.note()', db=mesh.db)
    mesh.b.query("CREATE VIEW public.later AS SELECT 1", db=mesh.db)
    message = run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True), fails=True)["msg"]
    assert "tables that hold rows: public.ddl" in message
    assert message.endswith('until this node has joined: ALTER EVENT TRIGGER "note it" DISABLE.')
    mesh.b.query('ALTER EVENT TRIGGER "note it" DISABLE', db=mesh.db)
    assert "EVENT TRIGGER" not in run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True), fails=True)["msg"]


def test_failover(run_module: RunModule, mesh: Mesh) -> None:
    """An option of PostgreSQL 17."""
    arguments = mesh.arguments(mesh.a, failover=True)
    if mesh.a.value("SELECT current_setting('server_version_num')::int") < 170000:
        assert "PostgreSQL 17" in run_module("pg_subscription_mm", arguments, fails=True)["msg"]
        return
    assert run_module("pg_subscription_mm", arguments)["final_state"]["failover"] is True
    assert not run_module("pg_subscription_mm", arguments)["changed"]
    mesh.insert(mesh.b, 1)
    mesh.wait_for_ids(mesh.a, [1])


def test_disabled_and_not_waited_for(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, enabled=False))
    assert mesh.subscription(mesh.a)["subenabled"] is False
    mesh.insert(mesh.b, 1)
    assert run_module("pg_subscription_mm", mesh.arguments(mesh.a))["queries"] == [f'ALTER SUBSCRIPTION "{NAME}" ENABLE']
    mesh.wait_for_ids(mesh.a, [1])


def test_names_that_need_quotes(run_module: RunModule, mesh: Mesh) -> None:
    mesh.pair.both("""CREATE PUBLICATION "Pub, it's" FOR TABLE t""")
    mesh.pair.both(
        'CREATE SCHEMA "S.1"; GRANT USAGE ON SCHEMA "S.1" TO app;'
        'CREATE TABLE "S.1"."T a" ("I d" int PRIMARY KEY); ALTER TABLE "S.1"."T a" OWNER TO app'
    )
    name = "Sub \"of\" 'b' ü"
    arguments = mesh.arguments(mesh.a, name=name, publications=["Pub, it's", "pub"])
    arguments["name"] = '"' + name.replace('"', '""') + '"'
    assert run_module("pg_subscription_mm", arguments)["name"] == name
    assert not run_module("pg_subscription_mm", arguments)["changed"]
    mesh.b.query('INSERT INTO "S.1"."T a" VALUES (1)', db=mesh.db)
    mesh.pair.wait_for(mesh.a, 'SELECT count(*) FROM "S.1"."T a"', 1)
    arguments["state"] = "absent"
    assert run_module("pg_subscription_mm", arguments)["slot"] == "dropped"


@pytest.mark.parametrize("turn", range(20))
def test_both_sides_at_the_same_moment(mesh: Mesh, turn: int) -> None:
    """CREATE SUBSCRIPTION with its own slot blocks both for ever here."""
    mesh.insert(mesh.a, 1, 2)
    both = [start(mesh.arguments(mesh.b, copy_data=True)), start(mesh.arguments(mesh.a))]
    for process in both:
        assert finish(process)["changed"]
    mesh.assert_flows_both_ways()
    assert mesh.ids(mesh.b)[:2] == [1, 2]


def test_two_runs_for_one_subscription_take_turns(mesh: Mesh) -> None:
    processes = [start(mesh.arguments(mesh.a)) for _each in range(4)]
    results = [finish(process) for process in processes]
    assert [result.get("msg") for result in results] == [None] * 4
    assert sorted(result["changed"] for result in results) == [False, False, False, True]


def test_no_secret_anywhere(run_module: RunModule, mesh: Mesh) -> None:
    """Neither in what the task prints nor in what the servers keep, although they log all statements."""
    logs = {server.name: len(server.log_text()) for server in (mesh.a, mesh.b)}
    printed = []
    arguments = mesh.arguments(mesh.a)
    for change in (None, "DISABLE", f"CONNECTION 'host=x port={mesh.b.port} password=old-s3cret'", "SET (binary = true)"):
        if change:
            mesh.alter(mesh.a, change)
        printed += [run_module("pg_subscription_mm", arguments, check=check).output for check in (True, False)]
    wrong = mesh.arguments(mesh.a, peer_password="wrong s3cret")
    printed.append(run_module("pg_subscription_mm", wrong, fails=True).output)
    printed.append(run_module("pg_subscription_mm", {**arguments, "state": "absent"}).output)
    for secret in SECRETS:
        assert secret not in "".join(printed)
        for server in (mesh.a, mesh.b):
            written = server.log_text()[logs[server.name] :]
            # The test's own ALTER above is logged by the server.
            assert secret not in written.replace("old-s3cret", "")
            shown = server.query("SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            assert secret not in str(shown)


def test_no_secret_while_the_statement_runs(run_module: RunModule, mesh: Mesh) -> None:
    """What others see of this session in the middle of it."""
    mesh.a.query(
        "CREATE TABLE seen (query text);"
        "CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.seen SELECT query FROM pg_stat_activity; END $$;"
        "CREATE EVENT TRIGGER look ON ddl_command_end"
        " WHEN TAG IN ('CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION') EXECUTE FUNCTION look()",
        db=mesh.db,
    )
    mesh.a.query("ALTER EVENT TRIGGER look ENABLE ALWAYS", db=mesh.db)
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    # In this session, whose statements are shown.
    mesh.alter(mesh.a, "CONNECTION 'host=elsewhere password=another'")
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    shown = str(mesh.a.query("SELECT query FROM seen", db=mesh.db))
    assert "password=another" in shown, "the look itself works"
    for secret in SECRETS:
        assert secret not in shown
    mesh.a.query("DROP EVENT TRIGGER look", db=mesh.db)


def test_no_secret_when_the_statement_fails(run_module: RunModule, mesh: Mesh) -> None:
    """The server's own words about a failed CREATE SUBSCRIPTION hold the whole statement."""
    mesh.a.query(
        "CREATE FUNCTION fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
        "CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('CREATE SUBSCRIPTION') EXECUTE FUNCTION fail()",
        db=mesh.db,
    )
    log = len(mesh.a.log_text())
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.a), fails=True)
    assert "not today" in failed["msg"]
    assert "not today" in mesh.a.log_text()[log:]
    for secret in SECRETS:
        assert secret not in failed.output
        assert secret not in mesh.a.log_text()[log:]
    assert mesh.slots(mesh.b) == [], "the slot that nothing came to use is gone"
    assert mesh.markers(mesh.a) == 0
    mesh.a.query("DROP EVENT TRIGGER fail", db=mesh.db)
    assert run(mesh.arguments(mesh.a))["changed"]


def test_copying_what_the_peer_has_from_others_is_no_reason_to_warn(run_module: RunModule, mesh: Mesh) -> None:
    mesh.insert(mesh.b, 1)
    run_module("pg_subscription_mm", mesh.arguments(mesh.b))
    result = run_module("pg_subscription_mm", mesh.arguments(mesh.a, copy_data=True))
    assert warnings_of(result) == []
    assert mesh.ids(mesh.a) == [1]
