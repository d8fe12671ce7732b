# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""A folder of source files as one value, to be compared with a host's by one checksum."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

# What running the files leaves beside them
_IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def source_tree(folder: Path) -> dict[str, t.Any]:
    """``files``: path below the folder -> text; ``digest``: the SHA-1 of the lines that ``sha1sum`` prints for them.

    On a host: ``find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha1sum | sha1sum``.
    """
    paths = [path for path in folder.rglob("*") if path.is_file() and not _IGNORED & set(path.relative_to(folder).parts)]
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.suffix != ".pyc"}
    lines = [f"{_sha1(contents[name])}  ./{name}\n" for name in sorted(contents, key=lambda name: f"./{name}".encode())]
    return {
        "files": {name: content.decode() for name, content in sorted(contents.items())},
        "digest": _sha1("".join(lines).encode()),
    }


def _sha1(content: bytes) -> str:
    # The checksum tells whether a file changed; nothing is kept safe by it.
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
