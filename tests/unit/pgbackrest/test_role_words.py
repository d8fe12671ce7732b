# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role says of first backups, and which of the inventory's variables the playbooks heed."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

VARIABLES = Path(__file__).resolve().parents[3] / "playbooks/vars/backup.yml"
ROLE_VARIABLES = VARIABLES.parents[2] / "roles/pgbackrest/vars/main.yml"
RESTORE_VARIABLES = VARIABLES.parent / "restore.yml"
STATUS = VARIABLES.parents[1] / "status.yml"


def template(file: Path, name: str, **variables: t.Any) -> t.Any:
    loader = DataLoader()
    written = loader.load_from_file(str(file), trusted_as_template=True)
    return Templar(loader, variables={**written, **variables}).template(written[name])


def test_why_there_is_no_first_backup() -> None:
    results = [
        {"skipped": True, "item": {"name": "pg0"}},
        {"rc": 0, "stdout": json.dumps({"changed": True, "errors": [], "warnings": ["Redis is away."]}), "item": {"name": "pg1"}},
        {"rc": 1, "stdout": json.dumps({"changed": False, "errors": ["No room."]}), "stderr": "x", "item": {"name": "pg2"}},
        {"rc": 1, "stdout": "", "stderr": "ModuleNotFoundError", "msg": "non-zero return code", "item": {"name": "pg3"}},
        {"rc": 2, "msg": "No such file", "item": {"name": "pg4"}},
    ]
    first = {"results": results}
    assert template(ROLE_VARIABLES, "__pgbackrest_first_failures", __pgbackrest_first=first) == [
        "The first backup of pg2 did not end well: No room.",
        "The first backup of pg3 did not end well: ModuleNotFoundError",
        "The first backup of pg4 did not end well: No such file",
    ]
    assert template(ROLE_VARIABLES, "__pgbackrest_first_warnings", __pgbackrest_first=first) == ["Redis is away."]


def test_why_no_stanza_is_created() -> None:
    results = [
        {"skipped": True, "item": {"name": "pg0"}},
        {"rc": 0, "stderr": "", "item": {"name": "pg1"}},
        {"rc": 1, "stderr": "WARNING: x\nERROR: Mount the repository.\n", "msg": "non-zero return code", "item": {"name": "pg2"}},
        {"rc": 2, "stderr": "", "msg": "No such file or directory", "item": {"name": "pg3"}},
        {"rc": -9, "stderr": "", "msg": "", "item": {"name": "pg4"}},
        {"msg": "Missing sudo password", "item": {"name": "pg5"}},
    ]
    assert template(ROLE_VARIABLES, "__pgbackrest_lost_words", __pgbackrest_lost={"results": results}) == [
        "Mount the repository.",
        "Whether backups of pg3 are lost cannot be told: No such file or directory",
        "Whether backups of pg4 are lost cannot be told: the program said nothing.",
        "Whether backups of pg5 are lost cannot be told: Missing sudo password",
    ]


def test_what_the_inventory_says_of_the_catalogue_and_the_certificates_counts() -> None:
    own: dict[str, t.Any] = {
        "pgbackrest_catalog_servers": [{"host": "redis.example", "port": 6380}],
        "pgbackrest_catalog_user": "keeper",
        "pgbackrest_tls_ca_file": "/tls/ca",
        "pgbackrest_tls_certificate_file": "/tls/certificate",
        "pgbackrest_tls_key_file": "/tls/key",
    }

    def told(name: str, host: dict[str, t.Any]) -> t.Any:
        given = {"inventory_hostname": "pg1", "hostvars": {"pg1": host, "r": {"redis_port": 1}}, "groups": {"redis": ["r"]}}
        return template(VARIABLES, name, **given)

    for name, value in own.items():
        assert told(name.replace("pgbackrest_tls", "backup_tls"), own) == value
    assert told("pgbackrest_catalog_servers", {}) == [{"host": "r", "port": 1}]
    assert told("pgbackrest_catalog_user", {}) == "catalog"
    assert told("backup_tls_ca_file", {}) == "/etc/multimaster/tls/ca.crt"
    for file in (STATUS, RESTORE_VARIABLES):
        assert "/etc/multimaster/tls" not in file.read_text()
