# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client ends although one of its tasks has missed that it was told to."""

from __future__ import annotations

import asyncio
import contextlib

from multimaster_failover.ending import end


def test_a_task_that_swallows_the_first_cancellation_is_ended() -> None:
    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def broken() -> None:
        raise ValueError

    async def story() -> None:
        tasks = [asyncio.create_task(deaf()), asyncio.create_task(broken())]
        await asyncio.sleep(0)
        await end(tasks)
        assert tasks[0].cancelled()
        await end([])

    asyncio.run(story())
