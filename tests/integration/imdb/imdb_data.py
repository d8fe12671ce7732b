# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IMDB schema's files, and a directory of data files to load."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = [ROOT / "roles/imdb/files/schema" / name for name in ("10_tables.sql", "20_indexes.sql", "30_comments.sql")]


def schema_sql() -> str:
    return "".join(path.read_text() for path in SCHEMA)


@dataclass
class Files:
    """A directory of IMDb's files."""

    path: Path

    def write(self, kind: str, *lines: str | bytes, packed: bool = False) -> Path:
        content = b"\n".join([FORMATS[kind].header.encode(), *(x if isinstance(x, bytes) else x.encode() for x in lines), b""])
        file = self.path / f"{kind}.tsv{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(content) if packed else content)
        return file

    def rejected(self, kind: str) -> list[list[str]]:
        """Line number and reason of each line that was kept aside."""
        lines = (self.path / "rejected" / f"{kind}.rejected.tsv").read_text().splitlines()
        assert lines[0] == "line\treason\tcontent"
        return [line.split("\t", 2)[:2] for line in lines[1:]]
