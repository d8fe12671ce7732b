# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of the playbook restore: checked whole before anything begins."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._restore_options import (
    RESTORE_OPTIONS,
    restore_option_problems,
    unknown_options,
)

NODES, HOSTS = ["pg1", "pg2"], ["pg1", "pg2", "spare"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"restore_host": "spare", "restore_port": "5499", "restore_timeout": 7200},
        {"restore_type": "time", "restore_target": "2026-11-24T04:05:00+00"},
        {"restore_type": "time", "restore_target": "2199-11-24T04:05:00+00"},
        {"restore_type": "xid", "restore_target": 731},
        {"restore_type": "set", "restore_set": "20261124-040003F_20261124-040005I"},
        {"restore_keep_running": "true", "restore_check_free_space": False, "restore_path": "/srv/copy"},
    ],
)
def test_what_is_right(given: dict[str, t.Any]) -> None:
    assert restore_option_problems({"restore_node": "pg1", **given}, NODES, HOSTS) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"restore_node": "pg3"}, "restore_node is pg3, which is not backed up"),
        ({"restore_host": "pg9"}, "restore_host is pg9, which is no host"),
        *(({"restore_port": each}, f"restore_port is {each}; it has") for each in ("abc", "0", -1, 65536, "5499.5", "nan", True)),
        *(({"restore_timeout": each}, f"restore_timeout is {each}; it has") for each in (-1, "-1", "inf", "", 0, "1h", 10**30)),
        *(({"restore_path": each}, f"restore_path is {each!r}") for each in ("restored", "", "./x", "/a\nb")),
        ({"restore_path": "/a\0b"}, "restore_path has a null byte"),
        ({"restore_keep_running": "ture"}, "restore_keep_running is ture; there are true and false"),
        ({"restore_check_free_space": "nein"}, "restore_check_free_space is nein"),
        ({"restore_delta_by": "size"}, "restore_delta_by is size"),
        ({"restore_type": "tim"}, "restore_type is tim; there are"),
        ({"restore_target": "now"}, "restore_target goes with"),
        ({"restore_type": "time"}, "restore_target goes with"),
        ({"restore_type": "time", "restore_target": "yesterday"}, "restore_target: 'yesterday' is no time"),
        ({"restore_type": "lsn", "restore_target": "12"}, "restore_target: '12' is no LSN"),
        ({"restore_type": "set"}, "restore_type=set needs the label"),
        ({"restore_set": "newest"}, "restore_set is 'newest', which is no backup's label"),
    ],
)
def test_one_sentence_for_what_is_wrong(given: dict[str, t.Any], told: str) -> None:
    problems = restore_option_problems({"restore_node": "pg1", **given}, NODES, HOSTS)
    assert len(problems) == 1, problems
    assert told in problems[0]


def test_no_node() -> None:
    assert restore_option_problems({}, [], HOSTS) == [
        "Say whose backup to restore with -e restore_node=NODE; nodes that are backed up are none."
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("restore_prot", "did you mean restore_port?"),
        ("resore_node", "did you mean restore_node?"),
        ("port", "did you mean restore_port?"),
        ("type", "did you mean restore_type?"),
        ("restore_wonders", "There is no option restore_wonders; there are restore_check_free_space"),
    ],
)
def test_misspelt_names(name: str, told: str) -> None:
    (problem,) = unknown_options([name], RESTORE_OPTIONS, "restore_")
    assert told in problem


def test_other_variables_are_no_business_of_a_playbook() -> None:
    assert unknown_options(["ansible_user", "postgresql_version", "restore_node"], RESTORE_OPTIONS, "restore_") == []
    assert unknown_options(["typ"], ["type"]) == ["There is no option typ; did you mean type?"]
    assert unknown_options(["ansible_become_pass"], ["type"]) == []
