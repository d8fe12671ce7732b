# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_multimaster_info: whether a subscription gets on, from looks at it and from the server's log."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import (
    APPLYING,
    CONNECTING,
    COPYING,
    FAILING,
    SILENT,
    STREAMING,
    UNREACHABLE,
    WAITING,
    Look,
    Publisher,
    Watched,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.server_log import (
    BLOCK_BYTES,
    TAIL_BYTES,
    Failure,
    failures,
    last_failure,
)

OLD = Look(pid=7, age=100.0, silence=0.5, received="0/90", confirmed="0/90", applied="0/80", is_idle=True)


def once(look: Look, failure: Failure | None = None, *, log: bool = True, copying: bool = False) -> Watched:
    return Watched(look, failure, log, copying, 15.0)


def watched(
    *looks: Look, failure: Failure | None = None, log: bool = True, copying: bool = False, publishers: t.Any = ()
) -> Watched:
    seen = once(looks[0], failure, log=log, copying=copying)
    for look in looks[1:]:
        seen.add(look)
    seen.publishers = list(publishers)
    return seen


def failed(at: str = "0/88", times: int = 1, **changes: t.Any) -> Failure:
    return Failure(at, "T2", "T1", times, "duplicate key", **changes)


@pytest.mark.parametrize(
    ("look", "failure", "state"),
    [
        (OLD, None, STREAMING),
        (OLD._replace(age=1.0), None, STREAMING),
        # Of long ago: not in the part of the log that is looked at, or applied since.
        (OLD._replace(errors=5), None, STREAMING),
        (OLD._replace(errors=5), failed("0/70"), STREAMING),
        (OLD._replace(errors=5), failed("0/88", 2), FAILING),
        # There, and started just now.
        (OLD._replace(errors=5, age=0.1), failed("0/88", 2), FAILING),
        (OLD._replace(errors=5, age=0.1), None, None),
        # Tried again, and perhaps a long transaction.
        (OLD._replace(errors=1), failed("0/88", 1), None),
        (OLD._replace(received=None, confirmed=None), None, None),
        (OLD._replace(pid=None), None, None),
        (OLD._replace(waits_for="pid 8", silence=6.0), None, WAITING),
        (OLD._replace(waits_for="pid 8", silence=0.1), None, STREAMING),
        (OLD._replace(silence=12.0), None, SILENT),
        # It applies a long transaction: it hears nothing, and it is not idle.
        (OLD._replace(silence=500.0, is_idle=False), None, STREAMING),
    ],
)
def test_one_look(look: Look, failure: Failure | None, state: str | None) -> None:
    progress = once(look, failure).quickly()
    assert (progress and progress.state) == state
    if state == STREAMING:
        assert progress is not None
        assert progress.errors == 0


def test_errors_count_since_the_last_success() -> None:
    """The server counts 500 that it got over long ago, too."""
    progress = once(OLD._replace(errors=503), failed("0/88", 3)).quickly()
    assert progress is not None
    assert (progress.state, progress.errors) == (FAILING, 3)
    progress = once(OLD._replace(errors=503), failed("0/88", 3, is_whole=False)).quickly()
    assert progress is not None
    assert progress.errors == 503, "how many there are in the rest of the log is not known"


@pytest.mark.parametrize("log", [True, False])
def test_a_worker_that_fails_is_there_most_of_the_time(log: bool) -> None:
    looks = [OLD._replace(pid=10 + number, age=0.2, errors=number, received="0/90", confirmed="0/90") for number in range(1, 4)]
    progress = watched(*looks, log=log).meanwhile()
    assert progress is not None
    assert progress.state == FAILING
    # The same with one failure that is seen, where the worker is started again seldom.
    one = watched(*looks[:2], log=log, failure=failed("0/88", 1) if log else None)
    assert one.meanwhile() is None
    assert one.finally_().state == FAILING


def test_a_position_that_moves_after_the_last_failure_is_a_success() -> None:
    before = OLD._replace(errors=4, age=1.0)
    moved = watched(before, before._replace(applied="0/89"), log=False).meanwhile()
    assert moved is not None
    assert (moved.state, moved.errors) == (STREAMING, 0)
    # It moved, and failed then.
    failed_then = watched(before, before._replace(applied="0/89"), before._replace(applied="0/89", errors=5), log=False)
    assert failed_then.finally_().state == FAILING


def test_a_peer_that_is_started_anew_once_is_no_failure() -> None:
    seen = watched(
        OLD._replace(errors=0, pid=None, received=None),
        OLD._replace(errors=1, pid=8, age=0.1),
        publishers=[Publisher(None, True)],
    )
    assert seen.finally_().state == STREAMING


@pytest.mark.parametrize(("confirmed", "state"), [("0/95", STREAMING), ("0/94", APPLYING)])
def test_an_old_error_and_a_log_that_cannot_be_read(confirmed: str, state: str) -> None:
    look = OLD._replace(errors=3)
    publishers = [Publisher(None, True, "0/95", "0/80"), Publisher(None, True, "0/99", confirmed)]
    assert watched(look, look, log=False, publishers=publishers).finally_().state == state
    assert watched(look, look, log=False).finally_().state == STREAMING, "the peer cannot be asked, either"


def test_without_a_peer() -> None:
    away = OLD._replace(pid=None, received=None)
    hanging = OLD._replace(received=None, confirmed=None)
    for look in (away, hanging):
        assert watched(look, look).finally_().state == CONNECTING
        assert watched(look, look, publishers=[Publisher("no route")]).finally_().state == UNREACHABLE
        assert watched(look, look, publishers=[Publisher(None, True)]).finally_().state == CONNECTING
        assert watched(look, look, publishers=[Publisher("The slot is lost.", True)]).finally_().state == FAILING


def test_errors_that_it_got_over_before_its_peer_went_do_not_count() -> None:
    away = OLD._replace(pid=None, received=None, errors=500)
    gone = [Publisher("no route")]
    assert watched(away, away._replace(errors=501), publishers=gone).finally_().errors == 1
    assert watched(away, away._replace(errors=501), failure=failed("0/70"), publishers=gone).finally_().errors == 1
    assert watched(away, away, failure=failed("0/88"), publishers=gone).finally_().errors == 500
    assert watched(away, away, log=False, publishers=gone).finally_().errors == 500


def test_workers_that_come_and_go_without_a_peer_do_not_fail() -> None:
    """One that finds no peer ends without an error that is counted."""
    looks = [OLD._replace(pid=pid, received=None, confirmed=None) for pid in (7, None, 8, None, 9, None)]
    seen = watched(*looks, publishers=[Publisher("refused")])
    assert seen.meanwhile() is None
    assert seen.finally_().state == UNREACHABLE
    # Its peer was started anew meanwhile.
    seen = watched(*looks, OLD._replace(pid=10, age=0.5), publishers=[Publisher("refused"), Publisher(None, True)])
    assert seen.meanwhile() is None
    assert seen.finally_().state == STREAMING


def test_copying() -> None:
    look = OLD._replace(copy_errors=2)
    assert once(look, copying=True).quickly() is None
    assert watched(look, look._replace(copy_errors=3), copying=True).finally_().state == FAILING
    assert watched(look, look, copying=True).finally_().state in (COPYING, APPLYING)
    progress = once(OLD, copying=True).quickly()
    assert progress is not None
    assert progress.state == COPYING
    done = once(look).quickly()
    assert done is not None
    assert (done.state, done.errors) == (STREAMING, 0)


ENGLISH = """\
2026-11-29 10:59:26.858 UTC [4577] LOG:  logical replication apply worker for subscription "sub" has started
2026-11-29 10:59:27.086 UTC [4577] ERROR:  duplicate key value violates unique constraint "t_pkey"
2026-11-29 10:59:27.086 UTC [4577] DETAIL:  Key (id)=(778) already exists.
2026-11-29 10:59:27.086 UTC [4577] CONTEXT:  processing remote data for replication origin "pg_16862" during message type \
"INSERT" for replication target relation "public.a" in transaction 883, finished at 0/5000738
2026-11-29 10:59:27.087 UTC [2553] LOG:  background worker "logical replication worker" (PID 4577) exited with exit code 1
"""
GERMAN = """\
2026-11-29 11:59:26.858 CET [4577] LOG:  Apply-Worker für logische Replikation für Subskription »sub« hat gestartet
2026-11-29 11:59:27.086 CET [4577] FEHLER:  doppelter Schlüsselwert verletzt Unique-Constraint »t_pkey«
2026-11-29 11:59:27.086 CET [4577] DETAIL:  Schlüssel »(id)=(778)« existiert bereits.
2026-11-29 11:59:27.086 CET [4577] ZUSAMMENHANG:  Verarbeiten empfangener Daten für Replication-Origin \
»pg_16862« bei Nachrichtentyp »INSERT« für Replikationszielrelation »public.t« in Transaktion 883, abgeschlossen bei 0/5000738
"""
PREFIX = "%m [%p] %q%u@%d from %h %a "


@pytest.mark.parametrize(
    ("text", "error"), [(ENGLISH, "duplicate key value violates"), (GERMAN, "doppelter Schlüsselwert verletzt")]
)
def test_an_error_in_the_log(text: str, error: str) -> None:
    (found,) = failures(text, 16862, PREFIX)
    assert (found.finished_at, found.action) == ("0/5000738", "INSERT")
    assert found.error.startswith(error)
    assert "778" in (found.detail or "")
    assert (found.table or "").startswith("public.")
    assert "59:27.086" in found.time
    assert failures(text, 1686, PREFIX) == []


def test_an_error_in_the_same_moment_as_the_start() -> None:
    (found,) = failures(ENGLISH.replace("26.858", "27.086"), 16862, PREFIX)
    assert found.error.startswith("duplicate key")


@pytest.mark.parametrize("prefix", ["%t [%p]: [%l-1] user=%u,db=%d ", "%m ", "[%p] %b %e ", "%n %c "])
def test_other_prefixes(prefix: str) -> None:
    values = {
        "%t": "2026-11-29 10:59:27 UTC",
        "%m": "2026-11-29 10:59:27.086 UTC",
        "%p": "4577",
        "%l": "3",
        "%u": "",
        "%d": "",
        "%b": "logical replication worker",
        "%e": "23505",
        "%n": "1796000000.123",
        "%c": "65.3",
    }
    text = prefix
    for escape, value in values.items():
        text = text.replace(escape, value)
    lines = "".join(f"{text}{line.partition('] ')[2]}\n" for line in ENGLISH.splitlines()[1:4])
    (found,) = failures(lines, 16862, prefix)
    assert found.error.startswith("duplicate key"), found
    assert found.detail == "Key (id)=(778) already exists."


def test_an_error_in_a_log_of_json() -> None:
    _start, error, detail, context = (line.partition(":  ")[2] for line in ENGLISH.splitlines()[:4])
    event = {"timestamp": "2026-11-29 10:59:27.086 UTC", "pid": 4577, "message": error, "detail": detail, "context": context}
    text = "cut off\n" + json.dumps({"timestamp": "T", "message": "pg_16862"}) + "\n" + json.dumps(event) + "\n"
    (found,) = failures(text, 16862, None)
    assert (found.finished_at, found.error, found.detail, found.table) == ("0/5000738", error, detail, "public.a")


class Log:
    prefix = PREFIX

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.reads = 0

    def size(self) -> int:
        return len(self.text)

    def read(self, offset: int, length: int) -> str:
        self.reads += 1
        return self.text[offset : offset + length].decode("utf-8", "replace")


def test_since_when_it_fails_also_where_the_log_is_long() -> None:
    def event(number: int, lsn: str) -> str:
        time = f"10:{number // 60 % 60:02}:{number % 60:02}.{number // 3600:03}"
        return ENGLISH.replace("10:59:27.086", time).replace("0/5000738", lsn)

    other = "2026-11-29 09:00:00.000 UTC [1] LOG:  something else\n"
    text = other * (3 * BLOCK_BYTES // len(other)) + event(0, "0/1") + "".join(event(n, "0/5000738") for n in range(1, 9000))
    log = Log(text)
    assert log.size() > 2 * TAIL_BYTES
    found = last_failure(log, 16862)
    assert found is not None
    # To the part of the log that is read at once.
    assert "10:00:0" in found.since or found.since.split()[1] < "10:03", found.since
    assert not found.is_whole
    assert log.reads < 30
    short = last_failure(Log(event(0, "0/1") + event(1, "0/2") + event(2, "0/2")), 16862)
    assert short is not None
    assert (short.times, short.is_whole, short.since.split()[1]) == (2, True, "10:00:01.000")
    assert last_failure(Log(other), 16862) is None


STREAMED = """\
2026-11-29 10:59:27.086 UTC [5] ERROR:  duplicate key value violates unique constraint "t_pkey"
2026-11-29 10:59:27.086 UTC [5] DETAIL:  Key (id)=(778) already exists.
2026-11-29 10:59:27.086 UTC [5] CONTEXT:  processing remote data for replication origin "pg_16862" during message type "INSERT" \
for replication target relation "public.a" in transaction 883
2026-11-29 10:59:27.087 UTC [4] ERROR:  logical replication parallel apply worker exited due to error
2026-11-29 10:59:27.087 UTC [4] CONTEXT:  processing remote data for replication origin "pg_16862" during message type "INSERT" \
for replication target relation "public.a" in transaction 883
\tlogical replication parallel apply worker
"""


def test_a_transaction_that_is_streamed_to_a_parallel_worker() -> None:
    found = last_failure(Log(STREAMED * 3), 16862)
    assert found is not None
    assert (found.finished_at, found.times, found.table) == (None, 3, "public.a")
    assert found.error.startswith("duplicate key")
    # Whether it got in meanwhile, no position tells: it is watched.
    settled = OLD._replace(errors=3)
    assert once(settled, found).quickly() is None
    assert watched(settled, settled._replace(errors=5, pid=8), failure=found)._failing().failure == found
    only_relayed = last_failure(Log(STREAMED[STREAMED.index("2026-11-29 10:59:27.087") :]), 16862)
    assert only_relayed is not None
    assert only_relayed.table == "public.a"


def test_an_error_in_a_function() -> None:
    """Its own context stands before that of the worker."""
    own = 'CONTEXT:  SQL statement "SELECT "x""\n\tPL/pgSQL function public.f() line 3\n\tprocessing'
    text = ENGLISH.replace("CONTEXT:  processing", own)
    (found,) = failures(text, 16862, PREFIX)
    assert (found.finished_at, found.action, found.table, found.is_relayed) == ("0/5000738", "INSERT", "public.a", False)
    assert found.error.startswith("duplicate key")
    lines = text.splitlines()
    event = {"timestamp": "T", "message": "no", "context": f"{lines[3].partition(':  ')[2]}\n{lines[5].strip()}"}
    (found,) = failures(json.dumps(event), 16862, None)
    assert (found.finished_at, found.table) == ("0/5000738", "public.a")
