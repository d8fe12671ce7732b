# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The one exception that the collection's own code raises for what a user can act on."""

from __future__ import annotations

import typing as t


class MultimasterError(Exception):
    """One clear sentence for the user: what is wrong, where, and what to do.

    ``details`` are JSON-able values that the failed task returns beside its message
    (for example the transaction that holds up a slot). They must hold no secret.
    """

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.details = details
