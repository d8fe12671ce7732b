# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Recording, reading and rebuilding the catalogue on all its servers."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import tempfile
import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog import (
    FAILED,
    FAILURES_KEPT,
    Entries,
    Record,
    change_between,
    failure_record,
    failures_in,
    freshest,
    rebuilt,
    record_of,
    with_record,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog_server import (
    Address,
    CatalogServer,
    CatalogUnavailable,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_absolute, require_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    MISSING_STANZA_PATH,
    NO_BACKUP,
    OK,
    Stanza,
    as_utc,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    PgBackRest,
    from_parameters,
    require_usable,
)

# Seconds to wait for a server.
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.1, 3600


class Catalog:
    """The servers, and which of them could not be used so far."""

    def __init__(self, servers: t.Sequence[t.Any], warn: t.Callable[[str], None]) -> None:
        self._servers = list(servers)
        self._warn = warn
        self.unavailable: dict[str, str] = {}

    def entries(self, stanza: str) -> dict[str, Entries]:
        """What each server that answers has."""
        found = {}
        for server in self._servers:
            entries = self._ask(server, functools.partial(server.entries, stanza))
            if entries is not None:
                found[server.name] = entries
        return found

    def stanzas(self) -> list[str]:
        names: set[str] = set()
        for server in self._servers:
            names |= set(self._ask(server, server.stanzas) or [])
        return sorted(names)

    def make(self, stanza: str, have: dict[str, Entries], want: Entries, differences: Differences, check_mode: bool) -> list[str]:
        """Give every answering server these entries; returns the names of those that have them now."""
        done = []
        for server in self._servers:
            if server.name not in have:
                continue
            change = change_between(stanza, have[server.name], want)
            if change and not check_mode:
                self._ask(server, functools.partial(server.apply, stanza, change))
                if server.name in self.unavailable:
                    continue
            _note(differences, server.name, have[server.name], want)
            done.append(server.name)
        return done

    def require_one(self, what: str) -> None:
        if len(self.unavailable) == len(self._servers):
            reasons = " ".join(self.unavailable.values())
            raise MultimasterError(f"{what}: no catalogue server answers. {reasons}", unavailable=list(self.unavailable))

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def _ask(self, server: t.Any, question: t.Callable[[], t.Any]) -> t.Any:
        if server.name in self.unavailable:
            return None
        try:
            return question()
        except CatalogUnavailable as error:
            self.unavailable[server.name] = str(error)
            self._warn(f"{error} What it misses is added by a rebuild.")
            return None


def manage_catalog(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    require_usable(params)
    if not params["servers"]:
        raise MultimasterError("servers is empty: name at least one Redis server of the catalogue.")
    require_number("timeout", params["timeout"], SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
    for number, server in enumerate(params["servers"]):
        if not server["host"].strip():
            raise MultimasterError(f"servers[{number}].host is empty: name the Redis server of the catalogue.")
        require_number(f"servers[{number}].port", server.get("port"), 1, 65535)
    for name in ("failures_path", "ca_certs", "client_cert_file", "client_key_file"):
        require_absolute(name, params[name])
    catalog = Catalog([CatalogServer(address) for address in addresses(params)], warn)
    try:
        work = {"record": record, "rebuild": rebuild, "read": read}[params["action"]]
        result = work(catalog, params, check_mode, warn)
    finally:
        catalog.close()
    return {**result, "unavailable": [{"server": name, "reason": why} for name, why in catalog.unavailable.items()]}


def record(catalog: Catalog, params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """One backup or one failed run. That no server answers is no failure: a rebuild adds it later."""
    new = _new_record(params)
    stanza = new["stanza"]
    have = catalog.entries(stanza)
    differences = Differences()
    done: list[str] = []
    for name, entries in have.items():
        # Each server on its own: what one of them lacks besides is a rebuild's business.
        done += catalog.make(stanza, {name: entries}, with_record(entries, new), differences, check_mode)
    # The servers first: a disk that is full is no reason that nobody is told.
    if new["status"] == FAILED and params["failures_path"] and not check_mode:
        remember_failure(params["failures_path"], new, warn)
    if params["unavailable"] == "fail" and catalog.unavailable:
        raise MultimasterError(
            f"Backup {new['label']} of stanza {stanza} is not recorded everywhere. {' '.join(catalog.unavailable.values())}",
            unavailable=list(catalog.unavailable),
        )
    return {
        "changed": bool(differences),
        "diff": differences.as_diff(),
        "recorded": done,
        "record": new,
        "backups": [],
        "latest": {},
    }


def rebuild(catalog: Catalog, params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Every server as the repositories say."""
    pgbackrest = from_parameters(params, warn)
    differences = Differences()
    rebuilt_on: set[str] = set()
    backups: list[Record] = []
    latest: dict[str, dict[str, str]] = {}
    local_failures = read_failures(params["failures_path"], warn) if params["failures_path"] else []
    for stanza in pgbackrest.info():
        of_stanza = dataclasses.replace(pgbackrest, stanza=stanza.name)
        for repository in stanza.repositories:
            # What cannot be read must not be taken for gone.
            if repository.code not in (OK, NO_BACKUP, MISSING_STANZA_PATH):
                raise of_stanza.unreadable(stanza, repository.key)
        records = [
            record_of(each.as_data(stanza.name, of_stanza.configuration.address(stanza.name, each.repo)))
            for each in stanza.backups
        ]
        have = catalog.entries(stanza.name)
        failures = [each for each in local_failures if each.get("stanza") == stanza.name]
        for entries in have.values():
            failures += failures_in(entries)
        lost = [] if params["forget_lost_backups"] else lost_backups(of_stanza, stanza, have)
        if lost:
            warn(lost_sentence(of_stanza, stanza, lost) + " The catalogue keeps them until then.")
        want = rebuilt([*records, *lost], failures)
        rebuilt_on |= set(catalog.make(stanza.name, have, want, differences, check_mode))
        backups += want.parsed()
        latest[stanza.name] = want.latest
    catalog.require_one("The catalogue is not rebuilt")
    if params["unavailable"] == "fail" and catalog.unavailable:
        raise MultimasterError(
            f"The catalogue is not rebuilt everywhere. {' '.join(catalog.unavailable.values())}",
            unavailable=list(catalog.unavailable),
        )
    return {
        "changed": bool(differences),
        "diff": differences.as_diff(),
        "recorded": sorted(rebuilt_on),
        "backups": backups,
        "latest": latest,
    }


def read(catalog: Catalog, params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """What the catalogue knows, from the server that knows most recent things."""
    names = [params["stanza"]] if params["stanza"] else catalog.stanzas()
    backups: list[Record] = []
    latest: dict[str, dict[str, str]] = {}
    used: dict[str, str] = {}
    consistent = True
    for stanza in names:
        have = catalog.entries(stanza)
        if not have:
            continue
        used[stanza] = freshest(have)
        entries = have[used[stanza]]
        consistent = consistent and all(each == entries for each in have.values())
        backups += entries.parsed()
        latest[stanza] = entries.latest
    catalog.require_one("The catalogue cannot be read")
    if not consistent:
        warn("The catalogue's servers do not agree; the one with the newest backup is believed. A rebuild makes them equal.")
    return {
        "changed": False,
        "diff": Differences().as_diff(),
        "recorded": [],
        "backups": backups,
        "latest": latest,
        "server": used,
        "consistent": consistent,
    }


def addresses(params: dict[str, t.Any]) -> list[Address]:
    return [
        Address(
            host=server["host"],
            port=server["port"],
            user=params["login_user"],
            password=params["login_password"],
            tls=params["tls"],
            validate_certs=params["validate_certs"],
            ca_certs=params["ca_certs"],
            client_cert_file=params["client_cert_file"],
            client_key_file=params["client_key_file"],
            timeout=params["timeout"],
        )
        for server in params["servers"]
    ]


def lost_backups(pgbackrest: PgBackRest, stanza: Stanza, have: t.Mapping[str, Entries]) -> list[Record]:
    """Sound backups that some server knows in repositories where the stanza's own path is missing, oldest first.

    A repository whose file system is not mounted looks like an empty one.
    """
    folders = {
        f"{pgbackrest.configuration.address(stanza.name, each.key).rstrip('/')}/backup/{stanza.name}/"
        for each in stanza.repositories
        if each.code == MISSING_STANZA_PATH
    }
    found: dict[str, Record] = {}
    for entries in have.values():
        for each in entries.parsed():
            if each.get("status") != FAILED and any(str(each.get("location")).startswith(folder) for folder in folders):
                found[each["label"]] = each
    return sorted(found.values(), key=lambda each: (each["timestamp"], each["label"]))


def lost_sentence(pgbackrest: PgBackRest, stanza: Stanza, lost: t.Sequence[Record]) -> str:
    where = " and ".join(pgbackrest.where(each.key) for each in stanza.repositories if each.code == MISSING_STANZA_PATH)
    return (
        f"The catalogue knows {len(lost)} backups of stanza {stanza.name} in {where} ({lost[0]['label']} to "
        f"{lost[-1]['label']}), "
        "and there is no such stanza there now. Mount the repository; if its backups are gone for good, say so with "
        "pgbackrest_forget_lost_backups=true (forget_lost_backups of backup_catalog)."
    )


def refuse_lost(params: dict[str, t.Any], warn: t.Callable[[str], None]) -> None:
    """Fail where the catalogue knows backups that the repository lacks. Without a server that answers nobody knows: a warning."""
    catalog = Catalog([CatalogServer(address) for address in addresses(params)], warn)
    pgbackrest = from_parameters(params, warn)
    try:
        for stanza in pgbackrest.info():
            lost = lost_backups(pgbackrest, stanza, catalog.entries(stanza.name))
            if lost:
                raise MultimasterError(lost_sentence(pgbackrest, stanza, lost))
    finally:
        catalog.close()


def read_failures(path: str, warn: t.Callable[[str], None]) -> list[Record]:
    """Failed runs that this host remembers itself, for the time when no server could be told."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        return [each for each in found if isinstance(each, dict) and {"label", "stanza"} <= set(each)]
    except FileNotFoundError:
        return []
    except OSError as error:
        warn(f"{path} cannot be read ({error.strerror}): failed backup runs that only this file knows are not seen.")
    except (TypeError, ValueError):
        warn(f"{path} is no list in JSON: the failed backup runs in it are not seen, and the next one that fails replaces it.")
    return []


def remember_failure(path: str, failure: Record, warn: t.Callable[[str], None]) -> None:
    """Add a failed run to the file. What is wrong with the file is a warning: the run's own failure is what counts."""
    try:
        # Runs of several stanzas and types end at the same time.
        with open(f"{path}.lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_failures(path, [*read_failures(path, warn), failure])
    except OSError as error:
        warn(f"The failed run cannot be noted in {path} ({error.strerror}).")


def write_failures(path: str, failures: t.Sequence[Record]) -> None:
    """Written whole and put in place at once; of each stanza the newest. Raises OSError."""
    known = {(each["stanza"], each["label"]): each for each in failures}
    by_stanza: dict[str, list[Record]] = {}
    for key in sorted(known):
        by_stanza.setdefault(key[0], []).append(known[key])
    kept = [each for of_stanza in by_stanza.values() for each in of_stanza[-FAILURES_KEPT:]]
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".failures-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(kept, stream, indent=1, sort_keys=True)
            stream.write("\n")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _new_record(params: dict[str, t.Any]) -> Record:
    if (params["backup"] is None) == (params["failure"] is None):
        raise MultimasterError("action record needs either backup (of pgbackrest_backup's result) or failure, one of them.")
    if params["backup"] is not None:
        return record_of(params["backup"])
    if not params["stanza"]:
        raise MultimasterError("A failure needs the stanza.")
    failure = params["failure"]
    ended = failure["ended"] or as_utc(int(time.time()))
    return failure_record(
        params["stanza"],
        failure["node"] or params["stanza"],
        failure["type"],
        failure["started"] or ended,
        failure["reason"],
        ended,
    )


def _note(differences: Differences, server: str, have: Entries, want: Entries) -> None:
    """One line of the diff for each record of each server that differs."""
    for label in sorted({*have.records, *want.records}):
        differences.add(f"{server} {label}", want.records.get(label), have.records.get(label))
    differences.add(f"{server} latest", want.latest, have.latest)
    differences.add(f"{server} history", sorted(want.history), sorted(have.history))
