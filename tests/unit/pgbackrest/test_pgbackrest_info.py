# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pgbackrest info says, parsed from what it really said."""

from __future__ import annotations

import pytest
from backups import recorded_stanza

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import parse_info


def test_three_backups() -> None:
    found = recorded_stanza("info_three_backups.json")
    assert (found.name, found.code, found.exists, found.backup_running) == ("bk", 0, True, False)
    full, diff, incr = found.backups
    assert [each.type for each in found.backups] == ["full", "diff", "incr"]
    assert full.node("bk") == "pg1"
    assert diff.node("bk") == "bk"
    assert incr.prior == diff.label
    assert incr.references == (full.label, diff.label)
    assert full.repo_size is None
    data = full.as_data("bk", "/var/lib/pgbackrest")
    assert data["location"] == f"/var/lib/pgbackrest/backup/bk/{full.label}"
    assert data["duration_seconds"] == full.stop - full.start
    assert data["status"] == "ok"
    database = found.current_database(1)
    assert database is not None
    assert database.version == "16"
    # wider than a double's integers
    assert database.system_id > 2**53
    assert found.archive_id(full) == "16-1"


def test_sizes_without_block_incremental() -> None:
    (found,) = recorded_stanza("info_without_block.json").backups
    assert found.repo_size == found.repo_delta


@pytest.mark.parametrize(
    ("file", "code", "exists"),
    [
        ("info_missing_stanza.json", 1, False),
        ("info_no_backup.json", 2, True),
        ("info_wrong_key.bin", 99, True),
        ("info_cipher_header.json", 99, True),
    ],
)
def test_stanzas_without_backups(file: str, code: int, exists: bool) -> None:
    found = recorded_stanza(file)
    assert found.repositories[0].code == code
    assert found.exists is exists
    assert found.backups == ()


def test_two_repositories() -> None:
    found = recorded_stanza("info_two_repositories.json")
    assert [each.key for each in found.repositories] == [1, 2]
    assert [len(found.backups_in(key)) for key in (1, 2)] == [3, 1]
    with pytest.raises(MultimasterError, match=r"no repository 3; configured are: 1, 2"):
        found.repository(3)


@pytest.mark.parametrize("text", ["", "nonsense", "{}x", '[{"name": "x"}]', "[1]"])
def test_an_answer_that_is_none(text: str) -> None:
    with pytest.raises(MultimasterError, match="is not understood"):
        parse_info(text)
