# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Titles: searched and shown."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Path, Query, Request

from .models import Answer
from .replies import Refused, reply, unavailable
from .routes import failures, pattern, service_of, storable
from .searches import TooManySearches

router = APIRouter(tags=["titles"])

# A search may read a whole table; everything else is found by its key.
SEARCH_SECONDS = 2.0

_SEARCH = """
SELECT t.tconst, t.title_type, t.primary_title, t.start_year, r.average_rating::float8, r.num_votes
FROM public.titles AS t LEFT JOIN public.title_ratings AS r ON r.tconst = t.tconst
WHERE t.primary_title ILIKE %s
ORDER BY r.num_votes DESC NULLS LAST, t.primary_title, t.tconst LIMIT %s
"""
_SEARCH_COLUMNS = ("tconst", "title_type", "primary_title", "start_year", "average_rating", "num_votes")

TITLE = """
SELECT json_build_object(
    'tconst', t.tconst, 'title_type', t.title_type, 'primary_title', t.primary_title, 'original_title', t.original_title,
    'is_adult', t.is_adult, 'start_year', t.start_year, 'end_year', t.end_year, 'runtime_minutes', t.runtime_minutes,
    'average_rating', r.average_rating, 'num_votes', r.num_votes,
    'generos', (SELECT coalesce(json_agg(g.genero ORDER BY g.genero), '[]') FROM public.title_generos AS tg
        JOIN public.generos AS g ON g.id_genero = tg.id_genero WHERE tg.tconst = t.tconst),
    'directors', (SELECT coalesce(json_agg(json_build_object('nconst', d.nconst, 'name', n.primary_name) ORDER BY d.nconst), '[]')
        FROM public.title_directors AS d JOIN public.names AS n ON n.nconst = d.nconst WHERE d.tconst = t.tconst),
    'writers', (SELECT coalesce(json_agg(json_build_object('nconst', w.nconst, 'name', n.primary_name) ORDER BY w.nconst), '[]')
        FROM public.title_writers AS w JOIN public.names AS n ON n.nconst = w.nconst WHERE w.tconst = t.tconst),
    'principals', (SELECT coalesce(json_agg(json_build_object('nconst', p.nconst, 'name', n.primary_name,
            'category', p.category, 'job', p.job) ORDER BY p.ordering), '[]')
        FROM public.title_principals AS p JOIN public.names AS n ON n.nconst = p.nconst WHERE p.tconst = t.tconst),
    'episode_of', (SELECT e.parent_tconst FROM public.title_episodes AS e WHERE e.tconst = t.tconst))
FROM public.titles AS t LEFT JOIN public.title_ratings AS r ON r.tconst = t.tconst
WHERE t.tconst = %s
"""


def contains(text: str) -> str:
    """An ILIKE pattern for any text with this in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


@router.get("/titles", response_model=Answer, responses=failures())
async def search_titles(request: Request, q: str = Query("", max_length=200), limit: int = Query(50, ge=1, le=500)) -> t.Any:
    """Titles that contain `q` in any case, those with most votes first."""
    wanted = contains(storable(q, "q"))
    service = service_of(request)
    try:
        async with service.searches.place():
            rows, attempt = await service.client.fetch(_SEARCH, [wanted, limit], deadline=SEARCH_SECONDS)
    except TooManySearches:
        return unavailable("Too many searches are under way.", 1)
    data = [dict(zip(_SEARCH_COLUMNS, row)) for row in rows]
    return reply(200, {"ok": True, "data": data, "node_used": attempt.role})


@router.get("/titles/{tconst}", response_model=Answer, responses=failures(404))
async def show_title(request: Request, tconst: str = Path(..., **pattern("^tt[0-9]{7,10}$"))) -> t.Any:
    """One title with its genres, people and rating."""
    rows, attempt = await service_of(request).client.fetch(TITLE, [tconst])
    if not rows:
        raise Refused(404, "There is no such title.")
    return reply(200, {"ok": True, "data": rows[0][0], "node_used": attempt.role})
