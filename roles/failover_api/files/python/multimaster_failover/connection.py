# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection to a node: opened within a time, watched while it idles, cut off at once."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import typing as t

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Connection = psycopg.AsyncConnection[t.Any]

# What each session begins with, whatever database and role have set: what every session of the collection does, see its
# module_utils/_core/session.py. A test holds them together.
SETTINGS: dict[str, str] = {
    "search_path": "",
    "row_security": "off",
    "role": "none",
    "local_preload_libraries": "",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "default_transaction_read_only": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "xmloption": "content",
    "backslash_quote": "safe_encoding",
    "password_encryption": "scram-sha-256",
    "check_function_bodies": "on",
    "gin_fuzzy_search_limit": "0",
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "quote_all_identifiers": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    "idle_session_timeout": "0",
    "tcp_user_timeout": "0",
}

# A peer that vanished without a word is given up by the kernel, too.
_TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 3000}


def conninfo(parameters: t.Mapping[str, t.Any], *, application_name: str, statement_timeout: float) -> str:
    """libpq's connection string. The server gives up by itself what nobody waits for any more."""
    milliseconds = max(1, round(statement_timeout * 1000))
    own = {
        "statement_timeout": milliseconds,
        # The statement's own limit ends a wait for a lock, too, and means the same.
        "lock_timeout": 0,
        "idle_in_transaction_session_timeout": 2 * milliseconds,
    }
    options = " ".join(f"-c {name}={_escaped(str(value))}" for name, value in {**SETTINGS, **own}.items())
    return make_conninfo(**{**_TCP, "application_name": application_name, "options": options, **parameters})


def _escaped(value: str) -> str:
    """Words in ``options`` end at a space."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class NoAnswer(psycopg.OperationalError):
    """None came in time, and nothing tells whose fault that is."""


class Patience:
    """For how long a new connection to a node is waited for, in seconds.

    Longer each time that none came: one that is begun anew again and again never gets through TLS where everything is slow.
    """

    LONGEST = 16.0
    TIMES = 4.0
    # A node that does not even take part in TCP is no reason for patience.
    REACHED = 1.0

    def __init__(self, least: float) -> None:
        self.least = self.seconds = least

    @property
    def is_tried(self) -> bool:
        return self.seconds > self.least

    def worked(self, seconds: float) -> None:
        """A connection took so long."""
        self.seconds = max(self.least, min(self.TIMES * seconds, self.LONGEST))

    def was_in_vain(self, seconds: float) -> None:
        """So long was waited."""
        self.seconds = max(self.seconds, min(2 * seconds, self.LONGEST), self.least)


async def connect(text: str, patience: Patience) -> Connection:
    """A new connection in autocommit mode. Raises psycopg.OperationalError or OSError, NoAnswer when the time is over."""
    if patience.is_tried:
        await _reach(text, patience.REACHED)
    began, seconds = asyncio.get_running_loop().time(), patience.seconds
    try:
        connection = await asyncio.wait_for(psycopg.AsyncConnection.connect(text, autocommit=True), seconds)
    except asyncio.TimeoutError:
        patience.was_in_vain(seconds)
        raise NoAnswer("no connection in time") from None
    patience.worked(asyncio.get_running_loop().time() - began)
    return connection


async def _reach(text: str, timeout: float) -> None:
    """Raises NoAnswer where packets get lost on the way, and OSError where nobody listens."""
    parameters = conninfo_to_dict(text)
    host, port = parameters.get("hostaddr") or parameters.get("host"), parameters.get("port")
    if not host or str(host).startswith(("/", "@")) or "," in str(host):
        return
    try:
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(str(host), int(port or 5432)), timeout)
    except asyncio.TimeoutError:
        raise NoAnswer("it cannot be reached") from None
    writer.transport.abort()


def cut(connection: Connection) -> None:
    """End it now, whatever it is doing.

    A statement that waits for its answer fails at once. psycopg's own cancellation is not used: it asks the server to
    cancel over a new connection, and a server that hangs would let that wait for ever.
    """
    try:
        copy = socket.socket(fileno=os.dup(connection.pgconn.socket))
    except (psycopg.Error, OSError):
        return
    try:
        copy.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        copy.close()


def discard(connection: Connection) -> None:
    """Give its socket back. Nothing may be waiting on the connection."""
    cut(connection)
    connection.pgconn.finish()


def is_quiet(connection: Connection) -> bool:
    """Whether an idle connection has nothing to say. A server that closed it, or is about to, has."""
    try:
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)
    except (psycopg.Error, OSError):
        return False


def is_idle(connection: Connection) -> bool:
    """Whether it is open and outside a transaction."""
    return not connection.closed and connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE


class Deadline:
    """Cuts a connection when the time is over, unless it was left before.

    This program itself may be what is slow (a busy machine, a host that was paused): then the timer comes late, or the answer
    is there and was not read yet. Such a deadline is put off, some times at most. ``more`` is asked when the time is over, and
    says for how many seconds there is reason to wait on.
    """

    LATE = 0.05
    PUT_OFF = 3

    def __init__(self, connection: Connection, seconds: float, more: t.Callable[[], float] | None = None) -> None:
        self.expired = False
        self._more = more
        self._connection = connection
        self._seconds = seconds
        self._put_off = 0
        self._loop = asyncio.get_running_loop()
        self._set(seconds)

    def __enter__(self) -> Deadline:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _set(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._due, self._over)

    def _over(self) -> None:
        is_late = self._loop.time() - self._due > self.LATE
        if self._put_off < self.PUT_OFF and (is_late or not is_quiet(self._connection)):
            self._put_off += 1
            self._set(self._seconds / 2)
            return
        more = self._more() if self._more else 0.0
        if more > 0:
            self._set(more)
            return
        self.expired = True
        cut(self._connection)
