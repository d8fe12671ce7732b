# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's variables: what is misspelt or of another type is named, what is right is not, and no value is shown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._variables import variable_problems

OPTIONS: dict[str, dict[str, t.Any]] = {
    "db_port": {"type": "int"},
    "db_share": {"type": "float"},
    "db_tls": {"type": "bool"},
    "db_name": {"type": "str"},
    "db_names": {"type": "list", "elements": "str"},
    "db_settings": {"type": "dict"},
    "db_roles": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "limit": {"type": "int"}},
    },
    "db_anything": {"type": "raw"},
    "db_kind": {"type": "str", "choices": ["ca", "files"]},
    "db_kinds": {"type": "list", "elements": "str", "choices": ["ca", "files"]},
}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"db_port": 5432, "db_tls": True, "db_name": "a", "db_names": [], "db_settings": {}, "db_roles": []},
        # As -e name=value gives them
        {"db_port": "5432", "db_tls": "false", "db_share": "0.5"},
        {"db_name": 16, "db_names": ["a", 1], "db_roles": [{"name": "a", "limit": -1}]},
        {"db_settings": {"any": ["thing", None]}, "db_anything": None},
        {"db_kind": "ca", "db_kinds": ["ca", "files"]},
    ],
)
def test_good_variables_have_no_problems(values: dict[str, t.Any]) -> None:
    assert variable_problems(values, OPTIONS) == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"db_prot": 1}, "There is no variable db_prot (did you mean db_port?)."),
        ({"unlike_any": 1}, "There is no variable unlike_any."),
        ({"db_kind": "cat"}, "db_kind is cat, which it cannot be; there are ca, files."),
        ({"db_kinds": ["ca", "x"]}, "db_kinds[1] is x, which it cannot be; there are ca, files."),
        ({"db_port": "many"}, "db_port must be a whole number, not a string."),
        ({"db_port": True}, "db_port must be a whole number, not a boolean."),
        ({"db_port": None}, "db_port must be a whole number, not empty."),
        ({"db_share": "half"}, "db_share must be a number, not a string."),
        ({"db_tls": "perhaps"}, "db_tls must be a boolean, not a string."),
        ({"db_name": ["a"]}, "db_name must be a string, not a list."),
        ({"db_names": "a"}, "db_names must be a list, not a string."),
        ({"db_names": {"a": 1}}, "db_names must be a list, not a dictionary."),
        ({"db_names": ["a", {}]}, "db_names[1] must be a string, not a dictionary."),
        ({"db_settings": ["a"]}, "db_settings must be a dictionary, not a list."),
        ({"db_roles": [{"name": "a", "limits": 1}]}, "db_roles[0] has no key limits (did you mean limit?)."),
        ({"db_roles": [{"limit": 1}]}, "db_roles[0] needs the key name."),
        ({"db_roles": [{"name": "a", "limit": "x"}]}, "db_roles[0].limit must be a whole number, not a string."),
    ],
)
def test_each_problem_is_one_sentence(values: dict[str, t.Any], problem: str) -> None:
    assert variable_problems(values, OPTIONS) == [problem]


def test_no_value_is_shown() -> None:
    values = {"db_port": "s3cret", "db_roles": [{"name": ["s3cret"]}], "db_pasword": "s3cret"}
    problems = variable_problems(values, OPTIONS)
    assert len(problems) == 3
    assert "s3cret" not in " ".join(problems)


def test_what_is_required_must_be_there() -> None:
    options = {**OPTIONS, "db_host": {"type": "str", "required": True}}
    assert variable_problems({"db_port": 1}, options) == ["db_host must be set."]
    assert variable_problems({"db_host": "a"}, options) == []
