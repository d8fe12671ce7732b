# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restored copy's server is started with, and which failures of a check are damage."""

from __future__ import annotations

import psycopg2
import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.copy import room_for_origins
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.proof import is_damage


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("16", {"max_replication_slots"}),
        ("18", {"max_replication_slots", "max_active_replication_origins"}),
        ("", {"max_replication_slots"}),
    ],
)
def test_there_is_room_for_many_origins_in_every_version(version: str, names: set[str]) -> None:
    room = room_for_origins(version)
    assert set(room) == names
    assert all(int(value) >= 1000 for value in room.values())


@pytest.mark.parametrize(
    ("code", "damaged"),
    [
        ("XX001", True),  # data_corrupted
        ("XX002", True),  # index_corrupted
        ("58030", True),  # io_error
        ("57014", False),  # query_canceled: a time limit
        ("55P03", False),  # lock_not_available
        ("53200", False),  # out_of_memory
        ("42501", False),  # insufficient_privilege
        (None, False),  # the connection was lost
    ],
)
def test_only_what_says_so_is_damage(code: str | None, damaged: bool) -> None:
    error = type("Failed", (psycopg2.Error,), {"pgcode": code})("it failed")
    assert is_damage(error) is damaged
