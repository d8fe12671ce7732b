# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements about genres."""

from __future__ import annotations

import random
import typing as t

SEQUENCE = "public.generos_id_genero_seq"
INSERT = "INSERT INTO public.generos (id_genero, genero) VALUES (%s, %s) ON CONFLICT (id_genero) DO NOTHING RETURNING id_genero"
BY_KEY = "SELECT genero FROM public.generos WHERE id_genero = %s"
BY_NAME = "SELECT id_genero FROM public.generos WHERE genero = %s"
LIST = "SELECT id_genero, genero FROM public.generos WHERE id_genero > %s ORDER BY id_genero LIMIT %s"


async def warm_up(connection: t.Any) -> None:
    """A new server process reads catalogues, triggers and plans at its first insert: here, rolled back, instead of in a request.

    A random key, so that no two wait for each other.
    """
    key = random.randrange(1, 2**31)  # noqa: S311 - no secret
    async with connection.transaction(force_rollback=True):
        await connection.execute(INSERT, [key, f"warm-up {key}"], prepare=True)
    await connection.execute(LIST, [0, 1], prepare=True)
