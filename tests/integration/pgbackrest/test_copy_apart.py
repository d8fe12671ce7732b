# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restored copy has nothing of a live server: not before it starts, not while WAL is replayed, not afterwards."""

from __future__ import annotations

import typing as t

import pytest
from host import BINARIES, COPY, COPY_PORT, DATA, REPOSITORY, STANZA, Host
from servers import wait_until

PLACES = ("/srv/late", "/srv/short lived", "/srv/kept")


def everything_in(node: Host) -> str:
    """Names, contents and times of all that is in the live node's tablespaces, when its server has written what it had to."""
    node.sql("CHECKPOINT")
    quoted = " ".join(f"'{place}'" for place in PLACES)
    return node.shell(f"find {quoted} -printf '%p %y %m %T@\\n' | sort; find {quoted} -type f -exec sha1sum {{}} + | sort")


def run(node: Host, *commands: str, port: int = 5432) -> None:
    """Each on its own: some of these run in no transaction."""
    for command in commands:
        node.sql(command, port)


@pytest.fixture
def places(node: Host) -> t.Iterator[Host]:
    """Folders for tablespaces, and no tablespace in them afterwards."""
    quoted = " ".join(f"'{place}'" for place in PLACES)
    node.shell(f"rm -rf {quoted}; mkdir -p {quoted}; chown postgres {quoted}")
    try:
        yield node
    finally:
        for table in ("on_late", "on_kept"):
            node.sql(f"DROP TABLE IF EXISTS {table}")
        for name in node.sql("SELECT spcname FROM pg_tablespace WHERE spcname !~ '^pg_'").split():
            node.sql(f'DROP TABLESPACE "{name}"')


@pytest.mark.fault
@pytest.mark.core
def test_tablespaces_that_are_younger_than_the_backup(places: Host, backed_up: Host) -> None:
    """Recovery makes them again: inside the copy. Before, it linked the live node's directories and wrote into them."""
    node = backed_up
    node.sql(f"CREATE TABLESPACE late LOCATION '{PLACES[0]}'")
    node.sql("CREATE TABLE on_late TABLESPACE late AS SELECT n AS id FROM generate_series(1, 1000) n")
    node.sql(f"CREATE TABLESPACE short LOCATION '{PLACES[1]}'")
    node.sql("CREATE TABLE rows_of_short TABLESPACE short AS SELECT 1; DROP TABLE rows_of_short")
    node.sql("DROP TABLESPACE short")
    node.switch_wal()
    run(node, "DELETE FROM on_late WHERE id > 700", "VACUUM on_late", "CHECKPOINT")
    node.switch_wal()
    before = everything_in(node)

    done = node.restore()
    assert [each["directory"] for each in done["restored"]["tablespaces_inside"]] == list(PLACES[:2])
    assert done.warned("was made after backup")
    proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT, "keep_running": True})
    rows = {name: count for each in proof["databases"] for name, count in each["rows"].items()}
    assert rows["public.on_late"] == 700
    # What its server writes goes where the copy is.
    run(node, "INSERT INTO on_late SELECT generate_series(2001, 9000)", "CHECKPOINT", port=COPY_PORT)
    assert node.shell(f"find {COPY} -type l") == ""
    assert everything_in(node) == before
    assert node.sql("SELECT count(*) FROM on_late") == "700"

    # Another restore over it, to a moment before and to the end again; and a server that is started by hand.
    again: dict[str, t.Any] = {"delta": True, "stop_copy": True, "replace_kept": True}
    assert node.restore(**again, type="immediate")["restored"]["tablespaces_inside"] == []
    node.restore(**again)
    node.start_copy()
    assert node.sql("SELECT count(*) FROM on_late", COPY_PORT) == "700"
    run(node, "DROP TABLE on_late", "DROP TABLESPACE late", "CHECKPOINT", port=COPY_PORT)
    node.stop_copy()
    assert everything_in(node) == before


@pytest.mark.fault
def test_wal_that_arrives_after_the_restore(places: Host, backed_up: Host) -> None:
    """The archive goes on growing between a restore and the start of its server."""
    backed_up.restore(verify_archive=False)
    backed_up.sql(f"CREATE TABLESPACE late LOCATION '{PLACES[0]}'")
    backed_up.sql("CREATE TABLE on_late TABLESPACE late AS SELECT 1")
    backed_up.switch_wal()
    before = everything_in(backed_up)
    backed_up.start_copy()
    assert backed_up.sql("SELECT count(*) FROM on_late", COPY_PORT) == "1"
    location = backed_up.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'late'", COPY_PORT)
    assert location.startswith("pg_tblspc/")
    backed_up.stop_copy()
    assert everything_in(backed_up) == before


@pytest.mark.fault
def test_a_tablespace_that_is_made_while_the_backup_runs(places: Host) -> None:
    """It is in the backup's WAL and perhaps in its files: recovery meets it before the copy is consistent."""
    node = places
    node.sql("CREATE TABLE rows (id integer PRIMARY KEY); INSERT INTO rows VALUES (1), (2)")
    node.sql(f"CREATE TABLESPACE kept LOCATION '{PLACES[2]}'")
    node.sql("CREATE TABLE on_kept TABLESPACE kept AS SELECT n AS id FROM generate_series(1, 10) n")
    backup = node.background("pgbackrest", f"--stanza={STANZA}", "--type=full", "--buffer-size=16KiB", "backup")
    manifest = f"{REPOSITORY}/backup/{STANZA}/*F/backup.manifest"
    wait_until(lambda: node.shell(f"ls {manifest}* 2>/dev/null; true") != "", 120, "a backup under way")
    node.sql(f"CREATE TABLESPACE late LOCATION '{PLACES[0]}'")
    node.sql("CREATE TABLE on_late TABLESPACE late AS SELECT 1")
    assert backup.wait() == ""
    node.switch_wal()
    before = everything_in(node)
    done = node.restore(tablespace_map_all=f"{COPY}_tablespaces")
    assert done["changed"]
    proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})
    rows = {name: count for each in proof["databases"] for name, count in each["rows"].items()}
    assert (rows["public.on_kept"], rows["public.on_late"]) == (10, 1)
    assert everything_in(node) == before


def test_a_live_node_with_its_wal_and_log_elsewhere(backed_up: Host) -> None:
    """Links of the data directory lead to the live server's folders; a copy has its own, whatever the configuration says."""
    node = backed_up
    node.server("stop")
    try:
        node.shell(
            f"""
            set -e
            rm -rf /srv/wal /srv/log
            mkdir -m 700 /srv/log
            mv {DATA}/pg_wal /srv/wal
            chown postgres /srv/log
            ln -s /srv/wal {DATA}/pg_wal
            ln -s /srv/log {DATA}/log
            """
        )
        node.server("start")
        node.backup("full")
        node.sql("INSERT INTO rows VALUES (3)")
        node.switch_wal()
        live = node.shell("ls /srv/wal | sort")
        with node.file_kept("/etc/pgbackrest/pgbackrest.conf"):
            node.shell("printf '[global:restore]\\nlink-all=y\\nlink-map=pg_wal=/srv/wal\\n' >>/etc/pgbackrest/pgbackrest.conf")
            node.restore()
        assert node.shell(f"find {COPY} -type l") == ""
        proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})
        assert {"public.rows": 3} in [each["rows"] for each in proof["databases"]]
        assert node.shell("ls /srv/wal | sort") == live
        # A copy that somebody gave a way into them.
        node.shell(f"rm -rf {COPY}/pg_wal; ln -s /srv/wal {COPY}/pg_wal", user="postgres")
        told = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT}, fails=True)
        assert f"{COPY}/pg_wal leads to pg_wal of the server of {DATA}" in told["msg"]
        assert f"{COPY}/pg_wal leads to" in node.restore(delta=True, fails=True)["msg"]
        assert node.shell("ls /srv/wal | sort") == live
    finally:
        node.server("stop")
        node.shell(f"if [ -L {DATA}/pg_wal ]; then rm -f {DATA}/pg_wal {DATA}/log; mv /srv/wal {DATA}/pg_wal; fi")
        node.server("start")


def test_a_directory_that_is_a_live_server_s(backed_up: Host) -> None:
    for path in (f"{DATA}/copy", f"{DATA}/base", "/var/lib/postgresql"):
        told = backed_up.restore(pg_path=path, fails=True)
        assert f"pg_path {path} is not apart from the data directory of the server of {DATA}" in told["msg"]
    assert "pg_path is 'copy', which is not an absolute path" in backed_up.restore(pg_path="copy", fails=True)["msg"]
    told = backed_up.restore(recovery_options={"log_directory": f"{DATA}/log"}, fails=True)
    assert "recovery_options.log_directory" in told["msg"]
    assert backed_up.shell(f"ls -d {DATA}/copy {COPY} 2>/dev/null; true") == ""
    # Of a server that no stanza is configured for.
    other = "/var/lib/postgresql/other"
    programs = f"{BINARIES}/initdb -D {other} && {BINARIES}/pg_ctl -D {other} -o '-p 5477' -l {other}.log -w start"
    backed_up.shell(f"({programs}) >/dev/null", user="postgres")
    try:
        assert "is not apart from" in backed_up.restore(pg_path=f"{other}/copy", fails=True)["msg"]
    finally:
        backed_up.shell(f"{BINARIES}/pg_ctl -D {other} -m immediate stop; rm -rf {other}*", user="postgres")


def test_a_live_server_s_directory_in_another_place(backed_up: Host) -> None:
    """Mounted twice, it has another path and is the same."""
    other = "/srv/mounted"
    backed_up.shell(f"mkdir -p {other}/main && mount --bind {DATA} {other}/main")
    try:
        for path in (f"{other}/main/copy", f"{other}/main/base"):
            assert f"pg_path {path} is not apart from the data directory" in backed_up.restore(pg_path=path, fails=True)["msg"]
        assert "is not apart from" in backed_up.restore(pg_path=f"{other}/main", delta=True, fails=True)["msg"]
        told = backed_up.module("pgbackrest_prove", {"pg_path": f"{other}/main", "port": COPY_PORT}, fails=True)
        assert "is not apart from" in told["msg"]
    finally:
        backed_up.run("umount", f"{other}/main")
    assert backed_up.sql("SELECT count(*) FROM rows") == "2"


def test_where_tablespaces_cannot_go(places: Host, backed_up: Host) -> None:
    """Found before anything is written, by a check run too. Beside a tablespace in the copy's own parent there is room."""
    node = backed_up
    parent = COPY.rpartition("/")[0]
    node.sql(f"CREATE TABLESPACE kept LOCATION '{parent}'")
    node.sql(f"CREATE TABLESPACE late LOCATION '{PLACES[0]}'")
    node.sql("CREATE TABLE on_kept TABLESPACE kept AS SELECT 1; CREATE TABLE on_late TABLESPACE late AS SELECT 1")
    node.backup("full")
    spaces = f"{COPY}_tablespaces"
    wrong: dict[str, dict[str, t.Any]] = {
        "tablespace_map has spare, which backup": {"tablespace_map": {"spare": "/srv/x"}, "tablespace_map_all": spaces},
        "the same directory": {"tablespace_map": {"kept": f"{COPY}-1", "late": f"{COPY}-1"}},
        "one into the other's": {"tablespace_map": {"kept": f"{COPY}-1", "late": f"{COPY}-1/late"}},
        "in the copy's own data directory": {"tablespace_map_all": f"{COPY}/spaces"},
        "/etc/passwd is not a directory": {"tablespace_map_all": "/etc/passwd"},
        "/root may not be written by this user": {"tablespace_map_all": "/root/x"},
        "target_timeline is 99": {"target_timeline": "99", "tablespace_map_all": spaces},
        'unrecognized configuration parameter "wrk_mem"': {"recovery_options": {"wrk_mem": 1}, "tablespace_map_all": spaces},
        'invalid value for parameter "port"': {"recovery_options": {"port": "abc"}, "tablespace_map_all": spaces},
        "recovery_options.log_directory": {"recovery_options": {"log_directory": "../main/log"}, "tablespace_map_all": spaces},
        "'abc' is not valid for 'process-max'": {"options": {"process-max": "abc"}, "tablespace_map_all": spaces},
    }
    for words, arguments in wrong.items():
        assert words in node.restore(fails=True, **arguments)["msg"]
        # What pgBackRest itself refuses cannot be foretold.
        if "options" not in arguments:
            assert words in node.restore(fails=True, check=True, **arguments)["msg"]
        assert node.shell(f"ls -d {COPY}* 2>/dev/null; true") == ""
    node.restore(tablespace_map_all=spaces)
    proof = node.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})
    rows = {name: count for each in proof["databases"] for name, count in each["rows"].items()}
    assert (rows["public.on_kept"], rows["public.on_late"]) == (1, 1)
    # Another copy would replace that one's tablespaces, with delta without a word.
    for delta in (False, True):
        told = node.restore(pg_path=f"{COPY}-2", tablespace_map_all=spaces, delta=delta, fails=True)
        assert "which holds a tablespace already" in told["msg"]
    node.restore(tablespace_map_all=spaces, delta=True)
    node.run("rm", "-r", spaces)


def test_what_the_live_server_runs_and_writes(backed_up: Host) -> None:
    """ALTER SYSTEM is in the backup: commands and files of the live server are none of the copy's."""
    backed_up.shell("rm -f /tmp/ran; echo precious >/tmp/live.pid; chown postgres /tmp/live.pid")
    settings = {
        "archive_cleanup_command": "touch /tmp/ran",
        "recovery_end_command": "touch /tmp/ran",
        "external_pid_file": "/tmp/live.pid",
        "log_directory": f"{DATA}/log",
        "synchronous_standby_names": "nobody",
    }
    try:
        for name, value in settings.items():
            backed_up.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        backed_up.backup("full")
    finally:
        backed_up.sql("ALTER SYSTEM RESET ALL")
    backed_up.restore()
    backed_up.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})
    assert backed_up.shell("ls /tmp/ran 2>/dev/null; cat /tmp/live.pid") == "precious\n"


def test_a_copy_that_pgbackrest_itself_restored(backed_up: Host) -> None:
    backed_up.pgbackrest(f"--pg1-path={COPY}", "--archive-mode=off", "restore")
    told = backed_up.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT}, fails=True)
    assert "Restore into it again, with delta. Nothing was started." in told["msg"]
    backed_up.restore(delta=True)
    assert backed_up.module("pgbackrest_prove", {"pg_path": COPY, "port": COPY_PORT})["changed"]
    assert REPOSITORY in backed_up.shell(f"cat {COPY}/postgresql.auto.conf; echo {REPOSITORY}")
