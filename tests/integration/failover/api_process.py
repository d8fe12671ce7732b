# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API as it runs on a host: a process with its two files, over real masters and Redis servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import typing as t
from pathlib import Path

import httpx
import redis
import yaml
from failover_mesh import PATIENT, FailoverMesh
from role_templates import redis_users
from servers import Authority, free_port, wait_until

PLAYBOOK_VARS = Path(__file__).resolve().parents[3] / "playbooks/vars"
PACKAGES = Path(__file__).resolve().parents[3] / "roles/failover_api/files/python"
# Another one, for example the system's with Debian's packages: FAILOVER_API_PYTHON=/usr/bin/python3
PYTHON = os.environ.get("FAILOVER_API_PYTHON", sys.executable)
# With a quote, a percent sign and what JSON, conninfo and URLs treat specially
PASSWORD = "s3cret 'of\" %20 \\ api"
REDIS_PASSWORD = "s3cret-of-redis"
TOKEN = "s3cret-token-of-the-administrators"
SECRETS = ("s3cret", "127.0.0.1")
# Only what never comes is given up, in seconds.
PATIENCE = 120

ROLE = f"""
DO $$ BEGIN IF to_regrole('failover_api') IS NULL THEN CREATE ROLE failover_api LOGIN; END IF; END $$;
ALTER ROLE failover_api PASSWORD E'{PASSWORD.replace("'", "''").replace(chr(92), chr(92) * 2)}';
"""
# As playbooks/vars/api.yml has it
PRIVILEGES = """
GRANT USAGE ON SCHEMA public TO failover_api;
GRANT SELECT ON titles, generos, title_generos, title_ratings, title_episodes, title_directors, title_writers, title_principals,
    names, name_professions, name_known_for TO failover_api;
GRANT INSERT ON generos TO failover_api;
GRANT USAGE ON SEQUENCE generos_id_genero_seq TO failover_api;
"""


# What the playbook site lets the API's user and the catalogue's do
COMMANDS = {
    name: yaml.safe_load((PLAYBOOK_VARS / f"{file}.yml").read_text())[name]
    for file, name in (("api", "api_redis_commands"), ("backup", "backup_catalog_commands"))
}
# These two, one for whom nothing is stated, and one for the tests themselves
REDIS_USERS = [
    {
        "name": "failover_api",
        "password": REDIS_PASSWORD,
        "keys": ["failover:*"],
        "read_keys": ["pgbackrest:*"],
        "commands": COMMANDS["api_redis_commands"],
    },
    {
        "name": "catalog",
        "password": REDIS_PASSWORD,
        "keys": ["pgbackrest:*"],
        "commands": COMMANDS["backup_catalog_commands"],
    },
    {"name": "plain", "password": REDIS_PASSWORD, "keys": ["plain:*"]},
    {"name": "tests", "password": REDIS_PASSWORD, "keys": ["*"], "commands": ["+@all"]},
]


class RedisServer:
    """One Redis that speaks TLS only, with users as role redis writes them."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("no redis-server: run `make test-integration`, which installs it")
        folder.mkdir(parents=True)
        authority.issue(folder, "redis", "localhost")
        (folder / "users.acl").write_text(redis_users(REDIS_USERS))
        self.folder, self.port = folder, free_port()
        self._command = [
            program, "--port", "0", "--tls-port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
            "--tls-cert-file", str(folder / "redis.crt"), "--tls-key-file", str(folder / "redis.key"),
            "--tls-ca-cert-file", str(folder / "ca.crt"), "--tls-auth-clients", "no", "--aclfile", str(folder / "users.acl"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, what="Redis")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def client(self, user: str = "tests") -> t.Any:
        ca = str(self.folder / "ca.crt")
        return redis.Redis(
            host="127.0.0.1", port=self.port, username=user, password=REDIS_PASSWORD, ssl=True, ssl_ca_certs=ca,
            decode_responses=True,
        )  # fmt: skip

    def _answers(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.exceptions.RedisError:
            return False
        finally:
            client.close()


class Api:
    """One instance. ``http`` speaks to it, over TLS where there is a file of authorities that are ``trusted``."""

    def __init__(self, folder: Path, mesh: FailoverMesh, redis_servers: t.Sequence[RedisServer] = (), **changes: t.Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.log = folder / "api.log"
        ports, token, trusted = changes.pop("ports", {}), changes.pop("token", TOKEN), changes.pop("trusted", None)
        listen = {"host": "127.0.0.1", "port": self.port, **changes.pop("listen", {})}
        nodes = [
            {"name": name, "node_id": number, "address": "127.0.0.1", "port": ports.get(name, node.port)}
            for number, (name, node) in enumerate((("pg1", mesh.a), ("pg2", mesh.b)), start=1)
        ]
        ca_file = str(mesh.a.certificates / "ca.crt")
        configuration = {
            "instance": folder.name,
            "secrets_file": str(folder / "secrets.json"),
            "listen": listen,
            "database": {"name": mesh.db, "user": "failover_api", "ca_file": ca_file},
            "nodes": nodes,
            "slot_name": mesh.slot_template,
            # What is not about time must not depend on it: a busy machine sets no node aside.
            "failover": PATIENT,
            "redis": {
                "username": "failover_api",
                "ca_file": ca_file,
                "servers": [{"host": "127.0.0.1", "port": server.port} for server in redis_servers],
            },
            **changes,
        }
        secrets = {"database_password": PASSWORD, "redis_password": REDIS_PASSWORD, "switch_token": token}
        (folder / "configuration.json").write_text(json.dumps(configuration))
        (folder / "secrets.json").write_text(json.dumps(secrets))
        self._process: subprocess.Popen[bytes] | None = None
        tls = ssl.create_default_context(cafile=str(trusted)) if trusted else None
        base_url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=base_url, timeout=PATIENCE, verify=tls or True)

    def start(self) -> Api:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "failover_api", str(self.folder / "configuration.json")],
                env={**os.environ, "PYTHONPATH": str(PACKAGES)}, stdout=log, stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, what="the API")
        return self

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell it to end, and wait until it has."""
        self.http.close()
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=PATIENCE)
            self._process = None

    def wait_until_up(self, *names: str) -> None:
        def states() -> dict[str, str]:
            return self.http.get("/health").json()["nodes"]

        wait_until(lambda: all(states()[name] == "up" for name in names or ("pg1", "pg2")), PATIENCE, "nodes up")

    def audits(self) -> list[dict[str, t.Any]]:
        return [line["audit"] for line in self.log_lines() if "audit" in line]

    def connect(self, sent: bytes) -> socket.socket:
        """A connection on which this was sent and nothing else."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(sent)
        return connection

    def switch(self, target: str, token: str = TOKEN, **parameters: t.Any) -> httpx.Response:
        return self.http.post(f"/switch-to{target}", headers={"Authorization": f"Bearer {token}"}, params=parameters)

    def log_lines(self) -> list[dict[str, t.Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the API has ended: {self.log.read_text()}")
        try:
            return self.http.get("/health").status_code in {200, 503}
        except httpx.TransportError:
            return False


def assert_leaks_nothing(answer: httpx.Response) -> None:
    """An error is JSON, and shows neither statements nor hosts nor secrets."""
    body = answer.json()
    assert body["ok"] is False
    assert body["error"]
    for word in (*SECRETS, "SELECT", "INSERT", "psycopg", "Traceback", "SQLSTATE", "generos_pkey", "/usr", "/work"):
        assert word not in answer.text, (word, answer.text)
