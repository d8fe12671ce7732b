# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration is tried by a server of its own; the live one, its folder and its port are not touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from servers import MEMORY, ROOT, Authority, as_server_user, binaries

MODULE = "ansible_collections.multimaster.postgresql.plugins.modules.pg_configuration_try"
HBA = "local all postgres peer\nhostssl all all 192.0.2.0/24 scram-sha-256\n"
SETTINGS = "wal_level = 'logical'\nmax_wal_senders = '256'\nmax_worker_processes = '160'\n"


@pytest.fixture
def folder(authority: Authority) -> t.Iterator[Path]:
    """As Debian lays a cluster's configuration out, of a server that runs elsewhere."""
    home = Path(tempfile.mkdtemp(prefix="multimaster-try-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    authority.issue(home, "server", "localhost")
    etc = home / "etc"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "postgresql.conf").write_text(
        f"data_directory = '/nowhere/live'\nhba_file = '{etc}/pg_hba.conf'\nident_file = '{etc}/pg_ident.conf'\n"
        "port = 5999\nlisten_addresses = '*'\nexternal_pid_file = '/nowhere/pid'\nssl = on\narchive_mode = on\n"
        f"archive_command = 'touch {home}/archived'\n"
        f"ssl_cert_file = '{home}/server.crt'\nssl_key_file = '{home}/server.key'\ninclude_dir = 'conf.d'\n"
    )
    (etc / "pg_hba.conf").write_text(HBA)
    (etc / "pg_ident.conf").write_text("")
    subprocess.run(["chown", "-R", "nobody:nogroup", str(home)], check=os.getuid() == 0)
    yield etc
    shutil.rmtree(home)


def tried(folder: Path, files: dict[str, str]) -> list[str]:
    """As a host runs it: the module in a process of its own, as the server's user."""
    arguments = {
        "programs": str(binaries()),
        "folder": str(folder),
        "files": [{"path": str(folder / name), "content": content} for name, content in files.items()],
    }
    done = subprocess.run(
        as_server_user(sys.executable, "-m", MODULE),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "collections"), "HOME": "/nonexistent", "TMPDIR": "/tmp"},
    )
    result = json.loads(done.stdout)
    assert not result.get("failed"), result
    assert result["changed"] is False
    return t.cast("list[str]", result["problems"])


def test_what_works_has_no_problems_and_leaves_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert tried(folder, {"pg_hba.conf": HBA, "conf.d/multimaster.conf": SETTINGS}) == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder.parent / "archived").exists()
    assert list(Path("/tmp").glob("mm-try-*")) == []


WRONG = {
    "an address that is none": (
        {"pg_hba.conf": f"{HBA}hostssl all all 300.1.2.3/99 scram-sha-256\n"},
        "pg_hba.conf would have the line hostssl all all 300.1.2.3/99 scram-sha-256, with which",
    ),
    "an option that is none": (
        {"pg_hba.conf": f"{HBA}hostssl all all 192.0.2.1/32 scram-sha-256 clientcert=maybe\n"},
        'invalid value for clientcert: "maybe"',
    ),
    "a map that cannot be read": ({"pg_ident.conf": 'm "/(" postgres\n'}, "pg_ident.conf would have the line"),
    "a setting that is none": ({"conf.d/multimaster.conf": "work_mem = 'much'\n"}, 'invalid value for parameter "work_mem"'),
    "settings that exclude each other": (
        {"conf.d/multimaster.conf": "wal_level = 'minimal'\nmax_wal_senders = '10'\n"},
        "wal_level",
    ),
    "no connection left for users": (
        {"conf.d/multimaster.conf": "max_connections = '100'\nsuperuser_reserved_connections = '100'\n"},
        "superuser_reserved_connections",
    ),
    "a library that is not there": ({"conf.d/multimaster.conf": "shared_preload_libraries = 'nosuch'\n"}, "nosuch"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_the_server_would_not_start_with_is_told_in_its_words(folder: Path, what: str) -> None:
    files, said = WRONG[what]
    (problem,) = tried(folder, files)
    assert said in problem
    assert "mm-try-" not in problem
    assert "PID" not in problem
    assert list(Path("/tmp").glob("mm-try-*")) == []
