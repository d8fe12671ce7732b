# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of the sessions that hold up a slot."""

from __future__ import annotations

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.slot_commands import without_secrets


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD ********"),
        ("create user u encrypted\npassword\n'hunter2' valid until '2027-01-01'", "create user u encrypted\npassword ********"),
        ("ALTER SUBSCRIPTION s CONNECTION 'password=hunter2'", "ALTER SUBSCRIPTION s CONNECTION 'password ********"),
        ("SELECT dblink_connect('postgresql://app:hunter2@b/x')", "SELECT dblink_connect('postgresql:// ********"),
        ("SELECT set_config('app.token', 'hunter2', false)", "SELECT set_config('app.token ********"),
    ],
)
def test_no_secret_of_another_session_is_told(query: str, said: str) -> None:
    assert without_secrets(query) == said


def test_other_statements_are_told_as_they_are() -> None:
    assert without_secrets("SELECT pg_current_xact_id()") == "SELECT pg_current_xact_id()"
    assert without_secrets(None) is None
