# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A PostgreSQL data directory as its files tell: whose it is, whether a server runs in it, whether it belongs to a mesh."""

from __future__ import annotations

import os
import struct
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._errors import MultimasterError

# Layouts from PostgreSQL's sources; the first members of pg_control have been the same since 8.x.
CONTROL = struct.Struct("=QIII")  # system_identifier, pg_control_version, catalog_version_no, state
SLOT_DATABASE = struct.Struct("=16x64sI")  # magic, checksum, version, length; name, database
ORIGIN = struct.Struct("=H6xQ")  # roident, remote_lsn
ORIGIN_HEADER = 4
ORIGIN_TRAILER = 4

CONTROL_FILE = "global/pg_control"
# The name that pgBackRest gives it until a restore is complete, so that no server starts on half a copy.
HELD_CONTROL_FILE = "global/pg_control.pgbackrest.tmp"
RESTORE_MANIFEST = "backup.manifest"


@dataclass(frozen=True)
class Control:
    system_id: int
    control_version: int
    catalog_version: int
    state: int


@dataclass(frozen=True)
class Postmaster:
    """What postmaster.pid says, and whether that process is there."""

    pid: int
    alive: bool


@dataclass(frozen=True)
class DataDirectory:
    path: str
    exists: bool = False
    empty: bool = True
    version: str | None = None
    control: Control | None = None
    half_restored: bool = False
    postmaster: Postmaster | None = None
    slots: tuple[str, ...] = ()
    origins: tuple[int, ...] = ()

    @property
    def system_id(self) -> int | None:
        return self.control.system_id if self.control else None

    @property
    def mesh_evidence(self) -> list[str]:
        """What shows that this node replicates with others."""
        evidence = []
        if self.slots:
            evidence.append(f"logical replication slots for its peers ({', '.join(self.slots)})")
        if self.origins:
            evidence.append(f"{len(self.origins)} subscription position(s) of rows from its peers")
        return evidence


def read_data_directory(path: str) -> DataDirectory:
    """Read what there is. Raises where the directory may not be read."""
    try:
        return _read(path)
    except FileNotFoundError:
        return DataDirectory(path)
    except NotADirectoryError:
        raise MultimasterError(f"{path} is not a directory.") from None
    except PermissionError:
        raise MultimasterError(
            f"{path} may not be read by this user. Run the task as its owner (become_user: postgres)."
        ) from None


def _read(path: str) -> DataDirectory:
    names = os.listdir(path)
    held = os.path.exists(os.path.join(path, HELD_CONTROL_FILE))
    return DataDirectory(
        path=path,
        exists=True,
        empty=not names,
        version=_first_line(os.path.join(path, "PG_VERSION")),
        control=read_control(os.path.join(path, HELD_CONTROL_FILE if held else CONTROL_FILE)),
        half_restored=held or (RESTORE_MANIFEST in names and not os.path.exists(os.path.join(path, CONTROL_FILE))),
        postmaster=_postmaster(path),
        slots=tuple(_logical_slots(os.path.join(path, "pg_replslot"))),
        origins=tuple(_origins(os.path.join(path, "pg_logical/replorigin_checkpoint"))),
    )


def read_control(path: str) -> Control | None:
    data = _bytes(path, CONTROL.size)
    return Control(*CONTROL.unpack(data)) if len(data) == CONTROL.size else None


def _postmaster(path: str) -> Postmaster | None:
    line = _first_line(os.path.join(path, "postmaster.pid"))
    if line is None:
        return None
    pid = abs(int(line)) if line.lstrip("-").isdigit() else 0
    return Postmaster(pid, _runs_in(pid, path))


def _runs_in(pid: int, path: str) -> bool:
    """Whether that process is a server of this directory. A number that another program has by now is none."""
    if pid <= 0:
        return False
    try:
        return os.path.realpath(f"/proc/{pid}/cwd") == os.path.realpath(path)
    except PermissionError:
        return os.path.exists(f"/proc/{pid}")
    except OSError:
        return False


def _logical_slots(directory: str) -> t.Iterator[str]:
    """Slots with a database are logical; a standby's slot has none."""
    if not os.path.isdir(directory):
        return
    for name in sorted(os.listdir(directory)):
        data = _bytes(os.path.join(directory, name, "state"), SLOT_DATABASE.size)
        if len(data) == SLOT_DATABASE.size:
            slot, database = SLOT_DATABASE.unpack(data)
            if database:
                yield slot.rstrip(b"\0").decode("utf-8", "replace")


def _origins(path: str) -> t.Iterator[int]:
    """Identifiers of the replication origins whose position is stored: one per subscription."""
    data = _bytes(path)
    body = data[ORIGIN_HEADER:-ORIGIN_TRAILER] if len(data) > ORIGIN_HEADER + ORIGIN_TRAILER else b""
    for offset in range(0, len(body) - ORIGIN.size + 1, ORIGIN.size):
        origin, _position = ORIGIN.unpack_from(body, offset)
        yield origin


def origins_in_file_of(size: int) -> int:
    """How many origins a replorigin_checkpoint of that many bytes holds."""
    return max(0, size - ORIGIN_HEADER - ORIGIN_TRAILER) // ORIGIN.size


def _first_line(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _bytes(path: str, size: int = -1) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(size)
    except (FileNotFoundError, NotADirectoryError):
        return b""
