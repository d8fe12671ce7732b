# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A stanza: what is there, what is wanted, and the commands between."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import (
    DataDirectory,
    read_data_directory,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    ABSENT,
    DATABASE_MISMATCH,
    NO_BACKUP,
    OK,
    Database,
    Stanza,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    PgBackRest,
    from_parameters,
    require_unprivileged,
    shown,
)


@dataclass
class StanzaPlan:
    """Commands by name, ``(command, repository, arguments)``, and what they change."""

    steps: list[tuple[str, int | None, tuple[str, ...]]] = field(default_factory=list)
    probes: list[tuple[str, int | None, tuple[str, ...]]] = field(default_factory=list)
    differences: Differences = field(default_factory=Differences)


def manage_stanza(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    pgbackrest = from_parameters(params, warn)
    require_unprivileged("Work on a stanza")
    refuse_other_directory(pgbackrest, params["pg_path"])
    stanza = pgbackrest.stanza_info()
    cluster = _cluster(pgbackrest, params)
    if params["state"] == "absent":
        _refuse_unreadable(pgbackrest, stanza, but_for_force=params["force"])
        plan = plan_absent(stanza, params["force"], cluster)
    else:
        _refuse_unreadable(pgbackrest, stanza)
        if params["state"] != "upgraded" and cluster is not None:
            refuse_other_cluster(stanza, cluster, pgbackrest.where)
        plan = plan_present(stanza, params["state"], cluster, params["archive_timeout"])
    commands = [pgbackrest.argv(name, *arguments, repo=repo) for name, repo, arguments in plan.steps + plan.probes]
    if not check_mode and commands:
        try:
            for argv in commands:
                pgbackrest.execute(argv, lock_wait=params["lock_wait"])
        finally:
            # Left stopped by a deletion that failed, the stanza could do nothing. Not being stopped is only a warning.
            if any(name == "stop" for name, _repo, _arguments in plan.steps):
                pgbackrest.answer(pgbackrest.argv("start"))
        before, stanza = stanza, pgbackrest.stanza_info()
        if params["state"] == "upgraded" and cluster is None:
            _note_upgrade(plan.differences, before, stanza)
    # What an upgrade finds of a cluster on another host is known once it ran: until then, that it is to run is the change.
    unknown = check_mode and params["state"] == "upgraded" and cluster is None and bool(plan.steps)
    return {
        "changed": bool(plan.differences) or unknown,
        "commands": [shown(argv) for argv in commands],
        "diff": plan.differences.as_diff(),
        "stanza": as_data(stanza),
    }


def plan_present(stanza: Stanza, state: str, cluster: DataDirectory | None, archive_timeout: int) -> StanzaPlan:
    """Create where a repository lacks it; upgrade where wanted and needed. Pure."""
    plan = StanzaPlan()
    lacking = [each.key for each in stanza.repositories if each.code in ABSENT]
    if lacking:
        plan.steps.append(("stanza-create", None, ()))
        for key in lacking:
            plan.differences.add(f"repository {key}", "present", "absent")
    if state == "upgraded":
        _plan_upgrade(plan, stanza, cluster, lacking)
    if state == "checked":
        plan.probes.append(("check", None, (f"--archive-timeout={archive_timeout}",)))
    return plan


def _plan_upgrade(plan: StanzaPlan, stanza: Stanza, cluster: DataDirectory | None, lacking: list[int]) -> None:
    there = [each.key for each in stanza.repositories if each.key not in lacking]
    if cluster is None:
        # The cluster is on another host: pgBackRest compares, and does nothing where all is right.
        if there:
            plan.steps.append(("stanza-upgrade", None, ()))
        return
    outdated = [key for key in there if not belongs_to(stanza.current_database(key), cluster)]
    if outdated:
        plan.steps.append(("stanza-upgrade", None, ()))
    for key in outdated:
        plan.differences.add(
            f"cluster in repository {key}",
            {"system_id": str(cluster.system_id), "version": cluster.version},
            _database(stanza.current_database(key)),
        )


def plan_absent(stanza: Stanza, force: bool, cluster: DataDirectory | None) -> StanzaPlan:
    """Stop, delete in every repository, allow again. Pure."""
    plan = StanzaPlan()
    there = [each.key for each in stanza.repositories if each.code not in ABSENT]
    if not there:
        return plan
    if stanza.backups and not force:
        oldest, newest = stanza.backups[0].label, stanza.backups[-1].label
        raise MultimasterError(
            f"Stanza {stanza.name} has {len(stanza.backups)} backups ({oldest} to {newest}); deleting it destroys them "
            f"and the archive. "
            "Set force to do that."
        )
    if cluster is not None and cluster.postmaster is not None and cluster.postmaster.alive and not force:
        raise MultimasterError(
            f"The server of stanza {stanza.name} runs in {cluster.path} and archives into the stanza. Stop it or its "
            f"archiving first, or "
            "set force: its archiving fails from then on and WAL stays on the node."
        )
    for key in there:
        # Each deletion wants its own stop file, and takes it away.
        plan.steps.append(("stop", None, ()))
        plan.steps.append(("stanza-delete", key, ("--force",)))
        plan.differences.add(f"repository {key}", "absent", f"present, {len(stanza.backups_in(key))} backups")
    return plan


def refuse_other_cluster(stanza: Stanza, cluster: DataDirectory, where: t.Callable[[int], str]) -> None:
    for repository in stanza.repositories:
        database = stanza.current_database(repository.key)
        if database is None or belongs_to(database, cluster):
            continue
        raise MultimasterError(
            f"Stanza {stanza.name} in {where(repository.key)} belongs to another cluster (PostgreSQL {database.version}, "
            f"system identifier "
            f"{database.system_id}) than the one in {cluster.path} (PostgreSQL {cluster.version}, system identifier "
            f"{cluster.system_id}). "
            "Use another stanza name for this cluster; where the node was rebuilt or upgraded, upgrade the stanza (state "
            "upgraded; for the role and the playbook site -e pgbackrest_upgrade_stanza=true).",
            stanza_system_id=str(database.system_id),
            cluster_system_id=str(cluster.system_id),
        )


def belongs_to(database: Database | None, cluster: DataDirectory) -> bool:
    return database is not None and (database.system_id, database.version) == (cluster.system_id, cluster.version)


def local_cluster(pgbackrest: PgBackRest, pg_path: str | None) -> DataDirectory | None:
    """The stanza's cluster where it is on this host and readable."""
    path = pg_path or pgbackrest.pg_path
    if path is None:
        return None
    cluster = read_data_directory(path)
    return cluster if cluster.control is not None and not cluster.half_restored else None


def refuse_other_directory(pgbackrest: PgBackRest, pg_path: str | None) -> None:
    """pgBackRest works on the directory that is configured, whatever a task compares the stanza with."""
    configured = pgbackrest.pg_path
    if pg_path and configured and os.path.realpath(pg_path) != os.path.realpath(configured):
        raise MultimasterError(
            f"pg_path is {pg_path}, but pgBackRest is configured with {configured} (pg1-path) for stanza {pgbackrest.stanza}, "
            f"and that is what it would work on. Correct pg_path or the configuration. Nothing was changed."
        )


def no_cluster(pg_path: str) -> MultimasterError:
    return MultimasterError(f"{pg_path} holds no PostgreSQL cluster. Create it first, or correct pg_path. Nothing was changed.")


def _cluster(pgbackrest: PgBackRest, params: dict[str, t.Any]) -> DataDirectory | None:
    cluster = local_cluster(pgbackrest, params["pg_path"])
    if cluster is None and params["pg_path"] and params["state"] != "absent":
        raise no_cluster(params["pg_path"])
    return cluster


def _refuse_unreadable(pgbackrest: PgBackRest, stanza: Stanza, but_for_force: bool = False) -> None:
    for repository in stanza.repositories:
        known = repository.code in (OK, NO_BACKUP, DATABASE_MISMATCH, *ABSENT)
        if not known and not but_for_force:
            raise pgbackrest.unreadable(stanza, repository.key)


def _note_upgrade(differences: Differences, before: Stanza, after: Stanza) -> None:
    for repository in after.repositories:
        key = repository.key
        differences.add(
            f"cluster in repository {key}", _database(after.current_database(key)), _database(before.current_database(key))
        )


def _database(database: Database | None) -> dict[str, t.Any] | None:
    return {"system_id": str(database.system_id), "version": database.version} if database else None


def as_data(stanza: Stanza) -> dict[str, t.Any]:
    database = stanza.current_database(stanza.repositories[0].key) if stanza.repositories else None
    return {
        "name": stanza.name,
        "exists": stanza.exists,
        "system_id": str(database.system_id) if database else None,
        "version": database.version if database else None,
        "backups": len(stanza.backups),
        "repositories": [
            {"key": each.key, "status": each.code, "message": each.message, "cipher": each.cipher} for each in stanza.repositories
        ],
    }
