# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written on one node is on the other, once: every table, every operation, both ways."""

from __future__ import annotations

import itertools
import time
import typing as t

import pytest
from mesh import PATIENCE, PORT, Node, eventually
from psycopg2 import sql
from rows import Sample, samples

_numbers = itertools.count(int(time.time()) % 900_000)

Direction = tuple[Node, Node]


def where(key: dict[str, t.Any]) -> sql.Composed:
    return sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in key)


def insert(node: Node, sample: Sample) -> None:
    row = {**sample.key, **sample.values}
    command = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(sample.table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    node.query(command, row)


def update(node: Node, sample: Sample) -> None:
    setters = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"new_{name}")) for name in sample.update
    )
    command = sql.SQL("UPDATE {} SET {} WHERE ").format(sql.Identifier(sample.table), setters) + where(sample.key)
    node.query(command, {**sample.key, **{f"new_{name}": value for name, value in sample.update.items()}})


def delete(node: Node, sample: Sample, key: dict[str, t.Any]) -> None:
    node.query(sql.SQL("DELETE FROM {} WHERE ").format(sql.Identifier(sample.table)) + where(key), key)


def rows(node: Node, sample: Sample, key: dict[str, t.Any]) -> list[tuple[t.Any, ...]]:
    return node.query(sql.SQL("SELECT * FROM {} WHERE ").format(sql.Identifier(sample.table)) + where(key), key)


def wait_for_rows(node: Node, sample: Sample, key: dict[str, t.Any], wanted: list[tuple[t.Any, ...]], what: str) -> None:
    eventually(lambda: rows(node, sample, key) == wanted, f"{what} {sample.table} on {node.name}")


def key_after_update(sample: Sample) -> dict[str, t.Any]:
    return {name: sample.update.get(name, value) for name, value in sample.key.items()}


def test_the_samples_cover_every_table(nodes: list[Node]) -> None:
    tables = {name for (name,) in nodes[0].query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert tables == {sample.table for sample in samples(1)}


def test_every_operation_on_every_table_arrives_once(direction: Direction) -> None:
    here, there = direction
    made = samples(next(_numbers))
    for sample in made:
        insert(here, sample)
    for sample in made:
        expected = rows(here, sample, sample.key)
        assert len(expected) == 1
        wait_for_rows(there, sample, sample.key, expected, "insert into")
    for sample in made:
        update(here, sample)
    for sample in made:
        key = key_after_update(sample)
        expected = rows(here, sample, key)
        assert len(expected) == 1
        wait_for_rows(there, sample, key, expected, "update of")
        if key != sample.key:
            assert rows(there, sample, sample.key) == []
    for sample in reversed(made):
        delete(here, sample, key_after_update(sample))
    for sample in made:
        wait_for_rows(there, sample, key_after_update(sample), [], "delete from")
    # Nothing came back.
    for sample in made:
        assert rows(here, sample, key_after_update(sample)) == []


def test_truncate_arrives(direction: Direction) -> None:
    here, there = direction
    made = samples(next(_numbers))
    for sample in made:
        insert(here, sample)
    last = made[-2]
    assert last.table == "title_principal_characters"
    eventually(lambda: len(rows(there, last, last.key)) == 1, "the row before the truncate")
    here.query("TRUNCATE title_principal_characters")
    eventually(lambda: there.value("SELECT count(*) FROM title_principal_characters") == 0, "truncate")
    for sample in reversed(made):
        delete(here, sample, sample.key)


def test_a_large_transaction_arrives_whole(direction: Direction) -> None:
    here, there = direction
    here.query(
        "INSERT INTO names (nconst, primary_name) "
        "SELECT 'nm77' || 100000 + n, repeat('x', 500) FROM generate_series(0, 99999) n"
    )
    count = "SELECT count(*) FROM names WHERE nconst BETWEEN 'nm77' AND 'nm78'"
    eventually(lambda: there.value(count) == 100_000, "100,000 rows of one transaction", 10 * PATIENCE)
    here.query("DELETE FROM names WHERE nconst BETWEEN 'nm77' AND 'nm78'")
    eventually(lambda: there.value(count) == 0, "their deletion", 10 * PATIENCE)


def test_both_nodes_insert_at_once_and_keys_never_collide(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    made: dict[str, list[int]] = {first.name: [], second.name: []}
    for number, node in zip(range(400), itertools.cycle([first, second])):
        made[node.name].append(node.value("INSERT INTO generos (genero) VALUES (%s) RETURNING id_genero", [f"key test {number}"]))
    assert not set(made[first.name]) & set(made[second.name])
    for node in (first, second):
        assert {key % 8 for key in made[node.name]} == {node.node_id % 8}
    count = "SELECT count(*) FROM generos WHERE genero LIKE 'key test %'"
    eventually(lambda: all(node.value(count) == 400 for node in (first, second)), "all rows on both nodes")
    first.query("DELETE FROM generos WHERE genero LIKE 'key test %'")
    eventually(lambda: second.value(count) == 0, "their deletion")


def test_truncate_restart_identity_keeps_keys_apart(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    first.query("TRUNCATE generos RESTART IDENTITY CASCADE")
    eventually(lambda: second.value("SELECT count(*) FROM generos") == 0, "truncate")
    keys = [node.value("INSERT INTO generos (genero) VALUES (%s) RETURNING id_genero", [node.name]) for node in (first, second)]
    assert keys[0] % 8 == first.node_id
    assert keys[1] % 8 == second.node_id
    eventually(lambda: first.value("SELECT count(*) FROM generos") == 2, "both rows")
    first.query("DELETE FROM generos")
    eventually(lambda: second.value("SELECT count(*) FROM generos") == 0, "their deletion")


def test_an_idle_mesh_writes_no_wal(nodes: list[Node]) -> None:
    """Rows that went round in circles would write for ever."""
    def flushed() -> list[str]:
        return [node.admin("SELECT pg_current_wal_insert_lsn()") for node in nodes]

    for node in nodes:
        node.admin("CHECKPOINT")

    def quiet() -> bool:
        # Background writers log a snapshot of running transactions after the last activity; then silence.
        before = flushed()
        time.sleep(3)
        return flushed() == before

    eventually(quiet, "an idle mesh without new WAL")


@pytest.mark.parametrize("user", ["replicator", "subscription_owner", "postgres"])
def test_the_mesh_s_own_roles_cannot_log_in_from_outside(nodes: list[Node], user: str) -> None:
    import psycopg2

    with pytest.raises(psycopg2.OperationalError) as refused:
        psycopg2.connect(
            host=nodes[0].address, port=PORT, dbname="imdb", user=user, password="x", sslmode="require", connect_timeout=60
        )
    assert "pg_hba.conf" in str(refused.value) or "certificate" in str(refused.value)
