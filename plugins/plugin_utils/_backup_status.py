# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What a status says of one node's backups, from what its repository and the catalogue say. Pure."""

from __future__ import annotations

import typing as t

Data = t.Mapping[str, t.Any]

FAILED = "failed"
TYPES = ("full", "diff", "incr")


def backup_status(stanza: Data, records: t.Sequence[Data], max_age_seconds: float) -> dict[str, t.Any]:
    """``stanza`` as pgbackrest_info returns one, ``records`` of the catalogue.

    Returns ``types`` (of each type the newest backup, with how many there are), ``windows`` (what can be restored to when),
    ``backups`` and ``problems``.
    """
    backups = list(stanza.get("backups") or [])
    problems = list(stanza.get("problems") or [])
    newest = min((each["age_seconds"] for each in backups), default=None)
    if newest is not None and newest > max_age_seconds:
        problems.append(f"Its newest backup is {newest / 3600:.0f} hours old. Look at the timers: systemctl list-timers.")
    failure = _last_failure(stanza["name"], backups, records)
    if failure:
        reason = failure.get("error") or "no reason is known"
        problems.append(f"The {failure['type']} backup of {failure['timestamp']} failed: {reason}")
    return {
        "stanza": stanza["name"],
        "types": [_newest(kind, backups) for kind in TYPES if any(each["type"] == kind for each in backups)],
        "windows": list(stanza.get("windows") or []),
        "backups": backups,
        "failure": failure,
        "problems": problems,
    }


def _newest(kind: str, backups: t.Sequence[Data]) -> dict[str, t.Any]:
    of_kind = [each for each in backups if each["type"] == kind]
    newest = min(of_kind, key=lambda each: each["age_seconds"])
    wanted = ("type", "label", "timestamp", "age_seconds", "size_bytes", "repo_bytes", "restorable")
    return {"count": len(of_kind), **{name: newest.get(name) for name in wanted}}


def _last_failure(stanza: str, backups: t.Sequence[Data], records: t.Sequence[Data]) -> dict[str, t.Any] | None:
    """The last failed run that no good backup has followed."""
    failures = [each for each in records if each.get("stanza") == stanza and each.get("status") == FAILED]
    if not failures:
        return None
    last = max(failures, key=lambda each: str(each["timestamp"]))
    good = max((str(each["timestamp"]) for each in backups), default="")
    return dict(last) if str(last["timestamp"]) > good else None
