# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user runs once the mesh is there: data is loaded, the status is read."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest
from mesh import OWNERS, SHOP, Node, run_playbook

TABLES = ("titles", "names", "generos", "title_generos", "title_principals")
# What the databases' owners have set (tests/hostile/settings.sql), as a status tells it of each node.
OF_THE_WORLD = [
    problem
    for database in ("imdb", SHOP)
    for where, have in (
        (f"database {database}", "has its"),
        (f"sessions of role {OWNERS.get(database, database)} in database {database}", "have their"),
    )
    for problem in (
        f"Nothing can be written in {where}: default_transaction_read_only is on.",
        f"{where[0].upper()}{where[1:]} {have} own setting lc_numeric, 'C'",
        f"{where[0].upper()}{where[1:]} {have} own setting work_mem, '64kB'",
    )
]


def others(problems: list[str]) -> list[str]:
    """But for those of the world, which are all there."""
    for words in OF_THE_WORLD:
        assert len([problem for problem in problems if problem.startswith(words)]) == 1, (words, problems)
    return [problem for problem in problems if not problem.startswith(tuple(OF_THE_WORLD))]


def counts(node: Node) -> dict[str, int]:
    return {table: node.value(f"SELECT count(*) FROM {table}") for table in TABLES}


def test_the_sample_is_loaded_once_and_arrives(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    assert run_playbook("load_imdb").changed() > 0
    loaded = counts(first)
    assert min(loaded.values()) > 0
    assert loaded["titles"] >= 1000
    assert counts(second) == loaded
    assert run_playbook("load_imdb").changed() == 0
    assert counts(first) == loaded
    assert first.value("SELECT count(*) FROM title_generos tg LEFT JOIN generos g USING (id_genero) WHERE g.genero IS NULL") == 0


def test_the_status_as_a_table_and_as_json(nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    run = run_playbook("status", "-e", f"status_file={file}")
    assert run.changed() == 0
    report: list[dict[str, t.Any]] = json.loads(file.read_text())
    assert [node["name"] for node in report] == [node.name for node in nodes]
    for node in report:
        assert node["up"]
        assert others(node["problems"]) == []
        assert {subscription["database"] for subscription in node["subscriptions"]} == {"imdb", SHOP}
        assert node["name"] in run.output
    assert "No problems." not in run.output
    for node in report:
        assert all(f"{node['name']}: {problem}" in run.output for problem in node["problems"])


def test_the_status_names_a_subscription_that_does_not_run(nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    node = nodes[1]
    name = f"sub_from_{nodes[0].name}"
    node.admin(f'ALTER SUBSCRIPTION "{name}" DISABLE')
    try:
        run_playbook("status", "-e", f"status_file={file}")
    finally:
        node.admin(f'ALTER SUBSCRIPTION "{name}" ENABLE')
    problems = {entry["name"]: entry["problems"] for entry in json.loads(file.read_text())}
    assert any(name in problem and "disabled" in problem for problem in problems[node.name])


def test_the_status_tells_what_is_not_as_described_though_all_streams(nodes: list[Node], tmp_path: Path) -> None:
    file, (first, second) = tmp_path / "status.json", nodes[:2]
    sequence = "public.articles_id_seq"
    before = second.admin(f"SELECT pg_catalog.format('%s, %L', last_value, is_called) FROM {sequence}", db=SHOP)
    trigger = 'ALTER TABLE public.titles {} TRIGGER "00_multimaster_update"'
    replica = "SET session_replication_role = replica; "
    # The next value that it then yields is the first node's.
    second.admin(f"SELECT setval('{sequence}', {first.node_id}, false)", db=SHOP)
    # The event trigger would set this one right at once.
    second.admin(replica + trigger.format("DISABLE"))
    second.admin("SELECT pg_create_logical_replication_slot('slot_2_to_7_shop', 'pgoutput')", db=SHOP)
    second.admin("ALTER ROLE imdb SET default_transaction_read_only = on", db="postgres")
    second.admin("ALTER SYSTEM SET max_slot_wal_keep_size = '-1'", db="postgres")
    second.admin("SELECT pg_reload_conf()")
    try:
        run = run_playbook("status", "-e", f"status_file={file}")
    finally:
        second.admin("ALTER SYSTEM RESET max_slot_wal_keep_size", db="postgres")
        second.admin("SELECT pg_reload_conf()")
        second.admin("ALTER ROLE imdb RESET default_transaction_read_only", db="postgres")
        second.admin("SELECT pg_drop_replication_slot('slot_2_to_7_shop')", db=SHOP)
        second.admin(replica + trigger.format("ENABLE REPLICA"))
        second.admin(f"SELECT setval('{sequence}', {before})", db=SHOP)
    report = {entry["name"]: entry for entry in json.loads(file.read_text())}
    problems = others(report[second.name]["problems"])
    assert {each["state"] for each in report[second.name]["subscriptions"]} == {"streaming"}
    for words in (
        (f"Sequences of database {SHOP}", sequence),
        ("conflict policy of database imdb", "trigger 00_multimaster_update is disabled"),
        ("slot_2_to_7_shop", "pg_drop_replication_slot('slot_2_to_7_shop')"),
        ("in sessions of role imdb:", 'ALTER ROLE "imdb" RESET default_transaction_read_only'),
        ("max_slot_wal_keep_size is '-1'", "ALTER SYSTEM RESET max_slot_wal_keep_size"),
    ):
        assert [problem for problem in problems if all(word in problem for word in words)], (words, problems)
    assert len(problems) == 5, problems
    assert others(report[first.name]["problems"]) == []
    assert f"{second.name}: " in run.output


def test_the_policy_survives_what_a_dump_does_with_triggers(nodes: list[Node]) -> None:
    node = nodes[0]
    enabled = (
        "SELECT string_agg(tgenabled::text, '' ORDER BY tgname) FROM pg_trigger "
        "WHERE tgrelid = 'public.titles'::regclass AND tgname ~ 'multimaster'"
    )
    before = node.admin(enabled)
    assert "R" in before
    for what in ("DISABLE", "ENABLE"):
        node.admin(f"ALTER TABLE public.titles {what} TRIGGER ALL")
        assert node.admin(enabled) == before


class Watch(threading.Thread):
    """Whether some node takes a client's query, all the time until ``end``."""

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__(daemon=True)
        self._nodes, self._ended = nodes, threading.Event()
        # How often each node answered, and moments in which none did.
        self.answered = dict.fromkeys((node.name for node in nodes), 0)
        self.outages: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(0.2):
            answers = [self._answers(node) for node in self._nodes]
            if True not in answers:
                self.outages.append(time.time())

    def _answers(self, node: Node) -> bool:
        try:
            session = node.session()
            with session.cursor() as cursor:
                cursor.execute("SELECT 1")
            session.close()
        except psycopg2.Error:
            return False
        self.answered[node.name] += 1
        return True

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.mark.long
def test_servers_restart_one_after_the_other_and_a_check_run_says_what_for(nodes: list[Node]) -> None:
    started = "SELECT pg_postmaster_start_time()"
    before = [node.admin(started) for node in nodes]
    change = ("-e", json.dumps({"postgresql_max_connections": 201}))
    foretold = run_playbook("site", "--check", *change)
    assert "max_connections: 200 -> 201" in foretold.output
    assert [node.admin(started) for node in nodes] == before
    watch = Watch(nodes)
    watch.start()
    try:
        run_playbook("site", *change)
    finally:
        watch.end()
    after = [node.admin(started) for node in nodes]
    assert not set(after) & set(before)
    assert all(node.admin("SHOW max_connections") == "201" for node in nodes)
    assert min(watch.answered.values()) > 0
    assert watch.outages == []
    run_playbook("site")
    assert all(node.admin("SHOW max_connections") == "200" for node in nodes)
