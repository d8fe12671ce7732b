# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Expiring surplus backups: the plan of _pgbackrest_retention, carried out by pgBackRest."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import TYPES, Backup
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    PgBackRest,
    from_parameters,
    require_unprivileged,
    shown,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.retention import Expiry, plan_expiry

# What pgBackRest takes for its own retention.
MOST_KEPT = 9999999


def manage_expiry(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    pgbackrest = from_parameters(params, warn)
    keep = {kind: params[f"retention_{kind}"] for kind in TYPES}
    for kind, count in keep.items():
        if count is not None and count < (1 if kind == "full" else 0):
            raise MultimasterError(f"retention_{kind} is {count}; at least {1 if kind == 'full' else 0} must be kept.")
        require_number(f"retention_{kind}", count, 0, MOST_KEPT)
    require_unprivileged("Expiring backups")

    stanza = pgbackrest.stanza_info()
    repositories = [params["repo"]] if params["repo"] else [each.key for each in stanza.repositories]
    differences = Differences()
    commands: list[str] = []
    expired: list[str] = []
    held: list[str] = []
    for repo in repositories:
        if stanza.repository(repo).code not in (0, 2):
            raise pgbackrest.unreadable(stanza, repo)
        backups = stanza.backups_in(repo)
        plan = plan_expiry(backups, keep["full"], keep["diff"], keep["incr"])
        for argv in expire_commands(pgbackrest, plan, repo, keep["full"]):
            commands.append(shown(argv))
            if not check_mode:
                pgbackrest.execute(argv, lock_wait=params["lock_wait"])
        differences.add(f"backups in repository {repo}", _labels(backups, plan.labels), _labels(backups, []))
        expired += plan.labels
        held += plan.held
    return {
        "changed": bool(differences),
        "commands": commands,
        "diff": differences.as_diff(),
        "expired": expired,
        "held": held,
    }


def expire_commands(pgbackrest: PgBackRest, plan: Expiry, repo: int, full: int | None) -> list[list[str]]:
    commands = []
    if plan.with_full:
        commands.append(
            pgbackrest.argv("expire", f"--repo{repo}-retention-full={full}", f"--repo{repo}-retention-full-type=count", repo=repo)
        )
    for label in plan.sets:
        commands.append(pgbackrest.argv("expire", f"--set={label}", repo=repo))
    return commands


def _labels(backups: t.Sequence[Backup], without: t.Sequence[str]) -> list[str]:
    return [each.label for each in backups if each.label not in without]
