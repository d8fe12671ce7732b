# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of entries of postgresql_privileges, without a server."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._privileges import privilege_statements

ENTRY = {"database": "d", "schema": "s", "objs": ["ALL_IN_SCHEMA"], "privs": ["select", "INSERT"], "roles": ["r"]}
WHAT = 'SELECT, INSERT ON ALL TABLES IN SCHEMA "s"'
AWKWARD = 'a "x", y.z; --'
QUOTED = '"a ""x"", y.z; --"'


@pytest.mark.parametrize(
    ("change", "statements"),
    [
        ({}, [f'GRANT {WHAT} TO "r"']),
        ({"roles": ["public", "b"]}, [f'GRANT {WHAT} TO PUBLIC, "b"']),
        ({"type": "sequence", "privs": ["USAGE"]}, ['GRANT USAGE ON ALL SEQUENCES IN SCHEMA "s" TO "r"']),
        ({"state": "absent"}, [f'REVOKE {WHAT} FROM "r"']),
        ({"grant_option": True}, [f'GRANT {WHAT} TO "r" WITH GRANT OPTION']),
        ({"grant_option": False}, [f'GRANT {WHAT} TO "r"', f'REVOKE GRANT OPTION FOR {WHAT} FROM "r"']),
        ({"schema": AWKWARD, "objs": [AWKWARD, "b"], "roles": [AWKWARD]},
         [f'GRANT SELECT, INSERT ON TABLE {QUOTED}.{QUOTED}, {QUOTED}."b" TO {QUOTED}']),
        ({"schema": None, "objs": ["t"], "privs": ["ALL_PRIVILEGES"]}, ['GRANT ALL PRIVILEGES ON TABLE "public"."t" TO "r"']),
        ({"type": "schema", "objs": [AWKWARD], "privs": ["USAGE"]}, [f'GRANT USAGE ON SCHEMA {QUOTED} TO "r"']),
        ({"type": "database", "objs": None, "privs": ["CONNECT"], "state": "absent", "roles": ["PUBLIC"]},
         ['REVOKE CONNECT ON DATABASE "d" FROM PUBLIC']),
        ({"type": "default_privs", "schema": AWKWARD, "objs": ["TABLES"], "privs": ["SELECT"], "target_roles": [AWKWARD]},
         [f'ALTER DEFAULT PRIVILEGES FOR ROLE {QUOTED} IN SCHEMA {QUOTED} REVOKE ALL ON TABLES FROM "r"',
          f'ALTER DEFAULT PRIVILEGES FOR ROLE {QUOTED} IN SCHEMA {QUOTED} GRANT SELECT ON TABLES TO "r"']),
        ({"type": "default_privs", "schema": None, "objs": ["SCHEMAS"], "privs": ["USAGE"], "state": "absent"},
         ['ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM "r"']),
    ],
)  # fmt: skip
def test_the_statements(change: dict[str, t.Any], statements: list[str]) -> None:
    assert privilege_statements({**ENTRY, **change}) == statements


def test_only_privileges_are_taken() -> None:
    with pytest.raises(ValueError, match="no privilege"):
        privilege_statements({**ENTRY, "privs": ["SELECT; DROP"]})
    with pytest.raises(ValueError, match="there are TABLES, "):
        privilege_statements({**ENTRY, "type": "default_privs", "objs": ["ALL_IN_SCHEMA"]})
