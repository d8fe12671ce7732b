# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest.conf from typed data: every kind of repository, and what is wrong said before anything is written."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_settings import (
    KINDS,
    configuration_file,
    configuration_problems,
)

TLS = {"certificate_file": "/tls/server.crt", "key_file": "/tls/server.key", "ca_file": "/tls/ca.crt"}
STANZA = {"name": "pg1", "node": "pg1", "pg_path": "/data"}


def given(*repositories: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    return {
        "repositories": list(repositories),
        "stanzas": [STANZA],
        "settings": {"start-fast": True},
        "commands": {},
        "retention_full": 2,
        "tls": TLS,
        "server": {},
        "options": {},
        **changes,
    }


def sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            found[line[1:-1]] = []
        elif line:
            found[list(found)[-1]].append(line)
    return found


def test_a_local_encrypted_repository() -> None:
    found = sections(configuration_file(given({"path": "/backups", "cipher_passphrase": "a long passphrase"})))
    assert found["global"] == [
        "repo1-block=y",
        "repo1-bundle=y",
        "repo1-cipher-pass=a long passphrase",
        "repo1-cipher-type=aes-256-cbc",
        "repo1-path=/backups",
        "repo1-retention-full=2",
        "start-fast=y",
    ]
    assert found["pg1"] == ["pg1-path=/data", "pg1-port=5432", "pg1-socket-path=/var/run/postgresql"]


def test_several_repositories_in_order() -> None:
    s3 = {
        "type": "s3",
        "bucket": "b",
        "region": "r",
        "endpoint": "e",
        "key": "k",
        "key_secret": "s",
        "uri_style": "path",
        "port": 9000,
    }
    lines = sections(configuration_file(given({"type": "posix"}, s3, {"type": "host", "host": "repo.example"})))["global"]
    assert {
        "repo1-path=/var/lib/pgbackrest",
        "repo2-type=s3",
        "repo2-s3-bucket=b",
        "repo2-s3-key-secret=s",
        "repo2-storage-port=9000",
    } < set(lines)
    assert "repo2-s3-uri-style=path" in lines
    assert {"repo3-host=repo.example", "repo3-host-type=tls", "repo3-host-port=8432", "repo3-host-ca-file=/tls/ca.crt"} < set(
        lines
    )
    # How a repository host stores is its own affair.
    assert not any(line.startswith(("repo3-path", "repo3-bundle", "repo3-retention")) for line in lines)


@pytest.mark.parametrize("kind", ["azure", "gcs", "sftp"])
def test_each_other_kind_has_its_type_and_what_it_needs(kind: str) -> None:
    repository = {"type": kind, **dict.fromkeys(KINDS[kind].needs, "x")}
    lines = sections(configuration_file(given(repository)))["global"]
    assert f"repo1-type={kind}" in lines
    for key in KINDS[kind].needs:
        assert f"repo1-{KINDS[kind].options[key]}=x" in lines
    assert configuration_problems(given(repository)) == []


def test_a_repository_host_and_its_clients() -> None:
    server = {
        "address": "*",
        "port": 8432,
        "clients": [{"name": "pg1", "stanzas": ["pg1"]}, {"name": "spare", "stanzas": ["pg1", "pg2"]}],
    }
    found = sections(configuration_file(given({"type": "posix"}, stanzas=[{**STANZA, "pg_host": "192.0.2.11"}], server=server)))
    assert [line for line in found["global"] if "auth" in line] == ["tls-server-auth=pg1=pg1", "tls-server-auth=spare=pg1,pg2"]
    assert {"pg1-host=192.0.2.11", "pg1-host-type=tls", "pg1-host-cert-file=/tls/server.crt"} < set(found["pg1"])


def test_the_user_s_own_options_win_and_commands_have_sections() -> None:
    found = sections(
        configuration_file(
            given(
                {"type": "posix", "options": {"retention-archive": 3}},
                options={"start-fast": False},
                commands={"archive-push": {"process-max": 2}},
            )
        )
    )
    assert "start-fast=n" in found["global"]
    assert "repo1-retention-archive=3" in found["global"]
    assert found["global:archive-push"] == ["process-max=2"]


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ({"type": "ftp"}, "has the type ftp; there are posix, host, s3"),
        ({"type": "s3", "bucket": "b"}, "needs region, endpoint"),
        ({"type": "host", "host": "h", "path": "/x"}, "has no use for path"),
        ({"path": "relative"}, "it has to begin with /"),
        ({"bundle": False}, "block without bundle"),
        ({"cipher_passphrase": "short secret"}, "fewer than 16 characters"),
        ({"path": "/x\nrepo1-path=/y"}, "more than one line"),
        ({"options": {"retention-archive": ""}}, "is empty"),
    ],
)
def test_bad_repositories_in_words(repository: dict[str, t.Any], words: str) -> None:
    problems = configuration_problems(given(repository))
    assert any(words in each for each in problems), problems
    assert not any("short secret" in each for each in problems)


def test_bad_stanzas_in_words() -> None:
    problems = configuration_problems(given({"type": "posix"}, stanzas=[STANZA, STANZA, {**STANZA, "name": "a b"}]))
    assert any("pg1 more than once" in each for each in problems)
    assert any("'a b'" in each for each in problems)
    there = {**STANZA, "pg_path": "/srv/data disk/main", "pg_host": "192.0.2.11"}
    (problem,) = configuration_problems(given({"type": "posix"}, stanzas=[there]))
    assert "has a space in its name" in problem
    assert configuration_problems(given({"type": "posix"}, stanzas=[{**STANZA, "pg_path": "/srv/data disk/main"}])) == []
    assert configuration_problems(given()) == ["pgbackrest_repositories is empty: name at least one repository."]
