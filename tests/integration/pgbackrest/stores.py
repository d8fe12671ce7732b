# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores for repositories outside of the host: S3 and Azure on this machine, where containers reach it; SFTP on the host."""

from __future__ import annotations

import base64
import contextlib
import hmac
import http.client
import os
import ssl
import subprocess
import sys
import typing as t
from email.utils import formatdate
from pathlib import Path

from host import DATA, ROOT, STANZA, Host
from servers import Authority, wait_until

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_settings import configuration_file

HERE = Path(__file__).resolve().parent
AUTHORITY_FILE = "/etc/pgbackrest/store-ca.crt"
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"


class Store:
    """A store, and how the host's pgBackRest is told of it."""

    kind = ""
    # What the repository's entry in pgbackrest_repositories must not have right for the store to refuse it.
    secret, wrong = "", ""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host, self.directory = host, directory

    def repository(self) -> dict[str, t.Any]:
        """As in the role's pgbackrest_repositories."""
        raise NotImplementedError

    def address(self) -> str:
        """Of the store, as the host reaches it."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def configure(self, io_timeout: int = 10, **changed: t.Any) -> None:
        """Write the configuration that the role would write."""
        text = configuration_file(
            {
                "repositories": [{**self.repository(), "path": "/pg", "cipher_passphrase": "a passphrase of tests", **changed}],
                "stanzas": [{"name": STANZA, "pg_path": DATA}],
                "settings": {"start-fast": True, "compress-type": "zst", "io-timeout": io_timeout},
                "commands": {},
                "retention_full": 2,
                "tls": {},
                "server": None,
                "options": {},
            }
        )
        self.host.run("tee", CONFIGURATION, text=text)
        self.host.shell(f"chown postgres {CONFIGURATION}; chmod 600 {CONFIGURATION}")

    def cut(self) -> str:
        """The host's command after which nothing reaches it, and what was on the way neither."""
        return f"ip route add unreachable {self.address()}/32"

    def cut_off(self) -> None:
        self.host.shell(self.cut())

    def cut_off_when(self, condition: str) -> None:
        """As soon as the host's command ``condition`` succeeds: it waits on the host itself, which loses no time."""
        self.host.run("timeout", "300", "bash", "-c", f"until {condition}; do sleep 0.02; done; {self.cut()}")

    def reachable(self) -> None:
        self.host.run("ip", "route", "del", "unreachable", f"{self.address()}/32", check=False)


class Served(Store):
    """A program of this machine with TLS."""

    port = 0

    def __init__(self, host: Host, directory: Path) -> None:
        super().__init__(host, directory)
        self.name = f"{self.kind}-store.internal"
        self.log = directory / "store.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def prepare(self) -> None:
        """What it needs once it answers: buckets, accounts."""

    def address(self) -> str:
        return self.host.gateway

    def start(self) -> None:
        Authority().issue(self.directory, "store", self.name, [self.name])
        self.host.run("tee", AUTHORITY_FILE, text=(self.directory / "ca.crt").read_text())
        self.host.shell(f"grep -q {self.name} /etc/hosts || echo {self.address()} {self.name} >>/etc/hosts")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self.environment()}
            )
        wait_until(self._answers, 120, f"the store {self.kind}")
        self.prepare()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        script = f"exec 3<>/dev/tcp/{self.address()}/{self.port}"
        return self.host.run("bash", "-c", script, check=False).returncode == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class S3(Served):
    """moto. It asks for credentials after the first requests, which make them."""

    kind, secret, wrong, port = "s3", "key_secret", "aVeryWrongSecretIndeed", 5600

    def __init__(self, host: Host, directory: Path) -> None:
        super().__init__(host, directory)
        self.port += host.number
        self._keys = ("", "")

    def command(self) -> list[str]:
        files = [str(self.directory / name) for name in ("store.crt", "store.key")]
        return [sys.executable, str(HERE / "s3_server.py"), self.address(), str(self.port), *files]

    def environment(self) -> dict[str, str]:
        return {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true", "INITIAL_NO_AUTH_ACTION_COUNT": "4"}

    def prepare(self) -> None:
        import boto3
        import urllib3

        urllib3.disable_warnings()
        options: dict[str, t.Any] = {
            "endpoint_url": f"https://{self.address()}:{self.port}",
            "verify": False,
            "region_name": "eu-central-1",
            "aws_access_key_id": "first",
            "aws_secret_access_key": "first",
        }
        place = {"LocationConstraint": "eu-central-1"}
        boto3.client("s3", **options).create_bucket(Bucket="backups", CreateBucketConfiguration=place)
        users = boto3.client("iam", **options)
        users.create_user(UserName="node")
        made = users.create_access_key(UserName="node")["AccessKey"]
        rights = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        users.put_user_policy(UserName="node", PolicyName="backups", PolicyDocument=rights)
        self._keys = (made["AccessKeyId"], made["SecretAccessKey"])

    def repository(self) -> dict[str, t.Any]:
        return {
            "type": "s3",
            "bucket": "backups",
            "region": "eu-central-1",
            "endpoint": self.name,
            "port": self.port,
            "uri_style": "path",
            "ca_file": AUTHORITY_FILE,
            "key": self._keys[0],
            "key_secret": self._keys[1],
        }


class Azure(Served):
    """Azurite."""

    kind, secret, wrong, port = "azure", "key", base64.b64encode(b"of another account").decode(), 5700
    _account, _key = "node", base64.b64encode(b"the key of an account of tests").decode()

    def __init__(self, host: Host, directory: Path) -> None:
        super().__init__(host, directory)
        self.port += host.number

    def command(self) -> list[str]:
        installed = subprocess.run([ROOT / "environment/azurite/install.sh"], check=True, stdout=subprocess.PIPE, text=True)
        files = ["--cert", str(self.directory / "store.crt"), "--key", str(self.directory / "store.key")]
        place = ["--blobHost", self.address(), "--blobPort", str(self.port), "--inMemoryPersistence", "--disableProductStyleUrl"]
        return [*installed.stdout.split(), *place, *files]

    def environment(self) -> dict[str, str]:
        return {"AZURITE_ACCOUNTS": f"{self._account}:{self._key}"}

    def prepare(self) -> None:
        """The container, with the one request that pgBackRest never sends. Signed as Azure's "Shared Key" wants it."""
        path, headers = f"/{self._account}/backups", {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-06-08"}
        signed = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
        signed += [f"/{self._account}{path}", "restype:container"]
        key = base64.b64decode(self._key)
        signature = base64.b64encode(hmac.digest(key, "\n".join(signed).encode(), "sha256")).decode()
        headers |= {"Authorization": f"SharedKey {self._account}:{signature}", "Content-Length": "0"}
        tls = ssl.create_default_context(cafile=self.directory / "ca.crt")
        # Its certificate is for the name by which the hosts know it.
        tls.check_hostname = False
        with contextlib.closing(http.client.HTTPSConnection(self.address(), self.port, context=tls, timeout=60)) as connection:
            connection.request("PUT", f"{path}?restype=container", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()

    def repository(self) -> dict[str, t.Any]:
        return {
            "type": "azure",
            "container": "backups",
            "account": self._account,
            "endpoint": self.name,
            "port": self.port,
            "uri_style": "path",
            "ca_file": AUTHORITY_FILE,
            "key": self._key,
        }


class Sftp(Store):
    """OpenSSH on the host itself, at an address of its own."""

    kind, secret, wrong = "sftp", "private_key_file", "/etc/pgbackrest/other_key"

    def address(self) -> str:
        return "127.0.7.1"

    def start(self) -> None:
        self.host.shell(
            f"""
            set -e
            id store >/dev/null 2>&1 || useradd --create-home --shell /bin/false store
            # An account that is locked is refused by sshd itself.
            usermod --password '*' store
            rm -rf /srv/store
            install -d -o root -m 755 /srv/store
            install -d -o store -m 700 /srv/store/pg /home/store/.ssh
            cd /etc/pgbackrest
            rm -f sftp_key* other_key* sftp_host_key*
            for key in sftp_key other_key sftp_host_key; do ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f $key; done
            chown postgres sftp_key* other_key*
            install -o store -m 600 sftp_key.pub /home/store/.ssh/authorized_keys
            cat >sftp_config <<S
            ListenAddress {self.address()}:2222
            HostKey /etc/pgbackrest/sftp_host_key
            PidFile none
            UsePAM no
            PasswordAuthentication no
            Subsystem sftp internal-sftp
            AllowUsers store
            ForceCommand internal-sftp
            ChrootDirectory /srv/store
S
            mkdir -p /run/sshd
            """
        )
        self.stop()
        self.reachable()
        script = f"exec 3<>/dev/tcp/{self.address()}/2222"
        wait_until(lambda: self.host.run("bash", "-c", script, check=False).returncode == 0, 60, "the SFTP server")

    def stop(self) -> None:
        self.host.run("systemctl", "stop", "sftp-store", check=False)

    def repository(self) -> dict[str, t.Any]:
        fingerprint = self.host.shell(
            "cut -d' ' -f2 /etc/pgbackrest/sftp_host_key.pub | base64 -d | sha256sum | cut -d' ' -f1"
        ).strip()
        return {
            "type": "sftp",
            "host": self.address(),
            "port": 2222,
            "user": "store",
            "private_key_file": "/etc/pgbackrest/sftp_key",

            "host_key_hash_type": "sha256",
            "host_key_check_type": "fingerprint",
            "host_fingerprint": fingerprint,
        }

    def cut(self) -> str:
        """Its host would be another one: here the server and its sessions end."""
        return "systemctl stop sftp-store"

    def reachable(self) -> None:
        server = ["/usr/sbin/sshd", "-D", "-f", "/etc/pgbackrest/sftp_config"]
        if self.host.run("systemctl", "is-active", "--quiet", "sftp-store", check=False).returncode:
            self.host.run("systemd-run", "--quiet", "--unit=sftp-store", "--collect", *server)
