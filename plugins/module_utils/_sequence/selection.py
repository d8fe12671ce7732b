# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Which sequences are meant: shell-like patterns on ``schema.sequence``."""

from __future__ import annotations

import re
import typing as t


def as_regex(pattern: str) -> re.Pattern[str]:
    """``*`` is any text, ``?`` any character, all else itself."""
    parts = [{"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern]
    return re.compile("".join(parts), re.DOTALL)


def as_like(pattern: str) -> str:
    """The same pattern for SQL's LIKE."""
    translated = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
    return "".join(translated.get(char, char) for char in pattern)


def is_exact(pattern: str) -> bool:
    return not set(pattern) & {"*", "?"}


class Selection:
    """What ``include`` and ``exclude`` say."""

    def __init__(self, include: t.Sequence[str], exclude: t.Sequence[str]) -> None:
        self.include = list(include)
        self.exclude = list(exclude)
        self._include = [as_regex(pattern) for pattern in include]
        self._exclude = [as_regex(pattern) for pattern in exclude]

    def reason_to_skip(self, name: str) -> str | None:
        if not any(pattern.fullmatch(name) for pattern in self._include):
            return "not included"
        if any(pattern.fullmatch(name) for pattern in self._exclude):
            return "excluded"
        return None

    @staticmethod
    def unknown(patterns: t.Iterable[str], names: t.Container[str]) -> list[str]:
        """Names without a wildcard that no sequence has: most likely misspelt."""
        return [pattern for pattern in patterns if is_exact(pattern) and pattern not in names]
