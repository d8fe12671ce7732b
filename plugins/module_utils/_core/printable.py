# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Sentences that hold what others have named: no name begins a line of its own, or speaks to the terminal that shows it."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with line breaks, escape sequences and whatever else is not shown as itself in their escaped form."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
