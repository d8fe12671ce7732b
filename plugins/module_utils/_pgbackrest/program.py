# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""pgBackRest as a command: argument lists, secrets through the environment, failures as sentences."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import (
    DAY,
    YEAR,
    refuse_null_bytes,
    require_absolute,
    require_number,
    require_one_line,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import (
    Configuration,
    environment_name,
    is_secret,
    meant_option,
    read_configuration,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.errors import (
    LOCKED,
    Failure,
    cleaned,
    error_of_class,
    explain,
    messages,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    NO_BACKUP,
    OK,
    Stanza,
    parse_info,
)

PGBACKREST_SPEC: dict[str, dict[str, t.Any]] = {
    "stanza": {"type": "str", "required": True},
    "repo": {"type": "int"},
    "config": {"type": "path"},
    "options": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "no_log": True, "default": {}},
    "executable": {"type": "str", "default": "pgbackrest"},
}

# A full disk leaves less than this; pgBackRest itself reports it with a misleading error number at times.
LITTLE_ROOM = 1 << 20
LOCK_POLL_SECONDS = 0.5
# What pgBackRest takes for archive-timeout and the like, in seconds.
LONGEST_TIMEOUT = DAY
REPOSITORIES = 256
_UNKNOWN_OPTION = re.compile(r"environment contains invalid option '([^']+)'")
# pgBackRest takes a stanza's name into paths as it is.
_STANZA = re.compile(r"(?![-.])[^/\\:=\[\]]+")
_OPTION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_COUNTED = re.compile(r"expire command encountered \d+ error")

Run = t.Callable[[t.Sequence[str], t.Mapping[str, str], t.Sequence[int]], "tuple[int, str, str]"]


def run_process(argv: t.Sequence[str], environment: t.Mapping[str, str], keep_open: t.Sequence[int] = ()) -> tuple[int, str, str]:
    """Run a command without a shell. ``keep_open`` are descriptors that the command inherits.

    What it asks the server is asked in sessions that begin as all others of the collection.
    """
    try:
        done = subprocess.run(  # noqa: S603 an argument list of this collection's own making, without a shell
            list(argv),
            # What others are quoted with must not depend on the host's language.
            env={**os.environ, "PGOPTIONS": options("load"), **environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=tuple(keep_open),
            cwd="/",
            check=False,
        )
    except FileNotFoundError:
        raise MultimasterError(
            f"There is no {argv[0]} on this host. Install pgBackRest (Debian's package pgbackrest), or state executable."
        ) from None
    except OSError as error:
        # Of a command line that is too long, too: an option is the reason then.
        raise MultimasterError(f"{argv[0]} cannot be run ({error.strerror}). Correct executable or the task's options.") from None
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@dataclass
class PgBackRest:
    """One stanza's commands.

    ``repo`` limits commands to one repository. ``commands`` collects what changed something, as it was run.
    """

    stanza: str | None
    repo: int | None = None
    config: str | None = None
    options: dict[str, t.Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    executable: str = "pgbackrest"
    warn: t.Callable[[str], None] = lambda message: None
    run: Run = run_process
    sleep: t.Callable[[float], None] = time.sleep
    clock: t.Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.configuration: Configuration = read_configuration(
            self.config, {name: option_text(value) for name, value in self.options.items() if value is not None}
        )

    # --- commands ----------------------------------------------------------------------------------------------------

    def argv(self, command: str, *arguments: str, repo: int | None = None, log: str = "warn") -> list[str]:
        """The argument list of a command; it holds no secret. Paths and the like come after the command's name."""
        return [
            self.executable,
            *([f"--config={self.config}"] if self.config else []),
            *([f"--stanza={self.stanza}"] if self.stanza else []),
            *([f"--repo={repo}"] if repo else []),
            "--log-level-console=off",
            f"--log-level-stderr={log}",
            *(word for word in arguments if word.startswith("--")),
            command,
            *(word for word in arguments if not word.startswith("--")),
        ]

    def execute(self, argv: t.Sequence[str], *, lock_wait: float = 0, keep_open: t.Sequence[int] = ()) -> str:
        """Run it and return what it printed. Waits up to ``lock_wait`` seconds for another command's lock."""
        code, out, err = self.answer(argv, lock_wait=lock_wait, keep_open=keep_open)
        if code:
            raise self.failure(argv, code, out, err)
        self._pass_on_warnings(err)
        return out

    def answer(self, argv: t.Sequence[str], *, lock_wait: float = 0, keep_open: t.Sequence[int] = ()) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, whatever they are."""
        limit = self.clock() + lock_wait
        while True:
            code, out, err = self.run(argv, self.environment, keep_open)
            if code != LOCKED or self.clock() >= limit:
                return code, out, err
            self.sleep(LOCK_POLL_SECONDS)

    @property
    def environment(self) -> dict[str, str]:
        """What reaches pgBackRest without being on a command line: secrets, and options (which a command line would
        have to leave out for every command that does not know them)."""
        values = {name: option_text(value) for name, value in self.options.items() if value is not None}
        return {environment_name(name): value for name, value in {**values, **self.secrets}.items()}

    def failure(self, argv: t.Sequence[str], code: int, out: str, err: str) -> MultimasterError:
        """The error of a command that failed."""
        told = messages(self.clean(err)) or messages(self.clean(out))
        errors = [each for each in told if each.level in ("ERROR", "ASSERT")]
        # expire counts its errors at the end; they themselves come before.
        told_apart = [each for each in errors if not _COUNTED.match(each.text)] or errors
        last = told_apart[-1] if told_apart else None
        text = last.text if last else self.clean(err or out).strip()
        key = self._repository_of(argv, text)
        text = re.sub(r"^repo\d+: ", "", text)
        failure = Failure(
            code=last.code if last and last.code else code,
            text=text,
            command=_command_of(argv),
            stanza=self.stanza or "",
            where=self.where(key),
            configured_cipher=self.cipher(key),
            repository_full=self._repository_is_full(key),
            warnings=[each.text for each in told if each.level == "WARN"],
            node_host=self._node_host_in(text),
        )
        return MultimasterError(explain(failure), pgbackrest_code=failure.code, pgbackrest_error=text, command=shown(argv))

    def clean(self, text: str) -> str:
        return cleaned(text, [str(value) for value in self.secrets.values()])

    # --- reading ---------------------------------------------------------------------------------------------------

    def info(self) -> list[Stanza]:
        """Every stanza that ``pgbackrest info`` knows, or the one of this object."""
        argv = self.argv("info", "--output=json", repo=self.repo)
        code, out, err = self.answer(argv)
        # First, since what follows from it is said of another repository than the one that was meant.
        self._refuse_unknown_options(err)
        if code:
            raise self.failure(argv, code, out, err)
        self._pass_on_warnings(err)
        return parse_info(out)

    def stanza_info(self) -> Stanza:
        return self.info()[0]

    def listing(self, path: str, repo: int) -> dict[str, t.Any]:
        """Files below a path of the repository, by name: ``{"16-1/...": {"type": "file", "size": .., "time": ..}}``."""
        return json.loads(self.execute(self.argv("repo-ls", "--output=json", "--recurse", path, repo=repo)))

    def content(self, path: str, repo: int) -> str:
        """A file of the repository as text, decrypted."""
        return self.execute(self.argv("repo-get", path, repo=repo))

    def require_readable(self, stanza: Stanza) -> None:
        """Fail in clear words where a repository of the stanza cannot be read."""
        for repository in stanza.repositories:
            if repository.code not in (OK, NO_BACKUP):
                raise self.unreadable(stanza, repository.key)

    def unreadable(self, stanza: Stanza, key: int) -> MultimasterError:
        repository = stanza.repository(key)
        if repository.code in (1, 3):
            return MultimasterError(
                f"Stanza {stanza.name} does not exist in {self.where(key)}. Create it first (pgbackrest_stanza), or check "
                "the stanza's name and the repository's path.",
                pgbackrest_status=repository.code,
            )
        message = self.clean(repository.message)
        code, text = error_of_class(message)
        failure = Failure(
            code=code,
            text=text,
            command="info",
            stanza=stanza.name,
            where=self.where(key),
            configured_cipher=self.cipher(key),
        )
        return MultimasterError(explain(failure), pgbackrest_code=code, pgbackrest_error=message)

    def where(self, key: int) -> str:
        return self.configuration.where(self.stanza or "", key)

    def cipher(self, key: int) -> str:
        return self.configuration.value(self.stanza or "", f"repo{key}-cipher-type") or "none"

    @property
    def pg_path(self) -> str | None:
        """The data directory that the stanza is configured for on this host."""
        stanza = self.stanza or ""
        if self.configuration.value(stanza, "pg1-host"):
            return None
        return self.configuration.value(stanza, "pg1-path")

    # --- internals -------------------------------------------------------------------------------------------------

    def _refuse_unknown_options(self, err: str) -> None:
        for name in _UNKNOWN_OPTION.findall(err):
            for given, values in (("options", self.options), ("secrets", self.secrets)):
                if name in values:
                    raise unknown_option(name, given)

    def _pass_on_warnings(self, err: str) -> None:
        for message in messages(self.clean(err)):
            if message.level == "WARN":
                self.warn("pgBackRest: " + " ".join(message.text.split()))

    def _repository_of(self, argv: t.Sequence[str], text: str) -> int:
        """Key of the repository in which a command failed: the one that it was limited to, or the first that it complains of."""
        named = next((word.removeprefix("--repo=") for word in argv if word.startswith("--repo=")), None)
        complained = re.search(r"(?:^|\s)repo(\d+): ", text)
        if named or complained:
            return int(named or (complained.group(1) if complained else 0))
        return self.repo or self.configuration.repositories(self.stanza or "")[0]

    def _node_host_in(self, text: str) -> str:
        """The node's host where the error is about that one: on a repository host both ends can be away."""
        host = self.configuration.value(self.stanza or "", "pg1-host")
        named = re.search(r"'([^']+):\d+'", text)
        if not host or (named and named[1] != host):
            return ""
        repositories = self.configuration.repositories(self.stanza or "")
        remote = any(self.configuration.local_path(self.stanza or "", key) is None for key in repositories)
        return host if named or not remote else ""

    def _repository_is_full(self, key: int) -> bool:
        path = self.configuration.local_path(self.stanza or "", key)
        if not path or not os.path.isdir(path):
            return False
        room = os.statvfs(path)
        return room.f_bavail * room.f_frsize < LITTLE_ROOM or (room.f_files > 0 and room.f_favail == 0)


def from_parameters(params: dict[str, t.Any], warn: t.Callable[[str], None]) -> PgBackRest:
    """The command from a module's options. What they have in common is checked here, before anything is asked or done."""
    require_usable(params)
    for name in params["options"]:
        if is_secret(name):
            raise MultimasterError(f"{name} is a secret: give it in secrets, not in options, where it would be shown.")
    for name in params["secrets"]:
        if not is_secret(name):
            raise MultimasterError(
                f"{name} is no secret option of pgBackRest: give it in options. secrets takes repo1-cipher-pass, "
                f"repo1-s3-key and the like."
            )
    return PgBackRest(
        stanza=params["stanza"],
        repo=params["repo"],
        config=params["config"],
        options=dict(params["options"]),
        secrets={name: str(value) for name, value in params["secrets"].items() if value not in (None, "")},
        executable=params["executable"],
        warn=warn,
    )


def require_usable(params: dict[str, t.Any]) -> None:
    """The options that all these modules have, and those of the same name that several have."""
    refuse_null_bytes(params)
    if params["stanza"] is not None:
        require_stanza_name(params["stanza"])
    if not params["executable"].strip():
        raise MultimasterError("executable is empty; it has to be pgBackRest's name or path. Nothing was changed.")
    require_number("repo", params["repo"], 1, REPOSITORIES)
    for name in ("config", "pg_path"):
        require_absolute(name, params.get(name))
    require_number("archive_timeout", params.get("archive_timeout"), 1, LONGEST_TIMEOUT)
    require_number("lock_wait", params.get("lock_wait"), 0, YEAR)
    refuse_own_options(params["options"], {"config": "config", "repo": "repo", "stanza": "stanza"})
    for name, value in params["options"].items():
        if not _OPTION.fullmatch(name):
            raise unknown_option(repr(name), "options")
        require_one_line(f"options.{name}", option_text(value))
        if meant := meant_option(name):
            raise unknown_option(name, "options", meant)


def refuse_own_options(given: t.Iterable[str], own: t.Mapping[str, str]) -> None:
    """``own``: what the module's own options decide, by pgBackRest's names. It would be stated twice, and the other one would be
    left out in silence."""
    for name in given:
        if name in own:
            state = f"State the option {own[name]} in its place" if own[name] else "Leave it out"
            raise MultimasterError(f"options has {name}, which this module decides. {state}. Nothing was changed.")


def require_stanza_name(name: str) -> None:
    """Without a name pgBackRest answers for all stanzas, and one with .. in it is a place outside of the repository."""
    if not _STANZA.fullmatch(name) or not name.isprintable() or name != name.strip() or name == "global":
        raise MultimasterError(
            f"stanza is {name!r}, which cannot be a stanza's name: letters, digits, _, . and - are possible, and it begins with "
            f"a letter, a digit or _. Nothing was changed."
        )


def unknown_option(name: str, where: str, meant: str | None = None) -> MultimasterError:
    return MultimasterError(
        f"{where} has {name}, which is no option of pgBackRest{f'; did you mean {meant}' if meant else ''}. Correct it: without "
        f"it another repository could be the one that is used. Nothing was changed."
    )


def require_unprivileged(what: str) -> None:
    """Files that root makes in a repository, a lock or a log folder lock the server's own archiving out."""
    if os.geteuid() == 0:
        raise MultimasterError(
            f"{what} as root would leave files that PostgreSQL's own user cannot change, and archiving would stop. "
            "Run the task as the repository's owner: become_user: postgres."
        )


def option_text(value: t.Any) -> str:
    """An option's value as pgBackRest's environment variables have it."""
    if isinstance(value, bool):
        return "y" if value else "n"
    if isinstance(value, dict):
        return ":".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return ":".join(str(each) for each in value)
    return str(value)


def shown(argv: t.Sequence[str]) -> str:
    """A command as it may be shown and typed."""
    return " ".join(shlex.quote(word) for word in argv)


def _command_of(argv: t.Sequence[str]) -> str:
    return next((word for word in argv[1:] if not word.startswith("--")), "")
