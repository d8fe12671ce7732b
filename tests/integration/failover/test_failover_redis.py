# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared record in real Redis servers that hold nonsense, or that can be read and not written."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from api_process import REDIS_PASSWORD, RedisServer
from multimaster_failover.agreement import Record, new_record
from multimaster_failover.redis_agreement import KEY, RedisAgreement


def parameters(servers: t.Sequence[RedisServer]) -> list[dict[str, t.Any]]:
    return [
        {"host": "127.0.0.1", "port": server.port, "username": "failover_api", "password": REDIS_PASSWORD, "ssl": True,
         "ssl_ca_certs": str(server.folder / "ca.crt")}
        for server in servers
    ]  # fmt: skip


NO_RECORDS = [
    "",
    "{",
    "[]",
    '{"epoch": 7}',
    '{"node": "pg1", "epoch": 7, "since": ""}',
    '{"node": "pg1", "epoch": 1e999, "since": "", "by": ""}',
    '{"node": "pg1", "epoch": -1e999, "since": "", "by": ""}',
    '{"node": "pg1", "epoch": 9007199254740994, "since": "", "by": ""}',
]


@pytest.mark.parametrize("held", NO_RECORDS)
def test_what_is_no_record_is_overwritten(held: str, redis_pair: list[RedisServer]) -> None:
    with redis_pair[0].client() as server:
        server.set(KEY, held)
    record = new_record("pg2", 1, "one")

    async def story() -> tuple[Record | None, bool, tuple[Record | None, bool]]:
        # Away are servers that are stopped, not those of a busy machine.
        agreement = RedisAgreement(parameters(redis_pair[:1]), timeout=60)
        try:
            before, _everywhere = await agreement.read()
            return before, await agreement.propose(record), await agreement.read()
        finally:
            await agreement.close()

    assert asyncio.run(story()) == (None, True, (record, True))


def test_an_older_word_overwrites_no_later_one(redis_pair: list[RedisServer]) -> None:
    later = new_record("pg2", 2**53, "one")

    async def story() -> tuple[bool, bool, bool, Record | None]:
        agreement = RedisAgreement(parameters(redis_pair[:1]), timeout=60)
        try:
            told = await agreement.propose(later)
            again, older = await agreement.propose(later), await agreement.propose(new_record("pg1", 2**53 - 1, "two"))
            return told, again, older, (await agreement.read())[0]
        finally:
            await agreement.close()

    assert asyncio.run(story()) == (True, True, False, later)
