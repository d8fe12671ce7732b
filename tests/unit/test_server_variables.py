# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the variables of role postgresql, with a host, or with its server."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._files import files_differing
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._server_variables import (
    host_problems,
    server_problems,
    server_variable_problems,
)

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = yaml.safe_load((ROOT / "roles/postgresql/defaults/main.yml").read_text())
HOST = {
    "distribution": "debian",
    "release": "13",
    "memory_mb": "4096",
    "data_free_mb": "5000",
    "packages_free_mb": "5000",
    "cluster": "absent",
    "other:15/main": "5433",
}


def variables(**changes: t.Any) -> list[str]:
    return server_variable_problems({**DEFAULTS, **changes})


def test_the_defaults_are_right() -> None:
    assert variables() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"postgresql_version": 15}, "postgresql_version is 15, but this role knows PostgreSQL 16, 17."),
        ({"postgresql_repository": "custom"}, "postgresql_repository_source needs name, uris, suites"),
        ({"postgresql_repository_key": "/no/such/key"}, "is no file on the controller"),
        ({"postgresql_repository_fingerprint": "7FCC7D46ACCC4CF8"}, "has 40 or 64 hexadecimal digits"),
        ({"postgresql_cluster": "my cluster"}, "postgresql_cluster is my cluster"),
        ({"postgresql_port": 70000}, "postgresql_port is 70000, which is no port."),
        ({"postgresql_databases": [{"name": "a"}, {"name": "a"}]}, "postgresql_databases has a more than once."),
        ({"postgresql_databases": [{"name": "x" * 64}]}, "1 to 63 bytes"),
        ({"postgresql_databases": [{"name": "ü" * 32}]}, "1 to 63 bytes"),
        ({"postgresql_roles": [{"name": "a\nb"}]}, "without control characters"),
        ({"postgresql_roles": [{"name": "a", "member_of": ["b", "o'c"]}]}, "postgresql_roles has o'c: a role cannot be given"),
        ({"postgresql_roles": [{"name": "Smith, J."}]}, "postgresql_roles has Smith, J.: a role cannot be given"),
        ({"postgresql_databases": [{"name": 'a "b"'}]}, 'postgresql_databases has a "b": a database whose name has'),
        ({"postgresql_databases": [{"name": "50 %"}]}, "postgresql_databases has 50 %: a database whose name has"),
        (
            {"postgresql_privileges": [{"database": "a", "type": "type", "objs": ["a,b"], "roles": ["r"]}]},
            "postgresql_privileges has a,b, in a: no privileges of the type type can be given here",
        ),
        (
            {"postgresql_mesh_privileges": [{"database": "a", "type": "function", "schema": 'a"b', "roles": ["r"]}]},
            'postgresql_mesh_privileges has a"b, in a: no privileges of the type function can be given here',
        ),
        ({"postgresql_roles": [{"name": "50 %"}]}, "postgresql_roles has 50 %: a role cannot be given"),
        ({"postgresql_roles": [{"name": "postgres"}]}, "belongs to the server itself"),
        ({"postgresql_roles": [{"name": "pg_monitor"}]}, "belongs to the server itself"),
        ({"postgresql_roles": [{"name": "a", "flags": ["nologin", "SUPERMAN"]}]}, "flags that there are not: SUPERMAN"),
        ({"postgresql_tls": False, "postgresql_replication_peers": [{"address": "192.0.2.1"}]}, "postgresql_tls is off"),
        ({"postgresql_ident": [{"map": "m", "system_user": "a\n", "database_user": "b"}]}, "postgresql_ident[0]"),
        ({"postgresql_schema_files": [{"path": "/no/such.sql", "database": "a"}]}, "The schema file /no/such.sql is not there"),
        ({"postgresql_hba": [{"databases": ["a"], "users": ["b"], "source": "all"}]}, "postgresql_hba[0]"),
    ],
)
def test_each_mistake_gets_one_sentence(changes: dict[str, t.Any], expected: str) -> None:
    (problem,) = variables(**changes)
    assert expected in problem


def host(
    changes: dict[str, str] | None = None, missing: t.Sequence[str] = (), needed: t.Sequence[str] = (), **values: t.Any
) -> list[str]:
    values = {**DEFAULTS, "postgresql_data_directory": "/data", **values}
    return host_problems({**HOST, **(changes or {})}, values, missing, needed)


def test_a_host_that_is_fit() -> None:
    assert host() == []


@pytest.mark.parametrize(
    ("changes", "arguments", "expected"),
    [
        ({"distribution": "ubuntu", "release": "24.04"}, {}, "supports Debian 12 and 13"),
        ({}, {"postgresql_repository": "distribution"}, "Debian 13 itself has PostgreSQL 17 and not 16"),
        ({"memory_mb": "100"}, {}, "The host has 100 MB of memory"),
        ({"data_free_mb": "1000"}, {}, "The file system of /data has 1000 MB free, and 1024 MB are needed"),
        ({"data_free_mb": "60", "cluster": "present"}, {}, "and 64 MB are needed"),
        ({"data_elsewhere": "/old", "cluster": "present"}, {}, "is in /old, and postgresql_data_directory is /data"),
        ({"packages_free_mb": "511"}, {"missing": ["postgresql-16"]}, "The file system of /usr has 511 MB free"),
        ({"other:15/main": "5432"}, {}, "Port 5432 belongs to the cluster 15/main"),
        ({}, {"needed": ["/tls/server.crt"]}, "There is no /tls/server.crt; the role certificates puts it there"),
    ],
)
def test_each_shortcoming_of_a_host_gets_one_sentence(
    changes: dict[str, str], arguments: dict[str, t.Any], expected: str
) -> None:
    (problem,) = host(changes, **arguments)
    assert expected in problem


def test_an_address_of_a_peer_that_does_not_resolve_is_told_with_the_peer() -> None:
    """As the look at the host finds it, on this host."""
    addresses = ("127.0.0.1", "::1", "localhost", "no-such-node.invalid", "192.0.2.0/24", ".example.org")
    arguments = ("16", "main", "/no/such/data", "", " ".join(addresses), "")
    script = ["sh", str(ROOT / "roles/postgresql/files/host.sh"), *arguments]
    output = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    found = dict(line.split("\t", 1) for line in output.splitlines())
    (problem,) = host(
        {name: value for name, value in found.items() if name.startswith("unresolved:")},
        postgresql_replication_peers=[{"name": f"pg{number}", "address": address} for number, address in enumerate(addresses)],
    )
    assert problem.startswith("The address no-such-node.invalid of the peer pg3 does not resolve on this host")


GETENT = """#!/bin/sh
case "$1 $2" in
"ahosts node.example.org") printf '%s STREAM node.example.org\\n' 192.0.2.1 2001:db8::1 192.0.2.1 ;;
"ahosts Other.Example.org") echo 192.0.2.2 ;;
"ahosts lost.example.org") echo 192.0.2.3 ;;
"hosts 192.0.2.1" | "hosts 2001:db8::1") echo "$2 vm-17.cloud.invalid node.example.org" ;;
"hosts 192.0.2.2") echo "$2 other.example.ORG" ;;
*) exit 2 ;;
esac
"""


def test_a_peer_by_a_name_that_its_addresses_have_not_is_told(tmp_path: Path) -> None:
    """PostgreSQL asks for the name of the address that comes; an alias of it is none."""
    (tmp_path / "getent").write_text(GETENT)
    (tmp_path / "getent").chmod(0o755)
    addresses = ("node.example.org", "Other.Example.org", "lost.example.org", "192.0.2.9", "2001:db8::9", ".example.org")
    script = ["sh", str(ROOT / "roles/postgresql/files/host.sh"), "16", "main", "/no/such/data", "", " ".join(addresses), ""]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    output = subprocess.run(script, check=True, capture_output=True, text=True, env=environment).stdout
    found = dict(line.split("\t", 1) for line in output.splitlines())
    problems = host(
        {name: value for name, value in found.items() if name.startswith("renamed:")},
        postgresql_replication_peers=[{"name": f"pg{number}", "address": address} for number, address in enumerate(addresses)],
    )
    first, second = problems
    assert "the peer pg0 in: it is stated as node.example.org, and here 192.0.2.1 is called vm-17.cloud.invalid, 2001:" in first
    assert "the peer pg2 in: it is stated as lost.example.org, and here 192.0.2.3 is called nothing. State its address" in second


def test_an_address_to_listen_on_that_the_host_lacks_is_told() -> None:
    """As the look at the host finds it, on this host: by address, by name, and of IPv6."""
    addresses = ("127.0.0.1", "localhost", "192.0.2.77", "no-such-node.invalid", "2001:db8::77")
    script = ["sh", str(ROOT / "roles/postgresql/files/host.sh"), "16", "main", "/no/such/data", "", "", " ".join(addresses)]
    output = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    found = dict(line.split("\t", 1) for line in output.splitlines())
    problems = host(
        {name: value for name, value in found.items() if name.startswith("elsewhere:")}, postgresql_listen_addresses=addresses
    )
    assert [problem.split(",")[0] for problem in problems] == [f"The host has no address {each}" for each in addresses[2:]]


def test_a_server_waits_for_its_addresses_and_then_no_longer() -> None:
    program = [sys.executable, "-I", str(ROOT / "roles/postgresql/files/wait_for_addresses.py")]
    done = subprocess.run([*program, "60", "127.0.0.1", "localhost"], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    late = subprocess.run([*program, "0.5", "127.0.0.1", "192.0.2.77"], check=False, capture_output=True, text=True)
    assert (late.returncode, late.stderr) == (1, "This host has no address 192.0.2.77.\n")


def test_a_cluster_that_is_there_keeps_its_port_and_needs_little_room() -> None:
    assert host({"cluster": "present", "other:15/main": "5432", "data_free_mb": "65"}) == []


def test_servers() -> None:
    changed = {"path": "f.sql", "database": "a", "changed": True, "on_change": "fail", "applied": "yesterday"}
    assert server_problems({"version": 16, "wal_level": "replica"}, True, []) == []
    there = {"version": 16, "wal_level": "logical", "databases": {"a": {"encoding": "LATIN1"}, "b": {"encoding": "LATIN1"}}}
    (problem,) = server_problems(there, True, [], ["a", "new"])
    assert "The database a has the encoding LATIN1" in problem
    assert "PostgreSQL 15" in server_problems({"version": 15, "wal_level": "logical"}, True, [])[0]
    assert "set wal_level=logical there" in server_problems({"version": 16, "wal_level": "replica"}, False, [])[0]
    assert "f.sql is not what was applied" in server_problems({"version": 16, "wal_level": "logical"}, True, [changed])[0]
    assert server_problems({"version": 16, "wal_level": "logical"}, True, [{**changed, "on_change": "apply"}]) == []


def test_files_differ_in_content_mode_or_owner() -> None:
    file = {"path": "/a", "content": "hello\n", "mode": "0640", "owner": "postgres"}
    there = "f572d396fae9206628714fb2ce00f72e94f2258f 640 postgres 12.5"
    assert files_differing([file], {"file:/a": there}) == []
    for other in (there.replace("640", "644"), there.replace("postgres", "root"), "0" + there[1:]):
        assert files_differing([file], {"file:/a": other}) == [file]
    assert files_differing([file], {}) == [file]
