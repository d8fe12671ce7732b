# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Stopping the server of a restored copy, and never another process."""

from __future__ import annotations

import os
import signal
import time

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import DataDirectory

# Written by the start of a restored copy, and by nothing else.
MARK = "restored_copy.conf"
# Written where its server was left running on purpose.
KEPT = "restored_copy.kept"
PID_FILE = "postmaster.pid"
POLL_SECONDS = 0.1
STOP_SECONDS = 600


def processes_in(path: str) -> set[int]:
    """Processes that work in this directory: a server and its children, or children that outlived it."""
    wanted = os.path.realpath(path)
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/cwd") == wanted:
                found.add(int(name))
        except OSError:  # ended meanwhile, or another user's, which is no server of this user's directory
            continue
    return found


def is_restored_copy(directory: DataDirectory) -> bool:
    return directory.exists and os.path.exists(os.path.join(directory.path, MARK))


def is_kept(directory: DataDirectory) -> bool:
    return os.path.exists(os.path.join(directory.path, KEPT))


def stop_server(directory: DataDirectory, seconds: float = STOP_SECONDS) -> None:
    """Shut the directory's server down, fast, and wait until it has ended.

    postmaster.pid alone does not tell: after a crash of the host its number can be any process, the live server too.
    Only a process that works in the directory gets a signal. Where there is none, the file is what a crash left, and
    goes, or no restore would begin.
    """
    path, server = directory.path, directory.postmaster
    if server is None:
        return
    running = processes_in(path)
    if server.pid in running:
        os.kill(server.pid, signal.SIGINT)
        limit = time.monotonic() + seconds
        while server.pid in processes_in(path):
            if time.monotonic() > limit:
                raise MultimasterError(
                    f"The restored server in {path} (process {server.pid}) did not stop within {seconds:g} s. See its log, end "
                    f"it and run this again.",
                    pid=server.pid,
                )
            time.sleep(POLL_SECONDS)
        return
    if running:
        raise MultimasterError(
            f"The restored server in {path} crashed and left processes ({', '.join(str(each) for each in sorted(running))}). End "
            f"them and run this again.",
            pids=sorted(running),
        )
    try:
        os.remove(os.path.join(path, PID_FILE))
    except FileNotFoundError:
        return
