# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documents name is there: targets of make, playbooks and their options, modules, roles, files, variables, links."""

from __future__ import annotations

import os
import re
import typing as t
from functools import cache
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, TemplateSyntaxError, nodes

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Those beside the code: they name much that is the reader's or another program's.
OTHERS = sorted([*ROOT.glob("roles/**/*.md"), *ROOT.glob("tests/**/*.md")])
CI_FILES = {"GitHub": ROOT / ".github/workflows/test.yml", "GitLab": ROOT / ".gitlab-ci.yml"}
FQCN = "multimaster.postgresql."

# Of what a run builds or downloads, none is named as a file of the clone.
BUILT = {".venv", ".cache", ".deployment", ".ansible", ".git"}
# What is the reader's.
NOT_OURS = {"your_inventory", "vault_shop_password"}

# Where a path of a document begins: the clone, or the folder of the rooms.
BASES = (ROOT, ROOT / "plugins/module_utils")


class Names(t.NamedTuple):
    """What a document says is there."""

    targets: set[str]
    fqcns: set[str]
    files: set[str]
    words: set[str]
    # Options, each with the playbook of the command that it stands in.
    options: set[tuple[str, frozenset[str]]]


def test_documents_are_found() -> None:
    assert {"README.md", "docs/security.md"} <= {str(file.relative_to(ROOT)) for file in DOCUMENTS}


# --- what a text names ---------------------------------------------------------------------------------------------------


def names(text: str) -> Names:
    found = Names(set(), set(), set(), set(), set())
    for line in _lines(text):
        for code in line:
            found.targets.update(re.findall(r"(?<![\w./-])make ((?!help\b)[a-z][a-z-]*)", code))
            found.fqcns.update(re.findall(rf"\b{re.escape(FQCN)}(\w+)", code))
            found.words.update(re.findall(r"(?<![\w./%$<-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/.>-])", code))
            found.files.update(_files(code))
            options = re.findall(r"-e '?\"?([a-z]\w*)=", code)
            found.options.update((option, frozenset(_playbooks(code))) for option in options)
    return found


def _lines(text: str) -> t.Iterator[list[str]]:
    """The pieces of code of each line; a command that goes on in the next line is one."""
    fenced = ""
    for line in re.sub(r" \\\n\s*", " ", text).splitlines():
        fence = re.match(r"\s*```(\w*)", line)
        if fence:
            fenced = "" if fenced else fence[1] or "text"
        elif fenced and fenced != "mermaid":
            yield [line.partition(" #")[0] if fenced != "text" else line]
        elif not fenced:
            yield re.findall(r"`([^`]+)`", line)


def _playbooks(code: str) -> t.Iterator[str]:
    for name in re.findall(rf"(?:playbooks/|{re.escape(FQCN)}|\b)(\w+)(?:\.yml)?\b", code):
        if (ROOT / f"playbooks/{name}.yml").exists():
            yield name


def _files(code: str) -> t.Iterator[str]:
    for word in re.split(r"[\s,;=()'\"]+", code):
        word = word.partition("::")[0].rstrip(".:")
        first = word.partition("/")[0]
        if re.match(r"[~/$<{-]|https?:|\.\./", word) or first in BUILT:
            continue
        is_path = "/" in word and first and any((base / first).is_dir() for base in BASES)
        if is_path or re.search(r"\w\.(py|yml|sh|j2|toml|md)$", word):
            yield word


# --- what is there -------------------------------------------------------------------------------------------------------


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@cache
def content() -> dict[str, set[str]]:
    """What the collection has, by kind."""
    plugins = ("modules", "filter", "lookup", "action")
    return {
        **{kind: {file.stem for file in (ROOT / "plugins" / kind).glob("*.*")} for kind in plugins},
        "roles": {file.parents[1].name for file in ROOT.glob("roles/*/meta/argument_specs.yml")},
        "playbooks": {file.stem for file in (ROOT / "playbooks").glob("*.yml")},
        # Groups of modules, and what the collection itself is called by.
        "others": {*yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"], "plugins"},
    }


@cache
def file_names() -> set[str]:
    return {file.name for folder in _folders() for file in folder.rglob("*")} | {file.name for file in ROOT.iterdir()}


@cache
def words_of_the_tree() -> set[str]:
    """All that code and descriptions of the collection call by name; documents may not testify for each other."""
    name = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+"
    found = set(re.findall(name, (ROOT / "changelogs/config.yaml").read_text()))
    for folder in _folders():
        for file in folder.rglob("*"):
            if file.suffix in {".py", ".yml", ".yaml", ".sql", ".sh", ".j2", ".json"} and file != Path(__file__):
                found.add(file.stem)
                found.update(re.findall(name, file.read_text()))
    return found


def _folders() -> list[Path]:
    named = ["plugins", "roles", "playbooks", "tests", "molecule", "inventories", "environment", "bench", "meta"]
    return [*(ROOT / name for name in named if (ROOT / name).is_dir())]


@cache
def options(playbook: str) -> frozenset[str]:
    """What a playbook, and what it includes, reads and nobody has set: that can be stated with -e. Also its roles' variables."""
    files, waiting = set[Path](), [ROOT / f"playbooks/{playbook}.yml"]
    found: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file in files or not file.exists():
            continue
        files.add(file)
        text = file.read_text()
        found.update(_variables(yaml.safe_load(text)))
        waiting += [file.parent / name for name in re.findall(r"(?:vars|tasks)/\w+\.yml|\b\w+\.yml", text)]
        for role in re.findall(rf"{re.escape(FQCN)}(\w+)", text):
            specs = ROOT / f"roles/{role}/meta/argument_specs.yml"
            if specs.exists():
                each = yaml.safe_load(specs.read_text())["argument_specs"].values()
                found.update(name for spec in each for name in spec.get("options", {}))
    return frozenset(found)


_EXPRESSIONS = {"when", "that", "until", "failed_when", "changed_when", "break_when"}


def _variables(value: t.Any, is_expression: bool = False) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _variables(each, key in _EXPRESSIONS)
    elif isinstance(value, list):
        for each in value:
            yield from _variables(each, is_expression)
    elif isinstance(value, str):
        try:
            tree = Environment().parse(f"{{{{ {value} }}}}" if is_expression else value)
        except TemplateSyntaxError:
            return
        yield from (node.name for node in tree.find_all(nodes.Name))


def heading_marks(text: str) -> set[str]:
    """As GitHub and GitLab make them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- whether the two agree -----------------------------------------------------------------------------------------------


def problems(text: str, folder: Path = ROOT) -> list[str]:
    """What a document says wrongly, one phrase each."""
    said = names(text)
    known = set().union(*content().values())
    wrong = [f"make has no target {name}" for name in said.targets - targets()]
    wrong += [f"the collection has no {name}" for name in said.fqcns - known]
    wrong += [f"there is no file {name}" for name in said.files if not _is_there(name, folder)]
    wrong += [f"nothing is called {name}" for name in said.words - words_of_the_tree() - known - NOT_OURS]
    every = frozenset().union(*(options(name) for name in content()["playbooks"]))
    for option, playbooks in said.options:
        if option not in (frozenset().union(*(options(name) for name in playbooks)) if playbooks else every):
            wrong.append(f"{' and '.join(sorted(playbooks)) or 'no playbook'} has no option {option}")
    wrong += _wrong_links(text, folder)
    wrong += _wrong_kinds(text)
    wrong += _broken_code(text)
    return sorted(wrong)


def _is_there(name: str, folder: Path) -> bool:
    if "/" not in name:
        return name in NOT_OURS or name in file_names() or "*" in name
    pattern = re.sub(r"<[^>]+>|N{4}", "*", name).rstrip("/")
    return any(next(base.glob(pattern), None) is not None for base in (*BASES, folder))


def _wrong_links(text: str, folder: Path) -> t.Iterator[str]:
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        path, _hash, mark = link.partition("#")
        file = folder / path if path else None
        if file is not None and not file.exists():
            yield f"the link {link} leads nowhere"
        elif mark and mark not in heading_marks(file.read_text() if file else text):
            yield f"the link {link} leads to no heading"


def _broken_code(text: str) -> t.Iterator[str]:
    """What goes on in the next line is not looked at."""
    for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines():
        if line.count("`") % 2:
            yield f"a piece of code does not end in its line: {line}"


def _wrong_kinds(text: str) -> t.Iterator[str]:
    """What is called a module, a role or a playbook is one."""
    kinds = {"module": "modules", "role": "roles", "filter": "filter", "playbook": "playbooks"}
    # The word is for PostgreSQL's roles, too.
    database_roles = {"replicator", "imdb", "subscription_owner"}
    for kind, name in re.findall(rf"\b(module|role|filter|playbook) `(?:{re.escape(FQCN)})?(\w+)`", text):
        if name not in content()[kinds[kind]] and not (kind == "role" and name in database_roles):
            yield f"there is no {kind} {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    assert problems(document.read_text(), document.parent) == []


@pytest.mark.parametrize("document", OTHERS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_of_other_documents_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    assert [*_wrong_links(text, document.parent), *_wrong_kinds(text)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_pictures_can_be_drawn(document: Path) -> None:
    """What has broken them: mermaid takes a semicolon in a sequence for the end of a statement, and knows no unclosed quotes."""
    for picture in re.findall(r"```mermaid\n(.*?)```", document.read_text(), flags=re.DOTALL):
        assert picture.split()[0] in {"flowchart", "sequenceDiagram", "stateDiagram-v2"}
        assert not picture.startswith("sequenceDiagram") or ";" not in picture
        assert [line for line in picture.splitlines() if line.count('"') % 2] == []


@pytest.mark.parametrize(("kind", "heading"), [("playbooks", "Playbooks"), ("roles", "Roles"), ("modules", "Modules")])
def test_the_readme_lists_all_of_a_kind(kind: str, heading: str) -> None:
    section = (ROOT / "README.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \|", section, flags=re.MULTILINE)[1:]
    listed = {re.sub(r"^_", "pgbackrest_", name) for row in rows for name in re.findall(r"(?<=[\[`])\w+(?=[\]`])", row)}
    assert listed == content()[kind]


def test_the_user_manual_has_every_playbook() -> None:
    said = names((ROOT / "docs/user_manual.md").read_text()).files
    assert {f"playbooks/{name}.yml" for name in content()["playbooks"] - {"site"}} <= said


def test_every_target_of_make_says_what_it_does() -> None:
    assert set(re.findall(r"^([a-z-]+):.*## \w", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)) == targets()


def ci_commands(name: str) -> tuple[list[str], list[str]]:
    """What CI runs, and on which machines."""
    (job,) = [each for each in _jobs(yaml.safe_load(CI_FILES[name].read_text())) if isinstance(each, dict)]
    if name == "GitHub":
        return [step["run"] for step in job["steps"] if "run" in step], job["strategy"]["matrix"]["machine"]
    return job["script"], job["parallel"]["matrix"][0]["MACHINE"]


def _jobs(file: dict[str, t.Any]) -> t.Collection[t.Any]:
    return (file.get("jobs") or file).values()


def test_ci_calls_the_same_commands_everywhere() -> None:
    assert ci_commands("GitHub") == ci_commands("GitLab")
    commands, machines = ci_commands("GitHub")
    assert commands
    assert machines
    for command in commands:
        assert os.access(ROOT / command, os.X_OK), command
        assert names(f"```\n{(ROOT / command).read_text()}\n```").targets == {"test"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Run `make tset`.", "make has no target tset"),
        ("Run `multimaster.postgresql.pg_subscribe`.", "the collection has no pg_subscribe"),
        ("```\nansible-playbook playbooks/fail_back.yml -e node=pg1\n```", "there is no file playbooks/fail_back.yml"),
        ("See `failbak.yml`.", "there is no file failbak.yml"),
        ("See `tests/unit/test_nothing.py::test_x`.", "there is no file tests/unit/test_nothing.py"),
        ("See `_core/sessions.py`.", "there is no file _core/sessions.py"),
        ("`ansible-playbook playbooks/failback.yml -e nodes=pg1`", "failback has no option nodes"),
        ("`ansible-playbook multimaster.postgresql.backup \\\n    -e restore_type=time`", "backup has no option restore_type"),
        ("`-e no_such_option=1`", "no playbook has no option no_such_option"),
        ("`multimaster_conflict_polices`", "nothing is called multimaster_conflict_polices"),
        ("[x](docs/no.md)", "the link docs/no.md leads nowhere"),
        ("[x](README.md#no-such-heading)", "the link README.md#no-such-heading leads to no heading"),
        ("the role `multimastr`", "there is no role multimastr"),
        ("the module `look_at`", "there is no module look_at"),
        ("Run `make\ntest`.", "a piece of code does not end in its line: Run `make"),
    ],
)
def test_a_wrong_name_is_told(text: str, told: str) -> None:
    assert told in problems(text)


def test_what_is_right_is_not_told() -> None:
    text = """Run `make test`, then `ansible-playbook playbooks/failback.yml -e node=pg1 -e confirm=pg1`; the role `multimaster`,
    the module `pg_node_equal`, `docs/benchmarks/*.md`, `_core/session.py`, [here](README.md#two-commands), `/etc/hosts`."""
    assert problems(text) == []
