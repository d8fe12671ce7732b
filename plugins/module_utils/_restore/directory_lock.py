# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""One task at a time for a directory that is restored into or proved."""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError


class Alone:
    """Holds a directory, so that no two tasks restore into it or prove it at once.

    A process that inherits ``descriptor`` holds it too: where a task is killed, as long as its pgBackRest goes on.
    ``take`` can be called again for a directory that was not there before; what is held stays held.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.descriptor = -1
        self._made = False

    def __enter__(self) -> Alone:
        return self

    def take(self, make: bool = False) -> None:
        """``make`` the directory where there is none. Without, one that is not there or may not be read is left alone:
        what is wrong with it is said elsewhere."""
        if self.descriptor >= 0:
            return
        if make:
            self._made = not os.path.isdir(self._path)
            os.makedirs(self._path, mode=0o700, exist_ok=True)
        elif not os.path.isdir(self._path) or not os.access(self._path, os.R_OK):
            return
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise MultimasterError(
                f"Another task restores into {self._path} or proves what is there. Wait for it to end, or end it; its work "
                f"would be destroyed."
            ) from None
        self.descriptor = descriptor

    def __exit__(self, *reason: t.Any) -> None:
        if self._made:
            # Nothing came of it: pgBackRest refused what it was told.
            with contextlib.suppress(OSError):
                os.rmdir(self._path)
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
