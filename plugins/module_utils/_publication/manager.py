# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""One publication from its arguments to its result."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.model import State, wanted_from
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.plan import plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.read import read

FEATURE_NOT_SUPPORTED = "0A000"


class PublicationManager:
    def __init__(self, params: dict[str, t.Any], connection: Connection) -> None:
        self._connection = connection
        self._wanted = wanted_from(params)

    def read(self) -> State:
        return read(self._connection, self._wanted)

    def plan(self, state: State) -> Plan:
        return plan(self._wanted, state)

    def apply(self, plan: Plan) -> None:
        if not plan.statements:
            return
        try:
            self._connection.apply(plan.statements)
        except MultimasterError as error:
            raise self._named(error) from None
        now = self.read().publication
        plan.results["publication"] = now and now.as_result(self._wanted.name)

    def _named(self, error: MultimasterError) -> MultimasterError:
        """What a row filter may call, the server tells when it is stored, and not of which table it speaks."""
        filters = [f"{table.name}, ({table.where})" for table in self._wanted.tables if table.where]
        if error.details.get("sqlstate") != FEATURE_NOT_SUPPORTED or not filters:
            return error
        return MultimasterError(f"The server refuses the row filter of table {' or '.join(filters)}: {error}", **error.details)
