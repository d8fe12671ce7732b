# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Whether a restore fits onto its disk. A copy that fills the disk of the live node stops that one's server."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# Recovery keeps the WAL since its last restart point: no more than max_wal_size, which is this by default.
KEPT_WAL = 1 << 30
# The segment that is being fetched, the one that is being compared, and the first of the new timeline with its successor.
SPARE_SEGMENTS = 4
MEGABYTE = 1 << 20


def refuse_too_little_space(path: str, tablespaces: t.Sequence[str], backup_size: int, segments: int, segment_size: int) -> None:
    """``backup_size`` in bytes; ``segments``: how many recovery reads. What is there already, in the directory and in its
    tablespaces' folders, is written over."""
    wal = min(segments * segment_size, KEPT_WAL) + SPARE_SEGMENTS * segment_size
    needed = max(0, backup_size - used_bytes(path, tablespaces)) + wal
    available = free_bytes(path)
    if needed > available:
        raise MultimasterError(
            f"The disk of {path} has {_shown(available)} free, and the restore needs {_shown(needed)}: {_shown(backup_size)} of "
            f"data, less what is there already, and {_shown(wal)} for WAL. Make room, choose another directory, or, if you know "
            f"better, set check_free_space to false.",
            needed_bytes=needed,
            free_bytes=available,
        )


def free_bytes(path: str) -> int:
    """Free for this user where the directory is, or will be."""
    room = os.statvfs(nearest_there(path))
    return room.f_bavail * room.f_frsize


def nearest_there(path: str) -> str:
    """The path, or the folder in which it would be made."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def refuse_unwritable(path: str) -> None:
    place = nearest_there(path)
    if os.path.islink(place) and not os.path.exists(place):
        raise MultimasterError(f"{place} is a symbolic link to {os.path.realpath(place)}, which is not there. Make that first.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise MultimasterError(
            f"{place} may not be written by this user, so {path} cannot be restored. Make the directory first, with the server's "
            f"user as its owner."
        )


def used_bytes(path: str, further: t.Sequence[str] = ()) -> int:
    """What the files of these directories take on the first one's disk. Files that end meanwhile count nothing."""
    total = 0
    try:
        device = os.stat(path).st_dev
    except FileNotFoundError:
        return 0
    for file in {
        os.path.join(folder, name) for each in (path, *further) for folder, _folders, names in os.walk(each) for name in names
    }:
        try:
            found = os.lstat(file)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_dev == device:
            total += found.st_blocks * 512
    return total


def _shown(size: int) -> str:
    return f"{-(-size // MEGABYTE)} MB"
