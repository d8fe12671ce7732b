# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No password is in a server log, a process list or what Ansible prints."""

from __future__ import annotations

from mesh import DEPLOYMENT, HOSTILE, Node, hostile, run_playbook


def secrets() -> list[str]:
    if HOSTILE:
        return list(hostile.spellings(hostile.SECRET))
    found = [file.read_text().strip() for file in (DEPLOYMENT / "secrets").iterdir()]
    assert len(found) >= 2
    return found


def test_no_password_in_logs_or_process_lists(nodes: list[Node]) -> None:
    for node in nodes:
        host = node.host()
        seen = host.run("cat /var/log/postgresql/*.log; journalctl --no-pager; ps axww; cat /proc/[0-9]*/environ").stdout
        assert "database system is ready" in seen
        for secret in secrets():
            assert secret not in seen


def test_no_password_in_the_output_of_ansible(nodes: list[Node]) -> None:
    output = run_playbook("site", "--check", "--diff", "-vvv").output
    for secret in secrets():
        assert secret not in output


def test_keys_are_readable_by_the_server_only(nodes: list[Node]) -> None:
    for node in nodes:
        keys = node.host().run("find /etc/multimaster -name '*.key' -printf '%m %u\\n'").stdout.split("\n")
        assert set(filter(None, keys)) == {"600 postgres"}
