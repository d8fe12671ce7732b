# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_multimaster_info: what a server answered becomes data and plain sentences."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info import describe, incomplete
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_problems import Limits, problems, size
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.info_read import Answers, DatabaseAnswers
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.progress import (
    CONNECTING,
    DISABLED,
    FAILING,
    SILENT,
    STREAMING,
    UNREACHABLE,
    WAITING,
    Progress,
    Publisher,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.server_log import Failure

NODE: dict[str, t.Any] = {
    "version_num": 160014,
    "started": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    "system_identifier": "1",
    "timeline": 1,
    "current_lsn": "0/100",
    "standby": False,
    "database": "imdb",
    "user": "monitor",
    "settings": {"server_version": "16.14 (Debian)", "wal_level": "logical", "max_logical_replication_workers": "4"},
    "reads_conninfo": True,
    "reads_origins": True,
    "reads_stats": True,
    "databases": ["imdb", "postgres"],
}


def slot(lags: t.Any = None, **changes: t.Any) -> dict[str, t.Any]:
    columns = {
        "slot_name": "slot_1_to_2",
        "slot_type": "logical",
        "database": "imdb",
        "active": True,
        "temporary": False,
        "wal_status": "reserved",
        "safe_wal_size": None,
        "conflicting": False,
        **changes,
    }
    names = ("application_name", "client_addr", "sent_lsn", "write_lsn", "flush_lsn", "replay_lsn", "reply_time")
    return {
        "slot": columns,
        "retained_bytes": 2048,
        "held_by": None,
        "lag_bytes": 100,
        "pid": 7 if columns["active"] else None,
        "state": "streaming" if columns["active"] else None,
        **dict.fromkeys(names),
        **dict.fromkeys(("write_lag", "flush_lag", "replay_lag"), lags),
    }


def subscription(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "oid": 16400,
        "name": "sub",
        "database": "imdb",
        "owner": "owner",
        "enabled": True,
        "slot_name": "slot_2_to_1",
        "publications": ["pub"],
        "streaming": "p",
        "two_phase": "d",
        "origin": "none",
        "skip_lsn": None,
        "conninfo": "host=pg2 password='it\\'s s3cret' sslpassword=s3cret",
        "stats": {"apply_error_count": 2, "sync_error_count": 1, "stats_reset": None},
        **changes,
    }


def worker(**changes: t.Any) -> dict[str, t.Any]:
    row = {"subid": "16400", "pid": 8, "relid": None, "leader_pid": None, "received_lsn": "0/90", "latest_end_lsn": "0/90"}
    return {"worker": {**row, **changes}, "last_message_age_seconds": 1.0, "last_message_sent_seconds": 1.5}


def described(
    node: dict[str, t.Any] | None = None,
    slots: t.Any = (),
    subscriptions: t.Any = None,
    workers: t.Any = None,
    unready: t.Any = (),
    publications: t.Any = (),
    origins: t.Any = (),
    progress: Progress = Progress(STREAMING),  # noqa: B008
) -> dict[str, t.Any]:
    answers = Answers(
        {**NODE, **(node or {})},
        list(slots),
        [subscription()] if subscriptions is None else subscriptions,
        [worker()] if workers is None else workers,
        [{"id": 1, "name": "pg_16400", "remote_lsn": "0/80", "local_lsn": "0/10"}, *origins],
    )
    counts = [{"subscription": 16400, "tables": 3, "comment": "[publisher: system 7, timeline 1]"}]
    databases = {"imdb": DatabaseAnswers(list(unready), counts, list(publications))}
    return describe(answers, databases, {16400: progress}, {16400: "T"})


def test_all_of_it_is_json_without_secrets() -> None:
    text = json.dumps(described(slots=[slot()]))
    assert "s3cret" not in text
    info = json.loads(text)
    assert info["node"]["version"] == "16.14"
    assert info["node"]["started"] == "2026-01-01T00:00:00+00:00"
    assert info["databases"] == ["imdb"]
    (one,) = info["subscriptions"]
    assert one["conninfo"] == {"host": "pg2"}
    assert one["publisher"] == {"system_identifier": "7", "timeline": 1}
    assert (one["streaming"], one["two_phase"], one["tables"]) == ("parallel", "disabled", 3)
    assert (one["apply_error_count"], one["sync_error_count"]) == (2, 1)
    assert one["worker_running"]
    assert "conflicts" not in one


def test_conflicts_only_where_they_are_counted() -> None:
    stats = {"apply_error_count": 0, "sync_error_count": 0, "confl_insert_exists": 4, "confl_update_missing": 0}
    (one,) = described(subscriptions=[subscription(stats=stats)])["subscriptions"]
    assert one["conflicts"] == {"insert_exists": 4, "update_missing": 0}


@pytest.mark.parametrize(
    ("changes", "lag", "seconds"),
    [
        ({}, 0, 0.0),
        ({"received_lsn": "0/A0"}, 0x20, 1.5),
        ({"received_lsn": "0/80", "latest_end_lsn": "0/70"}, 0, 0.0),
        ({"received_lsn": None}, None, None),
    ],
)
def test_the_lag_of_a_subscription(changes: dict[str, t.Any], lag: int | None, seconds: float | None) -> None:
    (one,) = described(workers=[worker(**changes)])["subscriptions"]
    assert (one["lag_bytes"], one["lag_seconds"]) == (lag, seconds)


def test_lost_versions_are_counted_by_database() -> None:
    lost = {"schema": "public", "table": "t", "kind": "update_update", "winner": "local", "count": 3, "last": None}
    answers = Answers(NODE, [], [], [], [])
    info = describe(answers, {"imdb": DatabaseAnswers([], [], [], [lost]), "shop": DatabaseAnswers([], [], [])})
    assert info["conflicts"] == [{"database": "imdb", **lost}]


def test_the_lag_of_a_slot() -> None:
    idle, busy, away = described(slots=[slot(), slot(0.25), slot(active=False)])["slots"]
    assert (idle["lag_seconds"], busy["lag_seconds"], away["lag_seconds"]) == (0.0, 0.25, None)
    assert busy["subscriber"]["replay_lag_seconds"] == 0.25
    assert away["subscriber"] is None
    assert (away["lag_bytes"], away["retained_bytes"]) == (100, 2048)


def test_workers_and_tables() -> None:
    unready = [{"subscription": 16400, "oid": 20, "schema": "public", "name": "t", "state": "d"}]
    workers = [worker(), worker(pid=9, relid="20"), worker(pid=10, leader_pid=8)]
    info = described(workers=workers, unready=unready)
    assert [(each["type"], each["pid"], each["table"]) for each in info["workers"]] == [
        ("apply", 8, None),
        ("sync", 9, "public.t"),
        ("parallel", 10, None),
    ]
    assert info["subscriptions"][0]["tables_not_ready"] == [{"table": "public.t", "state": "copy"}]


def test_other_databases_are_left_out() -> None:
    others = [slot(database="other"), slot(database=None, slot_type="physical")]
    info = described(slots=others, subscriptions=[subscription(database="other")])
    assert [each["slot_type"] for each in info["slots"]] == ["physical"]
    assert info["subscriptions"] == info["workers"] == []


def test_what_could_not_be_read_is_named() -> None:
    assert incomplete(NODE) == []
    found = incomplete({**NODE, "reads_conninfo": False, "reads_origins": False, "reads_stats": False})
    assert len(found) == 3
    (one,) = described(subscriptions=[subscription(conninfo=None)])["subscriptions"]
    assert one["conninfo"] is None


def test_a_healthy_node() -> None:
    info = described(slots=[slot()])
    assert problems(info, Limits()) == []
    assert problems(info, Limits(2048, 100, 1)) == [], "a limit is still permitted"


FAILURE = Failure("0/90", "T2", "T1", 3, "duplicate key", "Key (id)=(1) exists.", "INSERT", "public.t")
PROBLEMS: list[tuple[dict[str, t.Any], str]] = [
    ({"slots": [slot(wal_status="lost", active=False)]}, "The slot slot_1_to_2 is lost"),
    ({"slots": [slot(conflicting=True)]}, "is lost"),
    ({"slots": [slot(invalidation_reason="idle_timeout")]}, "is lost"),
    ({"slots": [slot(wal_status="unreserved")]}, "about to lose"),
    ({"slots": [slot(active=False)]}, "in use by no subscriber, and holds 2.0 kB of WAL"),
    ({"subscriptions": [subscription(enabled=False)], "progress": Progress(DISABLED)}, "is disabled"),
    ({"progress": Progress(CONNECTING, 3)}, "has not heard of the peer (3 errors since its last success)"),
    ({"progress": Progress(SILENT)}, "has heard nothing of its peer"),
    ({"progress": Progress(WAITING, waits_for="pid 7")}, "waits for a lock that others hold on this node: pid 7."),
    ({"progress": Progress(UNREACHABLE, publisher=Publisher("It is down: refused"))}, "It is down: refused. The last change"),
    ({"progress": Progress(FAILING, 3)}, "(3 errors since its last success)"),
    (
        {"progress": Progress(FAILING, 3, FAILURE)},
        'fails since T1 (3 errors) and applies nothing more. INSERT of public.t: duplicate key. Key (id)=(1) exists. ',
    ),
    ({"subscriptions": [subscription(slot_name=None)]}, "has no slot"),
    ({"subscriptions": [subscription(origin="any")]}, "origin any"),
    ({"subscriptions": [subscription(skip_lsn="0/1")]}, "set to skip the transaction at 0/1"),
    (
        {"unready": [{"subscription": 16400, "oid": 20, "schema": "public", "name": "t", "state": "i"}]},
        "1 of 3 tables that are not ready: public.t.",
    ),
    ({"node": {"standby": True}}, "is a standby"),
    (
        {"node": {"settings": {**NODE["settings"], "wal_level": "replica"}}, "publications": [{"name": "pub"}]},
        "wal_level is replica",
    ),
    (
        {"node": {"settings": {**NODE["settings"], "max_logical_replication_workers": "0"}}},
        "nothing is replicated to this node",
    ),
    (
        {"origins": [{"id": 2, "name": "multimaster_slot_of_sub_in_imdb", "remote_lsn": None, "local_lsn": None}]},
        "ended half way",
    ),
]


ARCHIVING = {
    "mode": "on",
    "failing": True,
    "waiting_segments": 7,
    "last_failed_wal": "000000010000000000000009",
    "last_failed_time": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    "last_archived_time": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
}


def test_archiving_that_fails_is_told_with_what_waits() -> None:
    answers = Answers(NODE, [], [], [], [], ARCHIVING)
    (problem,) = problems(describe(answers, {}), Limits())
    assert "Archiving fails: 000000010000000000000009 could not be archived at 2026-01-02" in problem
    assert "7 segments wait in pg_wal." in problem
    for changes in ({"failing": False}, {"mode": "off"}):
        assert problems(describe(answers._replace(archiving={**ARCHIVING, **changes}), {}), Limits()) == []
    never = {**ARCHIVING, "last_archived_time": None, "waiting_segments": None}
    (problem,) = problems(describe(answers._replace(archiving=never), {}), Limits())
    assert "None" not in problem


@pytest.mark.parametrize(("changes", "said"), PROBLEMS)
def test_problems(changes: dict[str, t.Any], said: str) -> None:
    (problem,) = problems(described(**changes), Limits())
    assert said in problem
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(retained_bytes=2047), "holds 2.0 kB of WAL, more than 2.0 kB"),
        (Limits(lag_bytes=99), "The subscriber of slot slot_1_to_2 is 100 bytes behind, more than 99 bytes"),
        (Limits(lag_seconds=0.2), "The subscriber of slot slot_1_to_2 is 0.2 s behind"),
    ],
)
def test_limits_of_slots(limits: Limits, said: str) -> None:
    (problem,) = problems(described(slots=[slot(0.25)]), limits)
    assert said in problem


def test_limits_of_subscriptions() -> None:
    info = described(workers=[worker(received_lsn="0/A0")])
    found = problems(info, Limits(lag_bytes=31, lag_seconds=1.4))
    assert [said in problem for said, problem in zip(("is 32 bytes behind", "is 1.5 s behind"), found)] == [True, True]


@pytest.mark.parametrize(("number", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 kB"), (5 * 2**40, "5.0 TB")])
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


CERTIFICATE = {"setting": "ssl_cert_file", "file": "/tls/server.crt", "ends": "2026-02-01T00:00:00+00:00", "days_left": 29}


@pytest.mark.parametrize(
    ("days_left", "said"),
    [(30, ""), (29, "ends in 29 days, at 2026"), (0, "ends in 0 days"), (-1, "ended at 2026-02"), (None, "cannot be read")],
)
def test_a_certificate_that_ends(days_left: int | None, said: str) -> None:
    info = {**describe(Answers(NODE, [], [], [], []), {}), "certificates": [{**CERTIFICATE, "days_left": days_left}]}
    found = problems(info, Limits(certificate_days=30))
    assert [said in problem and "/tls/server.crt (ssl_cert_file)" in problem for problem in found] == ([True] if said else [])


def test_a_certificate_that_cannot_be_read_is_a_problem_and_no_traceback() -> None:
    row = {"setting": "ssl_ca_file", "file": "ca.crt", "pem": None, "now": NODE["started"]}
    (certificate,) = describe(Answers(NODE, [], [], [], [], certificates=[row]), {})["certificates"]
    assert certificate == {"setting": "ssl_ca_file", "file": "ca.crt", "ends": None, "days_left": None}
