# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The host's own program for backups, which timers and playbooks run as the server's user."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.run import (
    Outcome,
    Settings,
    Stopped,
    foretell,
    in_words,
    rebuild,
    record_failure,
    require_nothing_lost,
    run_backup,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import TYPES, as_utc

SETTINGS_FILE = "/etc/multimaster/backup.json"


def main(arguments: t.Sequence[str] | None = None) -> int:
    """The exit code: 0 when all went well, 1 when a backup failed or no server of the catalogue could be told."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stopped)
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        _tell(f"WARNING: {message}", sys.stderr)

    try:
        settings = read_settings(options.settings)
        if options.command == "catalog":
            return _catalog(settings, warn)
        if options.command == "ended":
            outcome = _ended(settings, options.stanza, options.type, warn)
        elif options.command == "lost":
            require_nothing_lost(settings, options.stanza, warn)
            outcome = Outcome()
        elif options.command == "foretell":
            _tell(json.dumps({**foretell(settings, options.stanza, options.types, warn), "errors": []}))
            return 0
        else:
            outcome = run_backup(
                settings, options.stanza, options.type, warn, only_if_none=options.only_if_none, check_mode=options.check
            )
    except (Exception, Stopped) as error:  # noqa: BLE001 whatever it is, the run ends in words
        outcome = Outcome(errors=[in_words(error)])
    for message in outcome.errors:
        _tell(f"ERROR: {message}", sys.stderr)
    if options.command == "run":
        _tell(json.dumps({**outcome.as_data(), "warnings": warnings}) if options.json else _sentence(options.stanza, outcome))
    elif options.command == "foretell":
        _tell(json.dumps({"errors": outcome.errors}))
    return 1 if outcome.errors else 0


def read_settings(path: str) -> Settings:
    try:
        with open(path, encoding="utf-8") as stream:
            return Settings(**json.load(stream))
    except OSError as error:
        why = error.strerror
        raise MultimasterError(f"{path} cannot be read ({why}). Run this as the server's user, usually postgres.") from None
    except (TypeError, ValueError) as error:
        raise MultimasterError(f"{path} is not what the role pgbackrest wrote ({error}). Let the role write it again.") from None


def _catalog(settings: Settings, warn: t.Callable[[str], None]) -> int:
    """Every stanza of this host. One that cannot be told does not keep the others from being told."""
    failed = 0
    for name in settings.stanzas if settings.catalog.get("servers") else ():
        try:
            told = rebuild(settings, name, warn)
        except Exception as error:  # noqa: BLE001 whatever it is, the rest of the run goes on
            _tell(f"ERROR: {in_words(error)}", sys.stderr)
            failed = 1
        else:
            _tell(f"The catalogue of stanza {name} equals its repositories on {', '.join(told)}.")
    return failed


def _ended(settings: Settings, name: str, kind: str, warn: t.Callable[[str], None]) -> Outcome:
    """Record the end of a unit whose run could not do that itself. systemd says in the environment how it ended."""
    result, code, status = (os.environ.get(each, "") for each in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"))
    outcome = Outcome()
    # A run that ended by itself with 0 or 1 has recorded what there was to record.
    if result == "success" or (code == "exited" and status in ("0", "1")):
        return outcome
    reasons = {
        "oom-kill": "The run was killed: the host had no memory left.",
        "signal": f"The run was killed by signal {status} before it was complete.",
        "timeout": "The run took longer than its unit may and was killed.",
    }
    reason = reasons.get(result, f"The run ended before it was complete (systemd: {result}, {code} {status}).")
    record_failure(settings, name, kind, as_utc(int(time.time())), reason, warn, outcome)
    return outcome


def _sentence(stanza: str, outcome: Outcome) -> str:
    taken = [
        f"{each['label']} ({each['type']}, {each['repo_bytes']} bytes, {each['duration_seconds']} s)" for each in outcome.backups
    ]
    return (
        f"stanza {stanza}: backups: {', '.join(taken) or 'none'}; expired: {', '.join(outcome.expired) or 'none'}; "
        f"recorded on: {', '.join(outcome.recorded) or 'none'}"
    )


def _tell(message: str, stream: t.TextIO | None = None) -> None:
    (stream or sys.stdout).write(message + "\n")


def _stopped(number: int, frame: t.Any) -> None:
    # Once is enough: what follows is short, and it is what others learn of this run.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped("The run was stopped from outside before it was complete. Run it again.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="multimaster-backup", description="Backups of this host's stanzas.")
    parser.add_argument("--settings", default=SETTINGS_FILE, help="by default %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="take a backup, expire surplus ones, update the catalogue")
    run.add_argument("--stanza", required=True)
    run.add_argument("--type", required=True, choices=["full", "diff", "incr"])
    run.add_argument("--only-if-none", action="store_true", help="only where the repository has no backup")
    run.add_argument("--check", action="store_true", help="say what would be done")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    foretold = commands.add_parser("foretell", help="say, as JSON, which backups would expire if these were taken in turn")
    foretold.add_argument("--stanza", required=True)
    foretold.add_argument("--types", required=True, nargs="+", choices=TYPES)
    ended = commands.add_parser("ended", help="record the failure of a run that was killed, as its unit's ExecStopPost")
    ended.add_argument("--stanza", required=True)
    ended.add_argument("--type", required=True, choices=["full", "diff", "incr"])
    lost = commands.add_parser("lost", help="fail where the catalogue knows backups that the repository lacks")
    lost.add_argument("--stanza", required=True)
    commands.add_parser("catalog", help="make the catalogue equal to the repositories")
    return parser
