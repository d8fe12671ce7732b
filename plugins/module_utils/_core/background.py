# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Work in a thread of its own, for what mostly waits."""

from __future__ import annotations

import threading
import typing as t

Result = t.TypeVar("Result")


class Job(t.Generic[Result]):
    """A function that runs in a thread of its own. The thread ends with the process, even if it hangs."""

    def __init__(self, work: t.Callable[[], Result]) -> None:
        self._work = work
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  (result() raises it again)
            self._error = error

    def finished(self, seconds: float) -> bool:
        """Wait so long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return t.cast("Result", self._result)
