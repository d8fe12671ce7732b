# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has of another is read from its WAL, and looked up in the other's."""

from __future__ import annotations

import os
import subprocess
import typing as t

from servers import ROOT, Server, binaries, wait_until
from subscriptions import NAME, Mesh

RunModule = t.Callable[..., t.Any]


def read(server: Server, script: str, *arguments: str, stdin: str = "") -> dict[str, str]:
    """Positions and times of commits, as the scripts print them."""
    done = subprocess.run(
        ["sh", str(ROOT / "roles/postgresql/files" / script), str(binaries()), str(server.data), "1", *arguments],
        env={**os.environ, "PGUSER": "postgres"}, input=stdin, text=True, capture_output=True, check=True,
    )  # fmt: skip
    return dict(line.split("\t") for line in done.stdout.splitlines())


def applied(mesh: Mesh) -> dict[str, str]:
    return read(mesh.a, "applied_commits.sh", str(mesh.a.home), str(mesh.a.port), NAME, "100")


def missing(mesh: Mesh, commits: dict[str, str]) -> dict[str, str]:
    return read(mesh.b, "missing_commits.sh", stdin="".join(f"{position}\t{time}\n" for position, time in commits.items()))


def test_transactions_are_found_again_where_they_were_made(run_module: RunModule, mesh: Mesh) -> None:
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    mesh.insert(mesh.b, 1, 2, 3)
    mesh.wait_for_ids(mesh.a, [1, 2, 3])
    # Apply workers commit asynchronously: the WAL of it follows.
    wait_until(lambda: len(applied(mesh)) == 3, what="WAL of three transactions")
    commits = applied(mesh)
    assert mesh.a.value("SELECT %s::pg_lsn[] @> ARRAY[max(remote_lsn)] FROM pg_replication_origin_status", [list(commits)])
    assert set(missing(mesh, commits)) == {"first"}
    # One that the publisher has not made: a copy of it would have.
    strange = {next(iter(commits)): "2026-01-01 00:00:00.000001"}
    assert set(missing(mesh, strange)) == {"first", *strange}
    # What an earlier subscription has brought is not this one's, though it has the number of its origin.
    run_module("pg_subscription_mm", mesh.arguments(mesh.a, state="absent"))
    run_module("pg_subscription_mm", mesh.arguments(mesh.a))
    assert applied(mesh) == {}
    mesh.insert(mesh.b, 4)
    mesh.wait_for_ids(mesh.a, [1, 2, 3, 4])
    wait_until(lambda: len(applied(mesh)) == 1, what="WAL of the fourth transaction")
