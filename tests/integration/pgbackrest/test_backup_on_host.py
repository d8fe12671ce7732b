# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbackrest_backup and pgbackrest_expire against a real cluster and repository."""

from __future__ import annotations

import json
import re
import time
import typing as t

import pytest
from host import DATA, NO_RETRY, REPOSITORY, STANZA, VERSION, Host
from servers import wait_until

KEY = "corr3ct horse 'battery\" staple"
ENCRYPTED = {"repo1-path": f"{REPOSITORY}/encrypted", "repo1-cipher-type": "aes-256-cbc", "archive-check": False}


def labels(node: Host) -> list[str]:
    return [each["label"] for each in node.backups()]


def test_each_type_returns_what_the_catalogue_needs(node: Host) -> None:
    full = node.backup("full", node="pg9", annotations={"why": "a test: 1=1"})
    node.sql("CREATE TABLE more (i int); INSERT INTO more SELECT generate_series(1, 1000)")
    diff = node.backup("diff")
    incr = node.backup("incr")
    assert [each["type"] for each in (full, diff, incr)] == ["full", "diff", "incr"]
    assert labels(node) == [full["label"], diff["label"], incr["label"]]
    assert (full["prior"], diff["prior"], incr["prior"]) == (None, full["label"], diff["label"])
    assert (full["node"], diff["node"]) == ("pg9", STANZA)
    assert full["annotations"] == {"node": "pg9", "why": "a test: 1=1"}
    assert full["location"] == f"{REPOSITORY}/backup/{STANZA}/{full['label']}"
    for each in (full, diff, incr):
        assert each["stanza"] == STANZA
        assert each["status"] == "ok"
        assert re.fullmatch(r"[0-9A-F]{24}", each["wal_start"])
        assert each["wal_start"] <= each["wal_stop"]
        assert each["timestamp"].endswith("Z")
        assert each["duration_seconds"] >= 0
        assert each["size_bytes"] > 10_000_000
    assert full["delta_bytes"] == full["size_bytes"] > incr["delta_bytes"]
    assert full["repo_bytes"] > incr["repo_bytes"] > 0


def test_check_mode_takes_none_and_foretells_a_full_one(node: Host) -> None:
    told = node.module("pgbackrest_backup", {"stanza": STANZA, "type": "incr"}, check=True)
    assert told["changed"]
    assert told["backup"] is None
    assert told["diff"]["after"] == {"backup": {"type": "full"}}
    assert labels(node) == []
    done = node.module("pgbackrest_backup", {"stanza": STANZA, "type": "incr"})
    assert done["backup"]["type"] == "full"
    assert done["commands"] == told["commands"]
    assert done.warned("changed to full")


def test_only_if_none(node: Host) -> None:
    wanted = {"stanza": STANZA, "type": "full", "only_if_none": True}
    assert node.module("pgbackrest_backup", wanted, check=True)["changed"]
    first = node.module("pgbackrest_backup", wanted)
    assert first["changed"]
    again = node.module("pgbackrest_backup", wanted)
    assert not again["changed"]
    assert again["backup"] == first["backup"]
    assert again["commands"] == []
    assert len(labels(node)) == 1


def test_another_backup_is_waited_for(backed_up: Host) -> None:
    other = backed_up.background("flock", "--exclusive", "/tmp/pgbackrest/bk-backup-1.lock", "sleep", "2")
    time.sleep(0.3)
    began = time.monotonic()
    assert backed_up.backup("incr", lock_wait=20)["type"] == "incr"
    assert time.monotonic() - began > 1
    other.wait()


def test_another_backup_that_takes_too_long(backed_up: Host) -> None:
    other = backed_up.background("flock", "--exclusive", "/tmp/pgbackrest/bk-backup-1.lock", "sleep", "120")
    time.sleep(0.3)
    for module, arguments in (
        ("pgbackrest_backup", {"lock_wait": 1}),
        ("pgbackrest_stanza", {"state": "absent", "force": True, "lock_wait": 0}),
    ):
        told = backed_up.module(module, {"stanza": STANZA, **arguments}, fails=True)
        assert "Another pgbackrest" in told["msg"]
        assert "lock_wait" in told["msg"]
    other.kill()
    other.wait()
    assert len(labels(backed_up)) == 1
    assert backed_up.backup()["status"] == "ok"


@pytest.mark.fault
@pytest.mark.core
def test_killed_half_way_it_converges(node: Host) -> None:
    node.sql("CREATE TABLE big AS SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 150000) i")
    # pgBackRest resumes backups of whole files only
    options = {"repo1-bundle": False, "compress-level": 9}
    running = node.background(
        "pgbackrest", f"--stanza={STANZA}", "--no-repo1-bundle", "--compress-level=9", "--type=full", "backup"
    )
    begun = f"ls {REPOSITORY}/backup/{STANZA}/*F/pg_data 2>/dev/null; true"
    wait_until(lambda: node.shell(begun).split(), what="the first files")
    running.kill()
    running.wait()
    assert labels(node) == []
    done = node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full", "options": options})
    assert done["backup"]["status"] == "ok"
    assert done.warned("will resume")
    assert labels(node) == [done["backup"]["label"]]
    survey = node.module("pgbackrest_info", {"stanza": STANZA, "verify": True})
    assert survey["problems"] == []


@pytest.mark.fault
@pytest.mark.core
def test_an_encrypted_repository_never_shows_its_key(node: Host) -> None:
    access = {"options": ENCRYPTED, "secrets": {"repo1-cipher-pass": KEY}}
    node.run("rm", "-f", "/tmp/seen-enough")
    seen = node.background(
        "python3",
        "-c",
        """
import glob, os, time
found = set()
while not os.path.exists("/tmp/seen-enough"):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            found.add(open(path).read())
        except OSError:
            pass
    time.sleep(0.005)
print("LEAK" if any("bat" + "tery" in each for each in found) else "CLEAN", sum("pgbackrest" in each for each in found))
""",
    )
    results = [node.module("pgbackrest_stanza", {"stanza": STANZA, **access})]
    results.append(node.module("pgbackrest_backup", {"stanza": STANZA, "type": "full", **access}))
    results.append(node.module("pgbackrest_info", {"stanza": STANZA, **access}))
    assert results[1]["backup"]["location"].startswith(ENCRYPTED["repo1-path"])
    assert results[2]["stanzas"][0]["repositories"][0]["cipher"] == "aes-256-cbc"
    wrong = {"options": ENCRYPTED, "secrets": {"repo1-cipher-pass": "not-the-battery"}}
    for module, arguments in (
        ("pgbackrest_stanza", {}),
        ("pgbackrest_backup", {}),
        ("pgbackrest_restore", {"pg_path": f"/var/lib/postgresql/{VERSION}/copy"}),
    ):
        told = node.module(module, {"stanza": STANZA, **arguments, **wrong}, fails=True)
        assert "cannot be read with this cipher key" in told["msg"]
        results.append(told)
    survey = node.module("pgbackrest_info", {"stanza": STANZA, **wrong})
    assert "cannot be read with this cipher key" in survey["problems"][0]
    results.append(survey)
    keyless = node.module("pgbackrest_backup", {"stanza": STANZA, "options": {"repo1-path": ENCRYPTED["repo1-path"]}}, fails=True)
    assert "are encrypted (or damaged)" in keyless["msg"]
    plain = node.module(
        "pgbackrest_backup",
        {"stanza": STANZA, "options": {"repo1-cipher-type": "aes-256-cbc"}, "secrets": {"repo1-cipher-pass": KEY}},
        fails=True,
    )
    assert "have no cipher header" in plain["msg"]
    results += [keyless, plain]
    node.run("touch", "/tmp/seen-enough")
    output = seen.wait().split()
    assert output[0] == "CLEAN"
    assert int(output[1]) > 5
    for result in results:
        assert "battery" not in result.output.replace(json.dumps(KEY)[1:-1], KEY).split('"invocation"')[0]
        assert KEY not in result.output
    assert "battery" not in node.shell("cat /var/log/pgbackrest/* /var/log/postgresql/*; journalctl -b 2>/dev/null")


def test_a_secret_among_the_options_is_refused(node: Host) -> None:
    told = node.module("pgbackrest_backup", {"stanza": STANZA, "options": {"repo2-s3-key-secret": "x"}}, fails=True)
    assert "give it in secrets" in told["msg"]
    told = node.module("pgbackrest_backup", {"stanza": STANZA, "secrets": {"repo2-path": "/x"}}, fails=True)
    assert "give it in options" in told["msg"]


@pytest.mark.fault
@pytest.mark.core
def test_a_full_repository(node: Host) -> None:
    node.shell(
        "mkdir -p /mnt/small; mountpoint -q /mnt/small || mount -t tmpfs -o size=2m tmpfs /mnt/small; chown postgres /mnt/small"
    )
    try:
        options = {"repo1-path": "/mnt/small", "archive-check": False}
        node.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})
        told = node.module(
            "pgbackrest_backup", {"stanza": STANZA, "type": "full", "options": {**options, **NO_RETRY}}, fails=True
        )
        assert told["msg"].startswith("Repository 1 (/mnt/small) is full")
        # with room it converges
        node.shell("mount -o remount,size=100m /mnt/small")
        assert node.backup("full", options=options)["status"] == "ok"
    finally:
        node.run("umount", "/mnt/small")


@pytest.mark.fault
@pytest.mark.core
def test_index_files_truncated(backed_up: Host) -> None:
    directory = f"{REPOSITORY}/backup/{STANZA}"
    with backed_up.file_kept(f"{directory}/backup.info", f"{directory}/backup.info.copy"):
        backed_up.run("truncate", "--size=300", f"{directory}/backup.info")
        survey = backed_up.module("pgbackrest_info", {"stanza": STANZA})
        assert [each for each in survey["problems"] if "backup.info" in each and "copy differ" in each]
        backed_up.run("truncate", "--size=300", f"{directory}/backup.info.copy")
        for module, arguments in (("pgbackrest_backup", {}), ("pgbackrest_restore", {"delta": True, "pg_path": f"{DATA}2"})):
            told = backed_up.module(module, {"stanza": STANZA, **arguments}, fails=True)
            assert "and its copy are damaged" in told["msg"]
            assert "Do not delete the stanza" in told["msg"]
        survey = backed_up.module("pgbackrest_info", {"stanza": STANZA})
        assert "and its copy are damaged" in survey["problems"][0]
    assert backed_up.module("pgbackrest_info", {"stanza": STANZA})["problems"] == []


@pytest.mark.fault
@pytest.mark.core
def test_the_stanza_of_another_cluster(backed_up: Host) -> None:
    other = f"/var/lib/postgresql/{VERSION}/other"
    backed_up.shell(f"rm -rf {other}; /usr/lib/postgresql/{VERSION}/bin/initdb -D {other} >/dev/null 2>&1", user="postgres")
    told = backed_up.module("pgbackrest_backup", {"stanza": STANZA, "pg_path": other}, fails=True)
    assert f"pg_path is {other}, but pgBackRest is configured with" in told["msg"]
    configured = {"stanza": STANZA, "pg_path": other, "options": {"pg1-path": other}}
    told = backed_up.module("pgbackrest_backup", configured, fails=True)
    assert "belongs to another cluster" in told["msg"]
    survey = backed_up.module("pgbackrest_info", {"stanza": STANZA, "options": {"pg1-path": other}})
    assert "belongs to another cluster" in survey["problems"][0]
    backed_up.run("rm", "-rf", other)


def test_other_reasons_in_clear_words(node: Host) -> None:
    def fails(**arguments: t.Any) -> str:
        return node.module("pgbackrest_backup", {"stanza": STANZA, **arguments}, fails=True)["msg"]

    assert "does not exist in repository 1" in fails(stanza="nobody")
    assert "key '7' is not valid" in fails(repo=7)
    assert "become_user: postgres" in node.module("pgbackrest_backup", {"stanza": STANZA}, fails=True, user="root")["msg"]
    unreachable = {
        "repo1-host": "127.0.0.1",
        "repo1-host-type": "tls",
        "repo1-host-port": 4,
        "io-timeout": 1,
        "repo1-host-ca-file": "/etc/ssl/certs/ca-certificates.crt",
        "repo1-host-cert-file": "/tmp/tls/c.crt",
        "repo1-host-key-file": "/tmp/tls/c.key",
    }
    assert "TLS with the host of repository 1" in fails(options=unreachable)
    node.shell(
        "mkdir -p /tmp/tls; cd /tmp/tls; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=c -keyout c.key -out c.crt -days 2 "
        "2>/dev/null; chmod 600 c.key; chown -R postgres /tmp/tls"
    )
    assert "The host of repository 1 (127.0.0.1:/var/lib/pgbackrest) cannot be reached" in fails(options=unreachable)
    node.pgbackrest("stop")
    assert "has been stopped on this host" in fails()
    node.pgbackrest("start")
    node.run("chmod", "0", f"{REPOSITORY}/backup")
    assert "is not accessible to the user" in fails()
    node.run("chmod", "750", f"{REPOSITORY}/backup")
    node.server("stop")
    assert "cannot use the PostgreSQL server" in fails()
    node.server("start")
    assert node.backup()["status"] == "ok"


def test_damaged_pages_are_noted_and_told(backed_up: Host) -> None:
    backed_up.sql("CREATE TABLE rotten AS SELECT generate_series(1, 10000) i")
    backed_up.damage_table("rotten")
    done = backed_up.module("pgbackrest_backup", {"stanza": STANZA, "type": "full"})
    assert done["backup"]["status"] == "error"
    assert done.warned("checksum is wrong")
    # It pushes out no good one, whatever pgBackRest's own settings say.
    options = {"repo1-retention-full": 1}
    kept = labels(backed_up)
    again = backed_up.module("pgbackrest_backup", {"stanza": STANZA, "type": "full", "options": options})
    assert (again["expired"], len(again["commands"])) == ([], 1)
    assert labels(backed_up) == [*kept, again["backup"]["label"]]
    survey = backed_up.module("pgbackrest_info", {"stanza": STANZA})
    assert any("wrong checksums" in each for each in survey["problems"])
    # A restore takes the sound one that is before them, and says so; the others where they are asked for.
    restore = backed_up.restore(check=True)
    assert restore["restored"]["set"] == kept[0]
    assert restore.warned(f"The newest backup {again['backup']['label']} has pages with wrong checksums, so {kept[0]}")
    asked = backed_up.restore(check=True, set=again["backup"]["label"])
    assert asked["restored"]["set"] == again["backup"]["label"]


def test_a_failure_in_the_second_repository_names_it(backed_up: Host) -> None:
    second = f"{REPOSITORY}/second"
    options = {"repo2-path": second}
    backed_up.module("pgbackrest_stanza", {"stanza": STANZA, "options": options})
    for _number in range(2):
        backed_up.backup("full", repo=2, options={**options, "archive-check": False})
    # It can be read, and nothing can be taken from it.
    backed_up.run("chmod", "-R", "a-w", f"{second}/backup")
    told = backed_up.module("pgbackrest_expire", {"stanza": STANZA, "retention_full": 1, "options": options}, fails=True)
    backed_up.run("chmod", "-R", "u+w", f"{second}/backup")
    assert second in told["msg"]
    assert "repository 1" not in told["msg"]
    # What is missing there, too.
    (manifest,) = backed_up.shell(f"ls -d {second}/backup/{STANZA}/*F | tail -1").split()
    backed_up.run("rm", f"{second}/archive/{STANZA}/archive.info", f"{second}/archive/{STANZA}/archive.info.copy")
    told = backed_up.module("pgbackrest_expire", {"stanza": STANZA, "retention_full": 1, "options": options}, fails=True)
    assert f"repository 2 ({second})" in told["msg"]
    assert "repository 1" not in told["msg"]
    assert backed_up.run("test", "-d", manifest, check=False).returncode == 0


def test_expiry_keeps_so_many_of_each(node: Host) -> None:
    kinds = ["full", "incr", "diff", "incr", "diff", "incr", "incr", "full", "incr"]
    taken = [node.backup(kind)["label"] for kind in kinds]
    wanted = {"stanza": STANZA, "retention_full": 2, "retention_diff": 1, "retention_incr": 2}
    told = node.module("pgbackrest_expire", wanted, check=True)
    # of the five incrementals the three oldest are surplus; the newest of these is needed by a kept one
    assert told["expired"] == [taken[1], taken[3], taken[2]]
    assert told["held"] == [taken[5]]
    assert labels(node) == taken
    done = node.module("pgbackrest_expire", wanted)
    assert done["changed"]
    assert (done["expired"], done["commands"]) == (told["expired"], told["commands"])
    assert labels(node) == [taken[0], *taken[4:]]
    assert not node.module("pgbackrest_expire", wanted)["changed"]
    done = node.module("pgbackrest_expire", {**wanted, "retention_full": 1})
    assert labels(node) == taken[7:]
    assert set(done["expired"]) == {taken[0], *taken[4:7]}
    assert "at least 1" in node.module("pgbackrest_expire", {**wanted, "retention_full": 0}, fails=True)["msg"]
