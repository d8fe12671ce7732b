# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A first backup, while another run takes it: whoever waits for the lock looks again at what is there."""

from __future__ import annotations

import typing as t

import pytest
from backups import chain

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest import backup as _pgbackrest_backup
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Database, Repository, Stanza
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PgBackRest

PARAMETERS: dict[str, t.Any] = {
    "repo": None,
    "pg_path": None,
    "type": "full",
    "only_if_none": True,
    "lock_wait": 30,
    "annotations": {},
    "options": {},
    "node": "pg1",
    "expire": True,
    "archive_timeout": None,
}


def stanza(kinds: t.Sequence[str], running: bool = False) -> Stanza:
    made = tuple(chain(kinds))
    database = Database(made[0].database_id if made else 1, 1, 7, "16")
    code = 0 if made else 2
    return Stanza("bk", code, "", "none", running, (Repository(1, code, "", "none"),), (database,), made, ())


class Command(PgBackRest):
    """Says in turn what is there; the lock is held for the first ``locked`` backups."""

    def __init__(self, told: list[Stanza], locked: int) -> None:
        super().__init__(stanza="bk", config="/nowhere", sleep=lambda seconds: None)
        self.told, self.locked, self.backups = told, locked, 0

    def stanza_info(self) -> Stanza:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]

    def execute(self, argv: t.Sequence[str], **options: t.Any) -> str:
        if self.locked:
            self.locked -= 1
            raise MultimasterError("Locked.", pgbackrest_code=50)
        self.backups += argv[-1] == "backup"
        return ""


@pytest.mark.parametrize(
    ("told", "locked", "taken"),
    [
        # It runs already, which info says, or which only the lock says.
        ([stanza([], running=True), stanza(["full"])], 0, 0),
        ([stanza([]), stanza(["full"])], 1, 0),
        # What held the lock was no backup.
        ([stanza([]), stanza([]), stanza(["full"])], 1, 1),
    ],
)
def test_one_full_backup_and_no_second(monkeypatch: pytest.MonkeyPatch, told: list[Stanza], locked: int, taken: int) -> None:
    command = Command(told, locked)
    monkeypatch.setattr(_pgbackrest_backup, "from_parameters", lambda params, warn: command)
    monkeypatch.setattr(_pgbackrest_backup, "require_unprivileged", lambda what: None)
    done = _pgbackrest_backup.manage_backup(PARAMETERS, False, pytest.fail)
    assert (command.backups, done["changed"]) == (taken, bool(taken))
    assert done["backup"]["type"] == "full"


def test_where_only_the_expiry_fails_the_backup_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoExpiry(Command):
        def execute(self, argv: t.Sequence[str], **options: t.Any) -> str:
            if argv[-1] == "expire":
                raise MultimasterError("No right.", pgbackrest_code=42)
            return super().execute(argv, **options)

    command = NoExpiry([stanza([]), stanza(["full"])], 0)
    monkeypatch.setattr(_pgbackrest_backup, "from_parameters", lambda params, warn: command)
    monkeypatch.setattr(_pgbackrest_backup, "require_unprivileged", lambda what: None)
    with pytest.raises(MultimasterError, match="was taken; expiring older ones failed: No right") as failure:
        _pgbackrest_backup.manage_backup({**PARAMETERS, "only_if_none": False}, False, pytest.fail)
    assert failure.value.details["backup"]["label"] in str(failure.value)
    assert failure.value.details["changed"]
    assert failure.value.details["pgbackrest_code"] == 42
