# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record in one or more Redis servers that know nothing of each other. One that answers is enough."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from redis.exceptions import RedisError, ResponseError

from .agreement import Record, parse_record
from .connection import Patience
from .ending import end
from .redis_client import close, redis_client

KEY = "failover:active"

# A server that is away is left alone for so long, so that it does not hold up the word of the other.
_PAUSE = 1.0
# One that does not answer in time is slow; it is away when nothing comes for so long, and longer each time that nothing came.
_AWAY = 5.0

# Compared and set in one step, so that no client's word overwrites a later one. What parse_record takes for no record is
# overwritten: nobody would ever follow it.
_SET = """
local held = redis.call('GET', KEYS[1])
if held then
  local fine, value = pcall(cjson.decode, held)
  local epoch = fine and type(value) == 'table' and tonumber(value.epoch)
  if epoch and epoch >= 0 and epoch <= 9007199254740992 and value.node ~= nil and value.since ~= nil and value.by ~= nil then
    local since, by = tostring(value.since), tostring(value.by)
    local mine = tonumber(ARGV[2])
    if epoch > mine or (epoch == mine and (since > ARGV[3] or (since == ARGV[3] and by >= ARGV[4]))) then
      return held == ARGV[1] and 1 or 0
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""

log = logging.getLogger("multimaster_failover")


class RedisAgreement:
    """``servers``: keyword arguments of ``redis.asyncio.Redis`` for each (host, port, username, password, ssl ...).

    An answer is waited for ``timeout`` seconds. What is not answered by then goes on: a connection that is begun is not given up
    for a new one, which would only take as long. Until it has ended the server is asked nothing else.
    """

    def __init__(self, servers: t.Sequence[t.Mapping[str, t.Any]], timeout: float = 0.3) -> None:
        self._servers = [redis_client(server, max(timeout, Patience.LONGEST)) for server in servers]
        self._patience = [Patience(max(timeout, _AWAY)) for _ignored in servers]
        self._timeout = timeout
        self._under_way: dict[int, asyncio.Task[t.Any]] = {}
        # By server and what it was asked: answers that came too late, or are still to come. Of each kind the last.
        self._late: dict[tuple[int, bool], tuple[str, asyncio.Task[t.Any]]] = {}
        self._not_before = [0.0 for _ignored in servers]
        # Whether each server answered the last time
        self.answering = [False for _ignored in servers]
        # Whether each refused what it was told the last time
        self._refusing = [False for _ignored in servers]

    async def read(self) -> tuple[Record | None, bool]:
        asked = [self._on(index, KEY, lambda server: server.get(KEY)) for index in range(len(self._servers))]
        answers = await asyncio.gather(*asked)
        records = [parse_record(text) for text in answers if not isinstance(text, Exception)]
        best = max((record for record in records if record is not None), key=lambda record: record.rank, default=None)
        return best, all(record == best for record in records)

    async def propose(self, record: Record) -> bool:
        arguments = (record.to_json(), record.epoch, record.since, record.by)
        answers = await asyncio.gather(*(self._tell(index, arguments) for index in range(len(self._servers))))
        return any(not isinstance(answer, Exception) and int(answer) == 1 for answer in answers)

    async def close(self) -> None:
        await end(list(self._under_way.values()))
        for server in self._servers:
            await close(server)

    async def _tell(self, index: int, arguments: t.Sequence[t.Any]) -> t.Any:
        async def evaluate(server: t.Any) -> t.Any:
            try:
                return await server.eval(_SET, 1, KEY, *arguments)
            except ResponseError as error:
                # A replica, a full disk, a missing privilege: it answers, and what the others said can be read from it.
                return error

        answer = await self._on(index, str(arguments[0]), evaluate)
        if isinstance(answer, ResponseError) and not self._refusing[index]:
            log.warning("Redis server %d of %d takes no record: %s", index + 1, len(self._servers), answer)
        if not isinstance(answer, Exception) or isinstance(answer, ResponseError):
            self._refusing[index] = isinstance(answer, ResponseError)
        return answer

    async def _on(self, index: int, what: str, command: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
        """What the server answers, or why there is no answer. A late answer is given to who asks the same again."""
        loop = asyncio.get_running_loop()
        before = self._under_way.get(index)
        if before is not None:
            # Who asks at the same time waits for his turn; nobody waits twice for one that is slow.
            await asyncio.wait({before}, timeout=max(0.0, self._not_before[index] - loop.time()))
        if index in self._under_way or loop.time() < self._not_before[index]:
            return ConnectionError("away")
        kind = (index, what == KEY)
        late = self._late.pop(kind, None)
        if late is not None and late[0] == what:
            return late[1].result()
        task = self._under_way[index] = loop.create_task(self._answer(index, command))
        self._not_before[index] = loop.time() + self._timeout
        await asyncio.wait({task}, timeout=self._timeout)
        if task.done():
            return task.result()
        self._late[kind] = (what, task)
        return TimeoutError("slow")

    async def _answer(self, index: int, command: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
        loop, patience = asyncio.get_running_loop(), self._patience[index]
        began = loop.time()
        try:
            async with asyncio.timeout(patience.seconds):
                answer = await command(self._servers[index])
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            if isinstance(error, asyncio.TimeoutError):
                patience.was_in_vain(loop.time() - began)
            if self.answering[index]:
                log.warning("Redis server %d of %d is away", index + 1, len(self._servers))
            self.answering[index] = False
            self._not_before[index] = loop.time() + _PAUSE
            return error
        else:
            self.answering[index] = True
            patience.worked(loop.time() - began)
            self._not_before[index] = 0.0
            return answer
        finally:
            del self._under_way[index]
