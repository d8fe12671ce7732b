# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A server's configuration, tried before it takes the place of the one in use.

A cluster of its own is made for that in a temporary folder, started with the new files, and removed again. It listens on no
address, archives nothing, and has neither path nor port of the live server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# What the trial says instead of the new files: where it is, that it does nothing outside, and that it speaks plainly.
_APART = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "unix_socket_group": "",
    "archive_command": "",
    "archive_library": "",
    "fsync": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "log_min_messages": "warning",
    "lc_messages": "C",
    # Those of the host are in use by the live server.
    "huge_pages": "try",
}
# The lines of both files that the server does not understand.
_FILE_ERRORS = (
    "COPY (SELECT 'pg_hba.conf', line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL"
    " UNION ALL SELECT 'pg_ident.conf', line_number, error FROM pg_catalog.pg_ident_file_mappings WHERE error IS NOT NULL"
    " ORDER BY 1, 2) TO '{}' (FORMAT text)"
)
_SHOWN_LINES = 8
# What a person need not read who wants to know why.
_NO_REASONS = ("LOG:  starting PostgreSQL", "LOG:  listening on", "LOG:  database system")


class Trial:
    """One configuration: the folder with the files of now, and the new ones by their paths in it."""

    def __init__(self, programs: str, folder: str, files: t.Mapping[str, str], timeout: float = 120) -> None:
        self._programs, self._folder, self._files = programs, folder.rstrip("/"), files
        self._timeout = timeout
        self._apart = dict(_APART)
        if _commits_strictly():
            # There, memory for a second server may be refused that the first one would give back.
            self._apart["shared_buffers"] = "16MB"

    def problems(self) -> list[str]:
        """What a server would not start with, or not understand, one sentence each, in the server's own words."""
        if not os.path.isdir(self._folder):
            raise MultimasterError(f"folder is {self._folder}, which is no folder: name the one with postgresql.conf.")
        for program in ("postgres", "initdb"):
            if not os.access(os.path.join(self._programs, program), os.X_OK):
                raise MultimasterError(f"programs is {self._programs}, where this user has no program {program} to run.")
        self._home = tempfile.mkdtemp(prefix="mm-try-")
        try:
            self._prepare()
            return self._file_errors() or self._start()
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    def _path(self, name: str) -> str:
        return os.path.join(self._home, name)

    def _prepare(self) -> None:
        shutil.copytree(self._folder, self._path("etc"))
        for path, content in self._files.items():
            inside = os.path.relpath(path, self._folder)
            if inside.startswith(".."):
                raise MultimasterError(f"{path} is not in {self._folder}, so it cannot be tried.")
            target = os.path.join(self._path("etc"), inside)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w", encoding="utf-8") as file:
                file.write(content)
        made = self._run(
            "initdb", "--pgdata", self._path("data"), "--username=postgres", "--auth=trust", "--no-sync", "--no-locale",
            "--encoding=UTF8", "--wal-segsize=1", "--no-instructions",
        )  # fmt: skip
        if made.returncode:
            raise MultimasterError(f"No cluster could be made to try the configuration with: {self._said(made.stdout)}")

    @property
    def _settings(self) -> list[str]:
        settings = {
            **self._apart,
            "config_file": self._path("etc/postgresql.conf"),
            "hba_file": self._path("etc/pg_hba.conf"),
            "ident_file": self._path("etc/pg_ident.conf"),
            "data_directory": self._path("data"),
            "unix_socket_directories": self._home,
            "external_pid_file": self._path("pid"),
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _file_errors(self) -> list[str]:
        # A single session reads both files when it is asked, and not before.
        answer = self._path("answer")
        done = self._run("postgres", "--single", *self._settings, "postgres", said=_FILE_ERRORS.format(answer) + "\n")
        if done.returncode or not os.path.exists(answer):
            return [self._refusal(done.stdout)]
        with open(answer, encoding="utf-8") as lines:
            return [self._file_error(*line.rstrip("\n").split("\t", 2)) for line in lines]

    def _file_error(self, name: str, number: str, error: str) -> str:
        with open(self._path(f"etc/{name}"), encoding="utf-8") as file:
            line = file.read().splitlines()[int(number) - 1].strip()
        return f"{name} would have the line {line}, with which the server cannot do anything: {error}."

    def _start(self) -> list[str]:
        log = self._path("log")
        with open(log, "wb") as output:
            server = subprocess.Popen(  # noqa: S603 an argument list of this collection's own making, without a shell
                [os.path.join(self._programs, "postgres"), *self._settings],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(),
            )  # fmt: skip
        try:
            limit = time.monotonic() + self._timeout
            while server.poll() is None and not self._ready():
                if time.monotonic() > limit:
                    return [f"The server would not be up within {self._timeout:.0f} s. It says: {self._read(log)}"]
                time.sleep(0.05)
            if server.poll() is None:
                return []
            return [self._refusal(self._read(log))]
        finally:
            self._stop(server)

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        """At once, with all that it has begun."""
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(self._timeout)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def _ready(self) -> bool:
        try:
            with open(self._path("data/postmaster.pid"), encoding="utf-8") as file:
                return file.read().splitlines()[7:8] == ["ready   "]
        except OSError:
            return False

    def _refusal(self, said: str) -> str:
        return f"The server would not start with this configuration: {self._said(said)}"

    def _read(self, path: str) -> str:
        with open(path, encoding="utf-8", errors="replace") as file:
            return self._said(file.read())

    def _said(self, text: str) -> str:
        lines = [line.strip() for line in text.replace(self._path("etc"), self._folder).splitlines()]
        lines = [line for line in lines if line and not line.startswith(_NO_REASONS)]
        return " ".join(lines[:_SHOWN_LINES])

    def _run(self, program: str, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 an argument list of this collection's own making, without a shell
                [os.path.join(self._programs, program), *arguments], input=said, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=self._timeout, check=False, env=_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MultimasterError(f"{program} took longer than {self._timeout:.0f} s to try the configuration.") from None
        except OSError as error:
            raise MultimasterError(f"{program} could not be run to try the configuration: {error.strerror}.") from None


def _environment() -> dict[str, str]:
    """Nothing of the caller's that a server or a client library would heed."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def _commits_strictly() -> bool:
    try:
        with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as file:
            return file.read().strip() == "2"
    except OSError:
        return False
