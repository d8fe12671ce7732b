# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Taking a backup: checks first, one command, and the new backup as data."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.errors import LOCKED
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    NODE_ANNOTATION,
    Backup,
    Stanza,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    LOCK_POLL_SECONDS,
    PgBackRest,
    from_parameters,
    refuse_own_options,
    require_unprivileged,
    shown,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.stanza import (
    local_cluster,
    no_cluster,
    refuse_other_cluster,
    refuse_other_directory,
)


def manage_backup(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    pgbackrest = from_parameters(params, warn)
    require_unprivileged("A backup")
    refuse_own_options(params["options"], {"annotation": "annotations", "type": "type"})
    refuse_annotations(params["annotations"], params["node"])
    refuse_other_directory(pgbackrest, params["pg_path"])
    stanza = pgbackrest.stanza_info()
    repo = params["repo"] or stanza.repositories[0].key
    if stanza.repository(repo).code not in (0, 2):
        raise pgbackrest.unreadable(stanza, repo)
    cluster = local_cluster(pgbackrest, params["pg_path"])
    if cluster is None and params["pg_path"]:
        raise no_cluster(params["pg_path"])
    if cluster is not None:
        refuse_other_cluster(_only(stanza, repo), cluster, pgbackrest.where)

    limit = pgbackrest.clock() + params["lock_wait"]
    if not check_mode:
        stanza = _wait_until_free(pgbackrest, stanza, params["lock_wait"])
    existing = _sound(stanza, repo)
    argv = backup_command(pgbackrest, params, repo)
    commands = [argv, *([pgbackrest.argv("expire", repo=repo)] if params["expire"] else [])]
    if params["only_if_none"] and existing:
        return _there_already(pgbackrest, stanza, existing[-1])

    differences = Differences()
    if check_mode:
        differences.add("backup", {"type": effective_type(params["type"], current_backups(stanza, repo))}, _latest(existing))
        return _result(True, commands, differences, None)

    while True:
        known = {each.label for each in stanza.backups_in(repo)}
        try:
            # With only_if_none, what held the lock may have been the backup that was wanted.
            pgbackrest.execute(argv, lock_wait=0 if params["only_if_none"] else params["lock_wait"])
            break
        except MultimasterError as error:
            if error.details.get("pgbackrest_code") != LOCKED or not params["only_if_none"] or pgbackrest.clock() >= limit:
                raise
        pgbackrest.sleep(LOCK_POLL_SECONDS)
        stanza = pgbackrest.stanza_info()
        if found := _sound(stanza, repo):
            return _there_already(pgbackrest, stanza, found[-1])
    stanza = pgbackrest.stanza_info()
    taken = new_backup(stanza, repo, known)
    if taken.has_errors:
        del commands[1:]
        warn(
            f"Backup {taken.label} has pages whose checksum is wrong: the node's own data is damaged there. "
            "Keep older backups and look into the server's storage."
        )
    data = taken.as_data(stanza.name, _address(pgbackrest, taken))
    for command in commands[1:]:
        try:
            pgbackrest.execute(command, lock_wait=params["lock_wait"])
            stanza = pgbackrest.stanza_info()
        except MultimasterError as error:
            raise taken_but_not_expired(data, error) from None
    expired = sorted(known - {each.label for each in stanza.backups_in(repo)})
    differences.add("backup", {"label": taken.label, "type": taken.type}, _latest(existing))
    return _result(True, commands, differences, data, expired)


def refuse_annotations(annotations: t.Mapping[str, t.Any], node: str | None) -> None:
    """pgBackRest takes an annotation as KEY=VALUE, so a key with = in it would become another one with another value."""
    for key, value in annotations.items():
        if not key or "=" in key or not key.isprintable():
            raise MultimasterError(
                f"annotations has the key {key!r}, which pgBackRest cannot keep: a key is not empty and has no = and no line "
                f"break. No backup was taken."
            )
        if value is None or isinstance(value, (dict, list)) or not str(value).strip() or not str(value).isprintable():
            raise MultimasterError(
                f"annotations.{key} is {value!r}: pgBackRest keeps one line of text that is not empty. No backup was taken."
            )
    if node is not None and (not node.strip() or not node.isprintable()):
        raise MultimasterError(f"node is {node!r}: it has to be a name of one line. No backup was taken.")
    if node and str(annotations.get(NODE_ANNOTATION, node)) != node:
        raise MultimasterError(
            f"annotations.{NODE_ANNOTATION} is {annotations[NODE_ANNOTATION]!r} and the option node is {node!r}; both name the "
            f"node. Leave one of them out. No backup was taken."
        )


def taken_but_not_expired(backup: t.Mapping[str, t.Any], error: MultimasterError) -> MultimasterError:
    """The error of an expiry after a backup. ``backup`` is as pgbackrest_backup returns one, and goes with it."""
    return MultimasterError(
        f"Backup {backup['label']} was taken; expiring older ones failed: {error}",
        **{**error.details, "changed": True, "backup": dict(backup)},
    )


def backup_command(pgbackrest: PgBackRest, params: dict[str, t.Any], repo: int) -> list[str]:
    annotations = dict(params["annotations"])
    if params["node"]:
        annotations[NODE_ANNOTATION] = params["node"]
    return pgbackrest.argv(
        "backup",
        f"--type={params['type']}",
        # Expiry is a command of its own afterwards: what pgBackRest does by itself would let a damaged backup push out good ones.
        "--no-expire-auto",
        *([f"--archive-timeout={params['archive_timeout']}"] if params["archive_timeout"] is not None else []),
        *(f"--annotation={key}={value}" for key, value in annotations.items()),
        repo=repo,
    )


def current_backups(stanza: Stanza, repo: int) -> list[Backup]:
    """Backups of the cluster that the stanza belongs to now, oldest first."""
    database = stanza.current_database(repo)
    return [each for each in stanza.backups_in(repo) if database and each.database_id == database.id]


def _sound(stanza: Stanza, repo: int) -> list[Backup]:
    return [each for each in current_backups(stanza, repo) if not each.has_errors]


def _there_already(pgbackrest: PgBackRest, stanza: Stanza, backup: Backup) -> dict[str, t.Any]:
    return _result(False, [], Differences(), backup.as_data(stanza.name, _address(pgbackrest, backup)))


def effective_type(wanted: str, existing: t.Sequence[Backup]) -> str:
    """Without a full backup to build on, pgBackRest takes a full one."""
    return wanted if any(each.type == "full" for each in existing) else "full"


def new_backup(stanza: Stanza, repo: int, known: set[str]) -> Backup:
    """The backup that was not there before. A concurrent one would have held the lock."""
    found = [each for each in stanza.backups_in(repo) if each.label not in known]
    if not found:
        raise MultimasterError(
            f"pgbackrest backup of stanza {stanza.name} ended well, and no new backup is listed. Look at pgBackRest's log."
        )
    return max(found, key=lambda each: (each.stop, each.label))


def _wait_until_free(pgbackrest: PgBackRest, stanza: Stanza, seconds: int) -> Stanza:
    """What is there once no other command holds the lock; afterwards the lock itself decides."""
    limit = pgbackrest.clock() + seconds
    while stanza.backup_running:
        if pgbackrest.clock() >= limit:
            raise MultimasterError(
                f"Another pgbackrest backup or expire command of stanza {stanza.name} has been running on this host for "
                f"the {seconds} s that "
                "this task waits. Wait for it, or give this task a longer lock_wait."
            )
        pgbackrest.sleep(LOCK_POLL_SECONDS)
        stanza = pgbackrest.stanza_info()
    return stanza


def _only(stanza: Stanza, repo: int) -> Stanza:
    """The stanza as one repository has it."""
    return Stanza(
        stanza.name,
        stanza.code,
        stanza.message,
        stanza.cipher,
        stanza.backup_running,
        (stanza.repository(repo),),
        tuple(each for each in stanza.databases if each.repo == repo),
        tuple(stanza.backups_in(repo)),
        tuple(each for each in stanza.archives if each.repo == repo),
    )


def _latest(backups: t.Sequence[Backup]) -> dict[str, str] | None:
    return {"label": backups[-1].label, "type": backups[-1].type} if backups else None


def _address(pgbackrest: PgBackRest, backup: Backup) -> str:
    return pgbackrest.configuration.address(pgbackrest.stanza or "", backup.repo)


def _result(
    changed: bool,
    commands: t.Sequence[t.Sequence[str]],
    differences: Differences,
    backup: dict[str, t.Any] | None,
    expired: t.Sequence[str] = (),
) -> dict[str, t.Any]:
    return {
        "changed": changed,
        "commands": [shown(each) for each in commands],
        "diff": differences.as_diff(),
        "backup": backup,
        "expired": list(expired),
    }
