# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes that write the same row at the same time agree afterwards, and the version that lost is kept."""

from __future__ import annotations

import contextlib
import typing as t

from mesh import Node, eventually

KEY = "tt9900001"


@contextlib.contextmanager
def apart(nodes: list[Node]) -> t.Iterator[None]:
    """Nothing that is written arrives until the end."""
    subscriptions = {node.name: node.admin("SELECT subname FROM pg_subscription WHERE subdbid = "
                                           "(SELECT oid FROM pg_database WHERE datname = 'imdb')").split() for node in nodes}
    for node in nodes:
        for name in subscriptions[node.name]:
            node.admin(f'ALTER SUBSCRIPTION "{name}" DISABLE')
    try:
        yield
    finally:
        for node in nodes:
            for name in subscriptions[node.name]:
                node.admin(f'ALTER SUBSCRIPTION "{name}" ENABLE')


def title(node: Node) -> list[tuple[t.Any, ...]]:
    return node.query("SELECT primary_title FROM titles WHERE tconst = %s", [KEY])


def wait_for_title(node: Node, wanted: str) -> None:
    eventually(lambda: title(node) == [(wanted,)], f"{wanted!r} alone on {node.name}")


def insert(node: Node, name: str) -> None:
    columns = "tconst, title_type, primary_title, original_title"
    node.query(f"INSERT INTO titles ({columns}) VALUES (%s, 'movie', %s, %s)", [KEY, name, name])


def lost(node: Node) -> list[str]:
    answer = node.admin(
        "SELECT coalesce(remote_row, '{}') ->> 'primary_title' || ' against ' || (local_row ->> 'primary_title') "
        f"FROM multimaster.conflict_history WHERE table_name = 'titles' AND key ->> 'tconst' = '{KEY}' ORDER BY id"
    )
    return answer.splitlines()


def test_the_last_version_wins_and_the_other_is_kept(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    before = {node.name: len(lost(node)) for node in nodes}
    with apart(nodes):
        insert(first, "inserted first")
        insert(second, "inserted second")
    for node in nodes:
        wait_for_title(node, "inserted second")
    with apart(nodes):
        second.query("UPDATE titles SET primary_title = 'earlier' WHERE tconst = %s", [KEY])
        first.query("UPDATE titles SET primary_title = 'later' WHERE tconst = %s", [KEY])
    for node in nodes:
        wait_for_title(node, "later")
    assert lost(second)[before[second.name] :][-1] == "later against earlier"
    first.query("DELETE FROM titles WHERE tconst = %s", [KEY])
    eventually(lambda: title(second) == [], "the deletion")


def test_a_retried_insert_does_not_stop_replication(nodes: list[Node]) -> None:
    """An application that does not know whether its commit was done writes the same row to the other node."""
    first, second = nodes[:2]
    with apart(nodes):
        insert(first, "in doubt")
        insert(second, "in doubt")
    for node in nodes:
        wait_for_title(node, "in doubt")
    first.query("DELETE FROM titles WHERE tconst = %s", [KEY])
    eventually(lambda: title(second) == [], "the deletion")
