# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said when a node answers and no connection to it can be used."""

from __future__ import annotations

import asyncio
import typing as t

import psycopg
import pytest
from multimaster_failover import NodeSettings, Settings
from multimaster_failover.choice import State
from multimaster_failover.cluster import Cluster
from multimaster_failover.pool import Pool
from multimaster_failover.probe import Probe, Report
from multimaster_failover.watching import Watcher
from psycopg import errors

TABLE = 'relation "salaries" does not exist'


def failing(error: Exception) -> t.Callable[[], t.Awaitable[t.Any]]:
    async def opener() -> t.Any:
        await asyncio.sleep(0)
        raise error

    return opener


@pytest.mark.parametrize("error", [errors.UndefinedTable(TABLE), KeyError("salaries")])
def test_the_cause_is_kept_and_nobody_waits_for_nothing(error: Exception) -> None:
    async def story() -> None:
        pool = Pool(failing(error), 2, 4)
        with pytest.raises(psycopg.OperationalError) as said:
            await pool.open()
        assert said.value.__cause__ is error
        pool.is_open = True
        with pytest.raises(psycopg.Error):
            await pool.acquire(3600)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("error", "reason", "logged"),
    [
        (errors.UndefinedTable(TABLE), "no connection can be used: a table is missing", TABLE),
        (errors.InsufficientPrivilege("denied"), "no connection can be used: a privilege is missing", "denied"),
        (psycopg.OperationalError("to db1 failed"), "no connection can be used: the connection failed", "to db1 failed"),
        (KeyError("salaries"), "no connection can be used: the program's own warm-up failed", "salaries"),
    ],
)
def test_the_status_says_what_kind_it_is_and_the_log_says_all_of_it_once(
    error: Exception, reason: str, logged: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_probe: Probe, _timeout: float) -> Report:
        return Report(1, 1.1, False, 100)

    monkeypatch.setattr(Probe, "ask", answer)

    async def story() -> None:
        cluster = Cluster(Settings(nodes=[NodeSettings("pg1", 1, {})]), "test")
        node = cluster.nodes["pg1"]
        node.pool = Pool(failing(error), 1, 1)
        watcher = Watcher(cluster)
        for _ignored in range(5):
            await watcher._ask(node)
        assert (node.state, node.reason) == (State.ASIDE, reason)

    asyncio.run(story())
    said = [record for record in caplog.records if logged in record.getMessage()]
    assert len(said) == 1
    # Where a mistake of the program's own is.
    assert bool(said[0].exc_info) is isinstance(error, KeyError)
