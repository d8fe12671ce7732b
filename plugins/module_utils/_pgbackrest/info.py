# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What ``pgbackrest info --output=json`` says, as typed data."""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# Status codes of a stanza and of a stanza in one repository (pgBackRest, command/info/info.c).
OK = 0
MISSING_STANZA_PATH = 1
NO_BACKUP = 2
MISSING_STANZA_DATA = 3
MIXED = 4
DATABASE_MISMATCH = 5
OTHER = 99
ABSENT = (MISSING_STANZA_PATH, MISSING_STANZA_DATA)

TYPES = ("full", "diff", "incr")
NODE_ANNOTATION = "node"


@dataclass(frozen=True)
class Repository:
    key: int
    code: int
    message: str
    cipher: str


@dataclass(frozen=True)
class Database:
    """A cluster that the stanza has held: its system identifier and version."""

    id: int
    repo: int
    system_id: int
    version: str


@dataclass(frozen=True)
class Backup:
    label: str
    type: str
    repo: int
    database_id: int
    start: int
    stop: int
    wal_start: str | None
    wal_stop: str | None
    lsn_start: str | None
    lsn_stop: str | None
    size: int
    delta: int
    repo_size: int | None
    repo_delta: int
    prior: str | None
    references: tuple[str, ...]
    has_errors: bool
    annotations: dict[str, str]
    pgbackrest_version: str

    def node(self, default: str) -> str:
        """The node that the backup was taken of: noted with the backup, so that every reader says the same."""
        return self.annotations.get(NODE_ANNOTATION, default)

    def as_data(self, stanza: str, address: str) -> dict[str, t.Any]:
        """The backup for people and for the catalogue. Only what the repository itself knows, so it can be rebuilt."""
        return {
            "label": self.label,
            "type": self.type,
            "stanza": stanza,
            "node": self.node(stanza),
            "repo": self.repo,
            "location": f"{address.rstrip('/')}/backup/{stanza}/{self.label}",
            "timestamp": as_utc(self.stop),
            "started": as_utc(self.start),
            "duration_seconds": self.stop - self.start,
            "size_bytes": self.size,
            "delta_bytes": self.delta,
            "repo_bytes": self.repo_delta,
            "status": "error" if self.has_errors else "ok",
            "wal_start": self.wal_start,
            "wal_stop": self.wal_stop,
            "lsn_start": self.lsn_start,
            "lsn_stop": self.lsn_stop,
            "prior": self.prior,
            "references": list(self.references),
            "annotations": dict(self.annotations),
        }


@dataclass(frozen=True)
class ArchiveRange:
    """Oldest and newest WAL segment that one repository has of one cluster; there may be gaps between."""

    id: str
    repo: int
    database_id: int
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Stanza:
    name: str
    code: int
    message: str
    cipher: str
    backup_running: bool
    repositories: tuple[Repository, ...]
    databases: tuple[Database, ...]
    backups: tuple[Backup, ...]
    archives: tuple[ArchiveRange, ...]

    def repository(self, key: int) -> Repository:
        for repository in self.repositories:
            if repository.key == key:
                return repository
        known = ", ".join(str(each.key) for each in self.repositories) or "none"
        raise MultimasterError(f"Stanza {self.name} has no repository {key}; configured are: {known}.")

    def current_database(self, repo: int) -> Database | None:
        """The cluster that the stanza belongs to now."""
        found = [each for each in self.databases if each.repo == repo]
        return max(found, key=lambda each: each.id) if found else None

    def database(self, backup: Backup) -> Database | None:
        for each in self.databases:
            if (each.repo, each.id) == (backup.repo, backup.database_id):
                return each
        return None

    def backups_in(self, repo: int) -> list[Backup]:
        """Backups of one repository, oldest first."""
        return [each for each in self.backups if each.repo == repo]

    def archive_id(self, backup: Backup) -> str | None:
        for each in self.archives:
            if (each.repo, each.database_id) == (backup.repo, backup.database_id):
                return each.id
        return None

    @property
    def exists(self) -> bool:
        return any(each.code not in ABSENT for each in self.repositories)


def parse_info(text: str) -> list[Stanza]:
    """The stanzas in pgBackRest's answer."""
    try:
        # A message can quote a damaged file, and pgBackRest does not escape all of it.
        return [_stanza(each) for each in json.loads(text, strict=False)]
    except (ValueError, KeyError, TypeError) as error:
        raise MultimasterError(
            f"pgbackrest info gave an answer that is not understood ({type(error).__name__}: {error}). "
            "Is this pgBackRest 2.33 or newer?"
        ) from None


def _stanza(data: dict[str, t.Any]) -> Stanza:
    status = data["status"]
    lock = status.get("lock") or {}
    return Stanza(
        name=data["name"],
        code=status["code"],
        message=status["message"],
        cipher=data.get("cipher", "none"),
        backup_running=bool((lock.get("backup") or {}).get("held", False)),
        repositories=tuple(_repository(each) for each in data.get("repo", [])),
        databases=tuple(
            Database(each["id"], each.get("repo-key", 1), each["system-id"], each["version"]) for each in data.get("db", [])
        ),
        backups=tuple(_backup(each) for each in data.get("backup", [])),
        archives=tuple(_archive(each) for each in data.get("archive", [])),
    )


def _repository(data: dict[str, t.Any]) -> Repository:
    return Repository(data["key"], data["status"]["code"], data["status"]["message"], data.get("cipher", "none"))


def _backup(data: dict[str, t.Any]) -> Backup:
    archive, lsn = data.get("archive") or {}, data.get("lsn") or {}
    info, in_repository = data["info"], data["info"]["repository"]
    return Backup(
        label=data["label"],
        type=data["type"],
        repo=data["database"].get("repo-key", 1),
        database_id=data["database"]["id"],
        start=data["timestamp"]["start"],
        stop=data["timestamp"]["stop"],
        wal_start=archive.get("start"),
        wal_stop=archive.get("stop"),
        lsn_start=lsn.get("start"),
        lsn_stop=lsn.get("stop"),
        size=info["size"],
        delta=info["delta"],
        # Not known for backups with block incremental.
        repo_size=in_repository.get("size"),
        repo_delta=in_repository["delta"],
        prior=data.get("prior"),
        references=tuple(data.get("reference") or ()),
        has_errors=bool(data.get("error")),
        annotations={str(key): str(value) for key, value in (data.get("annotation") or {}).items()},
        pgbackrest_version=data["backrest"]["version"],
    )


def _archive(data: dict[str, t.Any]) -> ArchiveRange:
    database = data.get("database") or {}
    return ArchiveRange(data["id"], database.get("repo-key", 1), database.get("id", 1), data.get("min"), data.get("max"))


def as_utc(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
