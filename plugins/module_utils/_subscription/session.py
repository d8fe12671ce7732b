# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Work on the peer, in the background and with a limit: a peer that hangs never hangs the task."""

from __future__ import annotations

import socket
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.background import Job, Result
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# libpq tries each address of a name in turn, and each may take its connect_timeout.
_GRACE = 10

# A server that answers so is there, and will be ready or free soon.
_BUSY = ("starting up", "shutting down", "not yet accepting connections", "in recovery mode", "too many clients")


class PeerUnreachable(MultimasterError):
    """The peer does not answer: it does not resolve, refuses, or times out. One that rejects the login answers."""


class Peer:
    """The session with the other node."""

    def __init__(self, parameters: dict[str, str], warn: t.Callable[[str], None], kind: str = "change") -> None:
        self.parameters = parameters
        self._warn = warn
        self._kind = kind
        self._timeout = int(parameters.get("connect_timeout") or 5)
        self._connecting: Job[Connection] | None = None

    def begin(self) -> None:
        """Connect in the background."""
        self._connecting = Job(self._connect)

    @property
    def connection(self) -> Connection:
        if self._connecting is None:
            self.begin()
        return t.cast("Job[Connection]", self._connecting).result()

    @property
    def where(self) -> str:
        p = self.parameters
        return f"the peer {p.get('host', '')} port {p.get('port', '5432')}"

    def start(self, work: t.Callable[[Connection], Result]) -> Job[Result]:
        """Connect if need be and run the function on the connection, in the background."""
        return Job(lambda: work(self.connection))

    def wait(self, job: Job[Result], seconds: float = 0) -> Result:
        """The job's result, or an error when the peer hangs. ``seconds`` is what the work itself may take."""
        limit = self._timeout + _GRACE + seconds
        if not job.finished(limit):
            raise PeerUnreachable(f"{self._capital} does not answer: nothing came back within {limit:.0f} s.")
        return job.result()

    def run(self, work: t.Callable[[Connection], Result], seconds: float = 0) -> Result:
        return self.wait(self.start(work), seconds)

    def another(self) -> Peer:
        """A second session, for looking at what holds up the first."""
        return Peer(self.parameters, self._warn, self._kind)

    def close(self) -> None:
        if self._connecting is not None and self._connecting.finished(0):
            self._connecting.result().close()

    @property
    def _capital(self) -> str:
        return self.where[0].upper() + self.where[1:]

    def _connect(self) -> Connection:
        begin = time.monotonic()
        try:
            return Connection(self.parameters, self._warn, self._kind)
        except MultimasterError as error:
            problem = self._problem(str(error), time.monotonic() - begin)
            if problem:
                raise PeerUnreachable(f"{self._capital} {problem}. {error}") from None
            raise MultimasterError(f"{self._capital} answers, but no session comes about. {error}") from None

    def _problem(self, message: str, seconds: float) -> str | None:
        """Why no server answers; None where one does. The client library's own words depend on its language."""
        # The client library counts in whole seconds of the clock: it may give up most of one early.
        if seconds > max(1, self._timeout - 1):
            return "does not answer in time"
        for state in _BUSY:
            if state in message:
                return f"says: {state}"
        problem = None
        for host, port in self._addresses():
            problem = _no_answer(host, port, self._timeout)
            if problem is None:
                break
        return problem

    def _addresses(self) -> list[tuple[str, str]]:
        hosts = (self.parameters.get("hostaddr") or self.parameters.get("host", "")).split(",")
        ports = self.parameters.get("port", "5432").split(",")
        return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports))


def _no_answer(host: str, port: str, timeout: float) -> str | None:
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(timeout)
                probe.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, int(port)), timeout).close()
    except (socket.gaierror, UnicodeError):
        return "does not resolve"
    except socket.timeout:
        return "does not answer in time"
    except (OSError, ValueError, OverflowError):
        return "cannot be reached"
    return None
