# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""A program for hosts without Ansible: packages of Python and what they bring along, in one file that Python runs (a zipapp)."""

from __future__ import annotations

import io
import typing as t
import zipfile
from pathlib import Path

# What running or checking the sources leaves beside them
_IGNORED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
# Of every file in it: the same sources are the same bytes, whenever and wherever they are packed.
_TIME = (2026, 1, 1, 0, 0, 0)

_MAIN = """\
# Managed by Ansible, collection multimaster.postgresql: changes made here are overwritten.
import sys

from {main} import main

sys.exit(main())
"""


def program(folder: Path, main: str) -> bytes:
    """The program of all packages in ``folder`` that calls the function ``main`` of the module ``main``."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _sources(folder)}
    files["__main__.py"] = _MAIN.format(main=main).encode()
    packed = io.BytesIO()
    packed.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _TIME), files[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _sources(folder: Path) -> t.Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and not _IGNORED.intersection(path.relative_to(folder).parts):
            yield path
