# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What backups and restores cost: the playbook beside bare pgBackRest, delta beside full, pg_basebackup beside all of them."""

from __future__ import annotations

import json
import time
import typing as t

import deployment
from timing import run, say, summary

import playbooks

NODE = "mm-bench-1"
INVENTORY = ("-i", "bench/inventory", "-i", "bench/backup_groups.yml")
COPY = "/var/lib/postgresql/16/bench_copy"
BASE = "/var/lib/postgresql/16/bench_base"
ROW_BYTES = 1000
# What the playbook may cost beside the backup itself.
ALLOWED_SECONDS, ALLOWED_SHARE = 2.0, 0.05


def deploy() -> None:
    """The mesh of the other figures, with backups."""
    deployment.deploy()
    say("adding backups")
    run("ansible-playbook", *INVENTORY, "site.yml")


def let_base_backups_in() -> None:
    """pg_basebackup over the socket, which the role lets nobody do."""
    on_node("sh", "-c", "echo 'local replication postgres peer' >>/etc/postgresql/16/main/pg_hba.conf")
    sql("SELECT pg_reload_conf()")


def fill(megabytes: int) -> None:
    """A table of about that size with text that hardly compresses, and room on each page for a changed row."""
    say(f"filling {NODE} with {megabytes} MB")
    sql("DROP TABLE IF EXISTS filler")
    sql("CREATE TABLE filler (id bigint PRIMARY KEY, payload text) WITH (fillfactor = 80)")
    sql(
        "INSERT INTO filler SELECT n, (SELECT string_agg(md5(n::text || k), '') FROM generate_series(1, 30) k) "
        f"FROM generate_series(1, {megabytes * 1_000_000 // ROW_BYTES}) n"
    )
    sql("VACUUM (FREEZE, ANALYZE) filler")
    settle()


def change_pages(share: float, row: int) -> None:
    """The row with that number on each page of so many of the table's pages; the new row fits onto the same page."""
    step = round(1 / share)
    changed, pages = sql(
        "WITH changed AS (UPDATE filler SET payload = reverse(payload) WHERE ctid IN (SELECT format('(%s,%s)', page, "
        f"{row})::tid FROM generate_series(0, pg_relation_size('filler') / 8192 - 1, {step}) page) RETURNING 1) "
        "SELECT count(*), pg_relation_size('filler') / 8192 FROM changed"
    ).split("|")
    if int(changed) < int(pages) * share * 0.95:
        raise SystemExit(f"{changed} of {pages} pages were changed, which are too few for {share:.0%}")
    settle()


def settle() -> None:
    """Until all that was written is on disk and in the archive: nothing of it is part of what is measured next."""
    sql("CHECKPOINT")
    segment = sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    sql("SELECT pg_logical_emit_message(true, 'bench', 'so that there is something to archive')")
    sql("SELECT pg_switch_wal()")
    deadline = time.monotonic() + 600
    while sql(f"SELECT coalesce(last_archived_wal >= '{segment}', false) FROM pg_stat_archiver") != "t":
        if time.monotonic() > deadline:
            raise SystemExit(f"WAL segment {segment} was not archived within ten minutes")
        time.sleep(0.5)


def backups(rounds: int) -> dict[str, t.Any]:
    """The playbook's own share over bare pgBackRest; a full backup each."""
    taken = timed(
        {
            "backup.yml": (backup_playbook, None),
            "pgbackrest backup": (lambda: pgbackrest("--type=full", "backup"), None),
            "pg_basebackup": (base_backup, lambda: remove(BASE)),
        },
        rounds,
    )
    playbook, bare = taken["backup.yml"]["median"], taken["pgbackrest backup"]["median"]
    allowed = max(ALLOWED_SECONDS, ALLOWED_SHARE * bare)
    return {
        "title": f"own share of backup.yml over pgbackrest backup, of the {allowed:.1f} s that are allowed",
        "unit": "s",
        "sides": taken,
        "ratio": max(0.0, playbook - bare) / allowed,
        "asked": 1.0,
    }


def restores(rounds: int) -> list[dict[str, t.Any]]:
    """A restore over an unchanged copy against one into an empty directory, by checksums and by times."""
    taken = timed(
        {
            "restore into an empty directory": (lambda: restore(delta=False), lambda: remove(COPY)),
            # What the first side has just restored.
            "restore --delta, nothing changed": (lambda: restore(delta=True), None),
            "restore --delta by time, nothing changed": (lambda: restore(delta=True, delta_by="time"), None),
            # What is no part of the restore, and of the other sides all the same.
            "Ansible's start alone (module ping)": (ping, None),
            "pg_basebackup": (base_backup, lambda: remove(BASE)),
        },
        rounds,
    )
    full, start = (taken[name]["median"] for name in ("restore into an empty directory", "Ansible's start alone (module ping)"))
    ways = {
        "restore --delta, nothing changed": "restore --delta of an unchanged node against a full restore",
        "restore --delta by time, nothing changed": "the same by the times of the files (delta_by: time)",
    }
    results: list[dict[str, t.Any]] = []
    for way, title in ways.items():
        sides = {name: values for name, values in taken.items() if name == way or name not in ways}
        delta = taken[way]["median"]
        results.append({"title": title, "unit": "s", "sides": sides, "ratio": delta / full, "asked": 0.25})
        results.append(
            {
                "title": f"{title}, without Ansible's start, which is in both",
                "unit": "s",
                "sides": sides,
                "ratio": (delta - start) / (full - start),
                "asked": 0.25,
            }
        )
    return results


def growth(share: float) -> dict[str, t.Any]:
    """What an incremental backup adds to the repository after a share of the pages has changed."""
    sides = {}
    for row, (name, block) in enumerate((("with block incremental", "y"), ("without", "n")), 1):
        pgbackrest(f"--repo1-block={block}", "--type=full", "backup")
        # Another row each time: the first one of a page is no more where it was.
        change_pages(share, row)
        pgbackrest(f"--repo1-block={block}", "--type=incr", "backup")
        added = info()["backup"][-1]["info"]["repository"]["delta"]
        say(f"  {name}: {added / 1e6:.1f} MB for {share:.0%} of the pages")
        sides[name] = summary([float(added)])
    return {
        "title": f"repository growth for {share:.0%} changed pages, with block incremental against without",
        "unit": "bytes",
        "sides": sides,
        "ratio": sides["with block incremental"]["median"] / sides["without"]["median"],
        "asked": 1.0,
    }


def timed(
    candidates: dict[str, tuple[t.Callable[[], t.Any], t.Callable[[], t.Any] | None]], rounds: int
) -> dict[str, dict[str, float]]:
    """In turns; what has to be tidied before each is no part of its time. No round to warm up: each reads all there is."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, (candidate, before) in candidates.items():
            if before:
                before()
            started = time.perf_counter()
            candidate()
            taken[name].append(time.perf_counter() - started)
        say(f"  round {number + 1} of {rounds}")
    return {name: summary(values) for name, values in taken.items()}


def backup_playbook() -> None:
    run("ansible-playbook", *INVENTORY, "playbooks/backup.yml", "--limit", NODE, "-e", "type=full")


def restore(*, delta: bool, delta_by: str = "checksum") -> None:
    options = {"stanza": NODE, "pg_path": COPY, "type": "immediate", "delta": delta, "delta_by": delta_by}
    as_postgres("multimaster.postgresql.pgbackrest_restore", "-a", json.dumps(options))


def ping() -> None:
    as_postgres("ansible.builtin.ping")


def as_postgres(module: str, *arguments: str) -> None:
    run("ansible", *INVENTORY, NODE, "-m", module, *arguments, "--become", "--become-user", "postgres")


def base_backup() -> None:
    on_node("pg_basebackup", "--pgdata", BASE, "--checkpoint", "fast", "--wal-method", "fetch")


def remove(path: str) -> None:
    on_node("rm", "-rf", path)


def pgbackrest(*arguments: str) -> str:
    return on_node("pgbackrest", f"--stanza={NODE}", *arguments)


def info() -> dict[str, t.Any]:
    return json.loads(pgbackrest("--output=json", "info"))[0]


def sql(command: str) -> str:
    return on_node("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", command, "postgres").strip()


def on_node(*command: str) -> str:
    return run("docker", "exec", "--user", "postgres", NODE, *command)


def measure(megabytes: int, rounds: int) -> list[dict[str, t.Any]]:
    """All figures, on hosts of their own."""
    try:
        deploy()
        say("site.yml with nothing to do")
        results = [playbooks.no_op_against_setup(7, INVENTORY, " with backups and their catalogue")]
        let_base_backups_in()
        fill(megabytes)
        say("backups")
        results.append(backups(rounds))
        say("restores")
        results += restores(rounds)
        say("growth of the repository")
        results.append(growth(0.01))
    finally:
        deployment.remove()
    return results
