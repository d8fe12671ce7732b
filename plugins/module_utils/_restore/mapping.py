# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Where a restore puts the tablespaces of a backup, and what is wrong with that. Looked at before anything is written."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import parse_info
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.live import (
    TABLESPACES,
    VERSION_FOLDER,
    Place,
    is_in,
    touched,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.space import nearest_there, refuse_unwritable


def tablespaces(info: str) -> list[dict[str, t.Any]]:
    """Those of the backup that ``pgbackrest info --set`` told of."""
    parse_info(info)
    found: list[dict[str, t.Any]] = []
    for stanza in json.loads(info, strict=False):
        for backup in stanza["backup"]:
            found.extend(backup.get("tablespace") or [])
    return found


def refuse_unknown_names(label: str, found: t.Sequence[dict[str, t.Any]], mapped: t.Mapping[str, str]) -> None:
    known = [each["name"] for each in found]
    unknown = sorted(set(mapped) - set(known))
    if unknown:
        raise MultimasterError(
            f"tablespace_map has {', '.join(unknown)}, which backup {label} does not have; its tablespaces are "
            f"{', '.join(known) or 'none'}. Nothing was changed."
        )


def refuse_places(
    label: str,
    path: str,
    found: t.Sequence[dict[str, t.Any]],
    mapped: t.Mapping[str, str],
    mapped_all: str | None,
    live: t.Sequence[Place] = (),
) -> None:
    """Of a copy in ``path``: a tablespace where the live node has one, or where there is something else."""
    places = {
        each["name"]: mapped.get(each["name"]) or (os.path.join(mapped_all, each["name"]) if mapped_all else each["destination"])
        for each in found
    }
    # Where they were, and where they are.
    taken = {os.path.realpath(each["destination"]) for each in found}
    shared = [f"{name} ({place})" for name, place in places.items() if os.path.realpath(place) in taken or touched(place, live)]
    if shared:
        raise MultimasterError(
            f"Backup {label} has tablespaces outside the data directory, which a copy would share with the node it is of: "
            f"{', '.join(shared)}. Give each another directory in tablespace_map, or all in tablespace_map_all."
        )
    own = _links(path)
    seen: dict[str, str] = {}
    for name, place in places.items():
        real = os.path.realpath(place)
        if is_in(real, os.path.realpath(path)):
            raise MultimasterError(
                f"Tablespace {name} would be restored into {place}, which is in the copy's own data directory {path}. Give it a "
                f"directory beside that. Nothing was changed."
            )
        # pgBackRest restores none into one that is in another's, and backs none up.
        other = next((seen[each] for each in seen if is_in(real, each) or is_in(each, real)), None)
        if other:
            raise MultimasterError(
                f"Tablespaces {other} and {name} would be restored into the same directory, or one into the other's: {place}. "
                f"Give each its own. Nothing was changed."
            )
        seen[real] = name
        _refuse_occupied(name, place, real in own)


def _refuse_occupied(name: str, place: str, own: bool) -> None:
    """What another restored copy, or a server that does not run, has there would be replaced."""
    there = nearest_there(place)
    if os.path.exists(there) and not os.path.isdir(there):
        raise MultimasterError(
            f"Tablespace {name} would be restored into {place}, and {there} is not a directory. Nothing was changed."
        )
    refuse_unwritable(place)
    if own or not os.path.isdir(place):
        return
    for folder in sorted(os.listdir(place)):
        if VERSION_FOLDER.fullmatch(folder) and os.listdir(os.path.join(place, folder)):
            raise MultimasterError(
                f"Tablespace {name} would be restored into {place}, which holds a tablespace already ({folder}) that is not this "
                f"copy's. Choose another directory, or empty it yourself if it is not needed; a restore never deletes what it "
                f"does not know."
            )


def _links(path: str) -> set[str]:
    """Where the tablespaces of an earlier copy in the directory are."""
    folder = os.path.join(path, TABLESPACES)
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    return {os.path.realpath(os.path.join(folder, name)) for name in names if os.path.islink(os.path.join(folder, name))}
