# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of pg_sequence_mm share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from psycopg2 import sql
from servers import ROOT, Server

MODULE = "ansible_collections.multimaster.postgresql.plugins.modules.pg_sequence_mm"


def state(server: Server, db: str, name: str) -> tuple[t.Any, ...]:
    """(increment, start, min, max, last_value, is_called) of ``schema.sequence``."""
    schema, sequence = name.split(".", 1)
    (definition,) = server.query(
        "SELECT seqincrement, seqstart, seqmin, seqmax FROM pg_sequence s JOIN pg_class c ON c.oid = seqrelid "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s",
        [schema, sequence],
        db,
    )
    (position,) = server.query(
        sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, sequence)), db=db
    )
    return (*definition, *position)


def draw(server: Server, db: str, name: str, count: int = 1) -> list[int]:
    """The next values of a sequence."""
    schema, sequence = name.split(".", 1)
    quoted = sql.Identifier(schema, sequence).as_string(server.session(db))
    rows = server.query("SELECT nextval(%s::regclass) FROM generate_series(1, %s)", [quoted, count], db)
    return [value for (value,) in rows]


def make_tables(server: Server, db: str, count: int) -> None:
    """So many tables t1, t2, ... with an identity column and three rows."""
    server.query(
        f"""DO $$ BEGIN FOR i IN 1..{count} LOOP
              EXECUTE format('CREATE TABLE t%s (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int)', i);
              EXECUTE format('INSERT INTO t%s (a) SELECT generate_series(1, 3)', i);
              IF i % 100 = 0 THEN COMMIT; END IF;
            END LOOP; END $$""",
        db=db,
    )


def start(login: dict[str, t.Any], directory: Path, **arguments: t.Any) -> subprocess.Popen[str]:
    """The module in a process of its own."""
    file = directory / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**login, **arguments}}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd="/",
    )


def replicate(publisher: Server, subscriber: Server, db: str) -> None:
    """One direction, slot first, as on real nodes."""
    slot = f"slot_{publisher.name}_to_{subscriber.name}_{db}"
    publisher.query("CREATE PUBLICATION pub_all FOR ALL TABLES", db=db)
    publisher.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot], db)
    subscriber.query(
        sql.SQL(
            "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION pub_all"
            " WITH (create_slot = false, slot_name = {}, copy_data = false, origin = none)"
        ).format(
            sql.Identifier(f"sub_from_{publisher.name}_{db}"),
            sql.Literal(f"host=127.0.0.1 port={publisher.port} user=postgres dbname={db}"),
            sql.Literal(slot),
        ),
        db=db,
    )
