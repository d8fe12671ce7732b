# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd container with a PostgreSQL cluster that archives with pgBackRest, and what tests do to it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sysconfig
import typing as t
from pathlib import Path

from servers import wait_until

ROOT = Path(__file__).resolve().parents[3]
NETWORK = "multimaster-pgbackrest"
SUBNET = "198.18.160"
STANZA = "bk"
VERSION = "16"
DATA = f"/var/lib/postgresql/{VERSION}/main"
COPY = f"/var/lib/postgresql/{VERSION}/copy"
COPY_PORT = 5499
# pgBackRest tries a failed file again after 15 s; tests that damage one need not wait for that.
NO_RETRY = {"job-retry": 0}
REPOSITORY = "/var/lib/pgbackrest"
BINARIES = f"/usr/lib/postgresql/{VERSION}/bin"

INSTALL = f"""
set -e
cat >/etc/apt/sources.list.d/pgdg.sources <<S
Types: deb
URIs: file:/srv/pgdg
Suites: trixie-pgdg
Components: main
Signed-By: /srv/pgdg/key.asc
S
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends postgresql-common >/dev/null
sed -i 's/^#\\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
systemctl mask --quiet redis-server
apt-get -qq install -y --no-install-recommends postgresql-{VERSION} pgbackrest redis-server redis-tools >/dev/null
apt-get -qq install -y --no-install-recommends python3-redis python3-psycopg2 >/dev/null
mkdir -p /etc/pgbackrest
cat >/etc/pgbackrest/pgbackrest.conf <<S
[global]
repo1-path={REPOSITORY}
repo1-retention-full=9
repo1-bundle=y
repo1-block=y
start-fast=y
compress-type=zst
[{STANZA}]
pg1-path={DATA}
S
pg_createcluster {VERSION} main --locale C.UTF-8 -- --data-checksums >/dev/null
cat >/etc/postgresql/{VERSION}/main/conf.d/test.conf <<S
wal_level=logical
fsync=off
archive_mode=on
archive_command='pgbackrest --stanza={STANZA} archive-push %p'
track_commit_timestamp=on
# Only tests write: its pages in the WAL would mend what a test damages, and files that a copy must leave alone would change.
autovacuum=off
S
"""


class Result(dict[str, t.Any]):
    """A module's JSON; ``output`` is all that it printed."""

    output: str

    def warned(self, words: str) -> bool:
        return any(words in json.dumps(each) for each in self.get("warnings", []))


def make_network() -> None:
    """It may be there already, or be made by another process of this run at this moment: then it shows a little later."""
    inspect = ["docker", "network", "inspect", NETWORK]
    create = ["docker", "network", "create", "--subnet", f"{SUBNET}.0/24", "--label", "multimaster.postgresql=network", NETWORK]

    def is_there() -> bool:
        return any(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in (inspect, create))

    wait_until(is_there, what=f"the network {NETWORK} with {SUBNET}.0/24")


def remove_network() -> None:
    subprocess.run(["docker", "network", "rm", NETWORK], check=False, capture_output=True)


class Background:
    """A command that runs in the container while the test goes on, with all that it starts."""

    def __init__(self, host: Host, file: str, user: str, command: t.Sequence[str]) -> None:
        self._host, self._file = host, file
        self._output: str | None = None
        host.run("rm", "-f", file)
        self._client = subprocess.Popen(
            [
                "docker",
                "exec",
                "--user",
                user,
                host.name,
                "setsid",
                "--wait",
                "bash",
                "-c",
                'echo $$ >"$0"; exec "$@"',
                file,
                *command,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_until(lambda: host.run("test", "-s", file, check=False).returncode == 0, 120, "the start of a command")

    def kill(self) -> None:
        """The hard way, its whole process group."""
        if self._client.poll() is None:
            self._host.shell(f"kill -9 -- -$(cat {self._file})", check=False)

    def wait(self) -> str:
        """Until it has ended; what it printed."""
        if self._output is None:
            self._output = self._client.communicate()[0]
        return self._output


class Host:
    CATALOG_PASSWORD = "cata'log \"s3cret"

    def __init__(self, name: str, network: str, address: str) -> None:
        self.name, self.network, self.address = name, network, address
        # This machine, as the host reaches it; and a number that no other host on it has.
        self.gateway = address.rpartition(".")[0] + ".1"
        self.number = int(address.rpartition(".")[2])
        self._started: list[Background] = []

    # --- the container ----------------------------------------------------------------------------------------------

    def create(self) -> None:
        site_packages = sysconfig.get_path("purelib")
        subprocess.run(
            [
                str(ROOT / "environment/host.sh"),
                self.name,
                self.network,
                self.address,
                *("--volume", f"{ROOT}:/srv/project:ro"),
                *("--volume", f"{site_packages}/ansible:/srv/python/ansible:ro"),
            ],
            check=True,
        )
        if self.run("test", "-e", f"/etc/postgresql/{VERSION}/main", check=False).returncode:
            self.shell(INSTALL)

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=False, capture_output=True)

    def run(
        self,
        *command: str,
        user: str = "root",
        check: bool = True,
        text: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        variables = [part for name, value in (environment or {}).items() for part in ("--env", f"{name}={value}")]
        done = subprocess.run(
            ["docker", "exec", "--interactive", "--user", user, *variables, self.name, *command],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{shlex.join(command)} failed on {self.name}: {done.stdout}{done.stderr}")
        return done

    def shell(self, script: str, user: str = "root", check: bool = True) -> str:
        return self.run("bash", "-s", user=user, text=script, check=check).stdout

    def background(self, *command: str, user: str = "postgres") -> Background:
        """Start a command and go on; kill_leftovers ends what is left of it."""
        started = Background(self, f"/tmp/started.{len(self._started)}", user, command)
        self._started.append(started)
        return started

    # --- modules ----------------------------------------------------------------------------------------------------

    MODULE_ENVIRONMENT: t.ClassVar = {
        "PYTHONPATH": "/srv/python:/srv/project/collections",
        "PYTHONPYCACHEPREFIX": "/tmp/pycache",
    }

    def module_command(self, name: str) -> list[str]:
        return ["python3", "/srv/project/tests/integration/pgbackrest/run_module.py", name]

    def module(
        self,
        name: str,
        arguments: dict[str, t.Any],
        *,
        check: bool = False,
        fails: bool = False,
        user: str = "postgres",
        environment: dict[str, str] | None = None,
    ) -> Result:
        """Run a module there; a failure that was not announced fails the test, and the reverse."""
        arguments = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        done = self.run(
            *self.module_command(name),
            user=user,
            check=False,
            text=json.dumps(arguments),
            environment={**self.MODULE_ENVIRONMENT, **(environment or {})},
        )
        assert done.stdout.startswith("\n{") or done.stdout.startswith("{"), done.stdout + done.stderr
        result = Result(json.loads(done.stdout))
        result.output = done.stdout + done.stderr
        assert bool(result.get("failed")) == fails, result
        if fails:
            assert "Traceback" not in result.output
            assert "\n" not in result["msg"], result["msg"]
        else:
            assert isinstance(result["changed"], bool)
        return result

    # --- PostgreSQL --------------------------------------------------------------------------------------------------

    def sql(self, command: str, port: int = 5432) -> str:
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-p", str(port), "-c", command, user="postgres").stdout.strip()

    def server(self, action: str) -> None:
        self.run("systemctl", action, f"postgresql@{VERSION}-main")

    def switch_wal(self) -> str:
        """Close the current segment and wait until it is archived; returns its name."""
        # First, since a position between two segments counts for the one that ended.
        self.sql("SELECT pg_logical_emit_message(true, 'test', 'so that there is something to archive')")
        name = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        wait_until(
            lambda: self.sql(f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver") == "t", 120, f"archiving of {name}"
        )
        return name

    def reset(self) -> None:
        """The server runs, the stanza is new and has no backup."""
        self.kill_leftovers()
        self.shell(
            f"""
            set -e
            umount -q /mnt/small 2>/dev/null || true
            systemctl is-active -q postgresql@{VERSION}-main || systemctl restart postgresql@{VERSION}-main
            rm -rf {COPY}* {REPOSITORY}/* /var/spool/pgbackrest/* /tmp/pgbackrest /var/log/pgbackrest/*
            query() {{ setpriv --reuid postgres --regid postgres --init-groups psql -XAtqc "$1"; }}
            query "ALTER SYSTEM RESET ALL"
            query "SELECT pg_reload_conf(); DROP TABLE IF EXISTS rows, more, big, rotten" >/dev/null
            [ "$(query 'SHOW archive_mode')" = on ] || systemctl restart postgresql@{VERSION}-main
            """
        )
        self.module("pgbackrest_stanza", {"stanza": STANZA})

    def kill_leftovers(self) -> None:
        for started in self._started:
            started.kill()
            started.wait()
        self._started.clear()
        self.shell(
            f"""
            for copy in {COPY}*; do
                [ -e "$copy/postmaster.pid" ] || continue
                setpriv --reuid postgres --regid postgres --clear-groups {BINARIES}/pg_ctl -D "$copy" -m immediate stop
            done
            """,
            check=False,
        )

    # --- repository --------------------------------------------------------------------------------------------------

    def pgbackrest(self, *arguments: str, check: bool = True, environment: dict[str, str] | None = None) -> str:
        done = self.run("pgbackrest", f"--stanza={STANZA}", *arguments, user="postgres", check=check, environment=environment)
        return done.stdout + done.stderr

    def backup(self, kind: str = "full", **arguments: t.Any) -> dict[str, t.Any]:
        return self.module("pgbackrest_backup", {"stanza": STANZA, "type": kind, **arguments})["backup"]

    def backups(self) -> list[dict[str, t.Any]]:
        return json.loads(self.pgbackrest("info", "--output=json"))[0]["backup"]

    def make_big(self) -> None:
        """20,000 rows that nothing writes to any more: what a test damages in a copy is not in the WAL of the backup."""
        self.sql("CREATE TABLE big AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 20000) n")
        self.sql("VACUUM (FREEZE) big")

    def damage_table(self, table: str) -> None:
        """Flip a bit in one of its pages, behind the server's back."""
        self.sql("CHECKPOINT")
        file = self.sql(f"SELECT pg_relation_filepath('{table}')")
        self.server("stop")
        self.flip_byte(f"{DATA}/{file}")
        self.server("start")

    def archived(self, segment: str) -> str:
        """The file of a segment in the repository."""
        return self.shell(f"ls {REPOSITORY}/archive/{STANZA}/{VERSION}-*/*/{segment}-*").split()[0]

    def flip_byte(self, path: str) -> None:
        """One bit in the middle of a file."""
        self.run(
            "python3",
            "-c",
            "import os,sys; f=open(sys.argv[1],'r+b'); n=os.fstat(f.fileno()).st_size//2; f.seek(n); b=f.read(1); f.seek(n); "
            "f.write(bytes([b[0]^1]))",
            path,
        )

    # --- restored copies -----------------------------------------------------------------------------------------------

    def restore(self, *, fails: bool = False, check: bool = False, **arguments: t.Any) -> Result:
        return self.module("pgbackrest_restore", {"stanza": STANZA, "pg_path": COPY, **arguments}, fails=fails, check=check)

    def start_copy(self, path: str = COPY, expect_end: bool = False) -> None:
        """Start the restored server as a playbook would: the node's settings, another port, no TCP."""
        self.run(
            f"{BINARIES}/pg_ctl",
            "-D",
            path,
            "-w",
            "-t",
            "300",
            "-l",
            f"{path}.log",
            "-o",
            f"-c config_file=/etc/postgresql/{VERSION}/main/postgresql.conf -c data_directory={path} -c port={COPY_PORT} "
            f"-c listen_addresses= -c external_pid_file= -c cluster_name=copy",
            "start",
            user="postgres",
        )
        wait_until(lambda: self.sql("SELECT NOT pg_is_in_recovery()", COPY_PORT) == "t", 120, "the end of recovery")

    def stop_copy(self, path: str = COPY) -> None:
        self.run(f"{BINARIES}/pg_ctl", "-D", path, "-m", "fast", "-w", "stop", user="postgres")

    def copy_rows(self) -> list[int]:
        found = self.sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM rows", COPY_PORT)
        return [int(each) for each in found.split(",") if each]

    # --- Redis ---------------------------------------------------------------------------------------------------------

    def install_redis(self, certificates: Path, ports: t.Sequence[int]) -> None:
        for port in ports:
            self.stop_redis(port)
        self.run("mkdir", "-p", "/etc/redis-test")
        for file in ("redis.crt", "redis.key", "ca.crt"):
            self.run("tee", f"/etc/redis-test/{file}", text=(certificates / file).read_text())
        for port in ports:
            quoted = self.CATALOG_PASSWORD.replace('"', '\\"')
            configuration = f"""\
port 0
tls-port {port}
tls-cert-file /etc/redis-test/redis.crt
tls-key-file /etc/redis-test/redis.key
tls-ca-cert-file /etc/redis-test/ca.crt
tls-auth-clients no
protected-mode yes
save ""
dir /var/lib/redis
dbfilename test-{port}.rdb
user default off
user admin on >admin ~* +@all
user catalog on ">{quoted}" ~pgbackrest:* -@all +@read +@write +@connection +@transaction +scan
"""
            self.run("tee", f"/etc/redis-test/{port}.conf", text=configuration)
        self.shell("chown -R redis:redis /etc/redis-test; chmod 755 /etc/redis-test; chmod 644 /etc/redis-test/*.crt")

    def start_redis(self, port: int) -> None:
        if self.run("systemctl", "is-active", "--quiet", f"redis-test-{port}", check=False).returncode:
            self.run(
                "systemd-run",
                "--quiet",
                f"--unit=redis-test-{port}",
                "--uid=redis",
                "--gid=redis",
                "--collect",
                "redis-server",
                f"/etc/redis-test/{port}.conf",
            )

    def stop_redis(self, port: int) -> None:
        self.run("systemctl", "stop", f"redis-test-{port}", check=False)

    def redis_answers(self, port: int) -> bool:
        return "PONG" in self.redis(port, "PING")

    def redis(self, port: int, *command: str) -> str:
        done = self.run(
            "redis-cli",
            "--tls",
            "--cacert",
            "/etc/redis-test/ca.crt",
            "-h",
            "localhost",
            "-p",
            str(port),
            "--user",
            "admin",
            "--pass",
            "admin",
            "--no-auth-warning",
            *command,
            check=False,
        )
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def file_kept(self, *paths: str) -> t.Iterator[None]:
        """Put these files back afterwards."""
        for path in paths:
            self.run("cp", "--archive", path, f"{path}.kept")
        try:
            yield
        finally:
            for path in paths:
                self.run("mv", "--force", f"{path}.kept", path)
