# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role pgbackrest: what a host is asked, and what is due given its answers."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_host import pgbackrest_look, pgbackrest_state

ROLE = Path(__file__).resolve().parents[3] / "roles/pgbackrest"
OPTIONS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
UNITS = ("backup.service", "backup.timer", "catalog.service", "catalog.timer", "server.conf")
SOURCES = {"header": "# managed", "program": "#!/bin/true\n", **{name: (ROLE / "files" / name).read_text() for name in UNITS}}
STANZA = {"name": "pg1", "node": "pg1", "pg_path": "/data", "pg_port": 5432, "offset_minutes": 30}
CATALOG = {"pgbackrest_catalog_servers": [{"host": "192.0.2.1", "port": 6379}], "pgbackrest_catalog_password": "s3cret"}


def values(**changes: t.Any) -> dict[str, t.Any]:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    return {**defaults, "pgbackrest_stanzas": [STANZA], **CATALOG, **changes}


def state(given: dict[str, t.Any], host: dict[str, str], check_mode: bool = False) -> dict[str, t.Any]:
    return pgbackrest_state(given, host, SOURCES, OPTIONS, check_mode)


def bare_host(given: dict[str, t.Any]) -> dict[str, str]:
    tls = {f"file:{given[f'pgbackrest_tls_{name}_file']}": "0 600 postgres 5" for name in ("certificate", "key", "ca")}
    return {"processors": "4", "wal_size_mb": "40000", **tls}


OLD, NEW = 7_000_000_000_000_000_001, 17_000_000_000_000_000_002
DATA_IS_NEW = {"system_id:/data": str(NEW)}


def stanza_info(
    name: str = "pg1", clusters: t.Sequence[int] = (OLD,), backups_of: t.Sequence[int] = (1,), repo: int = 1
) -> dict[str, t.Any]:
    """A stanza as pgBackRest tells it: the clusters that it belonged to in turn, the numbers of those it has backups of."""
    return {
        "name": name,
        "status": {"code": 0},
        "db": [{"id": number, "repo-key": repo, "system-id": each} for number, each in enumerate(clusters, start=1)],
        "backup": [{"label": "x", "database": {"id": each, "repo-key": repo}} for each in backups_of],
    }


def settled_host(given: dict[str, t.Any]) -> dict[str, str]:
    """What the host answers once all that was due has been done."""
    host = bare_host(given)
    found = state(given, host)
    assert found["problems"] == []
    for file in found["differing"]:
        checksum = hashlib.sha1(file["content"].encode(), usedforsecurity=False).hexdigest()
        host[f"file:{file['path']}"] = f"{checksum} {file['mode'][1:]} {file['owner']} 5"
    host |= {f"folder:{folder['path']}": "there" for folder in found["folders"]}
    host |= {f"package:{package}": "installed" for package in found["packages_missing"]}
    host |= {f"unit:{unit}": "active enabled no 9" for unit in found["units_wanted"]}
    host["info"] = json.dumps([stanza_info(name=each["name"]) for each in given["pgbackrest_stanzas"]])
    return host


def test_a_new_host_needs_everything() -> None:
    given = values()
    found = state(given, bare_host(given))
    assert found["packages_missing"] == ["pgbackrest", "python3-redis"]
    assert [found[f"{part}_due"] for part in ("install", "configure", "service", "change")] == [True] * 4
    assert [each["name"] for each in found["stanzas_due"]] == ["pg1"]
    assert found["units_wanted"] == [
        *(f"multimaster-backup-{kind}@pg1.timer" for kind in ("diff", "full", "incr")),
        "multimaster-backup-catalog.timer",
    ]
    texts = {file["path"]: file["content"] for file in found["differing"]}
    assert "OnCalendar=Sun *-*-* 01:30:00\n" in texts["/etc/systemd/system/multimaster-backup-full@pg1.timer"]
    assert [path for path, text in texts.items() if re.search("@(type|stanza|calendar|writable)@", text)] == []
    configuration = texts["/etc/pgbackrest/pgbackrest.conf"].splitlines()
    assert "process-max=2" in configuration
    assert configuration[configuration.index("[global:restore]") + 1] == "process-max=4"
    assert "archive-push-queue-max=10000MiB" in configuration
    settings = json.loads(texts["/etc/multimaster/backup.json"])
    assert settings["retention"] == {"full": 2, "diff": 7, "incr": 14}
    assert settings["catalog"]["login_password"] == "s3cret"
    assert {file["path"] for file in found["differing"] if file["secret"]} == {
        "/etc/pgbackrest/pgbackrest.conf",
        "/etc/multimaster/backup.json",
    }


def test_a_unit_may_write_into_the_repositories_and_what_pgbackrest_has_besides() -> None:
    repositories = [{"type": "posix", "path": '/srv/50% "of" it\\all'}]
    given = values(pgbackrest_repositories=repositories, pgbackrest_options={"lock-path": "/run/pgbackrest"})
    texts = {file["path"]: file["content"] for file in state(given, bare_host(given))["differing"]}
    services = [path for path in texts if path.endswith(".service")]
    assert len(services) == 4
    for path in services:
        (line,) = [line for line in texts[path].splitlines() if line.startswith("ReadWritePaths=")]
        folders = ['/srv/50%% \\"of\\" it\\\\all', "/var/log/pgbackrest", "/var/spool/pgbackrest", "/run/pgbackrest"]
        assert line == "ReadWritePaths=" + " ".join(f'"-{folder}"' for folder in folders)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", [name for name in UNITS if not name.endswith(".timer")])
def test_a_unit_is_not_exposed(name: str, tmp_path: Path) -> None:
    unit = tmp_path / f"multimaster-{name.partition('.')[0]}.service"
    # The server's are limits for the package's unit.
    package = "[Service]\nUser=postgres\nExecStart=/bin/true\n" if name == "server.conf" else ""
    unit.write_text(package + SOURCES[name].replace("@writable@", '"-/tmp"').replace("@type@", "full"))
    # In tenths; it ends with 1 above that.
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


SERVER = {"pgbackrest_server": True, "pgbackrest_server_clients": [{"name": "pg2", "stanzas": ["pg1"]}]}


def test_the_server_has_the_limits_of_the_units_beside_it() -> None:
    given = values(**SERVER)
    host = settled_host(given)
    limits = "/etc/systemd/system/pgbackrest.service.d/multimaster.conf"
    assert limits in {file["path"] for file in state(given, bare_host(given))["differing"]}
    assert limits not in {file["path"] for file in state(values(), bare_host(values()))["differing"]}

    def settings(name: str) -> set[str]:
        text = SOURCES[name].partition("NoNewPrivileges=")[2]
        return {line for line in text.splitlines() if line and not line.startswith("#")}

    assert settings("server.conf") == settings("backup.service") == settings("catalog.service")
    # They count from its next start on: also where a run ended between writing them and that.
    for changed in ({f"file:{limits}": "0 644 root 5"}, {f"file:{limits}": host[f"file:{limits}"].rpartition(" ")[0] + " 10"}):
        found = state(given, {**host, **changed})
        assert (found["server_outdated"], found["service_due"]) == (True, True)


@pytest.mark.parametrize("changes", [{}, SERVER])
def test_a_host_that_is_right_needs_nothing(changes: dict[str, t.Any]) -> None:
    given = values(**changes)
    found = state(given, settled_host(given))
    assert not found["change_due"], found
    assert (found["differing"], found["stanzas_due"], found["units_unwanted"]) == ([], [], [])


def test_all_that_is_written_is_asked_about() -> None:
    given = values()
    words = pgbackrest_look(given, OPTIONS)
    assert words[:4] == ["sh", "-s", "--", "/data"]
    assert "Sun *-*-* 01:30:00" in words[6].split(";")
    found = state(given, bare_host(given))
    assert {file["path"] for file in found["differing"]} <= set(words)
    assert set(found["units_wanted"]) <= set(words[5].split())
    assert words[8] == "/data"
    asked_folders = {word.rpartition("/")[0] for word in words[9:]}
    assert {folder["path"] for folder in found["folders"]} <= asked_folders


def test_what_is_no_longer_wanted_is_stopped() -> None:
    before = values()
    host = settled_host(before)
    after = values(pgbackrest_schedules={"full": "", "diff": before["pgbackrest_schedules"]["diff"], "incr": ""})
    found = state(after, host)
    assert found["units_unwanted"] == ["multimaster-backup-full@pg1.timer", "multimaster-backup-incr@pg1.timer"]
    assert found["service_due"]
    assert found["stanzas_due"] == []


def test_timers_of_stanzas_that_are_no_more_are_removed() -> None:
    given = values()
    host = settled_host(given) | {f"timer:{unit}": "there" for unit in state(given, bare_host(given))["units_wanted"]}
    del host["timer:multimaster-backup-catalog.timer"]
    assert not state(given, host)["change_due"]
    found = state(given, {**host, "timer:multimaster-backup-full@renamed.timer": "there"})
    assert found["units_unwanted"] == ["multimaster-backup-full@renamed.timer"]
    assert found["units_surplus"] == ["/etc/systemd/system/multimaster-backup-full@renamed.timer"]
    assert (found["service_due"], found["units_differ"]) == (True, True)


def test_the_host_names_its_timers_and_the_size_of_the_disk_of_pg_wal(tmp_path: Path) -> None:
    units, data = tmp_path / "units", tmp_path / "data"
    units.mkdir()
    data.mkdir()
    (data / "pg_wal").symlink_to("/dev/shm")
    for name in ("multimaster-backup-full@pg9.timer", "multimaster-backup-catalog.timer", "multimaster-backup-full@.service"):
        (units / name).touch()
    script = (ROLE / "files/host.sh").read_text().replace("/etc/systemd/system", str(units))
    start, middle = script.index("# WAL that waits"), script.index("# Words, not one")
    timers = script[script.index("for timer in") : script.index("old=$IFS")]
    say = next(line for line in script.splitlines() if line.startswith("say()"))
    parts = f"data={data}\n{say}\n{script[start:middle]}\n{timers}"
    done = subprocess.run(["sh", "-euc", parts], capture_output=True, text=True, check=True)
    disk = subprocess.run(["df", "-Pm", "/dev/shm/."], capture_output=True, text=True, check=True)
    size = disk.stdout.splitlines()[1].split()[1]
    assert done.stdout.splitlines() == [f"wal_size_mb\t{size}", "timer:multimaster-backup-full@pg9.timer\tthere"]


def test_a_repository_host_takes_them() -> None:
    given = values(pgbackrest_take_backups=False)
    found = state(given, bare_host(given))
    assert found["stanzas_due"] == []
    assert found["units_wanted"] == []
    # Nothing that would wait for a repository host that is away.
    assert pgbackrest_look(given, OPTIONS)[7] == ""


@pytest.mark.parametrize(
    ("name", "answer", "due"),
    [
        ("unit:multimaster-backup-incr@pg1.timer", "inactive enabled no 0", "service_due"),
        ("package:pgbackrest", "config-files", "install_due"),
        ("file:/etc/multimaster/backup.json", "0 600 postgres 5", "configure_due"),
        ("file:/usr/local/lib/multimaster/backup", "", "configure_due"),
    ],
)
def test_what_has_drifted_is_due(name: str, answer: str, due: str) -> None:
    given = values()
    found = state(given, {**settled_host(given), name: answer})
    assert found[due]
    assert found["change_due"]
    assert found["stanzas_due"] == []


def test_a_stanza_that_is_not_well_is_due() -> None:
    given = values()
    info = json.dumps([{"name": "pg1", "status": {"code": 2}}])
    assert [each["name"] for each in state(given, {**settled_host(given), "info": info})["stanzas_due"]] == ["pg1"]
    assert state(given, {**settled_host(given), "info": ""})["change_due"]


def due(given: dict[str, t.Any], host: dict[str, t.Any], hostvars: dict[str, t.Any] | None = None) -> tuple[list[str], list[str]]:
    found = pgbackrest_state(given, host, SOURCES, OPTIONS, False, hostvars)
    assert found["change_due"] == bool(found["problems"] or found["stanzas_due"])
    return [each["name"] for each in found["stanzas_due"]], found["problems"]


def test_a_stanza_of_another_cluster_ends_the_run_each_time_until_it_is_upgraded() -> None:
    host = settled_host(values())
    assert due(values(), {**host, "system_id:/data": str(OLD)}) == ([], [])
    _stanzas, (problem,) = due(values(), host | DATA_IS_NEW)
    assert f"belongs to another cluster (system identifier {OLD}) than the one in /data (system identifier {NEW})" in problem
    assert "-e pgbackrest_upgrade_stanza=true" in problem
    assert due(values(pgbackrest_upgrade_stanza=True), host | DATA_IS_NEW) == (["pg1"], [])
    # Upgraded, and no backup of the new cluster; then with one.
    upgraded = stanza_info(clusters=(OLD, NEW))
    assert due(values(), {**host, **DATA_IS_NEW, "info": json.dumps([upgraded])}) == (["pg1"], [])
    backed_up = stanza_info(clusters=(OLD, NEW), backups_of=(1, 2))
    assert due(values(), {**host, **DATA_IS_NEW, "info": json.dumps([backed_up])}) == ([], [])


def test_one_repository_of_two_that_lacks_a_backup_of_the_cluster_is_due() -> None:
    first, second = stanza_info(clusters=(OLD, NEW), backups_of=(2,)), stanza_info(clusters=(OLD, NEW), backups_of=(1,), repo=2)
    both = {**first, "db": first["db"] + second["db"], "backup": first["backup"] + second["backup"]}
    assert due(values(), {**settled_host(values()), **DATA_IS_NEW, "info": json.dumps([both])}) == (["pg1"], [])


def test_a_repository_host_knows_the_cluster_from_the_node() -> None:
    given = values(pgbackrest_stanzas=[{**STANZA, "pg_host": "192.0.2.1"}])
    host = settled_host(given)
    assert pgbackrest_look(given, OPTIONS)[8] == ""
    asked = {"pg1": {"__pgbackrest_host_look": {"pairs": DATA_IS_NEW}}}
    _stanzas, (problem,) = due(given, host, asked)
    assert "belongs to another cluster" in problem
    # The node is not in this run.
    absent: tuple[dict[str, t.Any], ...] = ({}, {"pg1": {}})
    for hostvars in absent:
        assert due(given, host, hostvars) == ([], [])


def test_the_host_tells_its_clusters(tmp_path: Path) -> None:
    for name in ("a b", "empty"):
        (tmp_path / name / "global").mkdir(parents=True)
    (tmp_path / "a b/global/pg_control").write_bytes(struct.pack("=QIII", NEW, 1300, 202307071, 6) + b"\0" * 100)
    script = (ROLE / "files/host.sh").read_text()
    say = next(line for line in script.splitlines() if line.startswith("say()"))
    part = script[script.index("for cluster in") : script.index("IFS=$old")]
    clusters = f"{tmp_path}/a b;{tmp_path}/empty"
    argv = ["sh", "-euc", f"{say}\nIFS=';'\nclusters=$1\n{part}", "sh", clusters]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"system_id:{tmp_path}/a b\t{NEW}\n"


@pytest.mark.parametrize(
    ("unit", "answer"),
    [
        ("multimaster-backup-incr@pg1.timer", "active enabled yes 9"),
        ("multimaster-backup-full@pg1.service", "inactive static yes 0"),
        ("multimaster-backup-catalog.service", "inactive static yes 0"),
    ],
)
def test_what_systemd_has_not_read_since_an_interrupted_run_is_read(unit: str, answer: str) -> None:
    given = values()
    assert unit in pgbackrest_look(given, OPTIONS)[5].split()
    found = state(given, {**settled_host(given), f"unit:{unit}": answer})
    assert (found["differing"], found["service_due"], found["units_differ"]) == ([], True, True)
    # A backup that runs is no unit that is to be stopped.
    assert found["units_unwanted"] == []


def test_a_newer_certificate_restarts_the_server() -> None:
    given = values(**SERVER)
    host = settled_host(given)
    assert not state(given, host)["server_outdated"]
    found = state(given, {**host, f"file:{given['pgbackrest_tls_certificate_file']}": "0 600 postgres 10"})
    assert found["server_outdated"]
    assert found["change_due"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pgbackrest_server_port": 0}, "pgbackrest_server_port is 0; it has to be from 1 to 65535."),
        ({"pgbackrest_lock_wait": 10**30}, "pgbackrest_lock_wait is 1000"),
        ({"pgbackrest_process_max": -1}, "pgbackrest_process_max is -1"),
        ({"pgbackrest_archive_queue_max_mb": -5}, "pgbackrest_archive_queue_max_mb is -5"),
        ({"pgbackrest_options": {"compress-levle": 3}}, "compress-levle, which is no option of pgBackRest; did you mean"),
        ({"pgbackrest_retention_full": 0}, "pgbackrest_retention_full is 0; it has to be from 1 to 9999999."),
        ({"pgbackrest_retention_incr": -1}, "it has to be from 0 to 9999999"),
        ({"pgbackrest_catalog_password": ""}, "pgbackrest_catalog_password must be set"),
        ({"pgbackrest_server": True}, "names nobody who may use it"),
        ({"pgbackrest_stanzas": [{**STANZA, "offset_minutes": 60}]}, "is 60; 0 to 59"),
        ({"pgbackrest_compression_type": "rar"}, "pgbackrest_compression_type"),
        ({"pgbackrest_retension_full": 3}, "did you mean pgbackrest_retention_full?"),
        ({"pgbackrest_stanzas": "pg1"}, "must be a list"),
    ],
)
def test_what_is_wrong_with_the_variables(changes: dict[str, t.Any], words: str) -> None:
    given = values(**changes)
    (problem,) = state(given, {})["problems"]
    assert words in problem
    assert state(given, {})["change_due"]
    assert pgbackrest_look(given, OPTIONS)


def test_what_is_wrong_with_the_host() -> None:
    given = values()
    host = {**settled_host(given), "calendar:Someday": "wrong"}
    (problem,) = state(given, host)["problems"]
    assert "Someday, which systemd does not understand" in problem
    keyless = {name: answer for name, answer in settled_host(given).items() if not name.endswith("server.key")}
    (problem,) = state(given, keyless)["problems"]
    assert "There is no /etc/multimaster/tls/server.key" in problem
    assert state(given, keyless, check_mode=True)["problems"] == []


PASSPHRASE = "old passphrase of this repository"


def encrypted(passphrase: str) -> dict[str, t.Any]:
    return values(pgbackrest_repositories=[{"type": "posix", "cipher_passphrase": passphrase}])


def encrypted_host(code: int) -> dict[str, str]:
    """One that has the old passphrase, and a stanza with this status in its repository."""
    lines = f"repo1-cipher-pass={PASSPHRASE}\nrepo1-cipher-type=aes-256-cbc\n"
    info = [{"name": "pg1", "repo": [{"key": 1, "status": {"code": code}}], "status": {"code": code}}]
    return {
        **settled_host(encrypted(PASSPHRASE)),
        "cipher:repo1": hashlib.sha256(lines.encode()).hexdigest(),
        "info": json.dumps(info),
    }


@pytest.mark.parametrize("code", [0, 2, 99])
def test_the_only_copy_of_a_passphrase_is_not_written_over(code: int) -> None:
    host = encrypted_host(code)
    assert state(encrypted(PASSPHRASE), host)["problems"] == []
    for given in (encrypted("another passphrase altogether"), values()):
        (problem,) = state(given, host, check_mode=True)["problems"]
        assert "pgbackrest_repositories[0] is not that in /etc/pgbackrest/pgbackrest.conf" in problem
        assert "passphrase of this" not in problem
        assert "altogether" not in problem
    # Nothing is known of it.
    assert state(encrypted("another passphrase altogether"), {**host, "info": ""})["problems"]


def test_a_passphrase_that_protects_nothing_can_be_changed() -> None:
    given = encrypted("another passphrase altogether")
    assert state(given, encrypted_host(1))["problems"] == []
    assert state(given, {**encrypted_host(0), "info": "[]"})["problems"] == []
    moved_away = {name: answer for name, answer in encrypted_host(0).items() if name != "cipher:repo1"}
    assert state(given, moved_away)["problems"] == []


def test_the_checksum_on_the_host_is_that_of_what_would_be_written(tmp_path: Path) -> None:
    (tmp_path / "pgbackrest.conf").write_text(
        f"[global]\nrepo1-cipher-pass={PASSPHRASE}\nrepo1-cipher-type=aes-256-cbc\nrepo1-path=/r\n"
        "repo2-host=repo\nrepo2-host-port=8432\n"
    )
    script = (ROLE / "files/host.sh").read_text().replace("/etc/pgbackrest/pgbackrest.conf", str(tmp_path / "pgbackrest.conf"))
    start, end = script.index("configuration="), script.index("# All stanzas")
    say = next(line for line in script.splitlines() if line.startswith("say()"))
    done = subprocess.run(["sh", "-euc", f"{say}\n{script[start:end]}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cipher:repo1", encrypted_host(0)["cipher:repo1"]]


def test_what_cannot_be_decrypted_is_due_and_no_error() -> None:
    recorded = (Path(__file__).parent / "recorded/info_wrong_key.bin").read_bytes()
    script = (ROLE / "files/host.sh").read_text()
    cleaner = next(re.finditer(r"2>/dev/null \| ([^|]* tr [^)]*)\)", script))[1]
    line = subprocess.run(["sh", "-c", cleaner], input=recorded, capture_output=True, check=True).stdout
    assert len(line.decode().splitlines()) == 1
    given = values(pgbackrest_stanzas=[{**STANZA, "name": "bk"}])
    for info in (line.decode(), recorded.decode(errors="surrogateescape"), line.decode()[:40], "{}"):
        assert [each["name"] for each in state(given, {**settled_host(given), "info": info})["stanzas_due"]] == ["bk"]
