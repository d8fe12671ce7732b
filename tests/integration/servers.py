# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real PostgreSQL servers on loopback, with TLS, for the integration tests."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extras
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
CANDIDATES = [
    ROOT / ".cache/postgresql-16/usr/lib/postgresql/16/bin",
    Path("/usr/lib/postgresql/16/bin"),
]
MEMORY = Path("/dev/shm")
# Nothing is proved by how soon something happens: a limit that only what never happens reaches.
PATIENCE = 180
REPLICATOR_PASSWORD = "s3cret 'of\" replicator"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 30,
    "max_logical_replication_workers": 20,
    "max_sync_workers_per_subscription": 4,
    "max_worker_processes": 40,
    "track_commit_timestamp": "on",
    "wal_retrieve_retry_interval": "200ms",
    "shared_buffers": "64MB",
    "fsync": "off",
    "log_statement": "all",
    "ssl": "on",
    "ssl_cert_file": "server.crt",
    "ssl_key_file": "server.key",
    "ssl_ca_file": "ca.crt",
}

# The superuser comes in without a password; the replicator only as on real nodes.
HBA = """\
local all all trust
host all postgres 127.0.0.1/32 trust
hostssl all replicator 127.0.0.1/32 scram-sha-256 clientcert=verify-full
host all all 127.0.0.1/32 scram-sha-256
"""


def binaries() -> Path:
    for path in CANDIDATES:
        if (path / "postgres").exists():
            return path
    raise RuntimeError("no PostgreSQL 16 binaries: run `make test`, which unpacks them under .cache/")


def as_server_user(*command: str) -> list[str]:
    """PostgreSQL refuses to run as root; an unprivileged account runs it then."""
    if os.getuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *command]


def has_room(directory: Path, bytes_wanted: int = 4 << 30) -> bool:
    return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free >= bytes_wanted


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path.chmod(0o600)


class Authority:
    """A throw-away certificate authority."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )
        self.certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=60))
            # Python 3.13 insists on it.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def issue(self, directory: Path, file: str, common_name: str, names: t.Iterable[str] = ()) -> None:
        """Write ``<file>.key``, ``<file>.crt`` and the authority's ``ca.crt`` into the directory."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(subject, key)
        alternatives = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, names)]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        write_key(directory / f"{file}.key", key)
        (directory / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "ca.crt").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))


class Server:
    """One running server. ``query`` speaks to a database of it as the superuser."""

    def __init__(
        self, name: str, authority: Authority, settings: dict[str, t.Any] | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self.port = free_port()
        # In memory where there is room and nothing else is wanted: hundreds of databases are made and dropped.
        folder = folder or (MEMORY if has_room(MEMORY) else None)
        self.home = Path(tempfile.mkdtemp(prefix=f"multimaster-{name}-", dir=folder))
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.certificates = self.home / "tls"
        self._settings = {**SETTINGS, "port": self.port, "unix_socket_directories": str(self.home), **(settings or {})}
        self._authority = authority
        self._sessions: dict[str, t.Any] = {}

    def create(self) -> Server:
        self.certificates.mkdir()
        self._authority.issue(self.certificates, "server", "localhost", ["localhost"])
        self._authority.issue(self.certificates, "replicator", "replicator")
        self._own(self.home)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "-N")
        for file in ("server.key", "server.crt", "ca.crt"):
            shutil.copy(self.certificates / file, self.data / file)
        lines = [f"{name} = '{value}'" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(lines) + "\n")
        (self.data / "pg_hba.conf").write_text(HBA)
        self._own(self.data)
        self.start()
        self.query("CREATE ROLE replicator LOGIN REPLICATION PASSWORD %s", [REPLICATOR_PASSWORD])
        self.query("CREATE ROLE subscription_owner LOGIN IN ROLE pg_create_subscription")
        # The owner of an application's tables. Roles are those of all tests, in whatever order they run.
        self.query("CREATE ROLE app; GRANT app TO subscription_owner")
        return self

    def start(self, port: int = 0) -> None:
        """``port``: for once another one."""
        options = ["-o", f"-p {port}"] if port else []
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(PATIENCE), *options, "start")

    def stop(self, mode: str = "fast") -> None:
        self.forget_sessions()
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-t", str(PATIENCE), "-m", mode, "stop")

    def destroy(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.home)

    def session(self, db: str = "postgres", **parameters: t.Any) -> t.Any:
        """A new autocommit session; close it yourself."""
        wanted = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": db, **parameters}
        session = psycopg2.connect(**wanted)
        session.autocommit = True
        return session

    def query(self, command: t.Any, parameters: t.Any = None, db: str = "postgres") -> list[tuple[t.Any, ...]]:
        """Run one command; the session of each database is kept."""
        if db not in self._sessions or self._sessions[db].closed:
            self._sessions[db] = self.session(db)
        with self._sessions[db].cursor() as cursor:
            cursor.execute(command, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, command: t.Any, parameters: t.Any = None, db: str = "postgres") -> t.Any:
        return self.query(command, parameters, db)[0][0]

    def forget_sessions(self, db: str | None = None) -> None:
        for name in [db] if db else list(self._sessions):
            session = self._sessions.pop(name, None)
            if session is not None:
                session.close()

    def login(self, db: str = "postgres") -> dict[str, t.Any]:
        """The ``login_*`` options of a module that works on this server."""
        return {"login_host": "127.0.0.1", "login_port": self.port, "login_user": "postgres", "login_db": db}

    def as_peer(self, of: Server, **changes: t.Any) -> dict[str, t.Any]:
        """The ``peer`` option of a module on the server ``of`` that subscribes to this one; ``peer_password`` goes with it."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "replicator",
            "ssl_mode": "verify-full",
            "ca_cert": str(of.certificates / "ca.crt"),
            "ssl_cert": str(of.certificates / "replicator.crt"),
            "ssl_key": str(of.certificates / "replicator.key"),
            **changes,
        }

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def _own(self, path: Path) -> None:
        if os.getuid() == 0:
            account = pwd.getpwnam("nobody")
            for each in [path, *path.rglob("*")]:
                os.chown(each, account.pw_uid, account.pw_gid, follow_symlinks=False)

    def _run(self, program: str, *arguments: str) -> None:
        # Not captured through a pipe: the started server would hold it open.
        output = self.home / "command.log"
        with output.open("w") as log:
            done = subprocess.run(
                as_server_user(str(binaries() / program), *arguments),
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", check=False,
            )
        if done.returncode:
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise RuntimeError(f"{program} failed on {self.name}: {output.read_text()}{tail}")


def wait_until(condition: t.Callable[[], t.Any], seconds: float = PATIENCE, what: str = "the condition") -> t.Any:
    """Poll until the condition gives a true value, and return that."""
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.05)


@dataclass
class Pair:
    """Two servers, ``a`` and ``b``, and a database of the same name on both."""

    a: Server
    b: Server
    db: str

    def both(self, command: t.Any, parameters: t.Any = None) -> None:
        for server in (self.a, self.b):
            server.query(command, parameters, self.db)

    def login(self, server: Server) -> dict[str, t.Any]:
        return server.login(self.db)

    def wait_for(self, server: Server, query: str, expected: t.Any, seconds: float = PATIENCE) -> None:
        """Until the query's first value on that server is the expected one."""
        wait_until(lambda: server.value(query, db=self.db) == expected, seconds, f"{query} = {expected!r}")
