# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Where servers live on this host, and the proof that a restored copy has nothing of it."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import Configuration

PROC = "/proc"
# Links of a data directory that lead to what a server writes: its WAL, its logs, its statistics, its tablespaces.
TABLESPACES = "pg_tblspc"
# All that a server of one version has in a tablespace's directory is in a folder of that name.
VERSION_FOLDER = re.compile(r"PG_[0-9.]+_[0-9]+")


@dataclass(frozen=True)
class Place:
    """A folder that a server works with."""

    path: str
    """Without symbolic links."""
    what: str


def live_places(configured: t.Iterable[str], copy: str) -> list[Place]:
    """Of the data directories that are configured for stanzas, whether a server runs there or not, and of every other one in
    which a server of this user runs. ``copy`` is the directory that is restored into: its own places are none of these."""
    own = os.path.realpath(copy)
    found: dict[str, Place] = {}
    for directory in [*configured, *_running_directories()]:
        real = os.path.realpath(directory)
        if real != own and os.path.isdir(real):
            for place in _places_of(real):
                found.setdefault(place.path, place)
    return list(found.values())


def configured_directories(configuration: Configuration) -> list[str]:
    """Data directories of every stanza that pgBackRest is configured for on this host."""
    names = [name for name in configuration.sections if ":" not in name]
    # Of a stanza of which the files say nothing, the task can.
    found = {
        configuration.value(name, "pg1-path") for name in names or [""] if not configuration.value(name, "pg1-host")
    }
    return sorted(path for path in found if path and path.startswith("/"))


def touched(path: str, places: t.Iterable[Place]) -> Place | None:
    """The first of the places that the path is, is in, or has in it. A folder can be mounted in two places."""
    real = os.path.realpath(path)
    above = {_identity(each) for each in _with_parents(real)}
    return next(
        (each for each in places if is_in(real, each.path) or is_in(each.path, real) or _identity(each.path) in above), None
    )


def _with_parents(path: str) -> t.Iterator[str]:
    while True:
        yield path
        if path == os.path.dirname(path):
            return
        path = os.path.dirname(path)


def _identity(path: str) -> tuple[int, int] | str:
    """Of what is not there, its name."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return found.st_dev, found.st_ino


def links_to(directory: str, places: t.Sequence[Place]) -> list[tuple[str, Place]]:
    """Symbolic links below a directory, at any depth, that lead to one of the places."""
    found = []
    for link in sorted(links_in(directory)):
        place = touched(link, places)
        if place is not None:
            found.append((link, place))
    return found


def links_in(directory: str) -> t.Iterator[str]:
    """Those below it, at any depth. A link is not followed: what is behind it is judged as a whole."""
    try:
        entries = list(os.scandir(directory))
    except OSError:  # ended meanwhile, or another user's: no server of this user writes there
        return
    for entry in entries:
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from links_in(entry.path)


def refuse_live_place(path: str, what: str, places: t.Iterable[Place]) -> None:
    place = touched(path, places)
    if place is not None:
        raise MultimasterError(
            f"{what} {path} is not apart from {place.what} ({place.path}): a restored copy there would write into what a live "
            f"server uses. Choose another directory. Nothing was changed."
        )


def refuse_live_links(directory: str, places: t.Sequence[Place]) -> None:
    found = links_to(directory, places)
    if found:
        told = ", ".join(f"{link} leads to {place.what} ({os.path.realpath(link)})" for link, place in found)
        raise MultimasterError(
            f"The copy in {directory} has links into what a live server uses: {told}. No server may start in it. Remove these "
            f"links and nothing behind them, and restore into it again, with delta.",
            links=[link for link, _place in found],
        )


def _running_directories() -> list[str]:
    """Data directories in which a server of this user works: the working directory of its first process."""
    found = []
    for number in filter(str.isdigit, os.listdir(PROC)):
        try:
            directory = os.readlink(f"{PROC}/{number}/cwd")
            with open(os.path.join(directory, "postmaster.pid"), encoding="utf-8", errors="replace") as stream:
                if stream.readline().strip() == number:
                    found.append(directory)
        except OSError:  # ended meanwhile, another user's, or no server
            continue
    return found


def _places_of(directory: str) -> t.Iterator[Place]:
    server = f"the server of {directory}"
    yield Place(directory, f"the data directory of {server}")
    for link in _links_to_folders(directory):
        yield Place(os.path.realpath(link), f"{os.path.basename(link)} of {server}")
    for link in _links_to_folders(os.path.join(directory, TABLESPACES)):
        for folder in _version_folders(os.path.realpath(link)):
            yield Place(folder, f"a tablespace of {server}")


def _links_to_folders(folder: str) -> list[str]:
    """What a server only reads, a certificate for example, may be shared: a file."""
    try:
        return [each.path for each in os.scandir(folder) if each.is_symlink() and each.is_dir()]
    except OSError:
        return []


def _version_folders(location: str) -> list[str]:
    """What the server has in a tablespace's directory, which can be a whole disk with other things on it."""
    try:
        names = sorted(filter(VERSION_FOLDER.fullmatch, os.listdir(location)))
    except OSError:
        names = []
    return [os.path.join(location, name) for name in names] or [location]


def is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
