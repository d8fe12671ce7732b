# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What an option's value must be for anything to be done with it: one sentence where it is not. Pure."""

from __future__ import annotations

import difflib
import math
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

DAY = 86400
YEAR = 366 * DAY


def require_number(name: str, value: float | None, low: float, high: float) -> None:
    """``value`` is none, or a number from ``low`` to ``high``: not nan, not infinite."""
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise MultimasterError(f"{name} is {value}; it has to be a number from {low:g} to {high:.12g}. Nothing was changed.")


def require_absolute(name: str, path: str | None) -> None:
    """``path`` is none, or means the same wherever the task begins."""
    if path is None:
        return
    if not path.startswith("/"):
        raise MultimasterError(
            f"{name} is {path!r}, which is not an absolute path and would mean a place in whatever folder the task begins in. "
            f"Write it from / on. Nothing was changed."
        )
    require_one_line(name, path)


def require_one_line(name: str, value: t.Any) -> None:
    """``value`` as text has no line break and no other character that cannot be printed."""
    if not str(value).isprintable():
        raise MultimasterError(
            f"{name} is {str(value)!r}: it has a line break or another character that cannot be printed. Nothing was changed."
        )


def refuse_null_bytes(values: t.Any, name: str = "") -> None:
    """No text anywhere in ``values`` has a null byte, which no command line, environment or file name can hold."""
    if isinstance(values, str) and "\0" in values:
        raise MultimasterError(f"{name} has a null byte, which neither a command nor a file can take. Nothing was changed.")
    if isinstance(values, dict):
        for key, value in values.items():
            refuse_null_bytes(key, f"A name in {name}" if name else "The name of an option")
            refuse_null_bytes(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, (list, tuple)):
        for number, value in enumerate(values):
            refuse_null_bytes(value, f"{name}[{number}]")


def nearest(name: str, known: t.Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return found[0] if found else None
