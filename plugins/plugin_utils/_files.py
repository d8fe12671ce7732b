# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Which files of a host are not as a role wants them, from the checksums that one look at the host brought."""

from __future__ import annotations

import hashlib
import typing as t

Mapping = t.Mapping[str, t.Any]


def files_differing(files: t.Sequence[Mapping], host: Mapping) -> list[Mapping]:
    """The entries of ``files`` (path, content; mode 0644 and owner root unless stated) that ``host`` has otherwise or not at all.

    ``host`` has for each file the key ``file:PATH`` with its SHA-1, octal mode and owner, separated by spaces.
    """
    return [file for file in files if str(host.get(f"file:{file['path']}", "")).split(" ")[:3] != _wanted(file)]


def _wanted(file: Mapping) -> list[str]:
    # The checksum tells whether a file changed; nothing is kept safe by it.
    content = hashlib.sha1(str(file["content"]).encode(), usedforsecurity=False).hexdigest()
    return [content, str(file.get("mode", "0644")).removeprefix("0"), str(file.get("owner", "root"))]
