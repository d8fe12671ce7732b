# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which errors are a node's fault."""

from __future__ import annotations

import typing as t

import psycopg
import pytest
from multimaster_failover import NodeSettings, Settings
from multimaster_failover.classify import Fault, fault, reason
from multimaster_failover.connection import NoAnswer
from psycopg import errors


@pytest.mark.parametrize(
    ("error", "closed", "expected"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True, Fault.NODE),
        (psycopg.OperationalError("connection refused"), True, Fault.NODE),
        # In whatever language: no word of it counts.
        (psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"), True, Fault.NODE),
        (psycopg.OperationalError("VERHÄNGNISVOLL:  tut mir leid, schon zu viele Verbindungen"), True, Fault.NODE),
        (NoAnswer("no connection in time"), True, Fault.LATE),
        # This program stood still in the middle of a transaction.
        (errors.IdleInTransactionSessionTimeout(), True, Fault.SERIALIZATION),
        (errors.AdminShutdown(), True, Fault.NODE),
        (errors.CannotConnectNow(), True, Fault.NODE),
        (errors.ReadOnlySqlTransaction(), False, Fault.NODE),
        (errors.DiskFull(), False, Fault.NODE),
        (errors.IoError(), False, Fault.NODE),
        (ConnectionResetError(), True, Fault.NODE),
        (errors.SerializationFailure(), False, Fault.SERIALIZATION),
        (errors.DeadlockDetected(), False, Fault.SERIALIZATION),
        (errors.QueryCanceled(), False, Fault.BUSY),
        (errors.LockNotAvailable(), False, Fault.BUSY),
        (errors.TooManyConnections(), True, Fault.BUSY),
        (errors.UniqueViolation(), False, Fault.APPLICATION),
        (errors.SyntaxError(), False, Fault.APPLICATION),
        (errors.InsufficientPrivilege(), False, Fault.APPLICATION),
        (psycopg.DataError("NUL"), False, Fault.APPLICATION),
        (ValueError(), False, Fault.APPLICATION),
    ],
)
def test_faults(error: Exception, closed: bool, expected: Fault) -> None:
    assert fault(error, connection_closed=closed) is expected


def test_reasons_show_nothing_of_the_server_s_text() -> None:
    assert reason(psycopg.OperationalError('connection to "db1.example.org" failed for user "app"')) == "the connection failed"
    assert reason(NoAnswer("no connection in time")) == "it gives no connection in time"
    assert reason(errors.ReadOnlySqlTransaction("cannot execute INSERT")) == "it takes no writes"
    assert reason(errors.UndefinedTable('relation "salaries" does not exist')) == "a table is missing"
    assert reason(KeyError("salaries")) == "the program's own warm-up failed"
    assert reason(errors.IoError("could not read /var/lib")) == "it answered with SQLSTATE 58030"


NODE = NodeSettings("pg1", 1, {"password": "s3cret"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": []},
        {"nodes": [NODE, NODE]},
        {"nodes": [NODE, NodeSettings("pg2", 1, {})]},
        {"nodes": [NODE], "deadline": 3.0, "budget": 3.0},
        {"nodes": [NODE], "pool_min": 0},
        {"nodes": [NODE], "pool_min": 5, "pool_max": 4},
    ],
)
def test_settings_that_contradict_each_other(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Settings(**wrong)


def test_settings_show_no_password() -> None:
    assert "s3cret" not in repr(Settings(nodes=[NODE]))


def test_roles_follow_the_order() -> None:
    settings = Settings(nodes=[NODE, NodeSettings("pg2", 2, {}), NodeSettings("pg3", 3, {})])
    assert [settings.role(name) for name in ("pg1", "pg2", "pg3")] == ["primary", "secondary", "pg3"]
