# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What role pgbackrest asks a host, and what has to be done there given the answers. Pure.

``values`` are the role's variables by name, ``host`` the answers of files/host.sh by name.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import ABSENT
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._files import files_differing
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._pgbackrest_settings import (
    configuration_file,
    configuration_problems,
)
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._variables import Options, variable_problems

Values = t.Mapping[str, t.Any]
File = dict[str, t.Any]

PACKAGES = ("pgbackrest", "python3-redis")
TYPES = ("full", "diff", "incr")
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"
SETTINGS = "/etc/multimaster/backup.json"
PROGRAM = "/usr/local/lib/multimaster/backup"
STATE_FOLDER = "/var/lib/multimaster"
SERVER_UNIT = "pgbackrest.service"
CATALOG_TIMER = "multimaster-backup-catalog.timer"
UNIT_FOLDER = "/etc/systemd/system/"
# The package's unit has no limits of its own.
SERVER_LIMITS = f"{UNIT_FOLDER}{SERVER_UNIT}.d/multimaster.conf"
# As many processes as half of the processors, which leaves the other half to the server, and never more than these.
MOST_PROCESSES, MOST_ARCHIVING_PROCESSES = 8, 2
LEAST_QUEUE_MB = 256


def pgbackrest_look(values: Values, options: Options) -> list[str]:
    """The arguments of files/host.sh. A harmless command where the variables cannot be understood."""
    if variable_problems(values, options):
        return ["true"]
    wanted = _Wanted(values)
    data = wanted.all_stanzas[0].get("pg_path", "/var") if wanted.all_stanzas else "/var"
    calendars = dict.fromkeys(timer["calendar"] for timer in wanted.timers)
    return [
        *("sh", "-s", "--", data, " ".join(PACKAGES), " ".join(wanted.watched_units()), ";".join(calendars)),
        " ".join(stanza["name"] for stanza in wanted.stanzas),
        ";".join(stanza["pg_path"] for stanza in wanted.all_stanzas if not stanza.get("pg_host")),
        *wanted.watched_files(),
    ]


def pgbackrest_state(
    values: Values,
    host: Values,
    sources: t.Mapping[str, str],
    options: Options,
    check_mode: bool,
    hostvars: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """What differs. ``sources``: header, program and the texts of the units' files by their names.

    ``hostvars`` have what the role asked the nodes in the same run, for a host that takes the backups of clusters elsewhere.

    Returns ``problems`` (one sentence each; then nothing else counts), ``differing`` files with their contents, ``folders``,
    units, stanzas and packages that something is to be done about, and what is due.
    """
    problems = variable_problems(values, options)
    problems = problems or cross_problems(values)
    if problems:
        return {"problems": problems, "change_due": True}
    wanted = _Wanted(values)
    missing = [package for package in PACKAGES if host.get(f"package:{package}") != "installed"]
    differing = files_differing(wanted.files(host, sources), host)
    folders = wanted.folders()
    units = [path for path in (file["path"] for file in differing) if path.startswith(UNIT_FOLDER)]
    unwanted = [unit for unit in wanted.known_units() if unit not in wanted.units and _is_on(host, unit)]
    # Also those of stanzas that no variable knows any more.
    surplus = sorted(name for name in _timers_there(host) if name not in wanted.units)
    unwanted = list(dict.fromkeys([*unwanted, *surplus]))
    # Written by a run that ended before systemd read them.
    stale = [unit for unit in wanted.watched_units() if str(host.get(f"unit:{unit}", "")).split(" ")[2:3] == ["yes"]]
    down = [unit for unit in wanted.units if not str(host.get(f"unit:{unit}", "")).startswith("active enabled no ")]
    outdated = wanted.server and _server_outdated(wanted, differing, host)
    due = {
        "install_due": bool(missing),
        "configure_due": bool(differing) or any(f"folder:{each['path']}" not in host for each in folders),
        "service_due": bool(down or unwanted or outdated or units or stale),
    }
    clusters = _clusters(wanted, host, hostvars or {})
    stanzas_due = _stanzas_due(wanted, differing, host, clusters)
    problems = _host_problems(wanted, host, check_mode) + _cipher_problems(wanted, host)
    if not any(file["path"] == CONFIGURATION for file in differing):
        # Otherwise these are not the repositories that are wanted.
        problems += _cluster_problems(wanted, host, clusters)
    return {
        "problems": problems,
        "packages_missing": missing,
        "differing": differing,
        "folders": folders,
        "units_differ": bool(units or surplus or stale),
        "units_surplus": [UNIT_FOLDER + name for name in surplus],
        "units_wanted": wanted.units,
        "units_unwanted": unwanted,
        "server_outdated": outdated,
        "stanzas_due": stanzas_due,
        **due,
        "change_due": bool(problems or stanzas_due) or any(due.values()),
    }


class _Wanted:
    """The role's variables, and what follows from them alone."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.all_stanzas = [dict(stanza) for stanza in self.get("stanzas")]
        self.stanzas = self.all_stanzas if boolean(self.get("take_backups")) else []
        self.server = boolean(self.get("server"))
        self.catalog_servers = list(self.get("catalog_servers"))
        self.timers = [_timer(stanza, kind, calendar) for stanza in self.stanzas for kind, calendar in self._schedules()]
        self.has_catalog = bool(self.catalog_servers and self.stanzas)
        self.units = [
            *([SERVER_UNIT] if self.server else []),
            *(timer["unit"] for timer in self.timers),
            *([CATALOG_TIMER] if self.has_catalog else []),
        ]

    def get(self, name: str) -> t.Any:
        return self._values[f"pgbackrest_{name}"]

    def _schedules(self) -> list[tuple[str, str]]:
        return sorted((kind, calendar) for kind, calendar in self.get("schedules").items() if calendar)

    def known_units(self) -> list[str]:
        """Also those that other variables would want: what is no longer wanted must be noticed."""
        others = (_unit(kind, stanza["name"]) for kind in TYPES for stanza in self.all_stanzas)
        return list(dict.fromkeys([*self.units, SERVER_UNIT, CATALOG_TIMER, *others]))

    def watched_units(self) -> list[str]:
        """Also what the timers start: systemd keeps that as it was when it was read."""
        timers = [unit for unit in self.units if unit != SERVER_UNIT]
        return [*self.known_units(), *(f"{unit.removesuffix('.timer')}.service" for unit in timers)]

    def tls_files(self) -> list[str]:
        return [self.get(f"tls_{name}_file") for name in ("certificate", "key", "ca")]

    def local_paths(self) -> list[str]:
        repositories = self.get("repositories")
        return [each.get("path", "/var/lib/pgbackrest") for each in repositories if each.get("type", "posix") == "posix"]

    def watched_files(self) -> list[str]:
        """All that is asked about; a dot stands for a folder itself."""
        return [
            *(CONFIGURATION, SETTINGS, PROGRAM),
            *(path for path, _source, _words in self._unit_files()),
            *self.tls_files(),
            *(f"{folder}/." for folder in (STATE_FOLDER, *self.local_paths())),
        ]

    def folders(self) -> list[File]:
        return [
            {"path": "/etc/pgbackrest", "owner": "postgres", "mode": "0750"},
            {"path": SETTINGS.rpartition("/")[0], "owner": "root", "mode": "0755"},
            {"path": PROGRAM.rpartition("/")[0], "owner": "root", "mode": "0755"},
            {"path": STATE_FOLDER, "owner": "postgres", "mode": "0750"},
            *([{"path": SERVER_LIMITS.rpartition("/")[0], "owner": "root", "mode": "0755"}] if self.server else []),
            *({"path": path, "owner": "postgres", "mode": "0750"} for path in self.local_paths()),
        ]

    def files(self, host: Values, sources: t.Mapping[str, str]) -> list[File]:
        configuration = f"{sources['header']}\n{configuration_file(self.configuration(host))}\n"
        settings = json.dumps(self.program_settings(), indent=4, sort_keys=True) + "\n"
        found = [
            _file(CONFIGURATION, configuration, "0640", "postgres", secret=True),
            _file(SETTINGS, settings, "0600", "postgres", secret=True),
            _file(PROGRAM, sources["program"], "0755"),
        ]
        for path, source, words in self._unit_files():
            text = sources[source]
            for word, value in words.items():
                text = text.replace(f"@{word}@", value)
            found.append(_file(path, text))
        return found

    def _unit_files(self) -> t.Iterator[tuple[str, str, dict[str, str]]]:
        """Path, source and what to put for the words between at-signs."""
        writable = {"writable": self._writable()}
        if self.server:
            yield SERVER_LIMITS, "server.conf", writable
        if self.stanzas:
            for kind in TYPES:
                yield f"{UNIT_FOLDER}multimaster-backup-{kind}@.service", "backup.service", {"type": kind, **writable}
        for timer in self.timers:
            yield UNIT_FOLDER + timer["unit"], "backup.timer", timer
        if self.has_catalog:
            for name in ("service", "timer"):
                yield f"{UNIT_FOLDER}multimaster-backup-catalog.{name}", f"catalog.{name}", writable

    def _writable(self) -> str:
        """The folders that pgBackRest writes into, as systemd takes them. One that is not there keeps no unit from starting."""
        options = self.get("options")
        usual = {"log-path": "/var/log/pgbackrest", "spool-path": "/var/spool/pgbackrest", "lock-path": "/tmp"}  # noqa: S108 pgBackRest's own
        folders = dict.fromkeys([*self.local_paths(), *(str(options.get(name, path)) for name, path in usual.items())])
        return " ".join('"-' + re.sub(r'(["\\\\])', r"\\\1", folder).replace("%", "%%") + '"' for folder in folders)

    def configuration(self, host: Values) -> dict[str, t.Any]:
        processors = int(host.get("processors", 1))
        processes = int(self.get("process_max")) or min(max(processors // 2, 1), MOST_PROCESSES)
        queue_mb = int(self.get("archive_queue_max_mb")) or max(int(host.get("wal_size_mb", 0)) // 4, LEAST_QUEUE_MB)
        server = {
            "address": self.get("server_address"),
            "port": int(self.get("server_port")),
            "clients": self.get("server_clients"),
        }
        return {
            "repositories": self.get("repositories"),
            "stanzas": self.all_stanzas,
            "retention_full": int(self.get("retention_full")),
            "settings": {
                "process-max": processes,
                "compress-type": self.get("compression_type"),
                "start-fast": True,
                "log-level-console": "warn",
                "log-level-file": "detail",
                "archive-async": boolean(self.get("archive_async")),
                "archive-push-queue-max": f"{queue_mb}MiB",
                "spool-path": "/var/spool/pgbackrest",
            },
            "commands": {
                # Archiving runs beside everything else all the time; a restore is waited for.
                "archive-push": {"process-max": min(processes, MOST_ARCHIVING_PROCESSES)},
                "restore": {"process-max": int(self.get("process_max")) or min(processors, MOST_PROCESSES)},
            },
            "tls": dict(zip(("certificate_file", "key_file", "ca_file"), self.tls_files())),
            "server": server if self.server else {},
            "options": self.get("options"),
        }

    def program_settings(self) -> dict[str, t.Any]:
        """What the host's own program is told."""
        repositories = list(range(1, len(self.get("repositories")) + 1))
        catalog = {
            "servers": [dict(each) for each in self.catalog_servers],
            "login_user": self.get("catalog_user"),
            "login_password": self.get("catalog_password"),
            "ca_certs": self.get("tls_ca_file"),
        }
        return {
            "stanzas": {
                each["name"]: {"node": each.get("node", each["name"]), "repositories": repositories} for each in self.stanzas
            },
            "retention": {kind: int(self.get(f"retention_{kind}")) for kind in TYPES},
            "catalog": catalog if self.catalog_servers else {},
            "failures_path": f"{STATE_FOLDER}/backup_failures.json",
            "lock_wait": int(self.get("lock_wait")),
        }


def _unit(kind: str, stanza: str) -> str:
    return f"multimaster-backup-{kind}@{stanza}.timer"


def _timer(stanza: Values, kind: str, calendar: str) -> dict[str, str]:
    minute = f"{int(stanza.get('offset_minutes', 0)):02}"
    return {
        "unit": _unit(kind, stanza["name"]),
        "type": kind,
        "stanza": stanza["name"],
        "calendar": calendar.replace("{minute}", minute),
    }


def _file(path: str, content: str, mode: str = "0644", owner: str = "root", secret: bool = False) -> File:
    return {"path": path, "content": content, "mode": mode, "owner": owner, "secret": secret}


def _timers_there(host: Values) -> list[str]:
    """Timers of stanzas that are on the host, whoever wants them."""
    return [name.removeprefix("timer:") for name in host if name.startswith("timer:")]


def _is_on(host: Values, unit: str) -> bool:
    state = str(host.get(f"unit:{unit}", "inactive -")).split(" ")
    return state[0] == "active" or state[1] == "enabled"


def _server_outdated(wanted: _Wanted, differing: t.Sequence[Values], host: Values) -> bool:
    """Its configuration, its certificate and its unit are read when it starts."""
    read = [CONFIGURATION, *wanted.tls_files(), SERVER_LIMITS]
    if any(file["path"] in read for file in differing):
        return True
    started = _last_number(host.get(f"unit:{SERVER_UNIT}", "0"))
    return any(_last_number(host[f"file:{path}"]) > started for path in read if f"file:{path}" in host)


def _last_number(answer: str) -> int:
    """When a unit was started or a file changed, in seconds; the host says that last."""
    return int(answer.rpartition(" ")[2])


def _stanzas_due(
    wanted: _Wanted, differing: t.Sequence[Values], host: Values, clusters: t.Mapping[str, int]
) -> list[dict[str, t.Any]]:
    """Those that are not all right in every repository, and all when it is another repository now, or on request."""
    if any(file["path"] == CONFIGURATION for file in differing) or boolean(wanted.get("upgrade_stanza")):
        return wanted.stanzas
    sound = {each["name"] for each in _info(host) or [] if _is_sound(each, clusters.get(each["name"]))}
    return [stanza for stanza in wanted.stanzas if stanza["name"] not in sound]


def _is_sound(stanza: Values, system_id: int | None) -> bool:
    """pgBackRest calls a stanza sound that has any backup, be it that of a cluster which is no more."""
    current = _current_databases(stanza)
    backups = {(each["database"].get("repo-key", 1), each["database"]["id"]) for each in stanza.get("backup") or []}
    return (
        stanza["status"]["code"] == 0
        and bool(current)
        and all((repo, database["id"]) in backups for repo, database in current.items())
        and all(system_id in (None, database["system-id"]) for database in current.values())
    )


def _current_databases(stanza: Values) -> dict[int, Values]:
    """By repository the cluster that the stanza belongs to now."""
    databases = sorted(stanza.get("db") or [], key=lambda each: each["id"])
    return {each.get("repo-key", 1): each for each in databases}


def _clusters(wanted: _Wanted, host: Values, hostvars: t.Mapping[str, t.Any]) -> dict[str, int]:
    """System identifiers of the clusters by stanza, where they are known."""
    found = {}
    for stanza in wanted.stanzas:
        asked = host
        if stanza.get("pg_host"):
            # The node was asked before, unless this run leaves it out.
            asked = _look_at(stanza["node"], hostvars)
        system_id = asked.get(f"system_id:{stanza['pg_path']}")
        if system_id:
            found[stanza["name"]] = int(system_id)
    return found


def _look_at(node: str, hostvars: t.Mapping[str, t.Any]) -> Values:
    # No get(): what Ansible's hostvars return for a host that they lack is no None.
    look = hostvars[node].get("__pgbackrest_host_look") if node in hostvars else None
    return (look or {}).get("pairs") or {}


def _cluster_problems(wanted: _Wanted, host: Values, clusters: t.Mapping[str, int]) -> list[str]:
    """While a stanza belongs to another cluster, the server's archiving fails and no backup can be taken."""
    if boolean(wanted.get("upgrade_stanza")):
        return []
    paths = {stanza["name"]: stanza["pg_path"] for stanza in wanted.stanzas}
    problems = []
    for stanza in _info(host) or []:
        system_id = clusters.get(stanza["name"])
        others = [each["system-id"] for each in _current_databases(stanza).values() if each["system-id"] != system_id]
        if system_id is not None and others:
            problems.append(
                f"Stanza {stanza['name']} belongs to another cluster (system identifier {others[0]}) than the one in "
                f"{paths[stanza['name']]} (system identifier {system_id}), whose archiving fails. Where the node was "
                "made anew or upgraded, run this once with -e pgbackrest_upgrade_stanza=true: the old backups stay, and a first "
                "full one of the new cluster is taken. Otherwise use another stanza."
            )
    return problems


def _info(host: Values) -> list[dict[str, t.Any]] | None:
    """What pgBackRest says of its repositories; None where it said nothing that can be understood."""
    try:
        # It quotes what it could not decrypt as it is.
        found = json.loads(host.get("info") or "", strict=False)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _cipher_problems(wanted: _Wanted, host: Values) -> list[str]:
    """The configuration may hold the only copy of a passphrase: while there are backups, it is not written over."""
    lines = configuration_file(wanted.configuration(host)).splitlines()
    problems = []
    for number in range(1, len(wanted.get("repositories")) + 1):
        now = host.get(f"cipher:repo{number}")
        new = "".join(f"{line}\n" for line in sorted(lines) if line.startswith(f"repo{number}-cipher-"))
        if now is None or now == hashlib.sha256(new.encode()).hexdigest():
            continue
        stanzas = _info(host)
        # Nothing is known of a repository that does not answer, so it counts as one with backups.
        if stanzas is None or any(_is_in(stanza, number) for stanza in stanzas):
            problems.append(
                f"The cipher_passphrase or cipher type of pgbackrest_repositories[{number - 1}] is not that in {CONFIGURATION}, "
                "without which nobody can read the backups that are there: give the one that is there, or, to do without them, "
                f"move {CONFIGURATION} to a safe place on the host and run this again."
            )
    return problems


def _is_in(stanza: Values, number: int) -> bool:
    """Whether a repository holds a stanza, also one that cannot be read."""
    return any(each["key"] == number and each["status"]["code"] not in ABSENT for each in stanza.get("repo") or [])


_LIMITS = {
    # What pgBackRest takes.
    "retention_full": (1, 9999999),
    "retention_diff": (0, 9999999),
    "retention_incr": (0, 9999999),
    "process_max": (0, 999),
    # 4 PiB, the most that it takes.
    "archive_queue_max_mb": (0, 1 << 32),
    "lock_wait": (0, 366 * 86400),
    "server_port": (1, 65535),
}
_PORTS_IN = {
    "pgbackrest_repositories": ("port",),
    "pgbackrest_stanzas": ("pg_port", "pg_host_port"),
    "pgbackrest_catalog_servers": ("port",),
}


def cross_problems(values: Values) -> list[str]:
    """Of variables of the right type that do not go together."""
    given = {name: values[f"pgbackrest_{name}"] for name in ("repositories", "stanzas", "options")}
    problems = list(configuration_problems(given))
    problems += _number_problems(values)
    if values["pgbackrest_catalog_servers"] and not values["pgbackrest_catalog_password"]:
        problems.append("pgbackrest_catalog_password must be set with pgbackrest_catalog_servers.")
    if boolean(values["pgbackrest_server"]) and not values["pgbackrest_server_clients"]:
        problems.append("pgbackrest_server is on, but pgbackrest_server_clients names nobody who may use it.")
    problems += [
        f"The offset_minutes of stanza {stanza['name']} is {stanza['offset_minutes']}; 0 to 59 are possible."
        for stanza in values["pgbackrest_stanzas"]
        if not 0 <= int(stanza.get("offset_minutes", 0)) <= 59
    ]
    return problems


def _number_problems(values: Values) -> list[str]:
    """Numbers that pgBackRest or the host cannot do anything with."""
    stated = [(f"pgbackrest_{name}", values[f"pgbackrest_{name}"], limits) for name, limits in _LIMITS.items()]
    for name, keys in _PORTS_IN.items():
        stated += [
            (f"{name}[{number}].{key}", entry[key], (1, 65535))
            for number, entry in enumerate(values[name])
            for key in keys
            if entry.get(key) is not None
        ]
    return [
        f"{name} is {value}; it has to be from {low} to {high}."
        for name, value, (low, high) in stated
        if not low <= int(value) <= high
    ]


def _host_problems(wanted: _Wanted, host: Values, check_mode: bool) -> list[str]:
    problems = [
        f"pgbackrest_schedules has {name.removeprefix('calendar:')}, which systemd does not understand; try it with "
        "systemd-analyze calendar."
        for name in host
        if name.startswith("calendar:")
    ]
    # In check mode nothing was put there before.
    if not check_mode and (wanted.server or wanted.catalog_servers):
        problems += [
            f"There is no {file}; the role certificates puts it there, or set pgbackrest_tls_certificate_file, "
            "pgbackrest_tls_key_file and pgbackrest_tls_ca_file."
            for file in wanted.tls_files()
            if f"file:{file}" not in host
        ]
    return problems
