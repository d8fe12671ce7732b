# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A restored directory as a server of its own that nobody but this host's user reaches, and that reaches nobody."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import psycopg2
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import read_configuration
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import (
    AUTO_CONFIGURATION,
    DataDirectory,
    programs_folder,
    read_data_directory,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.copy_stop import KEPT, MARK, stop_server
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.live import (
    configured_directories,
    live_places,
    refuse_live_links,
    refuse_live_place,
    touched,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.tablespaces import GUARD

POLL_SECONDS = 0.1
LOG_LINES = 8
ACCESS = "restored_copy_hba.conf"
NAMES = "restored_copy_ident.conf"
LOG = "restored_copy.log"
RECOVERY_SIGNAL = "recovery.signal"

# What recovery needs at least as much of as the backed up server had.
_FROM_CONTROL = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}

# On the server's command line, where neither a file nor ALTER SYSTEM of the backed up server can say otherwise.
SILENT = {
    "listen_addresses": "",
    "archive_mode": "off",
    "archive_command": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "external_pid_file": "",
    "log_directory": "log",
    "synchronous_standby_names": "",
    "local_preload_libraries": "",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "primary_conninfo": "",
    "ssl": "off",
    "hot_standby": "off",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "cluster_name": "restored copy",
}
# The same for settings that not every version has: the first that has it, and the first that has it no more.
_SILENT_IN = {
    "promote_trigger_file": ("", 12, 16),
    "stats_temp_directory": ("pg_stat_tmp", 0, 15),
    "archive_library": ("", 15, 1000),
    # A function of the backed up server, called at each login.
    "event_triggers": ("off", 17, 1000),
    # Of tablespaces that were made in replayed WAL.
    "allow_in_place_tablespaces": ("on", 15, 1000),
}
# What a task's settings may change: a copy leaves the memory to the live node.
SMALL = {"shared_buffers": "128MB", "huge_pages": "off", "autovacuum": "off"}
# A server of a mesh has a replication origin for each subscription, more than PostgreSQL's default has room for; a server that
# has no room for them ends while it starts. This is far more than any has, and costs some kB of memory.
ROOM_FOR_ORIGINS = "1000"
# What counts the origins, since this version and before it.
OWN_SETTING_OF_ORIGINS_SINCE = 18


class RestoredCopy:
    """The server of one restored directory."""

    def __init__(self, path: str, port: int, socket_directory: str, programs: str | None, settings: t.Mapping[str, str]) -> None:
        self.path = os.path.abspath(path)
        self.port = port
        self.socket_directory = socket_directory
        self._programs = programs
        self._settings = dict(settings)
        self._configured = configured_directories(read_configuration())
        self.live = live_places(self._configured, self.path)

    # --- before ------------------------------------------------------------------------------------------------------

    def require_restored(self) -> DataDirectory:
        """What is there, or what is wrong with it. Touches nothing."""
        refuse_live_place(self.path, "pg_path", self.live)
        directory = read_data_directory(self.path)
        if directory.control is None:
            raise MultimasterError(f"{self.path} holds no restored cluster. Restore into it first (pgbackrest_restore).")
        if directory.half_restored:
            raise MultimasterError(f"{self.path} is only half restored. Run the restore again, with delta.")
        if not os.path.exists(self.program("postgres", directory)):
            raise MultimasterError(
                f"This host has no PostgreSQL {directory.version} in {os.path.dirname(self.program('postgres', directory))}. "
                f"Install it, or say in bin_path where it is."
            )
        if directory.slots or not directory.restored:
            raise MultimasterError(
                f"{self.path} is no restored copy: pgBackRest's mark of a restore is not in its {AUTO_CONFIGURATION}, or it has "
                f"replication slots, which no backup holds. Nothing was started."
            )
        if directory.postmaster and directory.postmaster.alive and not self._is_ours():
            raise MultimasterError(
                f"Another server runs in {self.path} (process {directory.postmaster.pid}), or its copy has another port than "
                f"{self.port}. Stop it first."
            )
        refuse_live_links(self.path, self.live)
        self._refuse_unguarded()
        return directory

    def _refuse_unguarded(self) -> None:
        """Recovery of a copy that was restored otherwise would make the live node's tablespaces where that one has them."""
        in_place = any(self.is_directory(each) for each in self._configured)
        if in_place or not os.path.exists(os.path.join(self.path, RECOVERY_SIGNAL)):
            return
        with open(os.path.join(self.path, AUTO_CONFIGURATION), encoding="utf-8", errors="replace") as stream:
            commands = [line for line in stream if line.startswith("restore_command")]
        if not commands or GUARD not in commands[-1]:
            raise MultimasterError(
                f"{self.path} was not restored by pgbackrest_restore of this release: its restore_command does not keep "
                f"tablespaces that are younger than the backup out of the live node's directories. Restore into it again, with "
                f"delta. Nothing was started."
            )

    def program(self, name: str, directory: DataDirectory) -> str:
        return os.path.join(self._programs or programs_folder(directory.version), name)

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self, directory: DataDirectory, timeout: float) -> None:
        """Start it, and wait until recovery has ended and it takes writes."""
        if directory.postmaster and directory.postmaster.alive:
            return
        self._require_free_port()
        self._write_files()
        argv = [self.program("postgres", directory), "-D", self.path]
        sizes = {**self._sizes(directory), **room_for_origins(directory.version or "")}
        silent = {**SILENT, **silent_in(directory.version or "")}
        for name, value in {**sizes, **SMALL, **self._settings, **self._own(), **silent}.items():
            argv += ["-c", f"{name}={value}"]
        with open(os.path.join(self.path, LOG), "wb") as log:
            server = subprocess.Popen(  # noqa: S603 an argument list of this collection's own making, without a shell
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/", start_new_session=True
            )
        limit = time.monotonic() + timeout
        while not self._takes_writes():
            if server.poll() is not None:
                raise MultimasterError(f"The restored server in {self.path} did not start: {self._end_of_log()}")
            if time.monotonic() > limit:
                server.terminate()
                server.wait()
                raise MultimasterError(
                    f"The restored server in {self.path} was not ready within {timeout:g} s and was stopped. Give it a longer "
                    f"timeout, or look at what it waits for: {self._end_of_log()}"
                )
            time.sleep(POLL_SECONDS)

    def keep(self, kept: bool) -> None:
        """Note for the next restore whether this server is left running on purpose."""
        note = os.path.join(self.path, KEPT)
        if kept:
            with open(note, "w", encoding="utf-8"):
                pass
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(note)

    def require_apart(self, settings: t.Iterable[tuple[str, str]]) -> None:
        """After recovery: nothing of the running copy is a live server's. ``settings``: those with a path, as it has them."""
        refuse_live_links(self.path, self.live)
        for name, value in settings:
            # A command has its own words; the one for the archive is the restore's.
            place = touched(value, self.live) if value.startswith("/") else None
            if place is not None:
                raise MultimasterError(
                    f"The restored server in {self.path} has {name} = {value}, which is not apart from {place.what} "
                    f"({place.path}). It was stopped. Reset that setting in its {AUTO_CONFIGURATION}."
                )

    def stop(self) -> None:
        stop_server(read_data_directory(self.path))

    def session(self, database: str) -> t.Any:
        session = psycopg2.connect(
            host=self.socket_directory,
            port=self.port,
            dbname=database,
            connect_timeout=10,
            options=options("load", _major(read_data_directory(self.path).version or "")),
        )
        session.autocommit = True
        return session

    # --- internals -----------------------------------------------------------------------------------------------------

    def _own(self) -> dict[str, str]:
        return {
            "config_file": os.path.join(self.path, MARK),
            "hba_file": os.path.join(self.path, ACCESS),
            "ident_file": os.path.join(self.path, NAMES),
            "port": str(self.port),
            "unix_socket_directories": self.socket_directory,
        }

    def _write_files(self) -> None:
        for name, text in (
            (MARK, "# A restored copy: all its settings are on the command line of the server.\n"),
            (ACCESS, "# A restored copy: only this host's own user, over the socket.\nlocal all all peer\n"),
            (NAMES, ""),
        ):
            with open(os.path.join(self.path, name), "w", encoding="utf-8") as stream:
                stream.write(text)

    def _sizes(self, directory: DataDirectory) -> dict[str, str]:
        done = subprocess.run(  # noqa: S603 an argument list of this collection's own making, without a shell
            [self.program("pg_controldata", directory), "-D", self.path],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        found = dict(re.findall(r"^([^:\n]+):\s+(\S+)", done.stdout, flags=re.MULTILINE))
        return {setting: found[label] for label, setting in _FROM_CONTROL.items() if label in found}

    def _is_ours(self) -> bool:
        return self._answers("pg_catalog.current_setting('cluster_name') = %s", [SILENT["cluster_name"]])

    def _takes_writes(self) -> bool:
        return self._answers("NOT pg_catalog.pg_is_in_recovery()", [])

    def _answers(self, condition: str, parameters: t.Sequence[t.Any]) -> bool:
        """Whether it is this directory's server that answers, and the condition holds there."""
        with contextlib.suppress(psycopg2.Error), contextlib.closing(self.session("postgres")) as session:
            cursor = session.cursor()
            cursor.execute(f"SELECT pg_catalog.current_setting('data_directory'), {condition}", parameters)
            directory, holds = cursor.fetchone()
            return self.is_directory(directory) and bool(holds)
        return False

    def is_directory(self, directory: str) -> bool:
        return os.path.realpath(directory) == os.path.realpath(self.path)

    def _require_free_port(self) -> None:
        """Where another server has the port, this one would end at once, and that one would be examined in its place."""
        place = os.path.join(self.socket_directory, f".s.PGSQL.{self.port}")
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            try:
                connection.connect(place)
            except PermissionError:
                pass
            except OSError:  # nobody is there; where the folder is wrong, the server says so itself
                return
        raise MultimasterError(
            f"Another server has port {self.port} ({place}), which the restored server in {self.path} is to get. Choose another "
            f"port, or stop that server."
        )

    def _end_of_log(self) -> str:
        with open(os.path.join(self.path, LOG), encoding="utf-8", errors="replace") as stream:
            return " | ".join(" ".join(line.split()) for line in stream.readlines()[-LOG_LINES:])


def silent_in(version: str) -> dict[str, str]:
    """Settings of this version that keep a copy to itself, beside those of all versions."""
    return {name: value for name, (value, since, until) in _SILENT_IN.items() if since <= _major(version) < until}


def room_for_origins(version: str) -> dict[str, str]:
    """Settings with which a server of this version starts, however many replication origins it has."""
    names = ["max_replication_slots"]
    if _major(version) >= OWN_SETTING_OF_ORIGINS_SINCE:
        names.append("max_active_replication_origins")
    return dict.fromkeys(names, ROOM_FOR_ORIGINS)


def _major(version: str) -> int:
    major = version.partition(".")[0]
    return int(major) if major.isdigit() else 0
