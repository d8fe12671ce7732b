# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rooms of the code: who may import whom, without circles, and none too full to find one's way in."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import re
import typing as t

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PLUGINS = "ansible_collections.multimaster.postgresql.plugins."
SERVICE = ROOT / "roles/failover_api/files/python"

# From the ground up: a room imports what stands below it, and nothing of its own floor or above.
FLOORS = [
    {"_core"},
    {"_publication", "_subscription", "_sequence", "_pgbackrest", "_imdb"},
    {"_conflict", "_restore", "_backup"},
    {"_node"},
]


def imports(files: t.Mapping[str, pathlib.Path], prefix: str = "") -> dict[str, set[str]]:
    """For each of these Python modules (by dotted name) those of them that it imports, wherever in the file."""
    found: dict[str, set[str]] = {}
    for name, file in files.items():
        found[name] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                base = node.module
                if node.level:
                    base = ".".join([*name.split(".")[: -node.level], base])
                base = base.removeprefix(prefix)
                found[name] |= {target for each in node.names for target in (f"{base}.{each.name}", base) if target in files}
            elif isinstance(node, ast.Import):
                found[name] |= {each.name for each in node.names if each.name in files}
    return found


def modules(root: pathlib.Path, below: str = "") -> dict[str, pathlib.Path]:
    return {".".join(file.relative_to(root).with_suffix("").parts): file for file in sorted((root / below).rglob("*.py"))}


PLUGIN_IMPORTS = imports(modules(ROOT / "plugins"), PLUGINS)
SERVICE_IMPORTS = {
    package: imports(modules(SERVICE, package) | modules(SERVICE, "multimaster_failover"))
    for package in ("multimaster_failover", "failover_api")
}


def assert_no_circle(graph: t.Mapping[str, set[str]]) -> None:
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def room(name: str) -> str:
    return name.split(".")[1]


def test_no_file_of_the_plugins_imports_itself_by_way_of_others() -> None:
    assert len(PLUGIN_IMPORTS) > 100
    assert_no_circle(PLUGIN_IMPORTS)


@pytest.mark.parametrize("package", sorted(SERVICE_IMPORTS))
def test_no_file_of_the_service_imports_itself_by_way_of_others(package: str) -> None:
    assert any(SERVICE_IMPORTS[package].values())
    assert_no_circle(SERVICE_IMPORTS[package])


def test_every_room_has_its_floor() -> None:
    rooms = {room(name) for name in PLUGIN_IMPORTS if name.startswith("module_utils.")}
    assert rooms == set().union(*FLOORS)


def test_rooms_import_only_what_is_below() -> None:
    floor = {each: number for number, rooms in enumerate(FLOORS) for each in rooms}
    upwards = [
        f"{name} -> {target}"
        for name, targets in PLUGIN_IMPORTS.items()
        if name.startswith("module_utils.")
        for target in sorted(targets)
        if not target.startswith("module_utils.") or (room(target) != room(name) and floor[room(target)] >= floor[room(name)])
    ]
    assert upwards == []


def arrows(picture: str) -> set[tuple[str, str]]:
    """The solid arrows of a mermaid picture, one for each pair: ``a & b --> c & d`` has four."""
    found: set[tuple[str, str]] = set()
    for line in picture.splitlines():
        sides = re.sub(r"\[.*?\]", "", line).split("-->")
        for left, right in zip(sides, sides[1:]):
            found |= {(one.strip(), other.strip()) for one in left.split("&") for other in right.split("&")}
    return found


def imports_between_rooms() -> set[tuple[str, str]]:
    """Also from and to the folders beside the rooms."""

    def place(name: str) -> str:
        return room(name) if name.startswith("module_utils.") else name.partition(".")[0]

    pairs = {(place(name), place(target)) for name, targets in PLUGIN_IMPORTS.items() for target in targets}
    return {(one, other) for one, other in pairs if one != other}


def test_the_picture_of_the_architecture_is_what_is_imported() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    drawn, real = arrows(text.partition("```mermaid\nflowchart")[2].partition("```")[0]), imports_between_rooms()
    assert len(real) > 20
    assert sorted(drawn - real) == [], "drawn, and not imported"
    assert sorted(real - drawn) == [], "imported, and not drawn"


def test_a_wrong_arrow_is_noticed() -> None:
    assert arrows('a["x --> y"] & b --> _core["z"]\n  a -.-> d') == {("a", "_core"), ("b", "_core")}
    assert ("_core", "_node") not in imports_between_rooms()


def test_a_circle_and_an_import_are_noticed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text("def f():\n    from b import g\n")
    (tmp_path / "b.py").write_text("import a\n")
    graph = imports(modules(tmp_path))
    assert graph == {"a": {"b"}, "b": {"a"}}
    with pytest.raises(pytest.fail.Exception, match="circle"):
        assert_no_circle(graph)
