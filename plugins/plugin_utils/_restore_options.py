# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What was asked of the playbooks restore, backup and backup_cycle, checked before anything begins. Pure."""

from __future__ import annotations

import math
import typing as t
from functools import partial

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import (
    nearest,
    refuse_null_bytes,
    require_absolute,
    require_one_line,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.checks import (
    PORTS,
    TIMEOUTS,
    require_label,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.target import (
    TARGET_TYPES,
    WITH_VALUE,
    parse_target,
)

RESTORE_OPTIONS = (
    "restore_check_free_space",
    "restore_delta_by",
    "restore_host",
    "restore_in_place",
    "restore_keep_running",
    "restore_node",
    "restore_path",
    "restore_port",
    "restore_replace_kept",
    "restore_set",
    "restore_target",
    "restore_timeout",
    "restore_type",
)
_YES_OR_NO = ("restore_check_free_space", "restore_in_place", "restore_keep_running", "restore_replace_kept")
_NUMBERS = {"restore_port": PORTS, "restore_timeout": TIMEOUTS}


def unknown_options(given: t.Iterable[str], known: t.Sequence[str], prefix: str = "") -> list[str]:
    """One sentence for each name among ``given``, those that a run states with -e, that was probably to be one of ``known``.

    A name with the prefix that is none of them is one in any case. What is like none of them is some other variable, and no
    business of the playbook.
    """
    problems = []
    for name in given:
        if name in known:
            continue
        meant = f"{prefix}{name}" if f"{prefix}{name}" in known else nearest(name, known)
        if prefix and name.startswith(prefix):
            # What all have in common makes none of them near.
            own = nearest(name.removeprefix(prefix), [each.removeprefix(prefix) for each in known])
            meant = f"{prefix}{own}" if own else None
        if meant:
            problems.append(f"There is no option {name}; did you mean {meant}?")
        elif prefix and name.startswith(prefix):
            problems.append(f"There is no option {name}; there are {', '.join(known)}.")
    return problems


def restore_option_problems(given: t.Mapping[str, t.Any], nodes: t.Sequence[str], hosts: t.Sequence[str]) -> list[str]:
    """One sentence for each value that no restore can begin with. ``given``: the options that are stated; ``nodes``: hosts that
    are backed up; ``hosts``: all of the inventory."""
    problems: list[str] = []

    def check(what: t.Callable[[], t.Any]) -> None:
        try:
            what()
        except MultimasterError as error:
            problems.append(str(error).removesuffix(" Nothing was changed."))

    if given.get("restore_node", "") not in nodes:
        wrong = f"restore_node is {given['restore_node']}, which is not backed up. " if "restore_node" in given else ""
        known = ", ".join(nodes) or "none"
        problems.append(f"{wrong}Say whose backup to restore with -e restore_node=NODE; nodes that are backed up are {known}.")
    if given.get("restore_host", given.get("restore_node")) not in hosts and "restore_host" in given:
        problems.append(f"restore_host is {given['restore_host']}, which is no host of the inventory.")
    for name, value in given.items():
        check(partial(_check_text, name, value))
    for name in _YES_OR_NO:
        if name in given and not _is_yes_or_no(given[name]):
            problems.append(f"{name} is {given[name]}; there are true and false.")
    for name, (low, high) in _NUMBERS.items():
        if name in given and not _is_whole(given[name], low, high):
            problems.append(f"{name} is {given[name]}; it has to be a whole number from {low} to {high}.")
    if "restore_path" in given and str(given["restore_path"]).isprintable():
        check(lambda: require_absolute("restore_path", str(given["restore_path"])))
    if given.get("restore_delta_by", "checksum") not in ("checksum", "time"):
        problems.append(f"restore_delta_by is {given['restore_delta_by']}; there are checksum and time.")
    return problems + _target_problems(given)


def _target_problems(given: t.Mapping[str, t.Any]) -> list[str]:
    kind = given.get("restore_type", "latest")
    label = given.get("restore_set")
    if kind not in TARGET_TYPES:
        return [f"restore_type is {kind}; there are {', '.join(TARGET_TYPES)}."]
    if (kind in WITH_VALUE) != ("restore_target" in given):
        return [f"restore_target goes with restore_type={', '.join(WITH_VALUE)}, and only with these."]
    if kind == "set" and label is None:
        return ["restore_type=set needs the label of a backup in restore_set."]
    try:
        if label is not None:
            require_label("restore_set", str(label))
        # Whether it is in the future, the host says by its own clock.
        parse_target(kind, str(given["restore_target"]) if "restore_target" in given else None, label, math.inf)
    except MultimasterError as error:
        return [f"restore_target: {error}" if "restore_target" in given else str(error)]
    return []


def _check_text(name: str, value: t.Any) -> None:
    refuse_null_bytes(value, name)
    require_one_line(name, value)


def _is_yes_or_no(value: t.Any) -> bool:
    try:
        boolean(value, strict=True)
    except TypeError:
        return False
    return True


def _is_whole(value: t.Any, low: int, high: int) -> bool:
    text = str(value).strip()
    return not isinstance(value, bool) and text.isascii() and text.isdigit() and low <= int(text) <= high
