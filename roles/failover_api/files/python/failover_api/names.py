# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""People."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Path, Request

from .models import Answer
from .replies import Refused, reply
from .routes import failures, pattern, service_of

router = APIRouter(tags=["names"])

_NAME = """
SELECT json_build_object(
    'nconst', n.nconst, 'primary_name', n.primary_name, 'birth_year', n.birth_year, 'death_year', n.death_year,
    'professions', (SELECT coalesce(json_agg(p.profession ORDER BY p.profession), '[]')
        FROM public.name_professions AS p WHERE p.nconst = n.nconst),
    'known_for', (SELECT coalesce(json_agg(json_build_object('tconst', t.tconst, 'primary_title', t.primary_title,
            'start_year', t.start_year) ORDER BY t.start_year, t.tconst), '[]')
        FROM public.name_known_for AS k JOIN public.titles AS t ON t.tconst = k.tconst WHERE k.nconst = n.nconst),
    'credits', (SELECT coalesce(json_agg(c), '[]') FROM (
        SELECT p.tconst, t.primary_title, t.start_year, p.category, p.job
        FROM public.title_principals AS p JOIN public.titles AS t ON t.tconst = p.tconst
        WHERE p.nconst = n.nconst ORDER BY t.start_year, p.tconst, p.ordering LIMIT 500) AS c))
FROM public.names AS n WHERE n.nconst = %s
"""


@router.get("/names/{nconst}", response_model=Answer, responses=failures(404))
async def show_name(request: Request, nconst: str = Path(..., **pattern("^nm[0-9]{7,10}$"))) -> t.Any:
    """One person with professions, the titles they are known for and up to 500 credits."""
    rows, attempt = await service_of(request).client.fetch(_NAME, [nconst])
    if not rows:
        raise Refused(404, "There is no such person.")
    return reply(200, {"ok": True, "data": rows[0][0], "node_used": attempt.role})
