# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups for tests, and what pgBackRest 2.55.1 really printed."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    ArchiveRange,
    Backup,
    Database,
    Repository,
    Stanza,
    parse_info,
)

RECORDED = Path(__file__).parent / "recorded"
BASE = 1_795_492_800
TEMPLATE = Backup(
    label="",
    type="full",
    repo=1,
    database_id=1,
    start=BASE,
    stop=BASE,
    wal_start="000000010000000000000002",
    wal_stop="000000010000000000000003",
    lsn_start="0/2000028",
    lsn_stop="0/3000050",
    size=1000,
    delta=100,
    repo_size=None,
    repo_delta=10,
    prior=None,
    references=(),
    has_errors=False,
    annotations={},
    pgbackrest_version="2.55.1",
)


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(errors="replace")


def recorded_stanza(name: str) -> Stanza:
    return parse_info(recorded(name))[0]


def backup(**changes: t.Any) -> Backup:
    return dataclasses.replace(TEMPLATE, **changes)


def chain(kinds: t.Sequence[str]) -> list[Backup]:
    """Backups one after the other as pgBackRest builds them: a diff on the last full, an incr on the last of any type."""
    made: list[Backup] = []
    by_label: dict[str, Backup] = {}
    full = last = None
    for number, kind in enumerate(kinds):
        if full is None:
            kind = "full"
        stamp = f"20261124-{number // 3600:02}{number // 60 % 60:02}{number % 60:02}"
        prior: str | None = {"full": None, "diff": full, "incr": last}[kind]
        label = f"{stamp}F" if kind == "full" else f"{full}_{stamp}{kind[0].upper()}"
        references = () if prior is None else (*by_label[prior].references, prior)
        made.append(
            backup(
                label=label, type=kind, prior=prior, references=references, start=BASE + 10 * number, stop=BASE + 10 * number + 5
            )
        )
        by_label[label] = made[-1]
        last = label
        full = label if kind == "full" else full
    return made


def stanza(backups: t.Sequence[Backup], name: str = "bk", code: int = 0) -> Stanza:
    return Stanza(
        name=name,
        code=code,
        message="ok",
        cipher="none",
        backup_running=False,
        repositories=(Repository(1, code, "ok", "none"),),
        databases=(Database(1, 1, 77, "16"),),
        backups=tuple(backups),
        archives=(ArchiveRange("16-1", 1, 1, None, None),),
    )
