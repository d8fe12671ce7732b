# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue's Redis servers: TLS and a password, or nothing; and each user its own keys only."""

from __future__ import annotations

import shlex
import typing as t

import pytest
import redis
from backups import BackedUp
from mesh import DEPLOYMENT, hostile, secret
from redis.backoff import NoBackoff
from redis.retry import Retry


def client(server: BackedUp, **options: t.Any) -> redis.Redis:
    secure = {"ssl": True, "ssl_ca_certs": str(DEPLOYMENT / "ca/ca.crt"), "ssl_check_hostname": True}
    # What is refused is not tried again.
    once = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 60}
    return redis.Redis(host=server.node.address, **{**secure, **once, **options})


def test_not_without_tls(nodes: list[BackedUp]) -> None:
    for each in nodes:
        with pytest.raises(redis.ConnectionError):
            client(each, ssl=False).ping()


def test_not_without_a_password(nodes: list[BackedUp]) -> None:
    for each in nodes:
        with pytest.raises(redis.AuthenticationError):
            client(each).get("pgbackrest:latest:x:full")
        with pytest.raises(redis.AuthenticationError):
            client(each, username="catalog", password="wrong").ping()
        with pytest.raises(redis.AuthenticationError):
            client(each, username="default", password="").ping()


def test_the_catalogue_s_user_has_its_own_keys_only(nodes: list[BackedUp]) -> None:
    password = secret("backup_catalog")
    for each in nodes:
        catalog = client(each, username="catalog", password=password)
        assert catalog.ping()
        for forbidden in (lambda c=catalog: c.set("failover:active", "x"), catalog.flushall, lambda c=catalog: c.config_get("*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()


def test_what_it_holds_survives_a_restart(nodes: list[BackedUp]) -> None:
    for each in nodes:
        before = nodes[0].catalogue(each.node)
        assert before.records
        each.on_node("systemctl restart redis-server")
        assert nodes[0].catalogue(each.node) == before


def test_the_password_is_not_on_the_host_in_clear_for_others(nodes: list[BackedUp]) -> None:
    spellings = hostile.spellings(secret("backup_catalog"))
    words = " ".join(f"-e {shlex.quote(word)}" for word in spellings)
    for each in nodes:
        found = each.on_node(f"grep -rlF {words} /etc /var/lib/multimaster /var/log /run/log 2>/dev/null; true").split()
        # All secrets end alike: the other file has the passphrase of the repository.
        modes = {"/etc/multimaster/backup.json": "600", "/etc/pgbackrest/pgbackrest.conf": "640"}
        assert set(found) <= set(modes)
        for file, mode in modes.items():
            assert each.on_node(f"stat --format='%a %U %G' {file}").strip() == f"{mode} postgres postgres"
        seen = each.on_node("journalctl --no-pager; ps axww; cat /proc/[0-9]*/environ 2>/dev/null; true")
        assert [word for word in spellings if word in seen] == []


def test_either_of_its_two_files_is_enough(nodes: list[BackedUp]) -> None:
    """The append-only file and the snapshot, each by itself in a server of its own."""
    each = nodes[0]
    # A clean end writes both.
    each.on_node("systemctl restart redis-server")
    count = len(each.catalogue(each.node).records)
    assert count > 0
    for file, option in (("appendonlydir", "yes"), ("dump.rdb", "no")):
        shown = each.on_node(
            "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; "
            f"cp -r /var/lib/redis/{file} $d/; "
            f"redis-server --port 0 --unixsocket $d/s --dir $d --appendonly {option} --daemonize yes --save '' >/dev/null; "
            "for n in $(seq 100); do redis-cli -s $d/s ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done; "
            f"redis-cli -s $d/s --scan --pattern 'pgbackrest:backup:{each.name}:*' | wc -l; redis-cli -s $d/s shutdown nosave"
        )
        assert int(shown.split()[0]) == count, file


def test_it_is_protected_and_bounded(nodes: list[BackedUp]) -> None:
    """As the running server has it: its configuration file was read, and nobody of the network may ask for it."""
    for each in nodes:
        settings = dict(line.split(" ", 1) for line in each.on_node("grep -v '^#' /etc/redis/redis.conf").splitlines() if line)
        assert (settings["protected-mode"], settings["maxmemory-policy"]) == ("yes", "noeviction")
        assert int(settings["maxmemory"].removesuffix("mb")) >= 16
