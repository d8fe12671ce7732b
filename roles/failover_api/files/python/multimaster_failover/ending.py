# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends tasks that go on for ever."""

from __future__ import annotations

import asyncio
import typing as t


async def end(tasks: t.Sequence[asyncio.Task[t.Any]]) -> None:
    """Returns when all of them have ended, whatever they end with.

    A cancellation can get lost: before Python 3.12 ``asyncio.wait_for`` swallows one that comes together with what is waited for,
    and a driver that cleans up after one can fail with an error of its own. So once is not enough.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.2)
    await asyncio.gather(*tasks, return_exceptions=True)
