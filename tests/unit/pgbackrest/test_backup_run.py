# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run on the host: what fails in one place does not keep it from the rest, and the catalogue never fails a backup."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup import program as _backup_program
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup import run as _backup_run
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.run import Settings, Stopped, run_backup
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.backup import taken_but_not_expired
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._host_program import host_program

ROOT = Path(__file__).resolve().parents[3]
SERVERS = {"servers": [{"host": "a"}, {"host": "b"}], "login_user": "catalog", "login_password": "secret"}


class Calls:
    """Stands in for pgBackRest and Redis: each call is noted, and fails where it is told to."""

    def __init__(self) -> None:
        self.made: list[tuple[str, t.Any]] = []
        self.fail: dict[tuple[str, t.Any], BaseException] = {}
        self.damaged: list[int] = []

    def _call(self, what: str, which: t.Any) -> None:
        self.made.append((what, which))
        if (what, which) in self.fail:
            raise self.fail[(what, which)]

    def backup(self, params: dict[str, t.Any], check_mode: bool, warn: t.Any) -> dict[str, t.Any]:
        self._call("backup", params["repo"])
        taken = {"label": f"label in {params['repo']}", "type": params["type"], "node": params["node"]}
        taken["status"] = "error" if params["repo"] in self.damaged else "ok"
        diff = {"before": {}, "after": {"backup": {"type": "full"}}}
        return {"changed": True, "commands": ["backup"], "backup": None if check_mode else taken, "expired": [], "diff": diff}

    def expire(self, params: dict[str, t.Any], check_mode: bool, warn: t.Any) -> dict[str, t.Any]:
        assert (params["retention_full"], params["retention_diff"], params["retention_incr"]) == (2, 7, 14)
        self._call("expire", params["repo"])
        return {"commands": ["expire"], "expired": ["old"], "held": []}

    def foretell(self, settings: Settings, name: str, kinds: list[str], warn: t.Any, repos: list[int]) -> dict[str, list[str]]:
        self._call("foretell", (tuple(kinds), *repos))
        return {"backups": ["A"], "expired": [f"old in {repos[0]}"]}

    def catalog(self, params: dict[str, t.Any], check_mode: bool, warn: t.Any) -> dict[str, t.Any]:
        assert [each["port"] for each in params["servers"]] == [6379, 6379]
        kind = "failure" if params["failure"] else params["action"]
        self._call("catalog", kind)
        return {"recorded": ["a:6379", "b:6379"]}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(_backup_run, "manage_backup", calls.backup)
    monkeypatch.setattr(_backup_run, "manage_expiry", calls.expire)
    monkeypatch.setattr(_backup_run, "manage_catalog", calls.catalog)
    monkeypatch.setattr(_backup_run, "foretell", calls.foretell)
    return calls


def settings(repositories: list[int], **changes: t.Any) -> Settings:
    return Settings(
        stanzas={"pg1": {"node": "pg1", "repositories": repositories}},
        retention={"full": 2, "diff": 7, "incr": 14},
        **{"catalog": SERVERS, **changes},
    )


def test_a_backup_in_each_repository_then_the_catalogue_once(calls: Calls) -> None:
    outcome = run_backup(settings([1, 2]), "pg1", "diff", print)
    assert calls.made == [("backup", 1), ("expire", 1), ("backup", 2), ("expire", 2), ("catalog", "rebuild")]
    assert [each["label"] for each in outcome.backups] == ["label in 1", "label in 2"]
    assert outcome.errors == []
    assert outcome.recorded == ["a:6379", "b:6379"]


def test_one_repository_fails_the_other_is_backed_up_and_the_failure_recorded(calls: Calls) -> None:
    calls.fail[("backup", 1)] = MultimasterError("No room in repository 1.")
    outcome = run_backup(settings([1, 2]), "pg1", "diff", print)
    assert outcome.errors == ["No room in repository 1."]
    assert calls.made == [("backup", 1), ("backup", 2), ("expire", 2), ("catalog", "failure"), ("catalog", "rebuild")]


def test_a_backup_of_damaged_pages_expires_nothing_and_is_a_failure(calls: Calls) -> None:
    calls.damaged = [1]
    outcome = run_backup(settings([1, 2]), "pg1", "full", print)
    (error,) = outcome.errors
    assert "label in 1 of stanza pg1 has pages whose checksum is wrong" in error
    # It is there, and the catalogue knows it.
    assert [each["label"] for each in outcome.backups] == ["label in 1", "label in 2"]
    assert calls.made == [("backup", 1), ("backup", 2), ("expire", 2), ("catalog", "failure"), ("catalog", "rebuild")]


def test_a_run_that_is_stopped_starts_no_further_backup_and_is_recorded(calls: Calls) -> None:
    calls.fail[("backup", 1)] = Stopped("It was stopped.")
    outcome = run_backup(settings([1, 2]), "pg1", "diff", print)
    assert outcome.errors == ["It was stopped."]
    assert calls.made == [("backup", 1), ("catalog", "failure")]


def test_an_error_that_nobody_foresaw_is_an_outcome_too(calls: Calls) -> None:
    calls.fail[("backup", 1)] = KeyError("surprise")
    calls.fail[("catalog", "rebuild")] = AttributeError("no redis")
    warnings: list[str] = []
    outcome = run_backup(settings([1, 2]), "pg1", "diff", warnings.append)
    assert "KeyError: 'surprise'" in outcome.errors[0]
    assert [each["label"] for each in outcome.backups] == ["label in 2"]
    assert "AttributeError: no redis" in warnings[0]


def test_a_failure_that_no_server_takes_is_on_the_host_and_keeps_its_reason(calls: Calls, tmp_path: Path) -> None:
    calls.fail[("backup", 1)] = MultimasterError("No room.")
    calls.fail[("catalog", "failure")] = OSError(28, "No space left on device")
    path = tmp_path / "failures.json"
    path.write_text("damaged")
    outcome = run_backup(settings([1], failures_path=str(path)), "pg1", "full", print)
    assert outcome.errors == ["No room."]
    assert [each["error"] for each in json.loads(path.read_text())] == ["No room."]


@pytest.mark.parametrize(
    ("result", "code", "status", "words"),
    [
        ("success", "exited", "0", ""),
        # It has recorded that itself.
        ("exit-code", "exited", "1", ""),
        ("oom-kill", "exited", "1", ""),
        ("exit-code", "exited", "2", "exit-code, exited 2"),
        ("oom-kill", "killed", "KILL", "no memory left"),
        ("signal", "killed", "KILL", "killed by signal KILL"),
        ("timeout", "killed", "KILL", "longer than its unit may"),
    ],
)
def test_how_a_unit_ended_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str, code: str, status: str, words: str
) -> None:
    failures, told = tmp_path / "failures.json", tmp_path / "backup.json"
    told.write_text(json.dumps({"stanzas": {"pg1": {"node": "pg1", "repositories": [1]}}, "failures_path": str(failures)}))
    for name, value in (("SERVICE_RESULT", result), ("EXIT_CODE", code), ("EXIT_STATUS", status)):
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert _backup_program.main(["--settings", str(told), "ended", "--stanza=pg1", "--type=full"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    recorded = json.loads(failures.read_text()) if failures.exists() else []
    assert [words in each["error"] and each["type"] == "full" for each in recorded] == [True] * bool(words)


def test_no_server_of_the_catalogue_fails_no_backup(calls: Calls) -> None:
    calls.fail[("catalog", "rebuild")] = MultimasterError("No server answers.", unavailable=["a:6379", "b:6379"])
    warnings: list[str] = []
    outcome = run_backup(settings([1]), "pg1", "full", warnings.append)
    assert outcome.errors == []
    assert outcome.recorded == []
    assert warnings == ["No server answers."]


def test_a_repository_that_cannot_be_read_does_not_keep_a_backup_out_of_the_catalogue(calls: Calls) -> None:
    calls.fail[("catalog", "rebuild")] = MultimasterError("Repository 2 cannot be read.")
    run_backup(settings([1]), "pg1", "full", print)
    assert calls.made[-2:] == [("catalog", "rebuild"), ("catalog", "record")]


def test_check_mode_touches_nothing_else(calls: Calls) -> None:
    outcome = run_backup(settings([1, 2]), "pg1", "incr", print, check_mode=True)
    assert outcome.backups == []
    assert not any(what in ("catalog", "expire") for what, _which in calls.made)


def test_check_mode_foretells_the_type_and_what_expires_with_it(calls: Calls) -> None:
    outcome = run_backup(settings([1, 2]), "pg1", "incr", print, check_mode=True)
    assert outcome.types == ["full", "full"]
    assert outcome.expired == ["old in 1", "old in 2"]
    assert ("foretell", (("full",), 2)) in calls.made


@pytest.mark.parametrize("by", ["pgBackRest's own retention", "the settings of this host"])
def test_a_backup_after_which_nothing_expires_is_told_and_in_the_catalogue(calls: Calls, by: str) -> None:
    reason = MultimasterError("No right.", pgbackrest_code=42)
    if by == "the settings of this host":
        calls.fail[("expire", 1)] = reason
    else:
        calls.fail[("backup", 1)] = taken_but_not_expired({"label": "label in 1", "status": "ok"}, reason)
    outcome = run_backup(settings([1]), "pg1", "full", print)
    assert outcome.errors == ["Backup label in 1 was taken; expiring older ones failed: No right."]
    assert outcome.changed
    assert [each["label"] for each in outcome.backups] == ["label in 1"]
    assert calls.made[-2:] == [("catalog", "failure"), ("catalog", "rebuild")]


def test_without_a_catalogue_failures_are_in_a_file(calls: Calls, tmp_path: Path) -> None:
    calls.fail[("backup", 1)] = MultimasterError("No room.")
    path = tmp_path / "failures.json"
    run_backup(settings([1], catalog={}, failures_path=str(path)), "pg1", "full", print)
    (failure,) = json.loads(path.read_text())
    assert (failure["stanza"], failure["status"], failure["error"]) == ("pg1", "failed", "No room.")


def test_an_unknown_stanza(calls: Calls) -> None:
    with pytest.raises(MultimasterError, match="does not back up a stanza pg9; it backs up pg1"):
        run_backup(settings([1]), "pg9", "full", print)


def test_the_program_is_one_file_that_runs_without_the_collection(tmp_path: Path) -> None:
    program = tmp_path / "backup"
    program.write_text(host_program("_backup.program", ROOT / "plugins/module_utils"))
    missing = tmp_path / "none.json"
    command = [sys.executable, "-I", str(program), "--settings", str(missing), "run", "--stanza", "x", "--type", "full", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["errors"][0].startswith(f"{missing} cannot be read")


def test_settings_that_another_version_wrote(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    file.write_text('{"stanzas": {}, "later": 1}')
    with pytest.raises(MultimasterError, match="is not what the role pgbackrest wrote"):
        _backup_program.read_settings(str(file))
