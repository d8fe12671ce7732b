# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is granted on all objects of a schema, without a server."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._privileges import is_of_all, privileges_of_all

ENTRY = {"database": "d", "schema": "s", "objs": ["ALL_IN_SCHEMA"], "privs": ["select", "INSERT"], "roles": ["r"]}
WHAT = 'SELECT, INSERT ON ALL TABLES IN SCHEMA :"schema"'


@pytest.mark.parametrize(
    ("change", "role", "statement"),
    [
        ({}, "r", f'GRANT {WHAT} TO :"role";\n'),
        ({}, "public", f"GRANT {WHAT} TO PUBLIC;\n"),
        ({"type": "sequence", "privs": ["USAGE"]}, "r", 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA :"schema" TO :"role";\n'),
        ({"state": "absent"}, "r", f'REVOKE {WHAT} FROM :"role";\n'),
        ({"grant_option": True}, "r", f'GRANT {WHAT} TO :"role" WITH GRANT OPTION;\n'),
        ({"grant_option": False}, "r", f'GRANT {WHAT} TO :"role";\nREVOKE GRANT OPTION FOR {WHAT} FROM :"role";\n'),
    ],
)
def test_the_statement(change: dict[str, t.Any], role: str, statement: str) -> None:
    assert privileges_of_all({**ENTRY, **change}, role) == statement


def test_only_privileges_are_taken() -> None:
    with pytest.raises(AnsibleFilterError, match="no privilege"):
        privileges_of_all({**ENTRY, "privs": ["SELECT; DROP"]}, "r")


def test_which_entries_are_meant() -> None:
    assert is_of_all(ENTRY)
    assert not is_of_all({**ENTRY, "type": "function"})
    assert not is_of_all({**ENTRY, "objs": ["t"]})
    assert not is_of_all({"database": "d", "type": "database", "privs": ["CREATE"], "roles": ["r"]})
