# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who backs up what to where: always where the repository is, and only named hosts may use it."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._backup_plan import backup_plan

NODES = ["pg1", "pg2", "pg3"]
HOSTVARS: dict[str, dict[str, t.Any]] = {
    "pg1": {"multimaster_address": "192.0.2.1"},
    "pg2": {"ansible_host": "192.0.2.2", "postgresql_version": 17, "postgresql_port": 5433},
    "pg3": {"backup_stanza": "third"},
    "repo": {"multimaster_address": "192.0.2.9", "pgbackrest_repositories": [{"type": "posix", "path": "/srv"}]},
}


def test_a_node_by_itself() -> None:
    plan = backup_plan("pg2", NODES, [], HOSTVARS)
    assert plan["repositories"] == [{"type": "posix"}]
    assert plan["takes_backups"]
    assert not plan["runs_server"]
    assert plan["taker"] == "pg2"
    assert plan["stanzas"] == [
        {"name": "pg2", "node": "pg2", "pg_path": "/var/lib/postgresql/17/main", "pg_port": 5433, "offset_minutes": 20}
    ]


def test_the_stanza_can_have_another_name_than_the_node() -> None:
    assert backup_plan("pg3", NODES, [], HOSTVARS)["stanzas"][0]["name"] == "third"


def test_nodes_take_turns() -> None:
    assert [backup_plan(node, NODES, [], HOSTVARS)["stanzas"][0]["offset_minutes"] for node in NODES] == [0, 20, 40]


def test_a_repository_host_takes_the_backups_of_all_nodes() -> None:
    node = backup_plan("pg1", NODES, ["repo"], HOSTVARS)
    assert node["repositories"] == [{"type": "host", "host": "192.0.2.9"}]
    assert (node["takes_backups"], node["taker"]) == (False, "repo")
    assert node["server_clients"] == [{"name": "repo", "stanzas": ["pg1"]}]
    host = backup_plan("repo", NODES, ["repo"], HOSTVARS)
    assert host["repositories"] == [{"type": "posix", "path": "/srv"}]
    assert [each["pg_host"] for each in host["stanzas"]] == ["192.0.2.1", "192.0.2.2", "pg3"]
    # Each node may use its own stanza, and no other.
    assert host["server_clients"] == [
        {"name": "pg1", "stanzas": ["pg1"]},
        {"name": "pg2", "stanzas": ["pg2"]},
        {"name": "pg3", "stanzas": ["third"]},
    ]


def test_a_node_with_a_repository_of_its_own_is_none_of_the_repository_host_s() -> None:
    hostvars = {**HOSTVARS, "pg1": {"pgbackrest_repositories": [{"type": "posix"}]}}
    assert backup_plan("pg1", NODES, ["repo"], hostvars)["takes_backups"]
    assert [each["name"] for each in backup_plan("repo", NODES, ["repo"], hostvars)["stanzas"]] == ["pg2", "third"]


def test_a_repository_host_can_be_named() -> None:
    stated = [{"type": "host", "host": "repo"}]
    plan = backup_plan("pg1", NODES, ["repo"], {**HOSTVARS, "pg1": {"pgbackrest_repositories": stated}})
    assert plan["repositories"] == stated
    assert plan["taker"] == "repo"


TWO = {"pgbackrest_repositories": [{"type": "posix"}, {"type": "s3", "bucket": "b"}]}


def test_nodes_archive_into_every_repository_of_their_host() -> None:
    plan = backup_plan("pg1", NODES, ["repo"], {**HOSTVARS, "repo": TWO}, reader="pg2")
    assert plan["repositories"] == [{"type": "host", "host": "repo"}] * 2
    assert plan["elsewhere"] == plan["repositories"]
    assert plan["server_clients"] == [{"name": "repo", "stanzas": ["pg1"]}]


@pytest.mark.parametrize(
    ("stated", "repo"),
    [
        ([{"type": "s3", "bucket": "b"}, {"type": "host", "host": "repo"}], {}),
        ([{"type": "s3", "bucket": "b"}, {"type": "host", "host": "repo"}], TWO),
        ([{"type": "host", "host": "repo"}, {"type": "posix"}], TWO),
        ([{"type": "host", "host": "repo"}], TWO),
        ([{"type": "host", "host": "repo"}, {"type": "host", "host": "other"}], TWO),
    ],
)
def test_repositories_with_other_numbers_than_their_host_s_are_refused(
    stated: list[dict[str, t.Any]], repo: dict[str, t.Any]
) -> None:
    hostvars = {**HOSTVARS, "pg1": {"pgbackrest_repositories": stated}, "repo": repo, "other": {}}
    for host in ("pg1", "repo"):
        with pytest.raises(AnsibleFilterError, match="pgbackrest_repositories of pg1 must be those of the repository host repo"):
            backup_plan(host, NODES, ["repo", "other"], hostvars)


def test_a_data_directory_that_a_repository_host_cannot_reach_is_refused_before_anything_changes() -> None:
    hostvars = {**HOSTVARS, "pg1": {"postgresql_data_directory": "/srv/data disk/main"}}
    # pgBackRest: '"/srv/data disk/main"' must begin with / for 'pg1-path' option.
    said = r"/srv/data disk/main of stanza pg1 has a space .* It is postgresql_data_directory of pg1\."
    for host in ("pg1", "repo"):
        with pytest.raises(AnsibleFilterError, match=said):
            backup_plan(host, NODES, ["repo"], hostvars)
    # Whoever keeps its own backups reaches it.
    hostvars["pg1"]["pgbackrest_repositories"] = [{"type": "posix"}]
    assert backup_plan("pg1", NODES, ["repo"], hostvars)["stanzas"][0]["pg_path"] == "/srv/data disk/main"
    assert len(backup_plan("repo", NODES, ["repo"], hostvars)["stanzas"]) == 2


def test_the_servers_are_reached_at_their_own_ports() -> None:
    hostvars = {
        **HOSTVARS,
        "pg1": {"pgbackrest_server_port": 8440},
        "pg2": {"pgbackrest_repositories": [{"type": "host", "host": "repo"}]},
        "repo": {"pgbackrest_server_port": "8441"},
    }
    for node in ("pg1", "pg2"):
        plan = backup_plan(node, NODES, ["repo"], hostvars)
        assert plan["repositories"] == plan["elsewhere"] == [{"type": "host", "host": "repo", "port": 8441}]
    stanzas = backup_plan("repo", NODES, ["repo"], hostvars)["stanzas"]
    assert [each.get("pg_host_port") for each in stanzas] == [8440, None, None]
    assert backup_plan("pg1", NODES, [], hostvars)["elsewhere"] == [{"type": "host", "host": "pg1", "port": 8440}]


def test_only_named_hosts_may_read_backups_of_others() -> None:
    plan = backup_plan("pg1", NODES, [], HOSTVARS, ["pg2", "pg1"])
    assert plan["runs_server"]
    assert plan["server_clients"] == [{"name": "pg2", "stanzas": ["pg1"]}]
    assert plan["elsewhere"] == [{"type": "host", "host": "192.0.2.1"}]
    host = backup_plan("repo", NODES, ["repo"], HOSTVARS, ["pg2"])
    assert {"name": "pg2", "stanzas": ["pg1", "pg2", "third"]} in host["server_clients"]
    assert {"name": "pg1", "stanzas": ["pg1"]} in host["server_clients"]


def test_a_repository_host_restores_from_its_own_folder() -> None:
    assert backup_plan("pg1", NODES, ["repo"], HOSTVARS, reader="pg2")["elsewhere"] == [{"type": "host", "host": "192.0.2.9"}]
    assert backup_plan("pg1", NODES, ["repo"], HOSTVARS, reader="repo")["elsewhere"] == [{"type": "posix", "path": "/srv"}]
    found = backup_plan("pg1", NODES, ["repo"], {**HOSTVARS, "repo": TWO}, reader="repo")["elsewhere"]
    assert found == [{"type": "posix"}, {"type": "s3", "bucket": "b"}]
