# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redis' users on a real server: what each needs works, and what is others' cannot be touched, listed or programmed."""

from __future__ import annotations

import typing as t

import pytest
import redis
from api_process import RedisServer

USERS = ["failover_api", "catalog", "plain"]
OTHERS = {"failover_api": "plain:x", "catalog": "failover:active", "plain": "pgbackrest:stanzas"}
# Commands without a key, which no pattern limits: the connection's own, and transactions, which run nothing more.
KEYLESS = {
    "auth", "hello", "quit", "reset", "ping", "echo", "select", "multi", "exec", "discard", "unwatch", "asking", "readonly",
    "readwrite", "wait", "waitaof", "command", "client", "lolwut",
}  # fmt: skip

FORBIDDEN = [
    ("KEYS", "*"), ("SCAN", "0"), ("RANDOMKEY",), ("DBSIZE",), ("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", "0", "0"),
    ("FUNCTION", "LOAD", "#!lua name=x\nredis.register_function('x', function() return 1 end)"), ("FUNCTION", "FLUSH"),
    ("FUNCTION", "LIST"), ("FUNCTION", "DUMP"), ("FCALL", "x", "0"), ("SCRIPT", "FLUSH"), ("SCRIPT", "LOAD", "return 1"),
    ("CONFIG", "GET", "*"), ("CONFIG", "SET", "maxmemory", "1"), ("ACL", "LIST"), ("ACL", "SETUSER", "x"), ("MONITOR",),
    ("SHUTDOWN",), ("SAVE",), ("BGREWRITEAOF",), ("REPLICAOF", "127.0.0.1", "1"), ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"), ("INFO",), ("MIGRATE", "127.0.0.1", "1", "x", "0", "1"), ("SORT", "x"),
    ("PUBLISH", "news", "x"), ("MODULE", "LIST"), ("LATENCY", "RESET"), ("SLOWLOG", "GET"),
]  # fmt: skip


@pytest.fixture
def server(redis_pair: list[RedisServer]) -> RedisServer:
    admin = redis_pair[0].client()
    admin.set("plain:x", "theirs")
    admin.set("failover:active", "theirs")
    admin.sadd("pgbackrest:stanzas", "pg1")
    return redis_pair[0]


@pytest.mark.parametrize("user", USERS)
def test_what_is_others_cannot_be_touched_listed_or_programmed(server: RedisServer, user: str) -> None:
    client = server.client(user)
    other = OTHERS[user]
    for command in [*FORBIDDEN, ("GET", other), ("SET", other, "x"), ("DEL", other), ("RENAME", other, "y")]:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
    if user != "failover_api":
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.eval("return 1", 0)
        return
    for called in (f"'GET', '{other}'", "'FUNCTION', 'FLUSH'", "'SCAN', 0", "'SET', 'pgbackrest:stanzas', 'x'"):
        with pytest.raises(redis.exceptions.ResponseError, match=r"permission|ACL|can't access|can't run|not allowed"):
            client.eval(f"return redis.call({called})", 0)


@pytest.mark.parametrize("user", USERS)
def test_whatever_a_user_may_run_is_limited_by_its_keys(server: RedisServer, user: str) -> None:
    """Also the commands of later versions of Redis: none without a key is among them, whose words nobody foresaw."""
    admin = server.client()
    allowed = {
        name.lower()
        for name, about in admin.command().items()
        if int(about["first_key_pos"]) == 0
        and "movablekeys" not in about["flags"]
        and _may(admin, user, name, abs(int(about["arity"])) - 1)
    }
    assert allowed - KEYLESS == set()


def _may(admin: t.Any, user: str, name: str, arguments: int) -> bool:
    try:
        return bool(admin.execute_command("ACL", "DRYRUN", user, name, *["0"] * arguments) == "OK")
    except redis.exceptions.ResponseError:
        # A name for commands of two words; the test before this one tries these.
        return False


def test_nobody_is_the_default_user(server: RedisServer) -> None:
    for user in ("default", "", "nobody"):
        client = server.client(user)
        with pytest.raises((redis.exceptions.AuthenticationError, redis.exceptions.ResponseError)):
            client.ping()
