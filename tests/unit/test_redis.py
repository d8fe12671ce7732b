# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redis' users: each with its own keys, nobody else, and no password in clear."""

from __future__ import annotations

import hashlib
import typing as t

import pytest
from role_templates import redis_users as acl_file

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._redis import acl_problems, problems

CATALOG = {"name": "catalog", "password": "long enough", "keys": ["pgbackrest:*"]}


def test_the_default_user_is_off_and_first() -> None:
    assert acl_file([]) == "user default off resetpass ~* &* +@all\n"


def test_a_user_in_redis_words() -> None:
    line = acl_file(
        [{**CATALOG, "read_keys": ["failover:*"], "channels": ["news"], "commands": ["+get", "-@dangerous"]}]
    ).splitlines()[1]
    digest = hashlib.sha256(b"long enough").hexdigest()
    assert line == f"user catalog on #{digest} ~pgbackrest:* %R~failover:* resetchannels &news -@all +get -@dangerous"


def test_without_commands_nothing_dangerous() -> None:
    line = acl_file([CATALOG]).splitlines()[1]
    assert line.endswith("-@all +@read +@write +@connection +@transaction -@dangerous -@scripting -scan -randomkey -dbsize")
    assert "long enough" not in line


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({**CATALOG, "password": "short"}, "fewer than 8 characters"),
        ({"name": "a", "password": "long enough"}, "neither keys nor read_keys"),
        ({**CATALOG, "keys": ["a b"]}, "keys of the Redis user catalog has 'a b'"),
        ({**CATALOG, "keys": ["~pgbackrest:*"]}, "a pattern such as"),
        ({**CATALOG, "commands": ["get"]}, "commands of the Redis user catalog has 'get'"),
        ({**CATALOG, "name": "default"}, "it is off"),
        ({**CATALOG, "name": "a b"}, "the name 'a b'"),
    ],
)
def test_what_no_file_can_say(user: dict[str, t.Any], words: str) -> None:
    problems = acl_problems([user])
    assert any(words in each for each in problems)
    assert not any(user["password"] in each for each in problems)


def test_one_name_twice() -> None:
    assert acl_problems([CATALOG, CATALOG]) == ["redis_users has catalog more than once."]
    assert acl_problems([CATALOG]) == []


GIVEN = {"redis_port": 6379, "redis_memory_max_mb": 128, "redis_settings": {}, "redis_users": [CATALOG], "redis_mesh_users": []}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"redis_port": 0}, "redis_port is 0"),
        ({"redis_memory_max_mb": "15"}, "at least 16"),
        ({"redis_settings": {"port": 6379, "hz": 10}}, "cannot hold port,"),
        ({"redis_mesh_users": [CATALOG]}, "more than once"),
    ],
)
def test_what_the_role_cannot_be_given(values: dict[str, t.Any], words: str) -> None:
    assert problems(GIVEN, {"kept": ["port"]}) == []
    (problem,) = problems({**GIVEN, **values}, {"kept": ["port"]})
    assert words in problem
