# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What someone changed by hand is reported by ``--check --diff`` and put right by one more site.yml."""

from __future__ import annotations

import typing as t

import psycopg2
from mesh import CLUSTER, SHOP, SHOP_PUBLICATION, Node, eventually, run_playbook

OF_IMDB = "SELECT {} FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = 'imdb'"
PUBLICATION = '"' + SHOP_PUBLICATION.replace('"', '""') + '"'
PUBLISHED = f"SELECT count(*) FROM pg_publication_tables WHERE pubname = $name${SHOP_PUBLICATION}$name$"
HBA = f"/etc/postgresql/{{}}/{CLUSTER}/pg_hba.conf"


def version(node: Node) -> str:
    return str(int(node.admin("SHOW server_version_num")) // 10000)


def test_drift_is_reported_then_repaired(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    hba = HBA.format(version(first))
    published = first.admin(PUBLISHED, db=SHOP)
    first.admin(f"ALTER PUBLICATION {PUBLICATION} DROP TABLE public.articles", db=SHOP)
    first.admin(f"ALTER SUBSCRIPTION \"sub_from_{second.name}\" SET (origin = any)")
    second.admin(f"ALTER SUBSCRIPTION \"sub_from_{first.name}\" DISABLE", db=SHOP)
    conninfo = second.admin(OF_IMDB.format("subconninfo"))
    changed = conninfo.replace("connect_timeout=5", "connect_timeout=9")
    assert changed != conninfo
    second.admin(f"ALTER SUBSCRIPTION \"sub_from_{first.name}\" CONNECTION $connection${changed}$connection$")
    first.host().run_test("echo 'host all all 0.0.0.0/0 trust' >> %s", hba)
    first.admin("SELECT pg_reload_conf()")

    drifts: list[tuple[str, t.Callable[[], bool], str]] = [
        ("a table out of the publication", lambda: first.admin(PUBLISHED, db=SHOP) == published, "articles"),
        (
            "an altered origin",
            lambda: first.admin(OF_IMDB.format("suborigin")) == "none",
            "origin",
        ),
        (
            "a disabled subscription",
            lambda: second.admin("SELECT bool_and(subenabled) FROM pg_subscription") == "t",
            "enabled",
        ),
        (
            "a changed conninfo",
            lambda: second.admin("SELECT bool_and(subconninfo ~ 'connect_timeout=''?5') FROM pg_subscription") == "t",
            "connect_timeout",
        ),
        ("an extra hba line", lambda: "0.0.0.0/0" not in first.host().file(hba).content_string, "0.0.0.0/0"),
    ]
    for what, is_right, _shown in drifts:
        assert not is_right(), f"{what} was not injected"

    report = run_playbook("site", "--check", "--diff")
    for what, is_right, shown in drifts:
        assert shown in report.output, f"--check --diff does not report {what}"
        assert not is_right(), f"--check repaired {what}"

    run_playbook("site")
    for what, is_right, _shown in drifts:
        assert is_right(), f"{what} was not repaired"
    for here, there in ((first, second), (second, first)):
        sku = f"from {here.name}"
        here.query("INSERT INTO articles (sku) VALUES (%s)", [sku], db=SHOP)

        def has_arrived(there: Node = there, sku: str = sku) -> bool:
            return there.value("SELECT count(*) FROM articles WHERE sku = %s", [sku], db=SHOP) == 1

        eventually(has_arrived, sku)
        here.query("DELETE FROM articles WHERE sku = %s", [sku], db=SHOP)

    assert run_playbook("site").changed() == 0


def test_a_check_run_says_what_a_run_would_make_first(nodes: list[Node]) -> None:
    """A publication and a privilege that subscriptions need: both are made before these in a run, and not in a check run."""
    first, second = nodes[:2]
    first.admin(f"DROP PUBLICATION {PUBLICATION}", db=SHOP)
    second.admin(f"REVOKE CREATE ON DATABASE \"{SHOP}\" FROM subscription_owner")

    report = run_playbook("site", "--check", "--diff")
    said = " ".join(report.output.split())
    assert f'would publish "{SHOP_PUBLICATION}"' in said
    assert "would get what it lacks" in said
    assert report.changed() > 0
    assert first.admin(PUBLISHED, db=SHOP) == "0"

    assert run_playbook("site").changed() > 0
    assert first.admin(PUBLISHED, db=SHOP) != "0"
    first.query("INSERT INTO articles (sku) VALUES ('published again')", db=SHOP)
    counted = "SELECT count(*) FROM articles WHERE sku = 'published again'"
    eventually(lambda: second.value(counted, db=SHOP) == 1, "the row of the publication that was made again")
    first.query("DELETE FROM articles WHERE sku = 'published again'", db=SHOP)
    assert run_playbook("site").changed() == 0


def test_a_stopped_service_is_reported_then_started(nodes: list[Node]) -> None:
    second = nodes[1]
    unit = f"postgresql@{version(second)}-{CLUSTER}"
    second.close()
    host = second.host()
    assert host.run(f"systemctl stop {unit}").rc == 0
    assert not host.service(unit).is_running

    report = run_playbook("site", "--check", "--diff")
    assert report.changed() > 0
    assert not host.service(unit).is_running

    run_playbook("site")
    assert host.service(unit).is_running
    nodes[0].query("INSERT INTO generos (genero) VALUES ('after the stop')")
    eventually(lambda: second.value("SELECT count(*) FROM generos WHERE genero = 'after the stop'") == 1, "the row")
    nodes[0].query("DELETE FROM generos")


def test_a_killed_server_comes_back_by_itself(nodes: list[Node]) -> None:
    second = nodes[1]
    second.close()
    unit = f"postgresql@{version(second)}-{CLUSTER}"
    host = second.host()
    assert host.run(f"kill -9 $(systemctl show -P MainPID {unit})").rc == 0
    nodes[0].query("INSERT INTO generos (genero) VALUES ('during the crash')")

    def arrived() -> bool:
        try:
            return second.value("SELECT count(*) FROM generos WHERE genero = 'during the crash'") == 1
        except psycopg2.Error:  # the server is still on its way up
            second.close()
            return False

    eventually(arrived, "the row that was written while the server was down")
    nodes[0].query("DELETE FROM generos")
