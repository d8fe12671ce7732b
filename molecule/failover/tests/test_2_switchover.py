# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The active node is changed on purpose, and only where that loses nothing and somebody is allowed to."""

from __future__ import annotations

from instances import PATIENCE, Mesh, Writers
from mesh import eventually, run_playbook


def test_a_planned_switch_fails_no_request(healthy: Mesh) -> None:
    before = healthy.active()
    target = healthy.other(before)
    with Writers(healthy.instances, "switchover") as writers:
        writers.more()
        run = run_playbook("switchover", "-e", f"node={target.name}")
        writers.more()
    assert run.changed() == 1
    assert writers.failed == []
    assert healthy.active() is target
    assert run_playbook("switchover", "-e", f"node={target.name}").changed() == 0
    healthy.assert_each_once(writers.acknowledged)


def test_a_node_that_lacks_rows_does_not_become_active(healthy: Mesh) -> None:
    active = healthy.active()
    behind = healthy.other(active)
    behind.admin(f'ALTER SUBSCRIPTION "sub_from_{active.name}" DISABLE')
    try:
        with Writers(healthy.instances, "behind") as writers:
            writers.more()
        instance = healthy.instances[0]
        eventually(lambda: instance.switch(behind.name).status_code == 409, "a refusal", PATIENCE)
        answer = instance.switch(behind.name).json()
        assert answer["lag_bytes"] > 0
        run = run_playbook("switchover", "-e", f"node={behind.name}", expect_success=False)
        assert run.returncode != 0
        assert f"{behind.name} did not become active" in " ".join(run.output.split())
        assert run.changed() == 0
        assert healthy.active() is active
    finally:
        behind.admin(f'ALTER SUBSCRIPTION "sub_from_{active.name}" ENABLE')
    assert writers.failed == []
    healthy.assert_each_once(writers.acknowledged)


def test_only_who_knows_the_token_may_switch(healthy: Mesh) -> None:
    active = healthy.active()
    for instance in healthy.instances:
        answer = instance.switch(healthy.other(active).name, token="not-the-token-of-anyone")
        assert answer.status_code == 401
        assert answer.json()["ok"] is False
    assert healthy.active() is active


def test_mistakes_are_said_before_anything_changes(mesh: Mesh) -> None:
    for arguments, expected in (
        (("switchover", "-e", "node=pg9"), "There is no node pg9"),
        (("switchover",), "Say which node is to be active"),
        (("site", "-e", "failover_api_switch_token=short"), "failover_api_switch_token has fewer than 16 characters"),
        (("site", "-e", "failover_api_database=movies"), "failover_api_database is movies"),
    ):
        run = run_playbook(*arguments, expect_success=False)
        assert run.returncode != 0
        assert expected in " ".join(run.output.split())
        assert run.changed() == 0
