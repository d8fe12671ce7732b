# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of pg_hba.conf, and the entries that would let in too much."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._access import access_lines, access_problems

CLIENT = {"databases": ["shop"], "users": ["app"], "source": "192.0.2.0/24"}


def lines(entries: list[dict[str, t.Any]], peers: t.Sequence[dict[str, t.Any]] = ()) -> list[str]:
    return access_lines(
        entries, peers, login_user="postgres", replication_role="replicator", replication_databases=["shop", "all"]
    )


def test_without_peers_and_clients_only_this_host_is_let_in() -> None:
    rules = [line for line in lines([]) if line and not line.startswith("#")]
    assert rules == ['local all "postgres" peer', "local all all peer map=multimaster"]


def test_peers_come_with_a_certificate_and_to_their_databases_only() -> None:
    rules = lines([], [{"address": "192.0.2.1"}, {"address": "2001:db8::1"}, {"address": "pg3.example.org"}])
    tail = "scram-sha-256 clientcert=verify-full"
    assert f'hostssl "shop","all" "replicator" 192.0.2.1/32 {tail}' in rules
    assert f'hostssl "shop","all" "replicator" 2001:db8::1/128 {tail}' in rules
    assert f'hostssl "shop","all" "replicator" pg3.example.org {tail}' in rules


def test_a_client_s_names_are_quoted_and_keywords_are_not() -> None:
    names = {"databases": ["all", 'my "db"', "/^shop"], "users": ["all", "+group"]}
    entry = {**CLIENT, **names, "options": {"clientcert": "verify-ca"}}
    assert 'hostssl all,"my ""db""",/^shop all,+"group" 192.0.2.0/24 scram-sha-256 clientcert=verify-ca' in lines([entry])


def test_a_local_client_has_no_address() -> None:
    entry = {"contype": "local", "databases": ["shop"], "users": ["app"], "method": "peer"}
    assert 'local "shop" "app" peer' in lines([entry])
    assert access_problems([entry], []) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"contype": "local"}, "is local and so has no source"),
        ({"contype": "host"}, "in clear; use contype=hostssl"),
        ({"contype": "host", "source": "127.0.0.0/7"}, "in clear; use contype=hostssl"),
        ({"source": "0.0.0.0/0"}, "would let in everyone"),
        ({"source": "all"}, "would let in everyone"),
        ({"source": "10.0.0.0/8 # x"}, "no network and no host name"),
        ({"source": "app # x"}, "has no room for"),
        ({"source": "300.1.2.3/99"}, "has the source 300.1.2.3/99, which is no address, no network and no host name"),
        ({"source": "10.0.0"}, "no network"),
        ({"source": "2001:db8::1/200"}, "no network"),
        ({"options": {"map": 'a "b"'}}, "has no room for"),
    ],
)
def test_entries_that_are_refused(changes: dict[str, t.Any], expected: str) -> None:
    (problem,) = access_problems([{**CLIENT, **changes}], [])
    assert problem.startswith("postgresql_hba[0]")
    assert expected in problem


def test_an_entry_needs_a_source() -> None:
    assert "needs a source" in access_problems([{"databases": ["a"], "users": ["b"]}], [])[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"contype": "host", "source": "127.0.0.1"},
        {"source": "0.0.0.0/0", "method": "cert"},
        {"source": "0.0.0.0/0", "options": {"clientcert": "verify-full"}},
        {"source": "all", "method": "reject"},
        {"source": "10.1.2.3/8"},
        {"source": "2001:db8::/32"},
        {"source": "app.example.org"},
        {"source": ".example.org"},
    ],
)
def test_entries_that_are_taken(changes: dict[str, t.Any]) -> None:
    assert access_problems([{**CLIENT, **changes}], []) == []


@pytest.mark.parametrize("address", ["10.0.0.0/0", "a b", "", "300.1.2.3"])
def test_a_peer_s_address_is_one(address: str) -> None:
    assert "neither an address nor a host name" in access_problems([], [{"name": "pg2", "address": address}])[0]
