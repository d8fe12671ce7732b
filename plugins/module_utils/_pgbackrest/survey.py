# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A repository looked at closely: its backups, how far each can be recovered, and everything that is wrong."""

from __future__ import annotations

import dataclasses
import os
import re
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.backup import current_backups
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.errors import messages
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    ABSENT,
    NO_BACKUP,
    OK,
    TYPES,
    Backup,
    Stanza,
    as_utc,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PgBackRest, from_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.stanza import (
    belongs_to,
    local_cluster,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import (
    Archive,
    Gap,
    Reach,
    segment_size_of,
    show_lsn,
)

# What the detailed log says beside findings: begin and end, the summary, and ranges that are there.
# The statistics are of the connections to an object store.
_NOISE = re.compile(r"command (begin|end)|^stanza: |^archiveId: \S+, wal start: |^statistics: \{")
_LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")
# A damaged bundle is reported once for each file in it.
_SHOWN_FINDINGS = 50
MEBIBYTE = 1024 * 1024


@dataclass
class Archives:
    """The archives of a stanza by repository and database."""

    by_backup: dict[tuple[int, int], Archive] = field(default_factory=dict)

    def of(self, backup: Backup) -> Archive | None:
        return self.by_backup.get((backup.repo, backup.database_id))

    def reach(self, backup: Backup) -> Reach | None:
        archive = self.of(backup)
        return archive.reach(backup) if archive else None


def manage_info(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    pgbackrest = from_parameters(params, warn)
    stanzas = [
        survey(dataclasses.replace(pgbackrest, stanza=stanza.name), stanza, params["archive"], params["verify"])
        for stanza in pgbackrest.info()
    ]
    problems = [problem for stanza in stanzas for problem in stanza["problems"]]
    return {"changed": False, "stanzas": stanzas, "problems": problems}


def survey(pgbackrest: PgBackRest, stanza: Stanza, look_at_archive: bool, verify: bool) -> dict[str, t.Any]:
    """One stanza as data."""
    problems = [str(pgbackrest.unreadable(stanza, each.key)) for each in stanza.repositories if each.code not in (OK, NO_BACKUP)]
    readable = [each.key for each in stanza.repositories if each.code in (OK, NO_BACKUP)]
    problems += state_problems(stanza, readable, pgbackrest.where)
    problems += _cluster_problems(pgbackrest, stanza)
    problems += queue_problems(pgbackrest)

    archives = read_archives(pgbackrest, stanza, readable) if look_at_archive else Archives()
    if look_at_archive:
        problems += archive_problems(stanza, archives, pgbackrest.where)
        if not stanza.backup_running:
            problems += [problem for key in readable for problem in _copies(pgbackrest, stanza, key)]
    damaged: set[str] = set()
    if verify:
        for key in readable:
            found, labels = verified(pgbackrest, key)
            damaged |= labels
            problems += [f"{pgbackrest.where(key)}: {each}" for each in found]
    data = as_data(stanza, archives, pgbackrest.configuration.address, damaged, verify, int(time.time()))
    data["problems"] = problems
    return data


def read_archives(pgbackrest: PgBackRest, stanza: Stanza, repos: t.Sequence[int]) -> Archives:
    archives = Archives()
    for each in stanza.archives:
        if each.repo not in repos:
            continue
        of_database = [b for b in stanza.backups_in(each.repo) if b.database_id == each.database_id]
        listing = pgbackrest.listing(f"archive/{stanza.name}/{each.id}", each.repo)
        archives.by_backup[(each.repo, each.database_id)] = Archive.from_listing(each.id, listing, segment_size_of(of_database))
    return archives


def state_problems(stanza: Stanza, readable: t.Sequence[int], where: t.Callable[[int], str]) -> list[str]:
    """What the status and the backups' own notes tell."""
    found = []
    for key in readable:
        backups = stanza.backups_in(key)
        if not backups:
            found.append(
                f"Stanza {stanza.name} has no backup in {where(key)}: nothing can be restored from there. Take a full one."
            )
        elif not current_backups(stanza, key):
            found.append(
                f"Stanza {stanza.name} has backups of its former cluster only in {where(key)}: nothing of the present one can be "
                "restored from there. Take a full one."
            )
        for backup in backups:
            if backup.has_errors:
                found.append(
                    f"Backup {backup.label} of stanza {stanza.name} has pages with wrong checksums: the node's data was "
                    f"damaged when it "
                    "was taken."
                )
    clusters = {
        (database.system_id, database.version) for key in readable if (database := stanza.current_database(key)) is not None
    }
    if len(clusters) > 1:
        found.append(
            f"The repositories of stanza {stanza.name} belong to different clusters. Upgrade the stanza (state "
            "upgraded; for the playbook site -e pgbackrest_upgrade_stanza=true)."
        )
    return found


def archive_problems(stanza: Stanza, archives: Archives, where: t.Callable[[int], str]) -> list[str]:
    """Missing WAL, in words."""
    found = []
    for backup in stanza.backups:
        reach = archives.reach(backup)
        if reach is not None and not reach.complete and backup.wal_start:
            found.append(
                f"Backup {backup.label} of stanza {stanza.name} cannot be restored from {where(backup.repo)}: WAL segment "
                f"{reach.missing}, which it needs, is missing. Take a new backup."
            )
    for (repo, database_id), archive in archives.by_backup.items():
        backups = [each for each in stanza.backups_in(repo) if each.database_id == database_id]
        for gap in archive.gaps(backups):
            if gap.cut_short and not _is_behind(gap, backups, archive):
                found.append(
                    f"The archive of stanza {stanza.name} in {where(repo)} lacks {gap.count} WAL segment(s), {gap.first} "
                    f"to {gap.last}: "
                    f"backups up to {gap.cut_short[-1]} can be recovered to just before them and no further. Take a new "
                    f"backup."
                )
        for name in archive.duplicates:
            found.append(
                f"WAL segment {name} of stanza {stanza.name} is twice in {where(repo)} with different contents: two "
                f"servers archive "
                "into one stanza. Find the one that must not."
            )
    return found


def _is_behind(gap: Gap, backups: t.Sequence[Backup], archive: Archive) -> bool:
    """A sound backup began after the gap, with all WAL of its own: from there on recovery goes on without what is missing."""
    return any(
        not each.has_errors
        and each.wal_start is not None
        and each.wal_start[:8] >= gap.last[:8]
        and each.wal_start[8:] > gap.last[8:]
        and archive.reach(each).complete
        for each in backups
    )


def as_data(
    stanza: Stanza,
    archives: Archives,
    address: t.Callable[[str, int], str],
    damaged: t.Collection[str],
    verified_: bool,
    now: int,
) -> dict[str, t.Any]:
    backups = []
    for backup in stanza.backups:
        data = backup.as_data(stanza.name, address(stanza.name, backup.repo))
        data["age_seconds"] = max(0, now - backup.stop)
        data["current"] = backup in current_backups(stanza, backup.repo)
        reach = archives.reach(backup)
        data["restorable"] = None if reach is None else reach.complete
        data["recoverable"] = _recoverable(backup, reach, archives)
        # What a backup stands on is part of it.
        data["damaged"] = any(label in damaged for label in (backup.label, *backup.references)) if verified_ else None
        backups.append(data)
    return {
        "name": stanza.name,
        "status": stanza.code,
        "message": " ".join(stanza.message.split()),
        "backup_running": stanza.backup_running,
        "repositories": [_repository(stanza, each.key, archives, address) for each in stanza.repositories],
        "databases": [
            {"id": each.id, "repo": each.repo, "system_id": str(each.system_id), "version": each.version}
            for each in stanza.databases
        ],
        "backups": backups,
        "latest": {kind: _newest(backups, kind) for kind in TYPES},
        "windows": windows(stanza, archives),
    }


def windows(stanza: Stanza, archives: Archives) -> list[dict[str, t.Any]]:
    """Spans of time that can be restored to: from the end of a backup to the end of the WAL that follows it unbroken."""
    spans: dict[tuple[int, t.Any], dict[str, t.Any]] = {}
    for backup in stanza.backups:
        archive, reach = archives.of(backup), archives.reach(backup)
        if archive is None or reach is None or not reach.complete or reach.end is None:
            continue
        until = max(backup.stop, reach.archived_at or 0)
        span = spans.setdefault(
            (backup.repo, reach.end),
            {
                "repo": backup.repo,
                "from": as_utc(backup.stop),
                "from_lsn": backup.lsn_stop,
                "to": as_utc(until),
                "to_wal": archive.name(reach.end),
                "to_lsn": show_lsn(reach.end_lsn or 0),
                "backups": [],
            },
        )
        span["backups"].append(backup.label)
    return list(spans.values())


def verified(pgbackrest: PgBackRest, repo: int) -> tuple[list[str], set[str]]:
    """What ``pgbackrest verify`` finds, and the backups concerned. It ends well even where it found damage."""
    argv = pgbackrest.argv("verify", "--output=text", repo=repo, log="detail")
    code, out, err = pgbackrest.answer(argv)
    if code:
        raise pgbackrest.failure(argv, code, out, err)
    told = [each.text for each in messages(pgbackrest.clean(err)) if not _NOISE.search(each.text)]
    found = list(dict.fromkeys(" ".join(text.split()) for text in told))
    if not found and "status: error" in out:
        found = [" ".join(out.split())]
    labels = {label for text in found for label in _LABEL.findall(text) if "expired" not in text}
    return found[:_SHOWN_FINDINGS], labels


def _recoverable(backup: Backup, reach: Reach | None, archives: Archives) -> dict[str, t.Any] | None:
    archive = archives.of(backup)
    if archive is None or reach is None or not reach.complete or reach.end is None:
        return None
    return {
        "from": as_utc(backup.stop),
        "from_lsn": backup.lsn_stop,
        "to": as_utc(max(backup.stop, reach.archived_at or 0)),
        "to_wal": archive.name(reach.end),
        "to_lsn": show_lsn(reach.end_lsn or 0),
        "broken_after": reach.broken_after,
    }


def _repository(stanza: Stanza, key: int, archives: Archives, address: t.Callable[[str, int], str]) -> dict[str, t.Any]:
    repository = stanza.repository(key)
    archive_data = []
    for each in stanza.archives:
        if each.repo != key:
            continue
        data: dict[str, t.Any] = {"id": each.id, "first": each.first, "last": each.last}
        archive = archives.by_backup.get((key, each.database_id))
        if archive is not None:
            backups = [b for b in stanza.backups_in(key) if b.database_id == each.database_id]
            data["segment_size"] = archive.segment_size
            data["ranges"] = archive.ranges()
            data["gaps"] = [gap.as_data() for gap in archive.gaps(backups)]
            data["duplicates"] = archive.duplicates
        archive_data.append(data)
    return {
        "key": key,
        "address": address(stanza.name, key),
        "status": repository.code,
        "message": _first_line(repository.message),
        "cipher": repository.cipher,
        "repo_bytes": sum(each.repo_delta for each in stanza.backups_in(key)),
        "archive": archive_data,
    }


def _first_line(message: str) -> str:
    return message.splitlines()[0] if message else ""


def _newest(backups: list[dict[str, t.Any]], kind: str) -> str | None:
    labels = [each["label"] for each in backups if each["type"] == kind]
    return labels[-1] if labels else None


def queue_problems(pgbackrest: PgBackRest) -> list[str]:
    """Whether pg_wal's disk has room for all WAL that may wait for the archive, where the cluster is on this host."""
    limit = _bytes(pgbackrest.configuration.value(pgbackrest.stanza or "", "archive-push-queue-max", "archive-push") or "")
    if not pgbackrest.pg_path or limit is None:
        return []
    folder = os.path.join(pgbackrest.pg_path, "pg_wal")
    try:
        ready = [name[: -len(".ready")] for name in os.listdir(f"{folder}/archive_status") if name.endswith(".ready")]
        room = os.statvfs(folder)
        waiting = sum(os.path.getsize(f"{folder}/{name}") for name in ready if os.path.exists(f"{folder}/{name}"))
    except OSError:
        # Not this user's to look at, or in the course of being made: other problems say so.
        return []
    available = room.f_bavail * room.f_frsize
    if available >= limit - waiting:
        return []
    return [
        f"The disk of {os.path.realpath(folder)} has {available // MEBIBYTE} MiB left, but "
        f"{(limit - waiting) // MEBIBYTE} MiB more WAL may wait there while the repository is away: it would fill and stop the "
        f"server. Make room, or lower archive-push-queue-max (pgbackrest_archive_queue_max_mb), which is {limit // MEBIBYTE} MiB."
    ]


def _bytes(size: str) -> int | None:
    """A size as pgBackRest's options have it: 1073741824, 1024MB, 1GiB, 1g."""
    match = re.fullmatch(r"(\d+)(?:([kmgtp])(?:i?b)?|b)?", size.strip().lower())
    return int(match[1]) * 1024 ** (" kmgtp".index(match[2] or " ")) if match else None


def _cluster_problems(pgbackrest: PgBackRest, stanza: Stanza) -> list[str]:
    """The stanza against the cluster of this host, where there is one and it may be read."""
    try:
        cluster = local_cluster(pgbackrest, None)
    except MultimasterError:
        return []
    if cluster is None:
        return []
    wrong = [
        each.key
        for each in stanza.repositories
        if each.code not in ABSENT and (database := stanza.current_database(each.key)) and not belongs_to(database, cluster)
    ]
    if not wrong:
        return []
    return [
        f"Stanza {stanza.name} belongs to another cluster than the one in {cluster.path}: its archiving fails. Use "
        f"another stanza, or "
        "upgrade this one where the node was rebuilt or upgraded (state upgraded; for the playbook site "
        "-e pgbackrest_upgrade_stanza=true)."
    ]


def _copies(pgbackrest: PgBackRest, stanza: Stanza, key: int) -> list[str]:
    """pgBackRest keeps two copies of its index files and uses whichever is sound without a word about the other."""
    found = []
    for path in (f"backup/{stanza.name}/backup.info", f"archive/{stanza.name}/archive.info"):
        contents = [_content(pgbackrest, each, key) for each in (path, path + ".copy")]
        if contents[0] != contents[1]:
            found.append(
                f"{path} of {pgbackrest.where(key)} and its copy differ: one of them is damaged or missing. Copy the "
                f"sound one over the "
                "other; the next backup writes both."
            )
    return found


def _content(pgbackrest: PgBackRest, path: str, key: int) -> str | None:
    code, out, _err = pgbackrest.answer(pgbackrest.argv("repo-get", path, repo=key))
    return None if code else out
