# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load IMDb's data files by hand, without Ansible: the same loader as the module imdb_load.

Needs Python 3.9, psycopg2 and this collection's folder (a clone, or an installed collection). Connects as libpq does:
PGHOST, PGPASSWORD, a password file or a service file all work, and a password is never an argument.

    python3 roles/imdb/files/load_imdb.py --dbname imdb --directory ~/imdb
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# A clone carries the folder collections/; an installed collection lies in such a folder.
for place in (ROOT / "collections", *list(ROOT.parents)[2:3]):
    if (place / "ansible_collections" / "multimaster" / "postgresql").is_dir():
        sys.path.insert(0, str(place))
        break

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (  # noqa: E402
    Connection,
    psycopg2,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError  # noqa: E402
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import (  # noqa: E402
    FORMATS,
    find_files,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.load import (  # noqa: E402
    FileLoad,
    Loader,
    Options,
    checked_options,
    decide,
    progress_line,
    warnings_about,
)


def parse(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Load IMDb's TSV files into the IMDB database of ONE node; replication brings the rows to the others.",
        epilog="Connection parameters that are not given come from libpq (PGHOST, PGPASSWORD, ~/.pgpass, PGSERVICE ...).",
    )
    parser.add_argument("--directory", required=True, help="where the files are, such as title.basics.tsv.gz")
    parser.add_argument(
        "--kinds", nargs="+", default=[], choices=list(FORMATS), metavar="KIND", help=f"only these, of {', '.join(FORMATS)}"
    )
    parser.add_argument("--host", help="host of the server, or directory of its Unix socket")
    parser.add_argument("--port")
    parser.add_argument("--user")
    parser.add_argument("--dbname", default="imdb")
    parser.add_argument("--rejects-directory", help="for rejected lines; by default DIRECTORY/rejected")
    parser.add_argument("--batch-lines", type=int, default=10000, help="lines per transaction (default 10000)")
    parser.add_argument("--max-bad-lines", type=int, default=1000, help="end the load beyond so many bad lines (default 1000)")
    parser.add_argument("--max-bad-percent", type=float, default=5.0, help="that are also more than this share (default 5)")
    parser.add_argument("--node-name", default=platform.node(), help="what the journal calls this node")
    parser.add_argument("--force", action="store_true", help="load also what was loaded already")
    parser.add_argument("--check", action="store_true", help="only say what would be loaded")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args(arguments)


class Progress:
    """A line on standard error every two seconds, and one at the end of each file."""

    def __init__(self, every: float = 2.0) -> None:
        self._every = every
        self._next = 0.0

    def __call__(self, load: FileLoad) -> None:
        if load.status != "running" or time.monotonic() >= self._next:
            print(progress_line(load), file=sys.stderr, flush=True)
            self._next = time.monotonic() + self._every


def connect(arguments: argparse.Namespace) -> Connection:
    if psycopg2 is None:
        raise MultimasterError("Python's psycopg2 is missing: install python3-psycopg2, or psycopg2-binary with pip")
    given = {name: getattr(arguments, name) for name in ("host", "port", "user", "dbname")}
    parameters = {name: value for name, value in given.items() if value}
    return Connection(parameters, warn=lambda text: print(text, file=sys.stderr), kind="load")


def run(arguments: argparse.Namespace) -> list[FileLoad]:
    options = checked_options(
        Options(
            node=arguments.node_name,
            rejects_directory=arguments.rejects_directory or os.path.join(arguments.directory, "rejected"),
            batch_lines=arguments.batch_lines,
            max_bad_lines=arguments.max_bad_lines,
            max_bad_percent=arguments.max_bad_percent,
            force=arguments.force,
        )
    )
    files = find_files(arguments.directory, arguments.kinds)
    connection = connect(arguments)
    try:
        loader = Loader(connection, options, Progress())
        loads = decide(files, loader.read(files), options.force)
        if not arguments.check:
            loader.load(loads)
        return loads
    finally:
        connection.close()


def show(loads: t.Sequence[FileLoad]) -> None:
    for load in loads:
        if load.status == "loaded":
            print(
                f"{load.file.kind}: loaded {load.lines:,} lines in {load.seconds:.1f} s; rows inserted {load.inserted:,}, "
                f"updated {load.updated:,}, deleted {load.deleted:,}"
            )
        else:
            print(f"{load.file.kind}: {'would be loaded' if load.due else 'nothing to do'}: {load.reason}")
    for warning in warnings_about(loads):
        print(f"warning: {warning}", file=sys.stderr)


def stop(_signal: int, _frame: t.Any) -> None:
    raise KeyboardInterrupt


def main(arguments: t.Sequence[str] | None = None) -> int:
    parsed = parse(arguments)
    signal.signal(signal.SIGTERM, stop)
    try:
        loads = run(parsed)
    except MultimasterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run the same command again to finish the load", file=sys.stderr)
        return 130
    if parsed.json:
        print(json.dumps([load.as_result() for load in loads], indent=2))
    else:
        show(loads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
