# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What was asked of a restore and of its proof, checked before either begins. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import (
    YEAR,
    refuse_null_bytes,
    require_absolute,
    require_number,
    require_one_line,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import refuse_own_options

PORTS = (1, 65535)
TIMEOUTS = (1, YEAR)
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")
_TIMELINE = re.compile(r"latest|current|[1-9][0-9]{0,9}|0[xX][0-9A-Fa-f]{1,8}")
_LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?")
# What this module's own options decide, by pgBackRest's names.
_OWN = {
    "archive-mode": "archive",
    "delta": "delta",
    "force": "delta_by",
    "link-all": "",
    "link-map": "",
    "pg1-path": "pg_path",
    "recovery-option": "recovery_options",
    "set": "set",
    "tablespace-map": "tablespace_map",
    "tablespace-map-all": "tablespace_map_all",
    "target": "target",
    "target-action": "target_action",
    "target-exclusive": "target_exclusive",
    "target-timeline": "target_timeline",
    "type": "type",
}
# Settings that an option decides, by that option.
_OF_OPTIONS = {
    "archive_mode": "archive",
    "data_directory": "pg_path",
    "max_logical_replication_workers": "subscriptions",
    "recovery_target": "type",
    "recovery_target_action": "target_action",
    "recovery_target_inclusive": "target_exclusive",
    "recovery_target_lsn": "type",
    "recovery_target_name": "type",
    "recovery_target_time": "type",
    "recovery_target_timeline": "target_timeline",
    "recovery_target_xid": "type",
}


def check_restore(params: t.Mapping[str, t.Any]) -> None:
    """The options of pgbackrest_restore, beside those that say what to restore to."""
    refuse_own_options(params["options"], _OWN)
    for name in ("pg_path", "tablespace_map_all"):
        require_absolute(name, params[name])
    for name, place in params["tablespace_map"].items():
        if not name or "=" in name:
            raise MultimasterError(f"tablespace_map has the name {name!r}, which is no tablespace's. Nothing was changed.")
        if not isinstance(place, str):
            raise MultimasterError(f"tablespace_map.{name} is {place!r}; it has to be a directory. Nothing was changed.")
        require_absolute(f"tablespace_map.{name}", place)
    label, timeline = params["set"], params["target_timeline"]
    if label is not None:
        require_label("set", label)
    if timeline is not None and not _is_timeline(timeline):
        raise MultimasterError(
            f"target_timeline is {timeline!r}; there are latest, current, and a timeline's number, for example 2. Nothing was "
            f"changed."
        )
    check_recovery_options(params["recovery_options"])


def _is_timeline(text: str) -> bool:
    if not _TIMELINE.fullmatch(text):
        return False
    number = timeline_number(text)
    return number is None or 1 <= number < 1 << 32


def timeline_number(timeline: str | None) -> int | None:
    """None for one that has a name."""
    return int(timeline, 0) if timeline and timeline[0].isdigit() else None


def require_label(name: str, label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise MultimasterError(
            f"{name} is {label!r}, which is no backup's label; one is written like 20261124-040003F or "
            f"20261124-040003F_20261124-040005I. pgbackrest_info lists them. Nothing was changed."
        )


def check_recovery_options(options: t.Mapping[str, t.Any]) -> None:
    for name, value in options.items():
        if not _SETTING.fullmatch(name):
            raise MultimasterError(f"recovery_options has {name!r}, which is no name of a setting. Nothing was changed.")
        if isinstance(value, (dict, list)) or value is None:
            raise MultimasterError(f"recovery_options.{name} is {value!r}; it has to be one value. Nothing was changed.")
        require_one_line(f"recovery_options.{name}", value)
        if name.lower() in _OF_OPTIONS:
            option = _OF_OPTIONS[name.lower()]
            raise MultimasterError(
                f"recovery_options has {name}, which the option {option} decides. State {option} in its place. Nothing was "
                f"changed."
            )
        if name.lower() == "restore_command":
            raise MultimasterError(
                "recovery_options has restore_command, which is this module's own: it tells a failure from the end of the "
                "archive, and keeps the copy out of the live node's directories. Leave it out. Nothing was changed."
            )


def check_proof(params: t.Mapping[str, t.Any]) -> None:
    """The options of pgbackrest_prove."""
    refuse_null_bytes(dict(params))
    for name in ("pg_path", "socket_directory", "bin_path"):
        require_absolute(name, params[name])
    require_number("port", params["port"], *PORTS)
    require_number("timeout", params["timeout"], *TIMEOUTS)
    for name, value in params["settings"].items():
        if not _SETTING.fullmatch(name):
            raise MultimasterError(f"settings has {name!r}, which is no name of a setting. Nothing was started.")
        if isinstance(value, (dict, list)) or value is None:
            raise MultimasterError(f"settings.{name} is {value!r}; it has to be one value. Nothing was started.")
        require_one_line(f"settings.{name}", value)
    if "" in params["databases"]:
        raise MultimasterError("databases has an empty name. Name the databases to examine, or leave it out for all.")
