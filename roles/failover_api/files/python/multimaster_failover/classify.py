# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an error of an attempt means for the node that it came from."""

from __future__ import annotations

import enum

import psycopg

from .connection import NoAnswer


class Fault(enum.Enum):
    """Who is to blame, and so what happens next."""

    # The node is gone, going, or takes no writes: it is set aside, and the request goes to another one.
    NODE = "node"
    # The node is alive and busy: the request goes to another one, the node stays.
    BUSY = "busy"
    # No answer came in time, and that alone does not tell whose fault it is.
    LATE = "late"
    # Another transaction came first, or this program did not go on with its own: the same node again.
    SERIALIZATION = "serialization"
    # The statement or its values are wrong: the same everywhere.
    APPLICATION = "application"


_SERIALIZATION = {"40001", "40P01", "25P03"}
_BUSY = {"57014", "55P03", "53300", "53200"}
# A read-only answer, a shutdown, a full disk, a failing one
_NODE = {"25006", "57P01", "57P02", "57P03", "57P05", "53100"}
_NODE_CLASSES = ("08", "58")

_REASONS = {
    "25006": "it takes no writes",
    "28000": "it does not let this role in",
    "28P01": "it does not take this password",
    "3D000": "it has no such database",
    "42501": "a privilege is missing",
    "42P01": "a table is missing",
    "53100": "its disk is full",
    "57P01": "it is shutting down",
    "57P02": "it crashed",
    "57P03": "it is starting or stopping",
}


def fault(error: BaseException, *, connection_closed: bool) -> Fault:
    """Classify an error that an attempt ended with; ``connection_closed`` says whether its connection is unusable now.

    By SQLSTATE alone. An attempt to connect has none, whatever the server says, and the server's words are in any language: a
    node that only lets nobody else in is known by the connections that are there, which go on to be answered.
    """
    if isinstance(error, NoAnswer):
        return Fault.LATE
    if isinstance(error, psycopg.Error):
        code = error.sqlstate
        if code in _SERIALIZATION:
            return Fault.SERIALIZATION
        if code in _BUSY:
            return Fault.BUSY
        if code and (code in _NODE or code.startswith(_NODE_CLASSES)):
            return Fault.NODE
        if connection_closed or (code is None and isinstance(error, psycopg.OperationalError)):
            return Fault.NODE
        return Fault.APPLICATION
    if isinstance(error, OSError):
        return Fault.NODE
    return Fault.APPLICATION


def reason(error: BaseException) -> str:
    """In a few words, without the server's own text, which may quote statements and addresses."""
    code = getattr(error, "sqlstate", None)
    if code in _REASONS:
        return _REASONS[code]
    if code:
        return f"it answered with SQLSTATE {code}"
    if not isinstance(error, (psycopg.Error, OSError)):
        return "the program's own warm-up failed"
    if isinstance(error, NoAnswer):
        return "it gives no connection in time"
    return "the connection failed"
