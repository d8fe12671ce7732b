# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key that leaked counts no more, and all others do."""

from __future__ import annotations

import pytest
from instances import PATIENCE, Mesh, Writers
from mesh import PORT, Node, conninfo, eventually, hostile, run_playbook, secret

TLS = "/etc/multimaster/tls"
LEAKED = "/var/lib/postgresql/leaked"


def connect(client: Node, server: Node, files: str) -> str:
    """What psql says to the replication role with these files, from where peers are let in."""
    parameters = conninfo(
        host=server.address, port=str(PORT), dbname="imdb", user="replicator", sslmode="verify-full", sslrootcert=f"{TLS}/ca.crt",
        sslcert=f"{files}/replicator.crt", sslkey=f"{files}/replicator.key",
    )  # fmt: skip
    done = client.host("postgres").run(
        "PGPASSWORD=%s PGOPTIONS=%s psql -X -At -d %s -c 'SELECT current_user'",
        secret("replicator"), hostile.APPLICATION, parameters,
    )  # fmt: skip
    return str(done.stdout.strip() or done.stderr.strip())


def key(node: Node) -> str:
    return str(node.host().run(f"sha256sum < {TLS}/replicator.key").stdout)


@pytest.mark.long
def test_a_leaked_key_is_refused_from_the_next_connection_on(healthy: Mesh) -> None:
    first, second = healthy.nodes
    keys = [key(node) for node in healthy.nodes]
    assert keys[0] != keys[1]
    first.host("postgres").run(f"mkdir -m 700 {LEAKED} && cp {TLS}/replicator.crt {TLS}/replicator.key {LEAKED}/")
    assert connect(first, second, LEAKED) == "replicator"
    started = [node.admin("SELECT pg_postmaster_start_time()") for node in healthy.nodes]
    with Writers(healthy.instances, "revoked") as writers:
        writers.more()
        run = run_playbook("revoke", "-e", f"node={first.name}")
        writers.more()
    assert "certificates are revoked" in run.output
    refused = connect(first, second, LEAKED)
    first.host().run(f"rm -r {LEAKED}")
    assert "revoked" in refused
    assert connect(first, second, TLS) == connect(second, first, TLS) == "replicator"
    assert key(first) != keys[0]
    assert key(second) == keys[1]
    # Nothing was restarted, nobody works with the old key any more, and nothing is left to do.
    assert [node.admin("SELECT pg_postmaster_start_time()") for node in healthy.nodes] == started
    assert writers.failed == []
    eventually(healthy.streams, "subscriptions stream", PATIENCE)
    healthy.assert_each_once(writers.acknowledged)
    assert run_playbook("site").changed() == 0


def test_what_cannot_be_revoked_is_said_before_anything_changes(mesh: Mesh) -> None:
    for arguments, expected in (
        ((), "Say whose certificates to revoke"),
        (("-e", "node=pg9"), "There is no host pg9"),
        (("-e", "certificate=/no/such.crt"), "There is no file /no/such.crt"),
    ):
        run = run_playbook("revoke", *arguments, expect_success=False)
        assert run.returncode != 0
        assert expected in " ".join(run.output.split())
        # Of groups that the inventory does not have
        assert "[WARNING]" not in run.output
        assert run.changed() == 0
