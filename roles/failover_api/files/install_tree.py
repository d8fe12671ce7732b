# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces a folder by the files that standard input has as JSON (path -> text). For ``python3 -c ... FOLDER`` on a host.

The new folder is complete before the old one goes, so that an interruption leaves one or the other.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path


def main(folder: Path, files: dict[str, str]) -> None:
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    os.umask(0o022)
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left)
    for name, text in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    if old.exists():
        shutil.rmtree(old)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.load(sys.stdin))
