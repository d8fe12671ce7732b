# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""pgBackRest's configuration as this host has it: only what the modules need to know, and no secret of it."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import nearest

DEFAULT_FILE = "/etc/pgbackrest/pgbackrest.conf"
OLD_DEFAULT_FILE = "/etc/pgbackrest.conf"
DEFAULT_REPOSITORY = "/var/lib/pgbackrest"

# Options that hold a secret, without their index (repo1-cipher-pass is repo-cipher-pass).
SECRET_OPTIONS = frozenset(
    {
        "cipher-pass",
        "repo-azure-account",
        "repo-azure-key",
        "repo-cipher-pass",
        "repo-gcs-key",
        "repo-s3-key",
        "repo-s3-key-secret",
        "repo-s3-sse-customer-key",
        "repo-s3-token",
        "repo-sftp-private-key-passphrase",
    }
)

# Names of pgBackRest 2.55, without their index, to find what a misspelt one was meant to be. Whether it knows a name, it says
# itself.
_OPTION_NAMES = """
    archive-async archive-check archive-copy archive-get-queue-max archive-header-check archive-missing-retry archive-mode
    archive-mode-check archive-push-queue-max archive-timeout backup-standby buffer-size checksum-page cmd cmd-ssh compress
    compress-level compress-level-network compress-type config config-include-path config-path db-exclude db-include db-
    timeout delta dry-run exclude expire-auto force io-timeout job-retry job-retry-interval link-all link-map lock-path log-
    level-console log-level-file log-level-stderr log-path log-subprocess log-timestamp manifest-save-threshold neutral-umask
    online page-header-check pg-database pg-host pg-host-ca-file pg-host-ca-path pg-host-cert-file pg-host-cmd pg-host-config
    pg-host-config-include-path pg-host-config-path pg-host-key-file pg-host-port pg-host-type pg-host-user pg-path pg-port
    pg-socket-path pg-user pg-version-force process-max protocol-timeout recovery-option repo repo-azure-account repo-azure-
    container repo-azure-endpoint repo-azure-key repo-azure-key-type repo-azure-uri-style repo-block repo-bundle repo-bundle-
    limit repo-bundle-size repo-cipher-pass repo-cipher-type repo-gcs-bucket repo-gcs-endpoint repo-gcs-key repo-gcs-key-type
    repo-gcs-user-project repo-hardlink repo-host repo-host-ca-file repo-host-ca-path repo-host-cert-file repo-host-cmd repo-
    host-config repo-host-config-include-path repo-host-config-path repo-host-key-file repo-host-port repo-host-type repo-
    host-user repo-path repo-retention-archive repo-retention-archive-type repo-retention-diff repo-retention-full repo-
    retention-full-type repo-retention-history repo-s3-bucket repo-s3-endpoint repo-s3-key repo-s3-key-secret repo-s3-key-type
    repo-s3-kms-key-id repo-s3-region repo-s3-requester-pays repo-s3-role repo-s3-sse-customer-key repo-s3-token repo-s3-uri-
    style repo-sftp-host repo-sftp-host-fingerprint repo-sftp-host-key-check-type repo-sftp-host-key-hash-type repo-sftp-host-
    port repo-sftp-host-user repo-sftp-known-host repo-sftp-private-key-file repo-sftp-private-key-passphrase repo-sftp-
    public-key-file repo-storage-ca-file repo-storage-ca-path repo-storage-host repo-storage-port repo-storage-tag repo-
    storage-upload-chunk-size repo-storage-verify-tls repo-symlink repo-target-time repo-type resume sck-block sck-keep-alive
    spool-path stanza start-fast stop-auto tablespace-map tablespace-map-all tcp-keep-alive-count tcp-keep-alive-idle tcp-
    keep-alive-interval tls-server-address tls-server-auth tls-server-ca-file tls-server-cert-file tls-server-key-file tls-
    server-port
"""
OPTION_NAMES = frozenset(_OPTION_NAMES.split())


def is_secret(option: str) -> bool:
    return _without_index(option) in SECRET_OPTIONS


def meant_option(option: str) -> str | None:
    """The option that a name which is none of pgBackRest's was probably meant to be; None where it is one, or like none."""
    plain = _without_index(option)
    if plain in OPTION_NAMES:
        return None
    index = re.match(r"^(?:repo|pg)(\d+)-", option)
    found = nearest(plain, OPTION_NAMES)
    return re.sub(r"^(repo|pg)-", rf"\g<1>{index[1]}-", found) if found and index else found


def _without_index(option: str) -> str:
    return re.sub(r"^(repo|pg)\d+-", r"\1-", option)


def environment_name(option: str) -> str:
    return "PGBACKREST_" + option.upper().replace("-", "_")


@dataclass
class Configuration:
    """Values by section (``global``, a stanza, ``stanza:command``) without the secret ones."""

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    """What the task or the environment states: it takes precedence over every file."""

    def value(self, stanza: str, option: str, command: str = "") -> str | None:
        """The value that pgBackRest would use. An option of the first repository may be written without its number."""
        if option in self.given:
            return self.given[option]
        for section in (f"{stanza}:{command}", stanza, f"global:{command}", "global"):
            if option in self.sections.get(section, {}):
                return self.sections[section][option]
        return None

    def repositories(self, stanza: str) -> list[int]:
        """Keys of the configured repositories; pgBackRest always has the first."""
        names = set(self.given)
        for section in ("global", stanza):
            names |= set(self.sections.get(section, {}))
        keys = {int(match.group(1)) for name in names if (match := re.match(r"repo(\d+)-", name))}
        return sorted(keys) or [1]

    def where(self, stanza: str, key: int) -> str:
        """The repository in the words of a message."""
        return f"repository {key} ({self.address(stanza, key)})"

    def address(self, stanza: str, key: int) -> str:
        """Where the repository is, without credentials: a path, host:path, or a bucket's address."""

        def option(name: str) -> str | None:
            return self.value(stanza, f"repo{key}-{name}")

        path = option("path") or DEFAULT_REPOSITORY
        kind = option("type") or "posix"
        if option("host"):
            return f"{option('host')}:{path}"
        if kind == "s3":
            return f"s3://{option('s3-bucket')}{path}"
        if kind == "azure":
            return f"azure://{option('azure-container')}{path}"
        if kind == "gcs":
            return f"gs://{option('gcs-bucket')}{path}"
        if kind == "sftp":
            return f"sftp://{option('sftp-host')}{path}"
        return path

    def local_path(self, stanza: str, key: int) -> str | None:
        """The repository's directory where it is one on this host."""
        remote = self.value(stanza, f"repo{key}-host")
        kind = self.value(stanza, f"repo{key}-type") or "posix"
        if remote or kind not in ("posix", "cifs"):
            return None
        return self.value(stanza, f"repo{key}-path") or DEFAULT_REPOSITORY


def read_configuration(
    path: str | None = None, given: dict[str, str] | None = None, environment: t.Mapping[str, str] | None = None
) -> Configuration:
    """The configuration file, the files of its conf.d, the environment, and what the task states, in this order."""
    environment = os.environ if environment is None else environment
    configuration = Configuration()
    for file in _files(path or environment.get("PGBACKREST_CONFIG")):
        try:
            with open(file, encoding="utf-8", errors="replace") as stream:
                parse_into(configuration.sections, stream.read())
        except OSError:
            # Unreadable here is unreadable for pgBackRest too, which says so in its own words.
            continue
    for name, value in environment.items():
        if name.startswith("PGBACKREST_"):
            option = name[len("PGBACKREST_") :].lower().replace("_", "-")
            if not is_secret(option):
                configuration.given[option] = value
    configuration.given.update(given or {})
    return configuration


def _files(path: str | None) -> list[str]:
    if path:
        return [path]
    main = DEFAULT_FILE if os.path.exists(DEFAULT_FILE) else OLD_DEFAULT_FILE
    directory = "/etc/pgbackrest/conf.d"
    included = sorted(name for name in os.listdir(directory) if name.endswith(".conf")) if os.path.isdir(directory) else []
    return [main, *(os.path.join(directory, name) for name in included)]


def parse_into(sections: dict[str, dict[str, str]], text: str) -> None:
    """Sections and values of one file, secrets left out. Repeated keys keep their last value."""
    section: dict[str, str] | None = None
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1].strip(), {})
        elif section is not None and "=" in line and not line.startswith("#"):
            name, _equals, value = line.partition("=")
            if not is_secret(name.strip()):
                section[name.strip()] = value.strip()
