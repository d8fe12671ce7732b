# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_stanza against a real cluster and repository."""

from __future__ import annotations

import typing as t

import pytest
from host import BINARIES, DATA, REPOSITORY, STANZA, VERSION, Host

OTHER = f"/var/lib/postgresql/{VERSION}/other"


@pytest.fixture
def other_cluster(node: Host) -> t.Iterator[str]:
    """A second cluster's directory, without a running server."""
    node.shell(f"rm -rf {OTHER}; {BINARIES}/initdb -D {OTHER} --no-locale -E UTF8 >/dev/null 2>&1", user="postgres")
    yield OTHER
    node.run("rm", "-rf", OTHER)


def test_is_made_once_and_check_mode_makes_nothing(node: Host) -> None:
    node.shell(f"rm -rf {REPOSITORY}/*")
    told = node.module("pgbackrest_stanza", {"stanza": STANZA}, check=True)
    assert told["changed"]
    assert told["diff"] == {"before": {"repository 1": "absent"}, "after": {"repository 1": "present"}}
    assert [command.split()[-1] for command in told["commands"]] == ["stanza-create"]
    assert not told["stanza"]["exists"]

    made = node.module("pgbackrest_stanza", {"stanza": STANZA})
    assert made["changed"]
    assert made["diff"] == told["diff"]
    assert made["commands"] == told["commands"]
    assert made["stanza"]["exists"]
    assert made["stanza"]["version"] == VERSION
    assert made["stanza"]["system_id"] == node.sql("SELECT system_identifier FROM pg_control_system()")

    again = node.module("pgbackrest_stanza", {"stanza": STANZA})
    assert not again["changed"]
    assert again["commands"] == []
    assert again["diff"] == {"before": {}, "after": {}}


def test_checked_has_the_server_archive_a_segment(node: Host) -> None:
    before = node.sql("SELECT archived_count FROM pg_stat_archiver")
    assert not node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "checked"}, check=True)["changed"]
    assert node.sql("SELECT archived_count FROM pg_stat_archiver") == before
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "checked"})
    assert not told["changed"]
    assert int(node.sql("SELECT archived_count FROM pg_stat_archiver")) > int(before)


def test_checked_names_what_does_not_arrive(node: Host) -> None:
    node.sql("ALTER SYSTEM SET archive_command = 'test -z pgbackrest'")
    node.sql("SELECT pg_reload_conf()")
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "checked", "archive_timeout": 1}, fails=True)
    assert "did not arrive in repository 1 (/var/lib/pgbackrest) in time" in told["msg"]
    assert "archive_command" in told["msg"]
    assert told["pgbackrest_code"] == 82


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("archive_command", "true", "does not archive with pgBackRest"), ("archive_mode", "off", "archive_mode must be enabled")],
)
def test_checked_says_that_archiving_is_off(node: Host, setting: str, value: str, words: str) -> None:
    node.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
    node.server("restart")
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "checked"}, fails=True)
    assert words in told["msg"]


def test_of_another_cluster_is_refused_and_can_be_upgraded(node: Host, other_cluster: str) -> None:
    options = {"pg1-path": other_cluster, "online": False}
    for state in ("present", "checked"):
        asked = {"stanza": STANZA, "pg_path": other_cluster, "state": state, "options": options}
        told = node.module("pgbackrest_stanza", asked, fails=True)
        assert "belongs to another cluster" in told["msg"]
        assert told["stanza_system_id"] in told["msg"]
        assert told["cluster_system_id"] in told["msg"]
    upgrade = {"stanza": STANZA, "pg_path": other_cluster, "state": "upgraded", "options": options}
    foretold = node.module("pgbackrest_stanza", upgrade, check=True)
    done = node.module("pgbackrest_stanza", upgrade)
    assert foretold["changed"]
    assert foretold["diff"] == done["diff"]
    assert done["stanza"]["system_id"] == told["cluster_system_id"]
    assert not node.module("pgbackrest_stanza", upgrade)["changed"]
    # and back, as for a node that was rebuilt from a peer
    assert node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "upgraded"})["changed"]
    assert not node.module("pgbackrest_stanza", {"stanza": STANZA})["changed"]


def test_after_an_upgrade_only_a_time_or_a_label_leads_to_the_former_cluster(backed_up: Host, other_cluster: str) -> None:
    (label,) = [each["label"] for each in backed_up.backups()]
    backed_up.module(
        "pgbackrest_stanza",
        {
            "stanza": STANZA,
            "pg_path": other_cluster,
            "state": "upgraded",
            "options": {"pg1-path": other_cluster, "online": False},
        },
    )
    targets: list[dict[str, t.Any]] = [
        {"type": "lsn", "target": "F/0"},
        {},
        {"type": "immediate"},
        {"type": "xid", "target": "9999"},
        {"type": "name", "target": "x"},
    ]
    for target in targets:
        told = backed_up.restore(fails=True, check=True, **target)
        assert "is of the cluster that it held before it was upgraded" in told["msg"]
        assert label in told["msg"]
    assert backed_up.restore(check=True, type="set", set=label)["restored"]["set"] == label


def test_absent_wants_force_for_backups_and_leaves_the_stanza_usable(backed_up: Host) -> None:
    refused = backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "state": "absent"}, fails=True)
    assert "has 1 backups" in refused["msg"]
    assert "Set force" in refused["msg"]
    told = backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "state": "absent", "force": True}, check=True)
    assert told["changed"]
    assert told["stanza"]["backups"] == 1
    done = backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "state": "absent", "force": True})
    assert done["commands"] == told["commands"]
    assert not done["stanza"]["exists"]
    assert not backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "state": "absent"})["changed"]
    assert backed_up.module("pgbackrest_stanza", {"stanza": STANZA})["changed"]
    assert backed_up.backup()["type"] == "full"


def test_absent_of_a_running_server_wants_force(node: Host) -> None:
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "state": "absent"}, fails=True)
    assert f"runs in {DATA}" in told["msg"]


def test_two_repositories(node: Host) -> None:
    options = {"repo2-path": "/var/lib/pgbackrest/second"}
    made = node.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})
    assert made["diff"]["after"] == {"repository 2": "present"}
    assert [each["status"] for each in made["stanza"]["repositories"]] == [2, 2]
    assert not node.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})["changed"]
    node.module("pgbackrest_stanza", {"stanza": STANZA, "options": options, "state": "absent", "force": True})
    assert node.shell("ls /var/lib/pgbackrest/second/backup") == ""


@pytest.mark.fault
@pytest.mark.core
def test_a_version_that_pgbackrest_does_not_know(node: Host, other_cluster: str) -> None:
    node.shell(
        f"""
        python3 - <<'P'
import struct
with open("{other_cluster}/global/pg_control", "r+b") as control:
    control.seek(8)
    control.write(struct.pack("=II", 2000, 203001011))
P
        echo 30 >{other_cluster}/PG_VERSION
        """
    )
    told = node.module(
        "pgbackrest_stanza",
        {"stanza": "future", "pg_path": other_cluster, "options": {"pg1-path": other_cluster, "online": False}},
        fails=True,
    )
    assert "does not know the PostgreSQL version" in told["msg"]
    assert told["pgbackrest_code"] == 46


def test_a_server_that_is_down(node: Host) -> None:
    node.shell(f"rm -rf {REPOSITORY}/*")
    node.server("stop")
    told = node.module("pgbackrest_stanza", {"stanza": STANZA}, fails=True)
    assert f"cannot use the PostgreSQL server of stanza {STANZA}" in told["msg"]
    assert "No such file or directory" in told["msg"]


def test_root_is_refused(node: Host) -> None:
    told = node.module("pgbackrest_stanza", {"stanza": STANZA}, fails=True, user="root")
    assert "become_user: postgres" in told["msg"]


def test_a_program_that_is_not_there(node: Host) -> None:
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "executable": "/usr/bin/pgbackrest3"}, fails=True)
    assert "There is no /usr/bin/pgbackrest3" in told["msg"]


def test_an_unknown_option_value(node: Host) -> None:
    told = node.module("pgbackrest_stanza", {"stanza": STANZA, "options": {"repo1-type": "tape"}}, fails=True)
    assert "does not accept its options" in told["msg"]
