# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What interrupted runs and crashes leave, and nodes made anew while their backups stay. Destroys the nodes: comes last."""

from __future__ import annotations

import shlex

import pytest
from backups import DATA, BackedUp
from mesh import PORT, PlaybookRun, eventually, run_playbook

# Where destroy finds it
COPY = "/var/lib/postgresql/16/restored 'left'"


def words(run: PlaybookRun) -> str:
    return " ".join(run.output.split())


@pytest.mark.long
def test_a_timer_that_systemd_has_not_read_is_read(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    timer = f"{first.unit('full')}.timer"
    # As after a run that ended between writing the file and having it read: the file is right, and systemd has another one.
    file = f"/etc/systemd/system/{timer}"
    first.on_taker(f"cp -p {file} /tmp/timer && sed -i 's/^OnCalendar=.*/OnCalendar=*-02-29 05:00:00/' {file}")
    first.on_taker(f"systemctl daemon-reload && cat /tmp/timer >{file}")
    asked = f"systemctl show -P NeedDaemonReload -P TimersCalendar {timer}"
    before = first.on_taker(asked)
    assert "yes" in before.split()
    assert "*-02-29" in before
    run_playbook("site")
    after = first.on_taker(asked)
    assert "no" in after.split()
    assert "Sun *-*-* 01:00:00" in after


@pytest.mark.long
def test_failed_backups_are_seen_without_a_catalogue(nodes: list[BackedUp]) -> None:
    second = nodes[1]
    folder = f"{second.folder}/backup/{second.name}"
    second.on_taker(f"chmod 0500 {folder}")
    try:
        second.on_taker(f"systemctl start {second.unit('incr')}.service", check=False)
    finally:
        second.on_taker(f"chmod 0750 {folder}")
    told = run_playbook("status", "-e", '{"pgbackrest_catalog_servers": []}').output
    assert f"{second.name}: The incr backup of " in told
    second.backup("incr")
    told = run_playbook("status", "-e", '{"pgbackrest_catalog_servers": []}').output
    assert f"{second.name}: The incr backup of " not in told


def test_a_port_of_another_server_is_refused_before_the_restore(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    never = "/srv/data disk/never written"
    refused = first.restore({"type": "latest"}, expect_success=False, port=str(PORT), path=never)
    assert f"Port {PORT} on {first.name} belongs to the server in {DATA}" in words(refused)
    assert first.on_node(f"ls -d '{never}' 2>/dev/null; true") == ""


def test_destroy_goes_on_past_what_a_crash_left_of_a_copy(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    # Beside the copies that other tests have left running
    first.restore({"type": "latest"}, path=COPY, port="5496")
    # The number is another program's now.
    first.on_node(f"cd {shlex.quote(COPY)}; pid=$(head -n 1 postmaster.pid); kill -9 $pid; sed -i 1s/.*/1/ postmaster.pid")
    run_playbook("destroy", "-e", '{"destroy_confirm": "all data"}')
    gone = f"/var/lib/postgresql /etc/pgbackrest/pgbackrest.conf '{DATA}' '/srv/wal disk/Prod.A/'* '/srv/data disk/Speicher 1/'*"
    assert first.on_node(f"ls -d {gone} 2>/dev/null; true") == ""
    for each in nodes:
        assert each.on_taker(f"ls {each.folder}/backup/{each.name}/backup.info")


@pytest.mark.long
def test_nodes_made_anew_are_backed_up_only_once_their_stanzas_are_upgraded(nodes: list[BackedUp]) -> None:
    """The backups of the clusters that are no more stay, and are not taken for backups of the new ones."""
    for _run in range(2):
        refused = run_playbook("site", expect_success=False)
        assert refused.returncode != 0
        assert "belongs to another cluster" in words(refused)
        assert "-e pgbackrest_upgrade_stanza=true" in words(refused)
    # The node says it itself, and the repository host of the other one.
    assert f"Stanza {nodes[0].name} belongs to another cluster" in words(refused)
    assert f"Stanza {nodes[1].name} belongs to another cluster" in words(refused)
    for each in nodes:
        each.node.close()
    before = {each.name: {backup["label"] for backup in each.backups()} for each in nodes}
    run_playbook("site", "-e", "pgbackrest_upgrade_stanza=true", "-e", "pgbackrest_first_backup=false")
    told = run_playbook("status").output
    for each in nodes:
        assert f"{each.name}: Stanza {each.name} has backups of its former cluster only" in told
    run_playbook("site")
    for each in nodes:
        newest = each.backups()[-1]
        assert newest["label"] not in before[each.name]
        assert (newest["type"], newest["database"]["id"]) == ("full", 2)
        each.archive_all()
    assert run_playbook("site").changed() == 0
    eventually(lambda: "No problems." in run_playbook("status").output, "a mesh that is well")
