# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies of requests and answers. Written for both major versions of pydantic, since Debian 12 has the first."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel, Field, conint, constr

MAX_ID = 2**31 - 1

if t.TYPE_CHECKING:
    Name: t.TypeAlias = str
    GivenId: t.TypeAlias = int
else:
    Name = constr(strict=True, min_length=1, max_length=100)
    GivenId = conint(strict=True, ge=1, le=MAX_ID)


class NewGenero(BaseModel, extra="forbid"):
    genero: Name = Field(description="The genre's name, unique")
    id_genero: t.Optional[GivenId] = Field(None, description="Its key, where the caller decides it")  # noqa: UP045 - pydantic 1


class Genero(BaseModel):
    id_genero: int
    genero: str


class GeneroStored(BaseModel):
    ok: bool
    data: Genero
    node_used: str


class Generos(BaseModel):
    ok: bool
    data: t.List[Genero]  # noqa: UP006 - pydantic 1 evaluates it
    next_after: t.Optional[int] = Field(None, description="Where the next page begins; not there on the last one")  # noqa: UP045
    node_used: str


class Answer(BaseModel):
    """Rows of the IMDB schema."""

    ok: bool
    data: t.Any
    node_used: str


class Listing(BaseModel):
    ok: bool
    data: t.List[t.Dict[str, t.Any]]  # noqa: UP006


class ActiveNode(BaseModel):
    ok: bool
    active_node: str = Field(description="primary, secondary, or a node's name")
    node: str
    epoch: int
    since: str
    by: str


class Switched(ActiveNode):
    changed: bool
    previous: str


class Health(BaseModel):
    ok: bool
    status: str = Field(description="ok, degraded (a node is missing) or down")
    active_node: t.Optional[str]  # noqa: UP045
    nodes: t.Dict[str, str]  # noqa: UP006
    redis: t.List[bool]  # noqa: UP006


class Failure(BaseModel):
    ok: bool
    error: str
