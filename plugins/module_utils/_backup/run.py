# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A whole backup run of one stanza: the backup in each repository, expiry, and the catalogue, which never fails a backup."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog import failure_record
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_manager import (
    manage_catalog,
    refuse_lost,
    remember_failure,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.backup import (
    manage_backup,
    taken_but_not_expired,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.expire import manage_expiry
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import NO_BACKUP, OK, TYPES, as_utc
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import from_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.retention import foresee_expiry

Warn = t.Callable[[str], None]


class Stopped(BaseException):
    """The run was told to end. No Exception, so that nothing takes it for a failure of one repository and goes on."""


@dataclass(frozen=True)
class Settings:
    """What the role pgbackrest tells the host's program.

    ``stanzas`` by name, each with ``node`` and ``repositories`` (keys). ``retention`` by type. ``catalog`` has the options of
    backup_catalog that say how to reach the servers; without ``servers`` there is no catalogue.
    """

    stanzas: dict[str, dict[str, t.Any]]
    retention: dict[str, int | None] = field(default_factory=dict)
    catalog: dict[str, t.Any] = field(default_factory=dict)
    failures_path: str | None = None
    lock_wait: int = 60
    executable: str = "pgbackrest"

    def stanza(self, name: str) -> dict[str, t.Any]:
        if name not in self.stanzas:
            raise MultimasterError(
                f"This host does not back up a stanza {name}; it backs up {', '.join(sorted(self.stanzas)) or 'none'}."
            )
        return self.stanzas[name]


@dataclass
class Outcome:
    """What a run did. ``errors`` are sentences; a run with any has failed."""

    changed: bool = False
    backups: list[dict[str, t.Any]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    """In check mode, of each repository the type that the backup would be."""

    def as_data(self) -> dict[str, t.Any]:
        return {**vars(self)}


def run_backup(
    settings: Settings, name: str, kind: str, warn: Warn, *, only_if_none: bool = False, check_mode: bool = False
) -> Outcome:
    """One backup of ``kind`` in each repository of the stanza. What fails in one does not keep it from the others."""
    stanza = settings.stanza(name)
    outcome = Outcome()
    started = as_utc(int(time.time()))
    for repo in stanza["repositories"]:
        try:
            _back_up(settings, name, stanza["node"], repo, kind, only_if_none, check_mode, warn, outcome)
        except Stopped as stopped:
            outcome.errors.append(str(stopped))
            break
        except Exception as error:  # noqa: BLE001 whatever it is, the rest of the run goes on
            outcome.errors.append(in_words(error))
    if check_mode:
        return outcome
    if outcome.errors:
        record_failure(settings, name, kind, started, " ".join(outcome.errors), warn, outcome)
    if outcome.backups:
        update_catalog(settings, name, warn, outcome)
    return outcome


def _back_up(
    settings: Settings,
    name: str,
    node: str,
    repo: int,
    kind: str,
    only_if_none: bool,
    check_mode: bool,
    warn: Warn,
    outcome: Outcome,
) -> None:
    common = _pgbackrest(settings, name, repo)
    wanted = {
        **common,
        "type": kind,
        "only_if_none": only_if_none,
        "node": node,
        "annotations": {},
        "expire": True,
        "pg_path": None,
        "archive_timeout": None,
    }
    try:
        taken = manage_backup(wanted, check_mode, warn)
    except MultimasterError as error:
        if backup := error.details.get("backup"):
            # It is there: only what came after it failed.
            outcome.changed = True
            outcome.backups.append(backup)
        raise
    outcome.changed = outcome.changed or taken["changed"]
    outcome.commands += taken["commands"]
    outcome.expired += taken["expired"]
    if taken["backup"]:
        outcome.backups.append(taken["backup"])
    if not taken["changed"]:
        return
    if taken["backup"] and taken["backup"]["status"] != "ok":
        outcome.errors.append(
            f"Backup {taken['backup']['label']} of stanza {name} has pages whose checksum is wrong: the node's own data is "
            "damaged there. No older backup was expired. Mend the data, look into the server's storage, and take a backup again."
        )
        return
    if check_mode:
        foreseen = taken["diff"]["after"]["backup"]["type"]
        outcome.types.append(foreseen)
        outcome.expired += foretell(settings, name, [foreseen], warn, [repo])["expired"]
        return
    try:
        gone = manage_expiry({**common, **{f"retention_{each}": settings.retention.get(each) for each in TYPES}}, False, warn)
    except MultimasterError as error:
        raise taken_but_not_expired(taken["backup"], error) from None
    outcome.expired += gone["expired"]
    outcome.held += gone["held"]
    outcome.commands += gone["commands"]


def foretell(
    settings: Settings, name: str, kinds: t.Sequence[str], warn: Warn, repos: t.Sequence[int] | None = None
) -> dict[str, list[str]]:
    """What there is in all repositories (or in these), and what of it goes when these types are taken in turn: labels."""
    told: dict[str, list[str]] = {"backups": [], "expired": []}
    for repo in settings.stanza(name)["repositories"] if repos is None else repos:
        pgbackrest = from_parameters(_pgbackrest(settings, name, repo), warn)
        stanza = pgbackrest.stanza_info()
        if stanza.repository(repo).code not in (OK, NO_BACKUP):
            raise pgbackrest.unreadable(stanza, repo)
        backups = stanza.backups_in(repo)
        keep = {kind: settings.retention.get(kind) for kind in TYPES}
        told["backups"] += [each.label for each in backups]
        told["expired"] += foresee_expiry(backups, kinds, **keep)
    return told


def update_catalog(settings: Settings, name: str, warn: Warn, outcome: Outcome) -> None:
    """Make the servers equal to the repositories; where those cannot all be read, add what this run knows."""
    if not settings.catalog.get("servers"):
        return
    try:
        outcome.recorded = rebuild(settings, name, warn)
        return
    except Exception as error:  # noqa: BLE001 whatever it is, the rest of the run goes on
        warn(in_words(error))
        if "unavailable" in getattr(error, "details", {}):
            # No server answers. The timer of the catalogue tries again.
            return
    try:
        for backup in outcome.backups:
            done = manage_catalog({**_catalog(settings, name), "action": "record", "backup": backup}, False, warn)
            outcome.recorded = done["recorded"]
    except Exception as error:  # noqa: BLE001 whatever it is, the rest of the run goes on
        warn(in_words(error))


def rebuild(settings: Settings, name: str, warn: Warn) -> list[str]:
    """The servers that are equal to the repositories now. Raises where there is none, or the repositories cannot be read."""
    return manage_catalog({**_catalog(settings, name), "action": "rebuild"}, False, warn)["recorded"]


def record_failure(settings: Settings, name: str, kind: str, started: str, reason: str, warn: Warn, outcome: Outcome) -> None:
    """Tell the servers, and note it on this host. What goes wrong with that is a warning: ``reason`` is what counts."""
    ended = as_utc(int(time.time()))
    node = settings.stanza(name)["node"]
    try:
        if settings.catalog.get("servers"):
            failure = {"type": kind, "reason": reason, "node": node, "started": started, "ended": ended}
            told = {**_catalog(settings, name), "action": "record", "failure": failure, "failures_path": None}
            outcome.recorded = manage_catalog(told, False, warn)["recorded"]
    except Exception as error:  # noqa: BLE001 whatever it is, the rest of the run goes on
        warn(f"The catalogue was not told of the failure. {in_words(error)}")
    finally:
        if settings.failures_path:
            remember_failure(settings.failures_path, failure_record(name, node, kind, started, reason, ended), warn)


def require_nothing_lost(settings: Settings, name: str, warn: Warn) -> None:
    """Fail where the catalogue knows backups of the stanza that its repository lacks, as it does when it is not mounted."""
    settings.stanza(name)
    if settings.catalog.get("servers"):
        refuse_lost(_catalog(settings, name), warn)


def in_words(error: BaseException) -> str:
    if isinstance(error, (MultimasterError, Stopped)):
        return str(error)
    return f"The program met an error that it does not know: {type(error).__name__}: {' '.join(str(error).split())}."


def _pgbackrest(settings: Settings, name: str, repo: int | None) -> dict[str, t.Any]:
    return {
        "stanza": name,
        "repo": repo,
        "config": None,
        "options": {},
        "secrets": {},
        "executable": settings.executable,
        "lock_wait": settings.lock_wait,
    }


def _catalog(settings: Settings, name: str) -> dict[str, t.Any]:
    servers = [{"port": 6379, **each} for each in settings.catalog["servers"]]
    return {
        **_pgbackrest(settings, name, None),
        "backup": None,
        "failure": None,
        "failures_path": settings.failures_path,
        "forget_lost_backups": False,
        "unavailable": "warn",
        "login_user": None,
        "login_password": None,
        "tls": True,
        "validate_certs": True,
        "ca_certs": None,
        "client_cert_file": None,
        "client_key_file": None,
        "timeout": 3.0,
        **settings.catalog,
        "servers": servers,
    }
