# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_catalog on two real Redis servers with TLS and an ACL user."""

from __future__ import annotations

import json
import typing as t

import pytest
from host import REPOSITORY, STANZA, Host

Catalog = dict[str, t.Any]


def run(node: Host, catalog: Catalog, action: str, **arguments: t.Any) -> t.Any:
    return node.module("backup_catalog", {**catalog, "action": action, **arguments})


def contents(node: Host, port: int) -> dict[str, t.Any]:
    """All keys and values of a server."""
    found: dict[str, t.Any] = {}
    for key in sorted(filter(None, node.redis(port, "KEYS", "*").splitlines())):
        kind = node.redis(port, "TYPE", key).strip()
        command = {"zset": ("ZRANGE", key, "0", "-1", "WITHSCORES"), "set": ("SMEMBERS", key)}.get(kind, ("GET", key))
        found[key] = node.redis(port, *command).splitlines()
    return found


def test_recorded_on_both_and_read_from_any(backed_up: Host, catalog: Catalog, catalog_servers: list[int]) -> None:
    backup = backed_up.backup("incr", node="pg1")
    told = backed_up.module("backup_catalog", {**catalog, "action": "record", "backup": backup}, check=True)
    assert told["changed"]
    assert contents(backed_up, catalog_servers[0]) == {}
    done = run(backed_up, catalog, "record", backup=backup)
    assert done["changed"]
    assert done["diff"] == told["diff"]
    assert done["unavailable"] == []
    assert len(done["recorded"]) == 2
    assert not run(backed_up, catalog, "record", backup=backup)["changed"]

    one, two = (contents(backed_up, port) for port in catalog_servers)
    assert one == two
    label = backup["label"]
    keys = (f"backup:{STANZA}:{label}", f"latest:{STANZA}:incr", f"history:{STANZA}", "stanzas")
    assert set(one) == {f"pgbackrest:{key}" for key in keys}
    record = json.loads(one[f"pgbackrest:backup:{STANZA}:{label}"][0])
    assert set(record) == {
        "timestamp",
        "type",
        "stanza",
        "label",
        "location",
        "size_bytes",
        "delta_bytes",
        "repo_bytes",
        "duration_seconds",
        "status",
        "node",
        "wal_start",
        "wal_stop",
        "prior",
    }
    assert {name: backup[name] for name in record} == record
    assert one[f"pgbackrest:latest:{STANZA}:incr"] == [label]
    assert one[f"pgbackrest:history:{STANZA}"][0] == label
    for port in catalog_servers:
        backed_up.stop_redis(port)
        read = run(backed_up, catalog, "read")
        assert [each["label"] for each in read["backups"]] == [label]
        assert read["latest"] == {STANZA: {"incr": label}}
        backed_up.start_redis(port)
        run(backed_up, catalog, "rebuild", stanza=STANZA)
        for each in catalog_servers:
            backed_up.redis(each, "FLUSHALL")
        run(backed_up, catalog, "record", backup=backup)


@pytest.mark.fault
@pytest.mark.core
def test_rebuilt_after_a_flush_equals_what_was_recorded(backed_up: Host, catalog: Catalog, catalog_servers: list[int]) -> None:
    run(backed_up, catalog, "rebuild", stanza=STANZA)
    for kind in ("diff", "incr"):
        run(backed_up, catalog, "record", backup=backed_up.backup(kind))
    before = [contents(backed_up, port) for port in catalog_servers]
    assert len(before[0]) == 3 + 3 + 1 + 1
    assert not run(backed_up, catalog, "rebuild", stanza=STANZA)["changed"]

    backed_up.redis(catalog_servers[0], "FLUSHALL")
    told = backed_up.module("backup_catalog", {**catalog, "action": "rebuild"}, check=True)
    assert told["changed"]
    assert contents(backed_up, catalog_servers[0]) == {}
    assert run(backed_up, catalog, "read")["consistent"] is False
    done = run(backed_up, catalog, "rebuild")
    assert done["diff"] == told["diff"]
    assert [contents(backed_up, port) for port in catalog_servers] == before
    for port in catalog_servers:
        backed_up.redis(port, "FLUSHALL")
    assert run(backed_up, catalog, "rebuild", stanza=STANZA)["changed"]
    assert [contents(backed_up, port) for port in catalog_servers] == before
    assert run(backed_up, catalog, "read")["consistent"] is True


def test_a_backup_does_not_fail_because_redis_is_down(backed_up: Host, catalog: Catalog, catalog_servers: list[int]) -> None:
    for port in catalog_servers:
        backed_up.stop_redis(port)
    backup = backed_up.backup("incr")
    done = run(backed_up, catalog, "record", backup=backup)
    assert not done["changed"]
    assert done["recorded"] == []
    assert len(done["unavailable"]) == 2
    assert len(done["warnings"]) == 2
    assert done.warned("cannot be reached")
    strict = {**catalog, "action": "record", "backup": backup, "unavailable": "fail"}
    assert "is not recorded everywhere" in backed_up.module("backup_catalog", strict, fails=True)["msg"]
    for action in ("read", "rebuild"):
        told = backed_up.module("backup_catalog", {**catalog, "action": action, "stanza": STANZA}, fails=True)
        assert "no catalogue server answers" in told["msg"]
    backed_up.start_redis(catalog_servers[1])
    done = run(backed_up, catalog, "rebuild", stanza=STANZA)
    assert done["backups"][0]["label"] == backup["label"]
    assert len(done["recorded"]) == 1
    backed_up.start_redis(catalog_servers[0])
    assert run(backed_up, catalog, "rebuild", stanza=STANZA)["changed"]
    assert contents(backed_up, catalog_servers[0]) == contents(backed_up, catalog_servers[1])


def test_expired_backups_leave_and_strays_are_removed(backed_up: Host, catalog: Catalog, catalog_servers: list[int]) -> None:
    backed_up.backup("incr")
    run(backed_up, catalog, "rebuild", stanza=STANZA)
    backed_up.module("pgbackrest_expire", {"stanza": STANZA, "retention_incr": 0})
    backed_up.backup("incr")
    backed_up.module("pgbackrest_expire", {"stanza": STANZA, "retention_incr": 0})
    backed_up.redis(catalog_servers[0], "SET", f"pgbackrest:backup:{STANZA}:stray", "no json")
    backed_up.redis(catalog_servers[0], "ZADD", f"pgbackrest:history:{STANZA}", "1", "stray")
    backed_up.redis(catalog_servers[0], "SET", f"pgbackrest:latest:{STANZA}:diff", "nobody")
    backed_up.redis(catalog_servers[0], "SET", "pgbackrest:backup:bkx:other", "another stanza's")
    backed_up.redis(catalog_servers[0], "SET", "failover:active", "not ours")
    run(backed_up, catalog, "rebuild", stanza=STANZA)
    one, two = (contents(backed_up, port) for port in catalog_servers)
    assert one.pop("pgbackrest:backup:bkx:other") == ["another stanza's"]
    assert one.pop("failover:active") == ["not ours"]
    assert one == two
    kept = [each["label"] for each in run(backed_up, catalog, "read", stanza=STANZA)["backups"]]
    listed = [each["label"] for each in json.loads(backed_up.pgbackrest("info", "--output=json"))[0]["backup"]]
    assert kept == listed[::-1]


def test_a_failed_run_is_seen_and_survives(backed_up: Host, catalog: Catalog, catalog_servers: list[int]) -> None:
    failure = {
        "type": "incr",
        "reason": "the repository\n is full",
        "started": "2026-11-24T04:00:00Z",
        "ended": "2026-11-24T04:00:09Z",
    }
    path = "/var/lib/postgresql/failures.json"
    backed_up.run("rm", "-f", path)
    done = run(backed_up, catalog, "record", stanza=STANZA, failure=failure, failures_path=path)
    record = done["record"]
    assert (record["status"], record["duration_seconds"], record["error"]) == ("failed", 9, "the repository is full")
    run(backed_up, catalog, "rebuild", stanza=STANZA, failures_path=path)
    read = run(backed_up, catalog, "read", stanza=STANZA)
    assert [each["status"] for each in read["backups"]].count("failed") == 1
    assert set(read["latest"][STANZA]) == {"full"}
    before = [contents(backed_up, port) for port in catalog_servers]
    for port in catalog_servers:
        backed_up.redis(port, "FLUSHALL")
    run(backed_up, catalog, "rebuild", stanza=STANZA, failures_path=path)
    assert [contents(backed_up, port) for port in catalog_servers] == before


def test_an_unreadable_repository_does_not_empty_the_catalogue(
    backed_up: Host, catalog: Catalog, catalog_servers: list[int]
) -> None:
    run(backed_up, catalog, "rebuild", stanza=STANZA)
    before = contents(backed_up, catalog_servers[0])
    backed_up.run("chmod", "0", f"{REPOSITORY}/backup")
    told = backed_up.module("backup_catalog", {**catalog, "action": "rebuild", "stanza": STANZA}, fails=True)
    backed_up.run("chmod", "750", f"{REPOSITORY}/backup")
    assert "is not accessible" in told["msg"]
    assert contents(backed_up, catalog_servers[0]) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"login_password": "wr0ng-secret"}, "does not let user catalog in"),
        ({"login_user": None, "login_password": None}, "does not let user default in"),
        ({"ca_certs": "/etc/ssl/certs/ca-certificates.crt"}, "has a certificate that is not trusted"),
        ({"ca_certs": "/nowhere.crt"}, "cannot be"),
        ({"tls": False}, "cannot be reached"),
        ({"servers": [{"host": "no-such-host.invalid"}]}, "cannot be reached"),
    ],
)
def test_what_is_wrong_with_a_server_in_words(backed_up: Host, catalog: Catalog, change: dict[str, t.Any], words: str) -> None:
    arguments = {name: value for name, value in {**catalog, **change, "action": "read"}.items() if value is not None}
    told = backed_up.module("backup_catalog", arguments, fails=True)
    assert words in told["msg"], told["msg"]
    for secret in (Host.CATALOG_PASSWORD, json.dumps(Host.CATALOG_PASSWORD)[1:-1], "wr0ng-secret"):
        assert secret not in told.output


def test_bad_arguments(node: Host, catalog: Catalog) -> None:
    def fails(**arguments: t.Any) -> str:
        return node.module("backup_catalog", {**catalog, **arguments}, fails=True)["msg"]

    assert "either backup" in fails(action="record")
    assert "This is no backup" in fails(action="record", backup={"label": "x"})
    assert "needs the stanza" in fails(action="record", failure={"type": "full", "reason": "x"})
    assert "is no time" in fails(action="record", stanza=STANZA, failure={"type": "full", "reason": "x", "ended": "now"})
    assert "servers is empty" in fails(action="read", servers=[])
