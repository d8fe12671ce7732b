# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A switch that fails is explained, whatever the API answers; its token is shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# With what only some headers can hold, and a space that none can
TOKEN = "%s the-tökén-that-\\nobody's-\"sees€ "


class Broken(BaseHTTPRequestHandler):
    """Says which node is active, and does not manage to change that."""

    status: t.ClassVar[int] = 0
    body: t.ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self._answer(200, json.dumps({"ok": True, "node": "pg1"}).encode())

    def do_POST(self) -> None:
        assert self.headers["Authorization"].encode("latin-1") == f"Bearer {TOKEN.strip()}".encode()
        if self.status:
            self._answer(self.status, self.body)
        # Otherwise the connection ends without an answer.

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def switchover(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """The playbook on an inventory whose API is on this host."""
    inventory = folder / "hosts.yml"
    hosts = {
        "postgresql": {"hosts": {"pg1": {"multimaster_node_id": 1}, "pg2": {"multimaster_node_id": 2}}},
        "api": {
            "hosts": {"pg1": {}},
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "failover_api_listen_address": "127.0.0.1",
                "failover_api_port": port,
                "failover_api_tls_certificate_file": "",
                "failover_api_switch_token": TOKEN,
            },
        },
    }
    inventory.write_text(json.dumps({"all": {"children": hosts}}))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "no_proxy": "*"}
    command = ["ansible-playbook", "-vvv", "-i", str(inventory), str(ROOT / "playbooks/switchover.yml"), "-e", "node=pg2"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("status", "body", "expected", "unchanged"),
    [
        (0, b"", "the API on pg1 gave no answer (", False),
        (500, b"[]", "the API on pg1 answered with the status 500.", False),
        (400, b'{"ok": false, "error": "The request is none."}', "The request is none.", False),
        (409, b'{"ok": false, "error": "pg2 is behind.", "lag_bytes": 4711}', "pg2 is behind. It lacks 4711 bytes.", True),
    ],
)
def test_a_switch_that_fails_is_explained(tmp_path: Path, status: int, body: bytes, expected: str, unchanged: bool) -> None:
    handler = type("Handler", (Broken,), {"status": status, "body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            run = switchover(tmp_path, server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
    output = " ".join((run.stdout + run.stderr).split())
    assert run.returncode == 2, output[-3000:]
    assert f"pg2 did not become active: {expected}" in output
    assert ("Nothing was changed." in output) is unchanged
    assert "that-" not in output
    assert "sees" not in output
