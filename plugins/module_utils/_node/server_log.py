# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Why apply workers failed, from the server's log: no view of PostgreSQL holds the text of an error.

The log is read through the server, from its end. Words in it are in the server's language, so nothing is told by a word: a line
belongs to a subscription by the name of its origin (``pg_`` and its oid) and the position of a transaction beside it, and to an
event by process and time. With ``jsonlog`` the fields are named.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError

# How much of the log's end is looked at, and how much at once when the beginning of a series is looked for.
TAIL_BYTES = 1 << 20
BLOCK_BYTES = 1 << 16

# An apply worker that cannot go on says "... replication origin "pg_16400" ... transaction 742, finished at 0/1A2B3C", the last
# only where the end of the transaction is known: not while it is streamed to a parallel worker.
# Quotes as English, German and French have them
_OPEN, _CLOSE = '["\u201e\u201c\u00ab\u00bb]', '["\u201c\u201d\u00ab\u00bb]'
_FAILED_AT = _OPEN + r"\s?pg_{oid}\s?" + _CLOSE + r"(?:.*?(?P<lsn>\b[0-9A-F]{{1,8}}/[0-9A-F]{{1,8}}\b))?"
_QUOTED = re.compile(_OPEN + r"\s?(?P<text>.+?)\s?" + _CLOSE)
_LABEL = re.compile(r"(?P<label>[^\s:\"]{2,20}) ?: +(?P<text>.*)")
_OF_AN_EVENT = ("DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION")
_ESCAPES = {
    "m": r"(?P<time>\S+ \S+ \S+)",
    "t": r"(?P<time>\S+ \S+ \S+)",
    "n": r"(?P<time>[0-9.]+)",
    "p": r"(?P<pid>\d+)",
    "%": "%",
}

_WHERE = """
SELECT current_setting('logging_collector')::bool AS collected,
       pg_current_logfile('jsonlog') AS json, pg_current_logfile('stderr') AS plain,
       current_setting('log_line_prefix') AS prefix,
       '/proc/' || split_part(pg_read_file('postmaster.pid'), E'\\n', 1) || '/fd/2' AS stderr
"""


@dataclass(frozen=True)
class Failure:
    """The last failure of an apply worker that was found.

    ``finished_at`` is the position of the transaction that it failed at, ``since`` when it failed there first (as far as the log
    goes back), ``times`` how often in the part of the log that was looked at, and ``is_whole`` whether that is all.
    """

    finished_at: str | None
    time: str
    since: str
    times: int
    error: str
    detail: str | None = None
    action: str | None = None
    table: str | None = None
    is_whole: bool = True
    # Said again by the process that the failed one works for.
    is_relayed: bool = False


class ServerLog(t.NamedTuple):
    """The log of a server, readable by offset."""

    connection: Connection
    path: str
    prefix: str | None

    def size(self) -> int:
        return self.connection.fetch_value("SELECT (pg_stat_file(%s)).size", [self.path])

    def read(self, offset: int, length: int) -> str:
        data = self.connection.fetch_value("SELECT pg_read_binary_file(%s, %s, %s)", [self.path, offset, length])
        return bytes(data).decode("utf-8", "replace")


def open_log(connection: Connection) -> ServerLog | None:
    """None where the log is not to be had: the role may not read it, or it goes to the journal or elsewhere."""
    try:
        where = connection.fetch_one(_WHERE)
        if where["collected"]:
            path, prefix = (where["json"], None) if where["json"] else (where["plain"], where["prefix"])
        else:
            path, prefix = where["stderr"], where["prefix"]
        log = ServerLog(connection, path or "", prefix)
        return log if path and log.size() > 0 and log.read(0, 1) else None
    except MultimasterError:
        return None


def last_failure(log: t.Any, oid: int) -> Failure | None:
    """The last failure of the subscription with this oid. ``log`` is a ServerLog."""
    size = log.size()
    begin = max(0, size - TAIL_BYTES)
    found = failures(log.read(begin, size - begin), oid, log.prefix)
    if not found:
        return None
    found = [each for each in found if not each.is_relayed] or found
    last = found[-1]
    same = [each for each in found if each.finished_at == last.finished_at]
    is_whole = begin == 0 or len(same) < len(found)
    since = (None if is_whole or last.finished_at is None else _first(log, oid, last.finished_at, begin)) or same[0].time
    # The process that a failed one works for can fail with it, and knows less.
    told = next((each for each in reversed(same) if each.table), last)
    return replace(told, time=last.time, since=since, times=len(same), is_whole=is_whole)


def _first(log: t.Any, oid: int, finished_at: str, end: int) -> str | None:
    """When it failed there first. From then on every part of the log holds such a failure: the worker tries again and again."""

    def at(block: int) -> list[Failure]:
        return [f for f in failures(log.read(block * BLOCK_BYTES, BLOCK_BYTES), oid, log.prefix) if f.finished_at == finished_at]

    low, high = 0, end // BLOCK_BYTES
    first = None
    while low < high:
        middle = (low + high) // 2
        found = at(middle)
        if found:
            first, high = found[0].time, middle
        else:
            low = middle + 1
    return first


def failures(text: str, oid: int, prefix: str | None) -> list[Failure]:
    """The failures of the subscription in a piece of the log, in order. ``prefix`` None: lines of JSON."""
    context = re.compile(_FAILED_AT.format(oid=oid))
    if prefix is None:
        return [failure for failure in (_of_json(line, context) for line in text.splitlines()) if failure]
    begin = re.compile(_prefix_pattern(prefix) + _LABEL.pattern)
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        at = context.search(line)
        if at is None:
            continue
        # What a function of the database says of itself stands before, in lines of the same part.
        first = number
        while first > 0 and lines[first].startswith("\t"):
            first -= 1
        start = begin.match(lines[first])
        if start:
            text = line.strip() if first < number else start["text"]
            found.append(_of_lines(lines, first, begin, start, text, at["lsn"]))
            if number + 1 < len(lines) and lines[number + 1].startswith("\t"):
                found[-1] = replace(found[-1], is_relayed=True)
    return found


def _prefix_pattern(prefix: str) -> str:
    """log_line_prefix as a pattern, as it is before the lines of a background process: nothing stands there after %q."""
    pattern, seen = "", set()
    for literal, escape in re.findall(r"([^%]+)|%-?\d*(.)", prefix):
        if literal:
            pattern += re.escape(literal)
        elif escape == "q":
            break
        else:
            wanted = _ESCAPES.get(escape, ".*?")
            name = re.search(r"\?P<(\w+)>", wanted)
            pattern += ".*?" if name and name[1] in seen else wanted
            seen |= {name[1]} if name else set()
    return pattern


def _of_lines(
    lines: list[str], number: int, begin: re.Pattern[str], context: re.Match[str], text: str, lsn: str | None
) -> Failure:
    """An event is the lines of one process and one moment; the first is the error, the others say more of it."""

    def key(match: re.Match[str] | None) -> t.Any:
        return match and (match.groupdict().get("pid"), match.groupdict().get("time"))

    before: list[re.Match[str]] = []
    for line in reversed(lines[max(0, number - 200) : number]):
        match = begin.match(line)
        if match is None and line.startswith("\t"):
            continue
        if match is None or key(match) != key(context):
            break
        before.append(match)
        # In English the labels tell where an event begins; two of one process can share a moment.
        if (len(before) > 1 and before[-2]["label"] in _OF_AN_EVENT and match["label"] not in _OF_AN_EVENT) or match[
            "label"
        ] == "ERROR":
            break
    before.reverse()
    time = context.groupdict().get("time") or ""
    error = before[0]["text"] if before else ""
    return _failure(time, error, before[1]["text"] if len(before) > 1 else None, text, lsn)


def _of_json(line: str, context: re.Pattern[str]) -> Failure | None:
    try:
        event = json.loads(line)
        parts = event.get("context", "").split("\n")
    except (ValueError, AttributeError):
        return None
    for number, part in enumerate(parts):
        at = context.search(part)
        if at:
            failure = _failure(event["timestamp"], event.get("message", ""), event.get("detail"), part, at["lsn"])
            return replace(failure, is_relayed=number + 1 < len(parts))
    return None


def _failure(time: str, error: str, detail: str | None, context: str, lsn: str | None) -> Failure:
    # The origin, what was done, and to which table, in this order; not all of them are always there.
    quoted = [match["text"] for match in _QUOTED.finditer(context)][1:]
    action, table = [*quoted, None, None][:2]
    return Failure(lsn, time, time, 1, error, detail, action, table)
