# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The catalogue of backups as data: which keys a stanza has, what they should be, and what differs. Pure.

pgbackrest:backup:<stanza>:<label>           JSON, one backup or one failed run
pgbackrest:latest:<stanza>:<full|diff|incr>  label of the newest sound backup of the type
pgbackrest:history:<stanza>                  sorted set of labels by the time they ended
pgbackrest:stanzas                           set of the stanzas that there are, since no user may look for keys
"""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import TYPES

PREFIX = "pgbackrest"
STANZAS_KEY = f"{PREFIX}:stanzas"
FAILED = "failed"
# Failed runs are no part of a repository; so many of the newest are kept per stanza.
FAILURES_KEPT = 50

RECORD_FIELDS = (
    "timestamp",
    "type",
    "stanza",
    "label",
    "location",
    "size_bytes",
    "delta_bytes",
    "repo_bytes",
    "duration_seconds",
    "status",
    "node",
    "wal_start",
    "wal_stop",
    "prior",
)

Record = dict[str, t.Any]


def backup_key(stanza: str, label: str) -> str:
    return f"{PREFIX}:backup:{stanza}:{label}"


def latest_key(stanza: str, kind: str) -> str:
    return f"{PREFIX}:latest:{stanza}:{kind}"


def history_key(stanza: str) -> str:
    return f"{PREFIX}:history:{stanza}"


@dataclass
class Entries:
    """What one server has of one stanza."""

    records: dict[str, str] = field(default_factory=dict)
    """label -> JSON"""
    latest: dict[str, str] = field(default_factory=dict)
    """type -> label"""
    history: dict[str, float] = field(default_factory=dict)
    """label -> time"""
    listed: bool = False
    """Whether the set of stanzas has it"""

    def parsed(self) -> list[Record]:
        """The records, newest first. What is no JSON is left out: a rebuild replaces it."""
        found = []
        for text in self.records.values():
            try:
                record = json.loads(text)
            except ValueError:
                continue
            if isinstance(record, dict) and {"label", "timestamp"} <= set(record):
                found.append(record)
        return sorted(found, key=lambda each: (each["timestamp"], each["label"]), reverse=True)

    @property
    def newest(self) -> float:
        return max(self.history.values(), default=0.0)


@dataclass
class Change:
    """What to write to a server, together, so that a reader never sees half of it."""

    put: dict[str, str] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    history_add: dict[str, float] = field(default_factory=dict)
    history_remove: list[str] = field(default_factory=list)
    listed: bool | None = None
    """Whether the set of stanzas is to have it, where that changes"""

    def __bool__(self) -> bool:
        return bool(self.put or self.delete or self.history_add or self.history_remove) or self.listed is not None


def record_of(backup: t.Mapping[str, t.Any]) -> Record:
    """The catalogue's record of a backup as pgbackrest_backup and pgbackrest_info return it."""
    missing = [name for name in RECORD_FIELDS if name not in backup]
    if missing:
        raise MultimasterError(
            f"This is no backup as pgbackrest_backup returns it: {', '.join(missing)} missing. Hand over its result's "
            f"backup as it is."
        )
    record = {name: backup[name] for name in RECORD_FIELDS}
    _end_of(record)
    return record


def failure_record(stanza: str, node: str, kind: str, started: str, message: str, ended: str) -> Record:
    """The record of a run that failed. Its label is one that pgBackRest never gives; runs of two types can fail in one second."""
    moment = _moment(ended)
    return {
        **dict.fromkeys(RECORD_FIELDS),
        "timestamp": ended,
        "type": kind,
        "stanza": stanza,
        "label": moment.strftime("%Y%m%d-%H%M%S") + f"-{kind}-{FAILED}",
        "duration_seconds": max(0, int((moment - _moment(started)).total_seconds())),
        "status": FAILED,
        "node": node,
        "error": " ".join(message.split())[:1000],
    }


def wanted_entries(records: t.Iterable[Record]) -> Entries:
    """The keys that these records make."""
    wanted = Entries()
    for record in sorted(records, key=lambda each: (_end_of(each), each["label"])):
        label = record["label"]
        wanted.records[label] = json.dumps(record, sort_keys=True)
        wanted.history[label] = _end_of(record)
        if record["status"] != FAILED and record["type"] in TYPES:
            wanted.latest[record["type"]] = label
    wanted.listed = bool(wanted.history)
    return wanted


def with_record(entries: Entries, record: Record) -> Entries:
    """The entries with one record more (or anew)."""
    others = [each for each in entries.parsed() if each["label"] != record["label"]]
    return wanted_entries(_bounded([*others, record]))


def rebuilt(backups: t.Iterable[Record], failures: t.Iterable[Record]) -> Entries:
    """The entries as the repository, and what is known of failed runs, make them."""
    known = {each["label"]: each for each in failures if each.get("status") == FAILED}
    return wanted_entries(_bounded([*backups, *known.values()]))


def failures_in(entries: Entries) -> list[Record]:
    return [each for each in entries.parsed() if each.get("status") == FAILED]


def _bounded(records: list[Record]) -> list[Record]:
    failed = sorted((each for each in records if each["status"] == FAILED), key=lambda each: each["label"])
    dropped = {each["label"] for each in failed[:-FAILURES_KEPT]}
    return [each for each in records if each["label"] not in dropped]


def change_between(stanza: str, have: Entries, want: Entries) -> Change:
    """What makes the one the other."""
    change = Change()
    for label, text in want.records.items():
        if have.records.get(label) != text:
            change.put[backup_key(stanza, label)] = text
    change.delete += [backup_key(stanza, label) for label in have.records if label not in want.records]
    for kind, label in want.latest.items():
        if have.latest.get(kind) != label:
            change.put[latest_key(stanza, kind)] = label
    change.delete += [latest_key(stanza, kind) for kind in have.latest if kind not in want.latest]
    change.history_add = {label: end for label, end in want.history.items() if have.history.get(label) != end}
    change.history_remove = [label for label in have.history if label not in want.history]
    change.listed = want.listed if want.listed != have.listed else None
    return change


def freshest(servers: t.Mapping[str, Entries]) -> str:
    """The server to believe: the one that knows the newest run, of these the one with most records, of these the first."""
    return max(servers, key=lambda name: (servers[name].newest, len(servers[name].records), -list(servers).index(name)))


def _end_of(record: t.Mapping[str, t.Any]) -> float:
    return _moment(record["timestamp"]).timestamp()


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except (TypeError, ValueError):
        raise MultimasterError(f"{text!r} is no time as in 2026-11-24T04:05:06Z.") from None
