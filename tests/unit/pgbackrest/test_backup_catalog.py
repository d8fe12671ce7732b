# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue as data: what is written, what is removed, and that a rebuild equals what was recorded."""

from __future__ import annotations

import json
import typing as t

import pytest
from backups import chain
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog import (
    FAILURES_KEPT,
    RECORD_FIELDS,
    Change,
    Entries,
    change_between,
    failure_record,
    failures_in,
    freshest,
    rebuilt,
    record_of,
    wanted_entries,
    with_record,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_manager import (
    Catalog,
    lost_backups,
    read_failures,
    remember_failure,
    write_failures,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_server import CatalogUnavailable
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import Repository, Stanza

KINDS = st.lists(st.sampled_from(["full", "diff", "incr"]), max_size=20)


def records(kinds: t.Sequence[str]) -> list[dict[str, t.Any]]:
    return [record_of(each.as_data("bk", "/r")) for each in chain(kinds)]


def failure(second: int) -> dict[str, t.Any]:
    return failure_record(
        "bk", "pg1", "incr", "2026-11-23T00:00:00Z", "it\nbroke", f"2026-11-23T00:{second // 60:02}:{second % 60:02}Z"
    )


def applied(have: Entries, change: Change) -> Entries:
    """What a server has after a change, key by key as Redis does it."""
    keys = {f"pgbackrest:backup:bk:{label}": text for label, text in have.records.items()}
    keys |= {f"pgbackrest:latest:bk:{kind}": label for kind, label in have.latest.items()}
    keys |= change.put
    for key in change.delete:
        keys.pop(key, None)
    history = {label: end for label, end in have.history.items() if label not in change.history_remove}
    parts = {key: key.split(":", 3) for key in keys}
    return Entries(
        {part[3]: keys[key] for key, part in parts.items() if part[1] == "backup"},
        {part[3]: keys[key] for key, part in parts.items() if part[1] == "latest"},
        {**history, **change.history_add},
        have.listed if change.listed is None else change.listed,
    )


@given(KINDS, KINDS)
def test_a_change_makes_one_the_other(before: list[str], after: list[str]) -> None:
    have, want = wanted_entries(records(before)[::2]), wanted_entries(records(after))
    change = change_between("bk", have, want)
    assert applied(have, change) == want
    assert bool(change) == (have != want)
    assert not change_between("bk", want, want)


@given(KINDS)
def test_recorded_one_by_one_equals_rebuilt(kinds: list[str]) -> None:
    entries = Entries()
    for each in records(kinds):
        entries = with_record(entries, each)
    assert entries == rebuilt(records(kinds), [])


@given(KINDS, st.lists(st.integers(0, 3000), unique=True, max_size=6))
def test_failed_runs_survive_a_rebuild_and_are_never_the_latest(kinds: list[str], seconds: list[int]) -> None:
    entries = wanted_entries([*records(kinds), *map(failure, seconds)])
    again = rebuilt(records(kinds), failures_in(entries))
    assert again == entries
    assert not any("failed" in label for label in entries.latest.values())


def test_the_latest_of_each_type() -> None:
    made = records(["full", "incr", "diff", "incr"])
    assert wanted_entries(made).latest == {"full": made[0]["label"], "diff": made[2]["label"], "incr": made[3]["label"]}
    assert [each["label"] for each in wanted_entries(made).parsed()] == [each["label"] for each in made[::-1]]


def test_a_record_has_the_contracts_fields() -> None:
    assert set(records(["full"])[0]) == set(RECORD_FIELDS)
    with pytest.raises(MultimasterError, match="This is no backup"):
        record_of({"label": "x"})


def test_only_so_many_failed_runs_are_kept() -> None:
    entries = rebuilt([], [failure(second) for second in range(FAILURES_KEPT + 10)])
    assert len(entries.records) == FAILURES_KEPT
    assert "20261123-000009-incr-failed" not in entries.records
    assert json.loads(entries.records["20261123-000010-incr-failed"])["error"] == "it broke"


def test_strange_values_are_replaced() -> None:
    have = Entries({"x": "no json", "y": "[]", "z": '"text"'}, {"incr": "x"}, {"gone": 1.0})
    assert have.parsed() == []
    want = rebuilt(records(["full"]), failures_in(have))
    assert applied(have, change_between("bk", have, want)) == want


def test_whom_to_believe() -> None:
    old, new = wanted_entries(records(["full"])), wanted_entries(records(["full", "incr"]))
    assert freshest({"a": old, "b": new}) == "b"
    assert freshest({"a": new, "b": new}) == "a"
    assert freshest({"a": Entries(), "b": old}) == "b"


class Server:
    """A server in memory."""

    def __init__(self, name: str, up: bool = True) -> None:
        self.name, self.up, self.kept = name, up, Entries()

    def entries(self, stanza: str) -> Entries:
        self._answer()
        return self.kept

    def apply(self, stanza: str, change: Change) -> None:
        self._answer()
        self.kept = applied(self.kept, change)

    def stanzas(self) -> list[str]:
        self._answer()
        return ["bk"] if self.kept.history else []

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        if not self.up:
            raise CatalogUnavailable(f"{self.name} is down.")


def test_what_is_down_is_noted_once_and_the_other_is_written() -> None:
    warnings: list[str] = []
    up, down = Server("up"), Server("down", up=False)
    catalog = Catalog([down, up], warnings.append)
    want = wanted_entries(records(["full"]))
    have = catalog.entries("bk")
    assert list(have) == ["up"]
    differences = Differences()
    assert catalog.make("bk", have, want, differences, check_mode=False) == ["up"]
    assert up.kept == want
    assert differences
    assert warnings == ["down is down. What it misses is added by a rebuild."]
    assert catalog.stanzas() == ["bk"]
    catalog.require_one("x")
    up.up = False
    lost = Catalog([down, up], warnings.append)
    lost.entries("bk")
    with pytest.raises(MultimasterError, match=r"x: no catalogue server answers. down is down. up is down."):
        lost.require_one("x")


def test_a_server_that_goes_down_between_reading_and_writing() -> None:
    server = Server("s")
    catalog = Catalog([server], lambda message: None)
    have = catalog.entries("bk")
    server.up = False
    differences = Differences()
    assert catalog.make("bk", have, wanted_entries(records(["full"])), differences, check_mode=False) == []
    assert not differences


def test_failed_runs_in_a_file(tmp_path: t.Any) -> None:
    path = str(tmp_path / "failures.json")
    assert read_failures(path, pytest.fail) == []
    # Of one second: two types of one stanza, and another stanza.
    other_type, other_stanza = {**failure(1), "label": "20261123-000001-full-failed"}, {**failure(1), "stanza": "bk2"}
    for each in (failure(1), failure(2), failure(1), other_type, other_stanza):
        remember_failure(path, each, pytest.fail)
    assert [(each["stanza"], each["label"]) for each in read_failures(path, pytest.fail)] == [
        ("bk", "20261123-000001-full-failed"),
        ("bk", "20261123-000001-incr-failed"),
        ("bk", "20261123-000002-incr-failed"),
        ("bk2", "20261123-000001-incr-failed"),
    ]
    assert {file.name for file in tmp_path.iterdir()} == {"failures.json", "failures.json.lock"}


def test_two_types_that_fail_in_one_second_are_two_records() -> None:
    moment = "2026-11-23T00:00:00Z"
    both = [failure_record("bk", "pg1", kind, moment, "x", moment) for kind in ("full", "incr")]
    assert len(rebuilt([], both).records) == 2


def test_a_stanza_that_fails_often_does_not_push_out_another_s_failures(tmp_path: t.Any) -> None:
    path = str(tmp_path / "failures.json")
    write_failures(path, [{**failure(0), "stanza": "bk0"}, *(failure(second) for second in range(FAILURES_KEPT + 5))])
    assert [each["stanza"] for each in read_failures(path, pytest.fail)] == ["bk"] * FAILURES_KEPT + ["bk0"]


@pytest.mark.parametrize("content", ["{", "7", ""])
def test_a_file_of_failed_runs_that_is_damaged_is_a_warning(tmp_path: t.Any, content: str) -> None:
    path = tmp_path / "failures.json"
    path.write_text(content)
    warnings: list[str] = []
    remember_failure(str(path), failure(1), warnings.append)
    assert len(warnings) == 1
    assert "is no list in JSON" in warnings[0]
    assert len(read_failures(str(path), pytest.fail)) == 1


def test_a_file_of_failed_runs_that_cannot_be_written_is_a_warning(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: t.Any, **options: t.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    warnings: list[str] = []
    remember_failure(str(tmp_path / "failures.json"), failure(1), warnings.append)
    assert "No space left on device" in warnings[0]
    # Nor is half a file left.
    assert [file.name for file in tmp_path.iterdir()] == ["failures.json.lock"]


@pytest.mark.parametrize(("code", "address", "count"), [(1, "/r", 2), (0, "/r", 0), (2, "/r", 0), (1, "/elsewhere", 0)])
def test_backups_of_a_repository_that_is_not_mounted_are_lost_not_gone(code: int, address: str, count: int) -> None:
    class Configuration:
        def address(self, stanza: str, key: int) -> str:
            return address

    class Command:
        configuration = Configuration()

    stanza = Stanza("bk", code, "", "none", False, (Repository(1, code, "", "none"),), (), (), ())
    have = {"a": rebuilt(records(["full", "incr"]), [failure(1)]), "b": Entries()}
    lost = lost_backups(t.cast(t.Any, Command()), stanza, have)
    assert [each["type"] for each in lost] == ["full", "incr"][:count]
