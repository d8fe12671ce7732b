# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""To what point a restore goes, from which backup, and whether the archive gets there. Pure."""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    Backup,
    Database,
    Stanza,
    as_utc,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import (
    Archive,
    Segment,
    parse_lsn,
    show_lsn,
)

TARGET_TYPES = ["latest", "set", "time", "xid", "lsn", "name", "immediate"]
WITH_VALUE = ("time", "xid", "lsn", "name")
# Targets whose segment nobody knows from outside, so it may be before a damage.
SOMEWHERE = ("time", "xid", "name")
# Since this version a server that does not reach its target stops; earlier ones open.
STOPS_SHORT_OF_TARGET_SINCE = 13
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,6})?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    type: str
    value: str | None = None
    """As pgBackRest and PostgreSQL take it."""
    time: float | None = None
    lsn: int | None = None

    @property
    def ends_with_backup(self) -> bool:
        """Recovery stops as soon as the backup is consistent."""
        return self.type in ("set", "immediate")

    def arguments(self, action: str, exclusive: bool, timeline: str | None) -> list[str]:
        """pgBackRest's options for it."""
        arguments = ["--type=" + {"latest": "default", "set": "immediate"}.get(self.type, self.type)]
        if self.value is not None:
            arguments.append(f"--target={self.value}")
        if exclusive:
            arguments.append("--target-exclusive")
        if self.type != "latest":
            arguments.append(f"--target-action={action}")
        if timeline:
            arguments.append(f"--target-timeline={timeline}")
        return arguments


def parse_target(kind: str, value: str | None, label: str | None, now: float) -> Target:
    """The target in canonical form, or what is wrong with it."""
    if kind in WITH_VALUE and not value:
        raise MultimasterError(f"Type {kind} needs a target.")
    if kind not in WITH_VALUE and value:
        raise MultimasterError(
            f"Type {kind} takes no target; {value!r} was given. Types with a target are: {', '.join(WITH_VALUE)}."
        )
    if kind == "set" and not label:
        raise MultimasterError("Type set needs the label of a backup in set; pgbackrest_info lists them.")
    if kind == "time":
        return _time_target(value or "", now)
    if kind == "lsn":
        lsn = parse_lsn(value or "")
        return Target(kind, show_lsn(lsn), lsn=lsn)
    if kind == "xid":
        if not re.fullmatch(r"[0-9]+", value or "") or not 3 <= int(value or 0) < 1 << 32:
            raise MultimasterError(
                f"{value!r} is no transaction id. Write the 32-bit number, for example 731 (pg_current_xact_id()::xid)."
            )
        return Target(kind, str(int(value or 0)))
    if kind == "name":
        if len((value or "").encode()) > 63 or not (value or "").isprintable() or "'" in (value or ""):
            raise MultimasterError(
                f"{value!r} cannot be a restore point's name: at most 63 bytes, no quotes or control characters."
            )
        return Target(kind, value)
    return Target(kind)


def _time_target(value: str, now: float) -> Target:
    match = _TIME.match(value.strip())
    if not match:
        raise MultimasterError(f"{value!r} is no time. Write it like 2026-11-24T04:05:06+00.")
    day, clock, fraction, zone = match.groups()
    if zone is None:
        raise MultimasterError(
            f"{value!r} has no time zone, so it means another moment on each host. Add one: "
            f"{day}T{clock}{fraction or ''}+00 is UTC."
        )
    offset = "+00:00" if zone.upper() in ("Z", "UTC") else _offset(zone)
    try:
        moment = datetime.datetime.fromisoformat(f"{day} {clock}{(fraction or '.0').ljust(7, '0')}{offset}")
    except ValueError:
        raise MultimasterError(f"{value!r} is no time: there is no such day, time of day or zone.") from None
    moment = moment.astimezone(datetime.timezone.utc)
    if moment.timestamp() > now:
        raise MultimasterError(
            f"{value} is in the future (it is {as_utc(int(now))} on this host): nothing has happened then yet. "
            "Choose an earlier time, or type latest."
        )
    return Target("time", moment.strftime("%Y-%m-%d %H:%M:%S.%f+00"), time=moment.timestamp())


def _offset(zone: str) -> str:
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{zone[0]}{digits[:2]}:{digits[2:]}"


def backups_to_try(stanza: Stanza, repos: t.Sequence[int], target: Target, label: str | None) -> list[Backup]:
    """The newest backup that is complete before the target, or the one that was asked for. Where the newest has pages with wrong
    checksums, the newest without comes before it."""
    candidates = sorted(
        (each for each in stanza.backups if each.repo in repos), key=lambda each: (each.stop, -each.repo, each.label)
    )
    if not candidates:
        raise MultimasterError(f"Stanza {stanza.name} has no backup to restore.")
    if label:
        named = [each for each in candidates if each.label == label]
        if not named:
            raise MultimasterError(
                f"Stanza {stanza.name} has no backup {label}. It has: {', '.join(each.label for each in candidates)}.",
                backups=[each.label for each in candidates],
            )
        if not _is_before(named[-1], target):
            raise MultimasterError(
                f"Backup {label} was complete at {_end(named[-1])}, after the target {target.value}. Choose an earlier "
                f"backup, or leave set out."
            )
        return [named[-1]]
    # A time is one in the life of the former cluster, too; everything else would be taken for one of the present cluster.
    if target.type != "time":
        candidates = _of_current_cluster(stanza, candidates)
    before = [each for each in candidates if _is_before(each, target)]
    if not before:
        raise MultimasterError(
            f"The target {target.value} is before the end of the first backup of stanza {stanza.name} "
            f"({candidates[0].label}, complete at "
            f"{_end(candidates[0])}): there is nothing to start from. Choose a later target.",
            earliest=as_utc(candidates[0].stop),
        )
    sound = [each for each in before if not each.has_errors]
    return [*sound[-1:], before[-1]] if before[-1].has_errors else [before[-1]]


def _of_current_cluster(stanza: Stanza, candidates: list[Backup]) -> list[Backup]:
    current = [
        each
        for each in candidates
        if (database := stanza.current_database(each.repo)) is not None and database.id == each.database_id
    ]
    if not current:
        raise MultimasterError(
            f"Every backup of stanza {stanza.name} is of the cluster that it held before it was upgraded (the newest is "
            f"{candidates[-1].label}). Name one in set, or take a backup first."
        )
    return current


def _is_before(backup: Backup, target: Target) -> bool:
    """Whether the backup is complete before the target. Its time is known to the second, so the whole second counts."""
    if target.time is not None:
        return backup.stop < int(target.time)
    if target.lsn is not None:
        return backup.lsn_stop is not None and parse_lsn(backup.lsn_stop) <= target.lsn
    return True


def _end(backup: Backup) -> str:
    return f"{as_utc(backup.stop)}, LSN {backup.lsn_stop}"


def loses_silently(target: Target, database: Database | None) -> bool:
    """Whether missing or damaged WAL has to keep the server from starting. True where it would open without what came
    later; and for an LSN, where the last segment is known and without it the target is out of reach for certain."""
    if target.type not in SOMEWHERE:
        return True
    major = database.version.partition(".")[0] if database else ""
    return not major.isdigit() or int(major) < STOPS_SHORT_OF_TARGET_SINCE


def refuse_unreachable(
    stanza: Stanza,
    backup: Backup,
    target: Target,
    archive: Archive | None,
    where: str,
    warn: t.Callable[[str], None] = lambda message: None,
) -> Segment | None:
    """Fail where the archive does not lead from the backup to the target; else the last segment that recovery may read.

    PostgreSQL takes a segment that it does not get for the end of the archive. Without a target it opens the server, and
    what came later is gone without a word, so what is missing has to be noticed before. With one it stops where it does
    not reach it, so a gap that may be after a transaction or a restore point gives a warning.
    """
    if archive is None or not backup.wal_start:
        return None
    reach = archive.reach(backup)
    if not reach.complete or reach.end is None:
        raise MultimasterError(
            f"Backup {backup.label} cannot be restored: WAL segment {reach.missing}, which it needs to become consistent, "
            f"is missing in "
            f"{where}. Choose another backup (pgbackrest_info says which are restorable).",
            missing_wal=reach.missing,
        )
    end = archive.name(reach.end)
    if target.ends_with_backup:
        return Segment.parse(backup.wal_stop or "", archive.segment_size)
    archived_at = as_utc(reach.archived_at or 0)
    if reach.broken_after and target.type in ("xid", "name") and not loses_silently(target, stanza.database(backup)):
        warn(
            f"The archive of stanza {stanza.name} in {where} has a gap after WAL segment {end}, archived at {archived_at}. Where "
            f"{target.type} {target.value} is later, the restored server stops with the message that it was not reached."
        )
    elif reach.broken_after and target.type in ("latest", "xid", "name"):
        raise MultimasterError(
            f"The archive of stanza {stanza.name} in {where} has a gap after WAL segment {end}: recovery from backup "
            f"{backup.label} would end "
            f"there and lose all that came later without a word. Choose a backup after the gap, or, to accept that end, a "
            f"time before {archived_at}.",
            last_wal=end,
        )
    # The repository tells whole seconds. Within the last one, the server itself finds out whether it gets there, and stops
    # if not.
    if target.time is not None and target.time >= (reach.archived_at or 0) + 1:
        raise MultimasterError(
            f"{target.value} cannot be reached: the archive of stanza {stanza.name} in {where} "
            f"ends{' (before a gap)' if reach.broken_after else ''} "
            f"with WAL segment {end}, archived at {archived_at}. Choose an earlier time or type latest, or have the "
            f"server archive what it has "
            "(SELECT pg_switch_wal()) and run this again.",
            latest=archived_at,
            last_wal=end,
        )
    if target.lsn is not None:
        if target.lsn > (reach.end_lsn or 0):
            raise MultimasterError(
                f"LSN {target.value} cannot be reached: the archive of stanza {stanza.name} in {where} ends with WAL "
                f"segment {end}, LSN "
                f"{show_lsn(reach.end_lsn or 0)}. Choose an earlier LSN or type latest, or have the server archive what "
                f"it has.",
                last_wal=end,
            )
        return Segment(reach.end.timeline, min(reach.end.number, target.lsn // archive.segment_size))
    return reach.end
