# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What a status says of one node's backups, from what its repository and the catalogue say. Pure."""

from __future__ import annotations

import json
import typing as t

Data = t.Mapping[str, t.Any]

FAILED = "failed"
TYPES = ("full", "diff", "incr")
DAY = 86400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def backup_status(
    stanza: Data,
    records: t.Sequence[Data],
    max_age_seconds: float,
    schedules: t.Mapping[str, str] | None = None,
    noted: str = "",
) -> dict[str, t.Any]:
    """``stanza`` as pgbackrest_info returns one, ``records`` of the catalogue, ``schedules`` by type as systemd's calendars,
    ``noted`` the text of the file in which the host that takes the backups notes failed runs: all there is without a
    catalogue.

    Returns ``types`` (of each type the newest backup, with how many there are), ``windows`` (what can be restored to when),
    ``backups`` and ``problems``.
    """
    backups = list(stanza.get("backups") or [])
    problems = list(stanza.get("problems") or [])
    # Those of a cluster that the stanza no longer belongs to do not count.
    current = [each for each in backups if each.get("current", True)]
    newest = min((each["age_seconds"] for each in current), default=None)
    if newest is not None and newest > max_age_seconds:
        problems.append(f"Its newest backup is {newest / 3600:.0f} hours old. Look at the timers: systemctl list-timers.")
    else:
        problems += _too_old(current, max_age_seconds, schedules or {})
    here, unread = _noted(noted)
    problems += unread
    failures = _failures(stanza["name"], current, [*records, *here])
    for failure in failures:
        reason = failure.get("error") or "no reason is known"
        problems.append(f"The {failure['type']} backup of {failure['timestamp']} failed: {reason}")
    return {
        "stanza": stanza["name"],
        "types": [_newest(kind, backups) for kind in TYPES if any(each["type"] == kind for each in backups)],
        "windows": list(stanza.get("windows") or []),
        "backups": backups,
        "failures": failures,
        "problems": problems,
    }


def _newest(kind: str, backups: t.Sequence[Data]) -> dict[str, t.Any]:
    of_kind = [each for each in backups if each["type"] == kind]
    newest = min(of_kind, key=lambda each: each["age_seconds"])
    wanted = ("type", "label", "timestamp", "age_seconds", "size_bytes", "repo_bytes", "restorable")
    return {"count": len(of_kind), **{name: newest.get(name) for name in wanted}}


def _noted(text: str) -> tuple[list[Data], list[str]]:
    """The failed runs in the host's file, and what is wrong with it."""
    if not text.strip():
        return [], []
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    wanted = {"stanza", "type", "timestamp", "status"}
    if not isinstance(found, list) or not all(isinstance(each, dict) and wanted <= set(each) for each in found):
        return [], ["The host's own list of failed backups is no such list in JSON: failed runs may be missing here."]
    return found, []


def _failures(stanza: str, backups: t.Sequence[Data], records: t.Sequence[Data]) -> list[dict[str, t.Any]]:
    """Of each type the last failed run that no good backup has followed which stands for it."""
    found = []
    for kind in TYPES:
        failed = [
            each for each in records if each.get("stanza") == stanza and each.get("status") == FAILED and each.get("type") == kind
        ]
        if not failed:
            continue
        last = max(failed, key=lambda each: str(each["timestamp"]))
        good = max((str(each["timestamp"]) for each in _standing_for(kind, backups)), default="")
        if str(last["timestamp"]) > good:
            found.append(dict(last))
    return found


def _standing_for(kind: str, backups: t.Sequence[Data]) -> list[Data]:
    """A full backup is as good as any, a differential one as an incremental one."""
    return [each for each in backups if TYPES.index(each["type"]) <= TYPES.index(kind)]


def _too_old(backups: t.Sequence[Data], slack: float, schedules: t.Mapping[str, str]) -> list[str]:
    """Types whose newest backup is older than its schedule lets it become, by more than ``slack`` seconds."""
    problems = []
    for kind in ("full", "diff"):
        days = calendar_days(schedules.get(kind) or "")
        newest = min((each["age_seconds"] for each in _standing_for(kind, backups)), default=None)
        if days is not None and newest is not None and newest > days * DAY + slack:
            problems.append(
                f"Its newest {kind} backup is {newest // DAY} days old, and its schedule is {schedules[kind]}. "
                "Look at the timers: systemctl list-timers."
            )
    return problems


def calendar_days(calendar: str) -> int | None:
    """The most days from one moment of a systemd calendar to the next; None where it is not one of weekdays or of every day."""
    words = calendar.lower().split()
    if not words:
        return None
    named = {"hourly": 1, "daily": 1, "weekly": 7, "monthly": 31}
    if words[0] in named:
        return named[words[0]] if len(words) == 1 else None
    weekdays = _weekdays(words[0])
    if weekdays:
        words = words[1:]
    dates = [word for word in words if ":" not in word]
    if len(words) > 2 or any(date != "*-*-*" for date in dates):
        return None
    if not weekdays:
        return 1
    return max((later - day - 1) % 7 + 1 for day, later in zip(weekdays, [*weekdays[1:], weekdays[0]]))


def _weekdays(text: str) -> list[int]:
    """Numbers of the days in ``Mon..Thu,Sat``, in order; empty where this is something else."""
    found: set[int] = set()
    for part in text.split(","):
        ends = [WEEKDAYS.index(each[:3]) if each[:3] in WEEKDAYS else -1 for each in part.split("..")]
        if -1 in ends or len(ends) > 2:
            return []
        found |= {(ends[0] + each) % 7 for each in range((ends[-1] - ends[0]) % 7 + 1)}
    return sorted(found)
