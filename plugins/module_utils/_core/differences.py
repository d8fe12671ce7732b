# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""One tracker of what differs: it says whether anything changed and renders the diff."""

from __future__ import annotations

import typing as t

HIDDEN_CURRENT = "(hidden: current value)"
HIDDEN_WANTED = "(hidden: wanted value)"


class Differences:
    """Collects (name, wanted, current) and keeps only what differs.

    ``changed``, ``before`` and ``after`` all come from the same list, so a result can never
    say "changed" beside an empty diff, or show a diff beside "ok".
    """

    def __init__(self) -> None:
        self._rows: list[tuple[str, t.Any, t.Any]] = []

    def add(self, name: str, wanted: t.Any, current: t.Any, *, secret: bool = False) -> bool:
        """Track one property. Returns whether it differs; equal values are not kept.

        With ``secret`` the diff says that the value differs and shows neither side.
        """
        if wanted == current:
            return False
        if secret:
            wanted, current = HIDDEN_WANTED, HIDDEN_CURRENT
        self._rows.append((name, wanted, current))
        return True

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def names(self) -> list[str]:
        """Names of the properties that differ, in the order in which they were found."""
        return [name for name, _wanted, _current in self._rows]

    @property
    def before(self) -> dict[str, t.Any]:
        return {name: current for name, _wanted, current in self._rows}

    @property
    def after(self) -> dict[str, t.Any]:
        return {name: wanted for name, wanted, _current in self._rows}

    def as_diff(self) -> dict[str, t.Any]:
        """The ``diff`` of a task result; both sides are empty when nothing differs."""
        return {"before": self.before, "after": self.after}
