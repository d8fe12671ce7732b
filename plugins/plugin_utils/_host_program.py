# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""A program for hosts without Ansible, made of this collection's own modules: one file, so that it is replaced as a whole."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

PREFIX = "ansible_collections.multimaster.postgresql.plugins.module_utils."
# from ROOM.FILE import NAMES, and from ROOM import FILE as NAME
_NAMES = re.compile(rf"^(\s*)from {re.escape(PREFIX)}(\w+)\.(\w+) import ", re.MULTILINE)
_FILE = re.compile(rf"^(\s*)from {re.escape(PREFIX)}(\w+) import (\w+)( as \w+)$", re.MULTILINE)

_TEMPLATE = '''\
#!/usr/bin/python3
# Managed by Ansible: changes made here are overwritten.
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Made of modules of the collection multimaster.postgresql, so that this host can do it without Ansible.

import importlib.abc
import importlib.util
import sys


class _Sources(importlib.abc.ExecutionLoader, importlib.abc.MetaPathFinder):
    """Imports the modules below, with their lines in tracebacks."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in SOURCES else None

    def get_source(self, name):
        return SOURCES[name]

    def get_filename(self, name):
        return f"{{__file__}}/{{name}}"


SOURCES = {{
{sources}}}

if __name__ == "__main__":
    sys.meta_path.insert(0, _Sources())
    sys.exit(importlib.import_module("{main}").main())
'''


def host_program(main: str, folder: Path) -> str:
    """The text of the program whose ``main`` (ROOM.FILE with a function ``main``) and all that it needs are in ``folder``."""
    sources: dict[str, str] = {}
    wanted = [main]
    while wanted:
        name = wanted.pop()
        if name not in sources:
            source = (folder / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
            wanted += [f"{found[2]}.{found[3]}" for pattern in (_NAMES, _FILE) for found in pattern.finditer(source)]
            source = _NAMES.sub(lambda found: f"{found[1]}from {_flat(f'{found[2]}.{found[3]}')} import ", source)
            sources[name] = _FILE.sub(lambda found: f"{found[1]}import {_flat(f'{found[2]}.{found[3]}')}{found[4]}", source)
    entries = "".join(_entry(_flat(name), source) for name, source in sorted(sources.items()))
    return _TEMPLATE.format(sources=entries, main=_flat(main))


def _flat(name: str) -> str:
    """The one file has no packages."""
    return "multimaster" + name.replace(".", "_")


def _entry(name: str, source: str) -> str:
    return f"    {name!r}: (\n" + "".join(f"        {line!r}\n" for line in _lines(source)) + "    ),\n"


def _lines(source: str) -> t.Iterator[str]:
    for line in source.split("\n")[:-1]:
        yield line + "\n"
