# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups that restore: by their timers' units, to every kind of target, encrypted, on a repository host too."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from pathlib import Path

from backups import COPY_PORT, DATA, MARKER, BackedUp, Story, run_on
from mesh import PORT, SHOP, eventually, hostile, run_playbook
from traps import caught, settings


def test_site_took_one_full_backup_and_its_repetition_none(nodes: list[BackedUp]) -> None:
    for each in nodes:
        assert [backup["type"] for backup in each.backups()] == ["full"]


def test_timers_are_set_and_nodes_take_turns(nodes: list[BackedUp]) -> None:
    times: dict[str, set[str]] = {}
    for each in nodes:
        for kind in ("full", "diff", "incr"):
            shown = each.on_taker(f"systemctl show -P ActiveState -P UnitFileState -P Persistent {each.unit(kind)}.timer")
            assert sorted(shown.split()) == ["active", "enabled", "yes"]
            text = each.on_taker(f"systemctl show -P TimersCalendar {each.unit(kind)}.timer")
            times.setdefault(each.name, set()).add(text.split("OnCalendar=")[1].split(" ;")[0].split(":")[1])
    assert times[nodes[0].name] == {"00"}
    assert times[nodes[1].name] == {"30"}


def test_the_units_may_do_what_they_must_and_no_more(nodes: list[BackedUp]) -> None:
    """That backups succeed under these limits is what all the other tests show: each is taken by its unit."""
    for each in nodes:
        units = [*(f"{each.unit(kind)}.service" for kind in ("full", "diff", "incr")), "multimaster-backup-catalog.service"]
        # In tenths; it ends with 1 above that.
        each.on_taker(f"systemd-analyze security --no-pager --threshold=20 {' '.join(units)}")
    # The servers of a node and of the host that takes its backups: all that passes between these goes through them.
    other = next(each for each in nodes if each.taker != each.name)
    for on_host in (other.on_node, other.on_taker):
        on_host("systemctl is-active pgbackrest.service")
        on_host("systemd-analyze security --no-pager --threshold=20 pgbackrest.service")


# Every backup of both nodes; every other kind of target on one of them.
BACKUPS = ["full", "diff", "incr"]
TARGETS = [["time", "xid"], ["lsn", "name", "latest"]]


def test_each_backup_and_each_target_restores_what_the_node_held(nodes: list[BackedUp], stories: dict[str, Story]) -> None:
    def restore_all(each: BackedUp) -> None:
        for what in BACKUPS + TARGETS[nodes.index(each)]:
            story = stories[each.name]
            run = each.restore(story.chapters[what][0])
            each.check_copy(what, story)
            assert "tables and indexes are sound" in run.output

    BackedUp.at_once(nodes, restore_all)


def test_the_copy_is_silent_and_the_live_node_untouched(nodes: list[BackedUp], stories: dict[str, Story]) -> None:
    """The copies of the last test still run."""
    for each in nodes:
        assert each.in_copy("SHOW archive_mode") == "off"
        assert each.in_copy("SHOW max_logical_replication_workers") == "0"
        # Nobody but postgres of this host: no address, and no subscription that could start.
        assert f":{COPY_PORT} " not in each.on_node("ss -Hltn")
        assert each.in_copy("SELECT count(*) FROM pg_subscription WHERE subenabled OR subslotname IS NOT NULL") == "0"
        assert each.in_copy("SELECT count(*) FROM pg_subscription") == "2"
        assert each.sql("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_type = 'logical'") == "2"
        assert each.sql("SELECT max(id) FROM story") == str(stories[each.name].chapters["latest"][1][-1])
        each.archive_all()
        # The copies are on timelines of their own since they opened. The live stanza has neither their histories nor their WAL.
        archived = each.archive()
        assert len(archived) > 3
        assert {file[:8] for file in archived} == {"00000001"}
    # The mesh goes on.
    first, second = nodes[0].node, nodes[1].node
    first.query("INSERT INTO articles (sku) VALUES ('after restores')", db=SHOP)
    arrived = "SELECT count(*) FROM articles WHERE sku = 'after restores'"
    eventually(lambda: second.value(arrived, db=SHOP) == 1, "a row on the other node")


def test_on_another_host_that_may_read_the_backups(nodes: list[BackedUp], stories: dict[str, Story]) -> None:
    first, second = nodes
    refused = first.restore({"type": "latest"}, expect_success=False, host=second.name)
    assert "backup_restore_hosts" in refused.output
    # What a shell, printf and a file of settings take for their own
    further: dict[str, t.Any] = {"host": first.name, "path": "/var/lib/postgresql/16/der'zweite=ä%s", "port": "5498"}
    second.restore({"type": "latest"}, **further)
    second.check_copy("latest", stories[second.name], first.name, 5498)


def test_on_a_spare_host_that_had_no_postgresql(nodes: list[BackedUp], spare: str, stories: dict[str, Story]) -> None:
    second = nodes[1]
    assert run_on(spare, "ls -d /usr/lib/postgresql /usr/bin/pgbackrest 2>/dev/null; true") == ""
    story = stories[second.name]
    run = second.restore(story.chapters["lsn"][0], host=spare)
    second.check_copy("lsn", story, spare)
    assert "tables and indexes are sound" in run.output
    # The programs, the copy, and no other server.
    assert run_on(spare, "ls /etc/postgresql 2>/dev/null; true") == ""
    assert f":{PORT} " not in run_on(spare, "ss -Hltn")


def test_on_the_host_that_holds_the_repository(nodes: list[BackedUp], stories: dict[str, Story]) -> None:
    second = nodes[1]
    story = stories[second.name]
    run = second.restore(story.chapters["full"][0], host=second.taker)
    second.check_copy("full", story, second.taker)
    assert "tables and indexes are sound" in run.output
    configuration = run_on(second.taker, f"cat /etc/pgbackrest/restore_{second.name}.conf")
    processors = int(run_on(second.taker, "nproc"))
    assert f"process-max={min(processors, 8)}" in configuration.split("[global:restore]")[1]


def test_in_place_is_refused_with_the_reason(nodes: list[BackedUp]) -> None:
    for arguments in ({"in_place": "true"}, {"path": DATA}, {"path": "/srv/../srv/data disk/./Prod.A/"}):
        refused = nodes[0].restore({"type": "latest"}, expect_success=False, **arguments)
        assert "in place is refused: it is a member of a mesh" in refused.output
        assert refused.changed() == 0
    assert nodes[0].sql("SELECT 1") == "1"


def test_repositories_are_encrypted_and_where_they_belong(nodes: list[BackedUp], stories: dict[str, Story]) -> None:
    begin = "echo $(head -c 8 $file | od -An -tx1 | tr -d ' ') $file"
    for each in nodes:
        # Whole files begin as OpenSSL's encrypted ones do. Bundles have no such beginning, and not that of zstd either,
        # which they would have if they were only compressed.
        every = f"cd {each.folder} && for file in $(find . -type f -size +0 {{}} -path '*/bundle/*'); do {begin}; done"
        whole = each.on_taker(every.format("!")).splitlines()
        bundles = each.on_taker(every.format("")).splitlines()
        assert len(whole) > 20
        assert [line for line in whole if not line.startswith(b"Salted__".hex())] == []
        assert bundles
        assert [line for line in bundles if line.startswith("28b52ffd")] == []
        assert each.on_taker(f"grep -rlF '{MARKER}' {each.folder}; true").split() == []
    second = nodes[1]
    assert second.on_node("find /var/lib/pgbackrest /srv/backups -type f 2>/dev/null; true").split() == []
    # A node may use its own stanza there, and no other.
    listing = "pgbackrest --stanza={} repo-ls backup"
    assert second.name in second.on_node(listing.format(second.name), "postgres")
    refused = second.on_node(listing.format(nodes[0].name) + " 2>&1; true", "postgres")
    assert "access denied" in refused


def test_a_repository_host_that_is_away_is_caught_up_with(nodes: list[BackedUp]) -> None:
    second = nodes[1]
    second.on_taker("systemctl stop pgbackrest")
    try:
        segments = [second.close_segment() for _number in range(4)]
        waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        assert int(second.sql(waiting)) >= len(segments)
        assert second.archive().isdisjoint(segments)
    finally:
        second.on_taker("systemctl start pgbackrest")
    second.archive_all()
    assert set(segments) <= second.archive()


def test_redis_that_stops_fails_no_backup_and_the_catalogue_is_made_again(nodes: list[BackedUp]) -> None:
    with contextlib.ExitStack() as runs:
        for each in nodes:
            runs.enter_context(each.half_way("incr"))
        BackedUp.at_once(nodes, lambda each: each.on_node("systemctl stop redis-server"))
    assert {each.on_node("systemctl is-active redis-server", check=False).strip() for each in nodes} == {"inactive"}
    # What they held is lost as well.
    BackedUp.at_once(nodes, lambda each: each.on_node("rm -rf /var/lib/redis/*; systemctl start redis-server"))
    BackedUp.at_once(nodes, lambda each: each.on_taker("systemctl start multimaster-backup-catalog"))
    for each in nodes:
        backups = each.backups()
        for server in nodes:
            entries = each.catalogue(server.node)
            records = {record["label"]: record for record in entries.parsed()}
            assert set(records) == {backup["label"] for backup in backups}
            assert set(entries.history) == set(records)
            for backup in backups:
                record = records[backup["label"]]
                assert (record["type"], record["node"], record["status"]) == (backup["type"], each.name, "ok")
                assert record["size_bytes"] == backup["info"]["size"]
                assert (record["wal_start"], record["prior"]) == (backup["archive"]["start"], backup["prior"])
            assert entries.latest["incr"] == backups[-1]["label"]


def test_a_run_that_is_killed_is_seen_everywhere(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    unit = f"{first.unit('incr')}.service"
    # Held by another, the lock keeps the run from its end.
    lock = f"/tmp/pgbackrest/{first.name}-backup-1.lock"
    first.on_taker(f"systemd-run --quiet --unit=test-holds-lock --uid=postgres flock --exclusive {lock} sleep 300")
    try:
        first.on_taker(f"systemctl start --no-block {unit}")
        eventually(lambda: "multimaster/backup" in first.on_taker(f"systemctl status {unit}", check=False), "the run")
        first.on_taker(f"systemctl kill --signal=KILL --kill-whom=main {unit}")
        eventually(lambda: first.on_taker(f"systemctl is-failed {unit}", check=False).strip() == "failed", "its end")
    finally:
        first.on_taker("systemctl stop test-holds-lock", check=False)
    for server in nodes:
        (record,) = (each for each in first.catalogue(server.node).parsed() if each["status"] == "failed")
        assert (record["type"], record["error"]) == ("incr", "The run was killed by signal KILL before it was complete.")
    first.backup("incr")


def test_no_stanza_is_made_where_the_repository_is_not_mounted(nodes: list[BackedUp]) -> None:
    second = nodes[1]
    before = second.backups()
    second.on_taker(f"mkdir /srv/away && mv {second.folder}/* /srv/away/")
    try:
        refused = run_playbook("site", "--limit", second.taker, expect_success=False)
        second.on_taker("systemctl start multimaster-backup-catalog")
        made = second.on_taker(f"find {second.folder} -mindepth 1")
        known = {each["label"] for each in second.catalogue(nodes[0].node).parsed()}
    finally:
        second.on_taker(f"rm -rf {second.folder}/*; mv /srv/away/* {second.folder}/ && rmdir /srv/away")
    assert "Mount the repository" in " ".join(refused.output.split())
    assert made == ""
    assert {each["label"] for each in before} <= known
    assert second.backups() == before


def test_a_failed_run_is_seen_everywhere_until_a_good_one_follows(nodes: list[BackedUp], tmp_path: Path) -> None:
    first = nodes[0]
    folder = f"{first.folder}/backup/{first.name}"
    first.on_taker(f"chmod 0500 {folder}")
    try:
        first.on_taker(f"systemctl start {first.unit('diff')}.service", check=False)
        assert first.on_taker(f"systemctl is-failed {first.unit('diff')}.service", check=False).strip() == "failed"
        for server in nodes:
            failed = [each["type"] for each in first.catalogue(server.node).parsed() if each["status"] == "failed"]
            assert failed[0] == "diff"
        assert f"{first.name}: The diff backup of " in run_playbook("status").output
        playbook = run_playbook("backup", "-e", "type=incr", "--limit", first.name, expect_success=False)
        assert playbook.returncode != 0
        assert "is not accessible to the user" in " ".join(playbook.output.split())
    finally:
        first.on_taker(f"chmod 0750 {folder}")
    # An incremental one would not stand for it.
    assert "diff" in run_playbook("backup", "-e", "type=diff").output
    file = tmp_path / "status.json"
    run_playbook("status", "-e", f"status_file={file}")
    report = {node["name"]: node for node in json.loads(file.read_text())}
    for each in nodes:
        assert report[each.name]["problems"] == []
        assert [kind["type"] for kind in report[each.name]["backups"]["types"]] == ["full", "diff", "incr"]
        assert report[each.name]["backups"]["windows"]


def test_six_days_of_backups_and_their_summary(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    rows = "SELECT count(*) FROM articles WHERE sku LIKE 'backup cycle, day %'"
    where = {"cycle_database": SHOP, "cycle_table": "public.articles", "cycle_column": "sku"}
    before = first.backups()
    unasked = run_playbook("backup_cycle", "-e", json.dumps(where), "--limit", first.name, expect_success=False)
    told = " ".join(unasked.output.split())
    assert "-e cycle_confirm=true" in told
    assert all(backup["label"] in told for backup in before)
    assert first.backups() == before
    assert first.node.value(rows, db=SHOP) == 0
    where["cycle_confirm"] = "true"
    with settings([each.node for each in nodes], SHOP):
        run = run_playbook("backup_cycle", "-e", json.dumps(where), "--limit", first.name)
    # What was foretold is what went.
    assert {backup["label"] for backup in before} & {backup["label"] for backup in first.backups()} == set()
    taken = re.findall(r"(\d) +(full|diff|incr) +(\d{8}-\d{6}F\S*) +5 ", run.output)
    steps = "1 full, 2 incr, 3 incr, 3 diff, 4 incr, 5 incr, 5 diff, 6 diff, 6 full"
    assert ", ".join(f"{day} {kind}" for day, kind, _label in taken) == steps
    # All that did not expire meanwhile are there.
    assert taken[-1][2] == first.backups()[-1]["label"]
    assert first.node.value(rows, db=SHOP) == 45
    eventually(lambda: nodes[1].node.value(rows, db=SHOP) == 45, "the rows on the other node")
    refused = run_playbook("backup_cycle", "-e", json.dumps({**where, "cycle_table": "public.none"}), expect_success=False)
    assert f"has no table public.none in the database {SHOP}" in " ".join(refused.output.split())


def test_retention_keeps_2_7_and_14(nodes: list[BackedUp]) -> None:
    first = nodes[0]
    # As many as a few weeks bring, without waiting for the WAL of each; the last one is a run as the timers do it.
    quick = f"pgbackrest --stanza={first.name} --no-expire-auto --no-archive-check --log-level-file=off backup --type="
    first.on_taker(
        f"set -e; {quick}full; for n in 1 2 3 4 5 6 7 8; do for kind in diff incr; do {quick}$kind; done; "
        f"[ $n = 8 ] || {quick}incr; done",
        "postgres",
    )
    first.backup("incr")
    kinds = [backup["type"] for backup in first.backups()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"full": 2, "diff": 7, "incr": 14}
    for server in nodes:
        kept = [each for each in first.catalogue(server.node).parsed() if each["status"] == "ok"]
        assert {each["label"] for each in kept} == {backup["label"] for backup in first.backups()}


def test_a_second_site_changes_nothing_and_takes_no_backup(nodes: list[BackedUp]) -> None:
    for each in nodes:
        each.start_timers()
    before = [each.backups() for each in nodes]
    run = run_playbook("site")
    assert run.changed() == 0, run.output[-4000:]
    assert [each.backups() for each in nodes] == before


def test_nobody_ran_what_the_owner_put_in_the_way(nodes: list[BackedUp]) -> None:
    """Neither on the nodes nor in their copies, whatever was restored, proven and written."""
    copies = r"find /var/lib/postgresql '/srv/data disk' -name restored_copy.log -exec cat {} +"
    for each in nodes:
        assert caught(each.node) == []
        logs = [run_on(host, copies) for host in sorted({each.name, each.taker})]
        assert all("database system is ready" in log or "Datenbanksystem" in log for log in logs), logs
        assert [line for log in logs for line in log.splitlines() if hostile.TRAP in line] == []
