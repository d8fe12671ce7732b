# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hostile schema's files, and what nodes with it must have in common. For integration tests and Molecule scenarios."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
EXTENSIONS = ("btree_gist", "citext", "pageinspect")
DATABASE = "Käse-Shop=1 'x'"
OWNER = "Käse-Shop=1 {x}; \\n"
CLUSTER, PORT = "Prod.A", 5433
SECRET = "%s p\\a's\"$w{x}:#;=é@/ "
"""Every secret ends with it, the space included."""
TRAP = "LOG:  TRAPPED"
"""What the server's log says once a function of a database's owner has run as somebody else."""

# What an application of such a database states for its sessions.
APPLICATION = (
    "-c role=none -c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed"
    " -c standard_conforming_strings=on -c client_encoding=UTF8"
)

# The tables that must be the same on all nodes, quoted.
PUBLISHED = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'multimaster')
ORDER BY 1
"""


def read(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def spellings(secret: str) -> list[str]:
    """What comes of a secret in the hands of a shell, printf, Python, JSON or YAML is the same secret."""
    bare = secret.strip()
    return [bare, repr(bare)[1:-1], json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1], "s\"$w{x}:#;"]


def statements(what: str, number: int) -> list[str]:
    """``insert``, ``update`` or ``delete`` of the row ``number``, in every table that has it."""
    text = read(f"{what}.sql").replace("{n}", str(number))
    return [statement for statement in text.split(";\n") if statement.strip()]


def whole_table(table: str) -> str:
    """A query for all rows of a table as texts, in an order that does not hang on collations."""
    return f'SELECT pg_catalog.textin(pg_catalog.record_out(t)) COLLATE "C" FROM ONLY {table} AS t ORDER BY 1'
