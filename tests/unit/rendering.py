# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Composed SQL as text, without a server: for assertions of unit tests only."""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import adapt


def render(command: sql.Composable) -> str:
    if isinstance(command, sql.Composed):
        return "".join(render(part) for part in command.seq)
    if isinstance(command, sql.Identifier):
        return ".".join('"' + name.replace('"', '""') + '"' for name in command.strings)
    if isinstance(command, sql.Literal):
        value = adapt(command.wrapped)
        if hasattr(value, "encoding"):
            value.encoding = "utf8"
        return value.getquoted().decode()
    if isinstance(command, sql.SQL):
        return command.string
    raise TypeError(type(command))
