# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a stanza, from its status and the backups' own notes."""

from __future__ import annotations

import dataclasses

from backups import backup

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Database, Repository, Stanza
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import Archives, as_data, state_problems


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
