# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A number that cannot be meant is refused by name, in every option of every module, before anything is done with it."""

from __future__ import annotations

import importlib
import typing as t

import pytest
import yaml
from servers import Pair
from test_secrets import CALLS

MODULES = "ansible_collections.multimaster.postgresql.plugins.modules."
FRAGMENTS = "ansible_collections.multimaster.postgresql.plugins.doc_fragments."
BAD: dict[str, list[t.Any]] = {
    "int": [-1, 10**30, "nan", "1.5"],
    "float": [-1, "nan", "inf", "-inf", 10**30],
    "bytes": [-1, "nan", 10**30],
}
# Modules that have a server at all
WITH_SERVER = {name for name in CALLS if name.startswith("pg_")} | {"imdb_load"}


def documented(name: str) -> dict[str, t.Any]:
    """The options of a module with those of its fragments."""
    documentation = yaml.safe_load(importlib.import_module(MODULES + name).DOCUMENTATION)
    options = dict(documentation.get("options", {}))
    for fragment in documentation.get("extends_documentation_fragment", []):
        _collection, _name, file, *variant = fragment.split(".")
        found = importlib.import_module(FRAGMENTS + file).ModuleDocFragment
        text = getattr(found, variant[0].upper() if variant else "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options", {}))
    return options


def numbers(name: str) -> t.Iterator[tuple[tuple[str, ...], str]]:
    """The way to each numeric option, and its type."""
    for option, description in documented(name).items():
        if description["type"] in BAD:
            yield (option,), description["type"]
        for suboption, inner in description.get("suboptions", {}).items():
            if inner["type"] in BAD:
                yield (option, suboption), inner["type"]


CASES = [(name, way, value) for name in CALLS for way, kind in numbers(name) for value in BAD[kind]]


def test_there_are_numbers() -> None:
    assert len({(name, way) for name, way, _value in CASES}) > 40


@pytest.mark.parametrize("name", sorted({name for name, _way, _value in CASES}))
def test_a_number_that_cannot_be_meant_is_refused(run_module: t.Callable[..., t.Any], pair: Pair, name: str) -> None:
    unnoticed = []
    for way, value in [(way, value) for case, way, value in CASES if case == name]:
        arguments = {**CALLS[name], **(pair.login(pair.a) if name in WITH_SERVER else {})}
        if name in WITH_SERVER:
            arguments.update({"login_password": "", "ssl_password": ""})
        if name == "pg_conflict_policy":
            arguments.update({"policy": "last_update_wins", "node_id": 1})
        if len(way) == 1:
            arguments[way[0]] = value
        else:
            held = arguments[way[0]]
            arguments[way[0]] = [{**held[0], way[1]: value}] if isinstance(held, list) else {**held, way[1]: value}
        ended = run_module(name, arguments, fails=True)
        assert "Traceback" not in ended.output
        if way[-1] not in ended["msg"]:
            unnoticed.append((way, value, ended["msg"]))
    assert unnoticed == []
