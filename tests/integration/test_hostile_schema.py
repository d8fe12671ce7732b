# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""All modules over the schema of tests/hostile, in a database with a name and functions that are in the way."""

from __future__ import annotations

import itertools
import typing as t
from functools import partial

import pytest
from hostile import APPLICATION, DATABASE, EXTENSIONS, PUBLISHED, TRAP, read, statements, whole_table
from psycopg2 import sql
from servers import PATIENCE, REPLICATOR_PASSWORD, Authority, Server, wait_until

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import role_settings

RunModule = t.Callable[..., t.Any]
OWNER = "Besitzer \"%s\" 'ö'"
# As a user writes it in an option
PUBLICATION = '"Alles ""aus"" {x} \'hier\'"'
# What last_update_wins cannot work on: it says so, and these are left out.
WITHOUT_POLICY = ["public.child", "public.deferrable_key", "public.no_columns", "public.no_key", "public.parent"]
# What the playbook gives the roles that send and apply rows
ROLE_SETTINGS = role_settings("apply")
NODE_IDS = {"DB-Node.One": 1, "db-node_two": 2}


class HostileMesh:
    """Two servers with the hostile database, and the arguments with which each module makes a mesh of them."""

    def __init__(self, servers: t.Sequence[Server], run_module: RunModule) -> None:
        self.nodes = list(servers)
        self._run_module = run_module

    def other(self, node: Server) -> Server:
        return next(each for each in self.nodes if each is not node)

    def slot(self, publisher: Server) -> str:
        return f"slot_{NODE_IDS[publisher.name]}_to_{NODE_IDS[self.other(publisher).name]}"

    def as_owner(self, node: Server, *commands: str) -> list[tuple[t.Any, ...]]:
        """As the application, each command in a transaction of its own; the rows of the last."""
        session = node.session(DATABASE, user=OWNER, host=str(node.home), options=f"{APPLICATION} -c search_path=")
        try:
            with session.cursor() as cursor:
                for command in commands:
                    cursor.execute(command)
                return cursor.fetchall() if cursor.description else []
        finally:
            session.close()

    def same(self, table: str) -> bool:
        first, second = (self.as_owner(node, whole_table(table)) for node in self.nodes)
        return first == second

    def steps(self, node: Server) -> dict[str, tuple[str, dict[str, t.Any]]]:
        """By its name each step of a node: the module and its arguments."""
        login = node.login(DATABASE)
        peer = self.other(node)
        return {
            "publication": ("pg_publication", {**login, "name": PUBLICATION, "all_tables": True, "owner": "postgres"}),
            "sequences": ("pg_sequence_mm", {**login, "node_id": NODE_IDS[node.name]}),
            "policy": ("pg_conflict_policy", {**login, "policy": "last_update_wins", "node_id": NODE_IDS[node.name],
                                              "exclude": WITHOUT_POLICY, "history_owner": '"' + OWNER.replace('"', '""') + '"'}),
            "subscription": ("pg_subscription_mm", {
                **login, "name": f"sub_from_{peer.name}", "slot_name": self.slot(peer), "publications": [PUBLICATION],
                "owner": "subscription_owner", "peer": peer.as_peer(node), "peer_password": REPLICATOR_PASSWORD,
                "wait_timeout": PATIENCE,
            }),
        }

    def run(self, node: Server, step: str, **options: t.Any) -> t.Any:
        module, arguments = self.steps(node)[step]
        return self._run_module(module, {**arguments, **options.pop("arguments", {})}, **options)

    def trapped(self) -> list[str]:
        return [line for node in self.nodes for line in node.log_text().splitlines() if TRAP in line]


@pytest.fixture(scope="module")
def hosts(authority: Authority) -> t.Iterator[list[Server]]:
    """Two servers with the database, and nothing of a mesh."""
    started: list[Server] = []
    try:
        for name in NODE_IDS:
            started.append(Server(name, authority, {"log_statement": "none", "max_worker_processes": 60}))
            started[-1].create()
            prepare(started[-1])
        yield started
    finally:
        for server in started:
            server.destroy()


def prepare(server: Server) -> None:
    owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    server.query(sql.SQL("CREATE ROLE {} LOGIN BYPASSRLS").format(owner))
    server.query(sql.SQL("GRANT {} TO subscription_owner").format(owner))
    server.query("GRANT pg_read_all_data TO replicator; ALTER ROLE replicator BYPASSRLS")
    for role, (name, value) in itertools.product(("replicator", "subscription_owner"), ROLE_SETTINGS.items()):
        server.query(sql.SQL("ALTER ROLE {} SET {} TO {}").format(*map(sql.Identifier, (role, name)), sql.Literal(value)))
    server.query(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    server.query(sql.SQL("GRANT CREATE ON DATABASE {} TO subscription_owner").format(database))
    for extension in EXTENSIONS:
        server.query(f"CREATE EXTENSION {extension}", db=DATABASE)
    session = server.session(DATABASE, user=OWNER, host=str(server.home))
    with session.cursor() as cursor:
        for file in ("schema.sql", "traps.sql", "settings.sql"):
            cursor.execute(read(file))
    session.close()
    server.forget_sessions()


@pytest.fixture(scope="module")
def made() -> dict[str, HostileMesh]:
    return {}


@pytest.fixture
def mesh(hosts: list[Server], run_module: RunModule, made: dict[str, HostileMesh]) -> HostileMesh:
    """Both directions at work; made once."""
    found = HostileMesh(hosts, run_module)
    if not made:
        for step in ("publication", "sequences", "policy", "subscription"):
            for node in hosts:
                assert found.run(node, step)["changed"], step
        made["mesh"] = found
    return found


def test_nothing_changes_the_second_time(mesh: HostileMesh) -> None:
    for node in mesh.nodes:
        for step in mesh.steps(node):
            for check in (True, False):
                assert mesh.run(node, step, check=check)["changed"] is False, step


def test_rows_of_every_table_arrive_both_ways(mesh: HostileMesh) -> None:
    tables = [name for (name,) in mesh.as_owner(mesh.nodes[0], PUBLISHED)]
    assert len(tables) > 30
    for what in ("insert", "update", "delete"):
        for node in mesh.nodes:
            for row in range(0, 80, 10):
                mesh.as_owner(node, *statements(what, row + NODE_IDS[node.name]))
        for table in tables:
            wait_until(partial(mesh.same, table), what=f"{table} the same on both nodes after the {what}")
            if what == "insert":
                assert mesh.as_owner(mesh.nodes[0], whole_table(table)), f"insert.sql has no row for {table}"


def test_what_was_changed_by_hand_is_reported_and_put_right(mesh: HostileMesh) -> None:
    node = mesh.nodes[0]
    changes = {
        "publication": f"ALTER PUBLICATION {PUBLICATION} SET (publish = 'insert')",
        "sequences": 'ALTER SEQUENCE public."Shared seq" INCREMENT 1',
        "policy": 'DROP TRIGGER "00_multimaster_update" ON public."a ""x"""',
        "subscription": f'ALTER SUBSCRIPTION "sub_from_{mesh.other(node).name}" DISABLE',
    }
    session = node.session(DATABASE, options=f"{APPLICATION} -c search_path=")
    with session.cursor() as cursor:
        # What covers new sequences would set this one right at once.
        cursor.execute("SET session_replication_role = replica")
        for change in changes.values():
            cursor.execute(change)
    session.close()
    for step in changes:
        assert mesh.run(node, step, check=True)["changed"], step
        assert mesh.run(node, step)["changed"], step
        assert not mesh.run(node, step)["changed"], step


def test_the_nodes_are_found_equal(mesh: HostileMesh, run_module: RunModule) -> None:
    here, there = mesh.nodes
    for node in mesh.nodes:
        mesh.as_owner(node, *statements("insert", 100 + NODE_IDS[node.name]))
    result = run_module("pg_node_equal", {
        **here.login(DATABASE), "peer": there.as_peer(here), "peer_password": REPLICATOR_PASSWORD, "publications": [PUBLICATION],
        "slot_here": mesh.slot(here), "slot_there": mesh.slot(there), "catch_up_seconds": PATIENCE, "compare_seconds": PATIENCE,
    })
    assert (result["caught_up"], result["equal"], result["differing"]) == (True, True, [])


def test_no_problem_is_seen(mesh: HostileMesh, run_module: RunModule) -> None:
    for node in mesh.nodes:
        result = run_module("pg_multimaster_info", {**node.login("postgres"), "all_databases": True})
        # The world is hostile on purpose, and that is told.
        assert [problem for problem in result["problems"] if "default_transaction_read_only is on" not in problem] == []
        assert len(result["problems"]) > 0


@pytest.mark.parametrize("role", ["replicator", "subscription_owner"])
def test_roles_that_replicate_can_begin_a_session_that_states_nothing(mesh: HostileMesh, role: str) -> None:
    node = mesh.nodes[0]
    session = node.session(DATABASE, user=role, host=str(node.home))
    with session.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (role,)
    session.close()


def test_nobody_ran_what_the_owner_put_in_the_way(mesh: HostileMesh) -> None:
    assert mesh.trapped() == []
