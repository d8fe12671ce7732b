# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Names as users write them: ``films``, ``public.Films``, ``"my schema"."Ta ble"``.

A name is taken exactly as it is written: its case is kept and nothing is folded. Double quotes are
needed only around a name that holds a double quote (doubled inside) or, where a schema may precede
it, a dot.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

MAX_BYTES = 63

_QUOTED = r'"(?:[^"]|"")*"'
_IDENTIFIER = re.compile(rf'{_QUOTED}|[^"]*', re.DOTALL)
_PART = rf'{_QUOTED}|[^".]*'
_QUALIFIED = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})", re.DOTALL)
_NEEDS_NO_QUOTES = re.compile(r"[a-z_][a-z0-9_$]*", re.ASCII)


class QualifiedName(t.NamedTuple):
    """A schema's name and an object's; ``schema`` is None where the user left it to the server."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return shown(*filter(None, self))


def identifier(text: t.Any, what: str) -> str:
    """One name, possibly quoted. ``what`` names it in an error, as in "the publication's name"."""
    text = _as_text(text, what)
    if not _IDENTIFIER.fullmatch(text):
        raise MultimasterError(f"{what} {text!r} is badly quoted: {_QUOTING_RULE}.")
    return _checked(_unquoted(text), what)


def qualified(text: t.Any, what: str) -> QualifiedName:
    """A name with or without its schema, each part possibly quoted."""
    text = _as_text(text, what)
    match = _QUALIFIED.fullmatch(text)
    if not match:
        raise MultimasterError(
            f"{what} {text!r} is neither a name nor schema.name: {_QUOTING_RULE}, and around one that holds a dot."
        )
    schema, name = match["schema"], match["name"]
    return QualifiedName(
        None if schema is None else _checked(_unquoted(schema), f"the schema in {what} {text!r}:"),
        _checked(_unquoted(name), what),
    )


def shown(*parts: str) -> str:
    """Names for messages and results: quoted where it is needed, so that they can be read back."""
    return ".".join(part if _NEEDS_NO_QUOTES.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts)


_QUOTING_RULE = "put double quotes around a name that holds a double quote, and double it inside"


def _as_text(text: t.Any, what: str) -> str:
    if not isinstance(text, str):
        raise MultimasterError(f"{what} must be a string, not {text!r}: put it in quotes.")
    return text


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _checked(name: str, what: str) -> str:
    """PostgreSQL cuts a longer name short and goes on with another name than the user's."""
    if not name:
        raise MultimasterError(f"{what} is empty.")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise MultimasterError(f"{what} {name!r} is not valid Unicode text.") from None
    if "\0" in name:
        raise MultimasterError(f"{what} {name!r} holds a NUL character, which no name can.")
    if size > MAX_BYTES:
        raise MultimasterError(f'{what} "{name}" has {size} bytes; PostgreSQL permits {MAX_BYTES}. Shorten it.')
    return name
