# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a fault has been healed: whether the nodes stream again, are equal, and have every acknowledged row once."""

from __future__ import annotations

import time
import typing as t

import journal
from hosts import NODE_IDS, NODES, other, session, wait_for

# Every table of the application, by rows and by a hash over all of them. xor does not care for their order.
_HASH = """
SELECT count(*), coalesce(bit_xor(('x' || left(md5(t::text), 16))::bit(64)), 0::bit(64))::text FROM {table} AS t
"""
_TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_publication_tables
WHERE pubname = 'pub_imdb' AND schemaname = 'public' ORDER BY 1
"""
_STREAMING = """
SELECT bool_and(s.active AND coalesce(r.state, '') = 'streaming') FROM pg_replication_slots AS s
LEFT JOIN pg_stat_replication AS r ON r.pid = s.active_pid WHERE s.slot_name = %s
"""
_SUBSCRIBED = """
SELECT bool_and(s.subenabled AND w.pid IS NOT NULL) FROM pg_subscription AS s
LEFT JOIN pg_stat_subscription AS w ON w.subid = s.oid AND w.relid IS NULL
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def is_streaming(node: str) -> bool:
    """Whether this node's peer reads from it, and its own subscription has a worker."""
    slot = f"slot_{NODE_IDS[node]}_to_{NODE_IDS[other(node)]}"
    with session(node) as here:
        sent, got = here.execute(_STREAMING, [slot]).fetchone(), here.execute(_SUBSCRIBED).fetchone()
    return bool(sent and sent[0] and got and got[0])


def table_hashes(node: str) -> dict[str, tuple[int, str]]:
    with session(node) as here:
        tables = [name for (name,) in here.execute(_TABLES)]
        return {table: here.execute(_HASH.format(table=table)).fetchone() for table in tables}  # type: ignore[misc]


def are_equal() -> bool:
    first, *others = [table_hashes(node) for node in NODES]
    return bool(first) and all(each == first for each in others)


def rows(node: str, table: str) -> list[journal.Row]:
    columns = {"public.generos": "id_genero, genero", "public.fault_journal": "id, client"}[table]
    with session(node) as here:
        return here.execute(f"SELECT {columns} FROM {table}").fetchall()


def converge(healed: float) -> dict[str, float]:
    """Seconds from the beginning of the healing until both nodes answer, and until both stream and every table is equal."""

    def both_answer() -> bool:
        for node in NODES:
            session(node).close()
        return True

    wait_for(both_answer, "both servers to answer")
    answered = time.monotonic() - healed
    # Equal first, since a worker that is about to be restarted can look as if it streamed.
    wait_for(lambda: are_equal() and all(is_streaming(node) for node in NODES), "both nodes to stream and be equal")
    return {"servers_answer": answered, "equal": time.monotonic() - healed}


def proof(entries: t.Sequence[journal.Entry], table: str) -> dict[str, int]:
    """What is wrong with the rows; all zero where nothing is."""
    found = journal.differences(journal.acknowledged(entries), {node: rows(node, table) for node in NODES})
    return {name.replace("mm-load-", ""): count for name, count in found.items()}
