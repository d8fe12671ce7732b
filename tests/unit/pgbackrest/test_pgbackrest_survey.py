# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a stanza, from its status and the backups' own notes."""

from __future__ import annotations

import dataclasses

import pytest
from backups import backup

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Database, Repository, Stanza
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PgBackRest
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import (
    Archives,
    as_data,
    state_problems,
    verified,
)


def test_backups_of_the_former_cluster_only_are_a_problem() -> None:
    databases = (Database(1, 1, 100, "16"), Database(2, 1, 200, "16"))
    repositories = (Repository(1, 0, "ok", "none"),)
    old = backup(label="old", database_id=1)
    stanza = Stanza("pg1", 0, "ok", "none", False, repositories, databases, (old,), ())
    (problem,) = state_problems(stanza, [1], lambda key: f"repository {key}")
    assert problem == (
        "Stanza pg1 has backups of its former cluster only in repository 1: nothing of the present one can be restored "
        "from there. Take a full one."
    )
    both = dataclasses.replace(stanza, backups=(old, backup(label="new", database_id=2)))
    assert state_problems(both, [1], lambda key: f"repository {key}") == []
    told = as_data(both, Archives(), lambda name, key: f"/{name}/{key}", set(), False, 0)
    assert [(each["label"], each["current"]) for each in told["backups"]] == [("old", False), ("new", True)]


SOUND = """\
2026-11-24 04:00:05.111 P00   INFO: verify command begin 2.55.1: --output=text --repo1-type=s3 --stanza=bk
2026-11-24 04:00:05.222 P00 DETAIL: archiveId: 16-1, wal start: 000000010000000000000002, wal stop: 000000010000000000000007
2026-11-24 04:00:05.333 P00   INFO: stanza: bk
              status: ok
2026-11-24 04:00:05.444 P00 DETAIL: statistics: {"http.client":{"total":1},"http.request":{"total":13},"tls.client":{"total":1}}
2026-11-24 04:00:05.555 P00   INFO: verify command end: completed successfully (421ms)
"""
DAMAGED = "2026-11-24 04:00:05.300 P00 DETAIL: invalid checksum '20261124-040003F/pg_data/base/1/2'\n"


@pytest.mark.parametrize(("told", "problems"), [(SOUND, 0), (DAMAGED + SOUND, 1)])
def test_a_sound_repository_in_a_store_has_nothing_to_find(told: str, problems: int) -> None:
    pgbackrest = PgBackRest("bk", run=lambda argv, environment, keep_open: (0, "stanza: bk\nstatus: ok\n", told))
    found, labels = verified(pgbackrest, 1)
    assert len(found) == problems
    assert labels == ({"20261124-040003F"} if problems else set())
