# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""A guarded restore: everything that could go wrong is looked for before a file is touched."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import struct
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.config import read_configuration
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.data_directory import (
    CONTROL_FILE,
    HELD_CONTROL_FILE,
    RESTORE_MANIFEST,
    DataDirectory,
    origins_in_file_of,
    programs_folder,
    read_data_directory,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.errors import damage_in
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import (
    NO_BACKUP,
    OK,
    Backup,
    Stanza,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import (
    PgBackRest,
    Run,
    from_parameters,
    require_unprivileged,
    shown,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.survey import read_archives
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.wal import (
    DEFAULT_SEGMENT_SIZE,
    Archive,
    Segment,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import tablespaces as tablespaces_in_wal
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.checks import check_restore, timeline_number
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.copy_stop import (
    is_kept,
    is_restored_copy,
    stop_server,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.directory_lock import Alone
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.live import (
    Place,
    configured_directories,
    live_places,
    refuse_live_links,
    refuse_live_place,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.mapping import (
    refuse_places,
    refuse_unknown_names,
    tablespaces,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.space import (
    refuse_too_little_space,
    refuse_unwritable,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.target import (
    Target,
    backups_to_try,
    loses_silently,
    parse_target,
    refuse_unreachable,
)

ORIGINS_FILE = "pg_data/pg_logical/replorigin_checkpoint"
PREFETCH_SINCE = 15
NO_APPLY = "max_logical_replication_workers"
# Since this version recovery stops at a tablespace that is inside the data directory, unless a setting says that it may be there.
REFUSES_INSIDE_SINCE = 15
INSIDE_ALLOWED = "allow_in_place_tablespaces"
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")

MESH_REASON = (
    "Restoring a mesh member in place loses rows silently, three ways: its peers' rows since the backup never come again "
    "(their slots "
    "have moved on), its own rows since the backup never come back from them, and what it writes next does not reach them "
    "until its WAL "
    "has passed its old position. Rebuild the node from a peer (rejoin), or restore beside it (another pg_path) and copy "
    "out what "
    "you need. force_mesh_member restores in place all the same."
)


@dataclass
class Restore:
    """What a restore would do."""

    target: Target
    backup: Backup
    path: str
    in_place: bool
    argv: list[str]
    recovery: dict[str, str]
    archive: Archive | None
    last_segment: Segment | None
    damage_is_silent: bool
    """Whether a server that does not get all the segments opens all the same."""
    before: DataDirectory
    live: list[Place] = field(default_factory=list)
    """What servers of this host work with, which the copy must have nothing of."""
    inside: list[dict[str, t.Any]] = field(default_factory=list)
    """Tablespaces that the WAL makes, which are kept inside the copy."""
    repos: tuple[int, ...] = ()
    """Keys of the stanza's repositories: recovery takes a segment from the first of them that has it."""
    differences: Differences = field(default_factory=Differences)


def manage_restore(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    pgbackrest = from_parameters(params, warn)
    check_restore(params)
    require_unprivileged("A restore")
    checked, damaged = 0, None
    # What is there is looked at and stopped only by the task that holds it.
    with Alone(restored_path(pgbackrest, params)) as alone:
        alone.take()
        restore = plan_restore(pgbackrest, params, warn)
        if not check_mode:
            alone.take(make=True)
            if params["stop_copy"] and is_restored_copy(restore.before):
                stop_server(restore.before)
            pgbackrest.execute(restore.argv, keep_open=[alone.descriptor])
            if not restore.in_place:
                keep_apart(restore)
            if params["verify_archive"]:
                checked, damaged = verify_wal(pgbackrest, restore)
    return {
        "changed": True,
        "commands": [shown(restore.argv)],
        "diff": restore.differences.as_diff(),
        "before": _state(restore.before),
        "restored": {
            "backup": restore.backup.as_data(
                pgbackrest.stanza or "", pgbackrest.configuration.address(pgbackrest.stanza or "", restore.backup.repo)
            ),
            "set": restore.backup.label,
            "repo": restore.backup.repo,
            "type": restore.target.type,
            "target": restore.target.value,
            "pg_path": restore.path,
            "in_place": restore.in_place,
            "recovery": restore.recovery,
            "wal_segments_verified": checked,
            "damaged_wal": damaged,
            "tablespaces_inside": restore.inside,
        },
    }


def restored_path(pgbackrest: PgBackRest, params: dict[str, t.Any]) -> str:
    path = params["pg_path"] or pgbackrest.pg_path
    if not path:
        raise MultimasterError(
            f"Where to restore stanza {params['stanza']} is not known: state pg_path, or pg1-path in pgBackRest's configuration."
        )
    return os.path.abspath(path)


def plan_restore(pgbackrest: PgBackRest, params: dict[str, t.Any], warn: t.Callable[[str], None]) -> Restore:
    """All the guards, then the command. Touches nothing."""
    configured = pgbackrest.pg_path
    path = restored_path(pgbackrest, params)
    refuse_space_in_name(pgbackrest, path)
    in_place = configured is not None and os.path.realpath(path) == os.path.realpath(configured)
    target = parse_target(params["type"], params["target"], params["set"], time.time())
    if params["target_exclusive"] and target.type not in ("time", "xid", "lsn"):
        raise MultimasterError(f"target_exclusive makes sense for types time, xid and lsn, not for {target.type}.")

    # A task that restores another node's backup has a configuration of its own, beside that of this host.
    directories = {*configured_directories(pgbackrest.configuration), *configured_directories(read_configuration())}
    live = [] if in_place else live_places(sorted(directories), path)
    refuse_live_places(path, live, params)

    before = read_data_directory(path)
    if in_place or not params["stop_copy"] or not is_restored_copy(before):
        refuse_running(before)
    elif not params["replace_kept"]:
        refuse_kept(before)
    if params["delta"] and params["delta_by"] == "time":
        refuse_delta_by_time(before, in_place)
    refuse_restoring(path, configured)
    stanza = pgbackrest.stanza_info()
    repos = _readable(pgbackrest, stanza, params["repo"])
    refuse_foreign(before, stanza, params["delta"])
    refuse_unwritable(path)
    if not params["force_mesh_member"]:
        refuse_mesh_member(before, in_place)

    choices = backups_to_try(stanza, repos, target, params["set"])
    backup, archive, last = _reachable(pgbackrest, stanza, choices, target, warn)
    refuse_unknown_timeline(params["target_timeline"], backup, archive, pgbackrest.where(backup.repo))
    if in_place and not params["force_mesh_member"]:
        refuse_mesh_backup(pgbackrest, backup)
    if not in_place or params["tablespace_map"]:
        told = pgbackrest.execute(pgbackrest.argv("info", "--output=json", f"--set={backup.label}", repo=backup.repo))
        refuse_unknown_names(backup.label, tablespaces(told), params["tablespace_map"])
        if not in_place:
            refuse_places(
                backup.label, path, tablespaces(told), params["tablespace_map"], params["tablespace_map_all"], live
            )
    if params["check_free_space"]:
        length = len(archive.path(backup, last)) if archive and last else 0
        size = archive.segment_size if archive else DEFAULT_SEGMENT_SIZE
        spaces = [*params["tablespace_map"].values(), *([params["tablespace_map_all"]] if params["tablespace_map_all"] else [])]
        refuse_too_little_space(path, spaces, backup.size, length, size)
    if backup.has_errors:
        warn(f"Backup {backup.label} has pages with wrong checksums: the node's data was damaged when it was taken.")
    elif choices[-1].has_errors:
        warn(
            f"The newest backup {choices[-1].label} has pages with wrong checksums, so {backup.label}, which has none, is "
            f"restored in its place. To restore that one, name it in set."
        )

    database = stanza.database(backup)
    if params["require_programs"] and database:
        refuse_without_programs(backup, database.version)
    if params["recovery_options"] and database:
        refuse_wrong_settings(pgbackrest.run, database.version, params["recovery_options"])
    recovery = recovery_settings(pgbackrest, path, in_place, target, database.version if database else "", params)
    restore = Restore(
        target=target,
        backup=backup,
        path=path,
        in_place=in_place,
        argv=restore_command(pgbackrest, path, in_place, target, backup, recovery, params),
        recovery=recovery,
        archive=archive,
        last_segment=last,
        damage_is_silent=loses_silently(target, database),
        before=before,
        live=live,
        repos=tuple(each.key for each in stanza.repositories),
    )
    restore.differences.add(
        path,
        {"set": backup.label, "type": target.type, "target": target.value, "recovery": recovery},
        _state(before),
    )
    return restore


def _reachable(
    pgbackrest: PgBackRest, stanza: Stanza, choices: t.Sequence[Backup], target: Target, warn: t.Callable[[str], None]
) -> tuple[Backup, Archive | None, Segment | None]:
    """The first of the backups from which the archive leads to the target, with its archive and the last segment that is read.
    Where there is none, the error is that of the last one, which is the newest."""
    for number, backup in enumerate(choices, 1):
        archive = read_archives(pgbackrest, stanza, [backup.repo]).of(backup)
        told: list[str] = []
        try:
            last = refuse_unreachable(stanza, backup, target, archive, pgbackrest.where(backup.repo), told.append)
        except MultimasterError:
            if number == len(choices):
                raise
        else:
            for each in told:
                warn(each)
            return backup, archive, last
    raise AssertionError("There is no backup to try.")


# --- guards ------------------------------------------------------------------------------------------------------------


def refuse_running(directory: DataDirectory) -> None:
    server = directory.postmaster
    if server is None:
        return
    if server.alive:
        raise MultimasterError(
            f"A PostgreSQL server runs in {directory.path} (process {server.pid}). Stop it first: a restore replaces its files.",
            pid=server.pid,
        )
    raise MultimasterError(
        f"{directory.path} has a postmaster.pid of process {server.pid}, which is no server of that directory any more: "
        f"it crashed. Make sure "
        "that none runs there (in another container, perhaps), then remove that file.",
        pid=server.pid,
    )


def refuse_kept(directory: DataDirectory) -> None:
    server = directory.postmaster
    if server and server.alive and is_kept(directory):
        raise MultimasterError(
            f"The restored copy in {directory.path} was left running to be looked into (process {server.pid}). Where it may be "
            f"stopped and replaced, say so with replace_kept (-e restore_replace_kept=true for the playbook restore); or restore "
            f"into another directory.",
            pid=server.pid,
        )


def refuse_space_in_name(pgbackrest: PgBackRest, path: str) -> None:
    """pgBackRest puts options with a space into double quotes for the other host, as for a shell. Over TLS there is none."""
    stanza = pgbackrest.stanza or ""
    keys = [pgbackrest.repo] if pgbackrest.repo else pgbackrest.configuration.repositories(stanza)
    far = [key for key in keys if pgbackrest.configuration.value(stanza, f"repo{key}-host-type") == "tls"]
    if far and " " in path:
        raise MultimasterError(
            f"pg_path {path} has a space in its name, with which pgBackRest cannot ask {pgbackrest.where(far[0])} for anything. "
            f"Choose another directory. Nothing was changed."
        )


def refuse_live_places(path: str, live: t.Sequence[Place], params: dict[str, t.Any]) -> None:
    """Nothing that the task names is a live server's, and neither is what an earlier copy in the directory has links to.
    Tablespaces have their own check, when it is known which there are."""
    refuse_live_place(path, "pg_path", live)
    for name, value in params["recovery_options"].items():
        # A relative one is one in the copy's directory, and can lead out of it.
        for place in filter(None, str(value).split(",")):
            if "/" in place:
                refuse_live_place(os.path.join(path, place.strip()), f"recovery_options.{name}", live)
    if live:
        refuse_live_links(path, live)


def refuse_delta_by_time(directory: DataDirectory, in_place: bool) -> None:
    """It believes a file's time. That is right for what a restore wrote whole and a server changed since."""
    if in_place:
        raise MultimasterError(
            f"delta_by time is refused in place: it would keep damage in {directory.path} that left a file's time as it was. "
            f"Use delta_by checksum."
        )
    if directory.half_restored or os.path.exists(os.path.join(directory.path, RESTORE_MANIFEST)):
        raise MultimasterError(
            f"delta_by time is refused for {directory.path}, which is only half restored: a file there can have its time and not "
            f"all its contents. Use delta_by checksum."
        )


def refuse_restoring(path: str, configured: str | None) -> None:
    """A pgbackrest restore into the directory that somebody started: pgBackRest itself holds no lock for it."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        words = _command_line(number)
        if not words or os.path.basename(words[0]) != "pgbackrest" or "restore" not in words:
            continue
        paths = [word.partition("=")[2] for word in words if re.match(r"--pg1?-path=", word)]
        if os.path.realpath(path) == os.path.realpath(paths[-1] if paths else configured or "/"):
            raise MultimasterError(_restore_runs(path, f"process {number}"), pid=int(number))


def refuse_foreign(directory: DataDirectory, stanza: Stanza, delta: bool) -> None:
    if not directory.exists or directory.empty:
        return
    owner = directory.system_id if directory.system_id is not None else _half_restored_cluster(directory)
    known = {each.system_id for each in stanza.databases}
    if owner is None:
        raise MultimasterError(
            f"{directory.path} holds files and no PostgreSQL cluster of stanza {stanza.name}. Empty it yourself if they "
            f"are not needed, or "
            "choose another directory; a restore never deletes what it does not know."
        )
    if owner not in known:
        raise MultimasterError(
            f"{directory.path} holds another PostgreSQL cluster (system identifier {owner}) than stanza {stanza.name} has "
            f"backups of "
            f"({', '.join(str(each) for each in sorted(known)) or 'none'}). Restore into another directory.",
            found_system_id=str(owner),
        )
    if not delta:
        raise MultimasterError(
            f"{directory.path} is not empty: it holds a cluster of stanza {stanza.name}. Set delta to replace what "
            f"differs from the backup, "
            "or restore into an empty directory."
        )


def refuse_unknown_timeline(timeline: str | None, backup: Backup, archive: Archive | None, where: str) -> None:
    """Recovery from the backup can go along its own timeline and those that branched off it."""
    number = timeline_number(timeline)
    if number is None or archive is None or not backup.wal_start:
        return
    own = Segment.parse(backup.wal_start, archive.segment_size).timeline
    known = sorted({own, *(each for each in archive.branches | set(archive.segments) if each > own)})
    if number not in known:
        raise MultimasterError(
            f"target_timeline is {timeline}, and recovery from backup {backup.label} in {where} can go along timeline "
            f"{', '.join(str(each) for each in known)}. Nothing was changed."
        )


def refuse_without_programs(backup: Backup, version: str) -> None:
    server = os.path.join(programs_folder(version), "postgres")
    if not os.path.exists(server):
        raise MultimasterError(
            f"Backup {backup.label} is of PostgreSQL {version}, and this host has no {server} to start it with. Install that "
            f"version's programs (Debian's package postgresql-{version}), or restore on another host. Nothing was changed.",
            version=version,
        )


def refuse_wrong_settings(run: Run, version: str, options: t.Mapping[str, t.Any]) -> None:
    """The server of the backup's version is asked whether it takes them, where its programs are here: it ends before it looks
    at any data directory."""
    server = os.path.join(programs_folder(version), "postgres")
    if not os.path.exists(server):
        return
    given = [word for name, value in options.items() for word in ("-c", f"{name}={plain_text(value)}")]
    code, _out, err = run([server, "-D", "/", "-c", "config_file=/dev/null", *given, "-C", "port"], {}, ())
    if code:
        said = next((line for line in err.splitlines() if line.strip()), "it said nothing").partition(":  ")[2] or err
        raise MultimasterError(
            f"PostgreSQL {version} does not take recovery_options: {' '.join(said.split())}. Nothing was changed."
        )


def refuse_mesh_member(directory: DataDirectory, in_place: bool) -> None:
    """A node that was made from another one's files has the same system identifier, wherever its directory is."""
    evidence = directory.mesh_evidence if in_place else directory.member_evidence
    if evidence:
        raise MultimasterError(f"{directory.path} is a mesh member: it has {' and '.join(evidence)}. {MESH_REASON}")


def refuse_mesh_backup(pgbackrest: PgBackRest, backup: Backup) -> None:
    """The backup itself tells whether its node subscribed to others, also where the node's directory is lost."""
    manifest = pgbackrest.content(f"backup/{pgbackrest.stanza}/{backup.label}/backup.manifest", backup.repo)
    count = origins_in_manifest(manifest)
    if count:
        raise MultimasterError(
            f"Backup {backup.label} is of a mesh member: it holds {count} subscription position(s). {MESH_REASON}"
        )


def origins_in_manifest(manifest: str) -> int:
    """Replication origins in a backup, from the size of the file that PostgreSQL keeps them in."""
    for line in manifest.splitlines():
        if line.startswith(ORIGINS_FILE + "="):
            size = re.search(r'"size":(\d+)', line)
            return origins_in_file_of(int(size.group(1))) if size else 0
    return 0


# --- the command -------------------------------------------------------------------------------------------------------


def restore_command(
    pgbackrest: PgBackRest,
    path: str,
    in_place: bool,
    target: Target,
    backup: Backup,
    recovery: dict[str, str],
    params: dict[str, t.Any],
) -> list[str]:
    return pgbackrest.argv(
        "restore",
        f"--pg1-path={path}",
        f"--set={backup.label}",
        *target.arguments(params["target_action"], params["target_exclusive"], params["target_timeline"]),
        *(["--delta"] if params["delta"] else []),
        # Beside --delta this means: compare sizes and times, not checksums. Alone it would overwrite everything.
        *(["--force"] if params["delta"] and params["delta_by"] == "time" else []),
        *(["--archive-mode=off"] if not params["archive"] else []),
        # What the configuration says of links and tablespaces is said for restoring in place.
        *([] if in_place else ["--no-link-all", "--reset-link-map"]),
        *([] if in_place or params["tablespace_map_all"] else ["--reset-tablespace-map-all"]),
        *([] if in_place or params["tablespace_map"] else ["--reset-tablespace-map"]),
        *([f"--tablespace-map-all={params['tablespace_map_all']}"] if params["tablespace_map_all"] else []),
        *(f"--tablespace-map={name}={place}" for name, place in params["tablespace_map"].items()),
        *(f"--recovery-option={name}={value}" for name, value in recovery.items() if name != "archive_mode"),
        repo=backup.repo,
    )


def recovery_settings(
    pgbackrest: PgBackRest, path: str, in_place: bool, target: Target, version: str, params: dict[str, t.Any]
) -> dict[str, str]:
    """What the restored server starts with, beside the target."""
    settings = {"restore_command": archive_get_command(pgbackrest, path, in_place)}
    if not params["archive"]:
        settings["archive_mode"] = "off"
    if not params["subscriptions"]:
        settings[NO_APPLY] = "0"
    if not in_place and version.isdigit() and int(version) >= REFUSES_INSIDE_SINCE:
        settings[INSIDE_ALLOWED] = "on"
    if target.type != "latest" and version.isdigit() and int(version) >= PREFETCH_SINCE:
        # Reading ahead goes beyond the target, where a damaged segment would stop a recovery that has no need of it.
        settings["recovery_prefetch"] = "off"
    settings.update({name: setting_text(value) for name, value in params["recovery_options"].items()})
    return settings


def archive_get_command(pgbackrest: PgBackRest, path: str, in_place: bool) -> str:
    """PostgreSQL takes every failure of this command for the end of the archive and opens the server, unless it ends with
    more than 125. So only "there is no such segment" may be a plain failure."""
    words = [
        pgbackrest.executable,
        *([f"--config={pgbackrest.config}"] if pgbackrest.config else []),
        f"--stanza={pgbackrest.stanza}",
        f"--pg1-path={path}",
        *(f"--{name}={value}" for name, value in repository_options(pgbackrest.options).items()),
        # Fetching ahead uses the lock and spool folder of the live node's archiving.
        *([] if in_place else ["--no-archive-async"]),
        "archive-get",
    ]
    command = f'{_in_shell(words)} %f "%p" || exit $(($? > 1 ? 255 : 1))'
    if not in_place:
        guard = _in_shell([sys.executable, "-I", "-S", os.path.join(path, tablespaces_in_wal.GUARD)])
        command += f'; {guard} %f "%p" || exit 255'
    return setting_text(command)


def _in_shell(words: t.Sequence[str]) -> str:
    """PostgreSQL replaces %f and %p, and %% by one %."""
    return " ".join(shlex.quote(word) for word in words).replace("%", "%%")


def setting_text(value: t.Any) -> str:
    """A setting's value for a configuration file, where pgBackRest writes it between quotes as it is."""
    return plain_text(value).replace("\\", "\\\\").replace("'", "''")


def plain_text(value: t.Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def repository_options(options: dict[str, t.Any]) -> dict[str, str]:
    """Those of the task's options that say where the archive is."""
    place = re.compile(r"^repo\d+-(path|type|host|host-.*|azure-.*|gcs-.*|s3-.*|sftp-.*|storage-.*|cipher-type)$")
    return {
        name: ("y" if value else "n") if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if place.match(name)
    }


# --- afterwards --------------------------------------------------------------------------------------------------------


def keep_apart(restore: Restore) -> None:
    """Give the copy what keeps it out of the live node's directories, and prove that it has no way into them."""
    loader = t.cast(t.Any, tablespaces_in_wal).__loader__
    with open(os.path.join(restore.path, tablespaces_in_wal.GUARD), "w", encoding="utf-8") as stream:
        stream.write(loader.get_source(tablespaces_in_wal.__name__))
    # Segments that the backup itself has (archive-copy) are read where the archive lacks them.
    folder = os.path.join(restore.path, "pg_wal")
    for name in filter(_SEGMENT_NAME.fullmatch, os.listdir(folder)):
        if tablespaces_in_wal.main(name, os.path.join(folder, name)):
            _hold_control(restore)
            raise MultimasterError(
                f"WAL segment {name} of backup {restore.backup.label} could not be looked through for tablespaces. No server "
                f"will start in {restore.path}. Restore another backup."
            )
    try:
        refuse_live_links(restore.path, restore.live)
    except MultimasterError:
        _hold_control(restore)
        raise


def verify_wal(pgbackrest: PgBackRest, restore: Restore) -> tuple[int, str | None]:
    """Fetch the segments that recovery may read and compare their contents with the checksum in their name.

    A damaged segment can decompress to something else without an error, and PostgreSQL takes it for the end of WAL. Where
    it would open then, or has no use for the files without that segment, they are left as half restored ones, so that no
    server starts in them. Where the target may be before the damage, a warning is enough: a server that does not reach a
    time, a transaction or a restore point stops by itself. The same where a segment cannot be fetched for the moment, which
    says nothing about it.

    Returns how many are sound, and the damaged one that follows them.
    """
    if restore.archive is None or restore.last_segment is None:
        return 0, None
    consistent = Segment.parse(restore.backup.wal_stop or "", restore.archive.segment_size)
    segments = restore.archive.path(restore.backup, restore.last_segment)
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=os.path.join(restore.path, "pg_wal")) as directory:
        copy = os.path.join(directory, "segment")
        for number, segment in enumerate(segments):
            tells = not restore.damage_is_silent and segment.number > consistent.number
            try:
                problem = _segment_problem(pgbackrest, restore.archive, segment, copy, restore.path)
            except MultimasterError as failure:
                if not tells:
                    _hold_control(restore)
                raise MultimasterError(
                    f"{failure} The files in {restore.path} are restored, and WAL segment {restore.archive.name(segment)} could "
                    f"not be fetched to compare it with its checksum, which says nothing about it. Run this again with delta.",
                    **failure.details,
                ) from None
            if problem is None and not restore.in_place:
                problem = _note_tablespaces(pgbackrest, restore, segment, copy)
            where = _places(pgbackrest, restore, segment, copy) if problem else ""
            if problem and tells:
                pgbackrest.warn(
                    f"WAL segment {restore.archive.name(segment)} in {where} {problem}: recovery "
                    f"ends before it. Where the target is later, the restored server stops with the message that it was not "
                    f"reached, and loses nothing in silence."
                )
                return number, restore.archive.name(segment)
            if problem:
                _hold_control(restore)
                name = restore.archive.name(segment)
                raise MultimasterError(
                    f"WAL segment {name} in {where} {problem}: recovery would end there "
                    f"and lose what comes "
                    f"later without a word. The files in {restore.path} are restored, but no server will start in them. "
                    f"Restore with delta "
                    "to an earlier target, or from a later backup.",
                    damaged_wal=name,
                )
    return len(segments), None


def _note_tablespaces(pgbackrest: PgBackRest, restore: Restore, segment: Segment, copy: str) -> str | None:
    """Note the tablespaces that the segment makes outside. What is wrong where that cannot be kept inside the copy."""
    with open(copy, "rb") as stream:
        data = stream.read()
    # A segment that is no segment has its own problem: recovery says it.
    with contextlib.suppress(ValueError, struct.error):
        try:
            made = tablespaces_in_wal.made_tablespaces(tablespaces_in_wal.Segment(data))
        except tablespaces_in_wal.CutInTwo as reason:
            return f"makes a tablespace where the live node has it, and {reason}, so that it cannot be kept inside the copy"
        for each in made:
            if each.directory:
                name = restore.archive.name(segment) if restore.archive else ""
                restore.inside.append({"oid": each.oid, "directory": each.directory, "wal": name})
                pgbackrest.warn(
                    f"A tablespace (OID {each.oid}, {each.directory} on the live node) was made after backup "
                    f"{restore.backup.label}, in WAL segment {name}. The copy keeps it inside: "
                    f"{restore.path}/pg_tblspc/{each.oid}."
                )
    return None


def _hold_control(restore: Restore) -> None:
    """Make the directory a half restored one, in which no server starts."""
    os.rename(os.path.join(restore.path, CONTROL_FILE), os.path.join(restore.path, HELD_CONTROL_FILE))


def _places(pgbackrest: PgBackRest, restore: Restore, segment: Segment, copy: str) -> str:
    """The repositories, in words, in which something is wrong with the segment."""
    keys = restore.repos if restore.archive is not None and len(restore.repos) > 1 else ()
    found = []
    for key in keys:
        try:
            wrong = _segment_problem(pgbackrest, t.cast(Archive, restore.archive), segment, copy, restore.path, key) is not None
        except MultimasterError:
            # It cannot be fetched from there for the moment, so it is another one's that recovery would get.
            wrong = False
        if wrong:
            found.append(key)
    return " and ".join(pgbackrest.where(key) for key in found or [restore.backup.repo])


def _segment_problem(
    pgbackrest: PgBackRest, archive: Archive, segment: Segment, copy: str, path: str, repo: int | None = None
) -> str | None:
    """What is wrong with the segment as recovery gets it, or as one repository has it; or None. Raises where it cannot be
    fetched for another reason than its contents."""
    expected = archive.checksums.get(segment)
    argv = pgbackrest.argv(
        "archive-get", archive.name(segment), copy, f"--pg1-path={path}", "--no-archive-async", repo=repo, log="error"
    )
    code, out, err = pgbackrest.answer(argv)
    if code == 1:
        return "is missing"
    if code:
        failure = pgbackrest.failure(argv, code, out, err)
        damage = damage_in(failure.details["pgbackrest_code"], failure.details["pgbackrest_error"])
        if damage is None:
            raise failure
        return f"cannot be read ({damage})"
    with open(copy, "rb") as stream:
        actual = hashlib.sha1(stream.read(), usedforsecurity=False).hexdigest()
    return "is damaged" if expected is not None and actual != expected else None


def _restore_runs(path: str, who: str) -> str:
    return f"Another restore into {path} is running ({who}). Wait for it to end, or end it; a second one would destroy its work."


def _readable(pgbackrest: PgBackRest, stanza: Stanza, repo: int | None) -> list[int]:
    """The repositories to choose from. One that cannot be read is an error when it is asked for or the only one."""
    keys = [repo] if repo else [each.key for each in stanza.repositories]
    usable = [key for key in keys if stanza.repository(key).code in (OK, NO_BACKUP)]
    if not usable:
        raise pgbackrest.unreadable(stanza, keys[0])
    for key in keys:
        if key not in usable:
            pgbackrest.warn(str(pgbackrest.unreadable(stanza, key)))
    return usable


def _half_restored_cluster(directory: DataDirectory) -> int | None:
    """Whose backup a restore that did not end was of, from the manifest that pgBackRest leaves until it is done."""
    path = os.path.join(directory.path, RESTORE_MANIFEST)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("db-system-id="):
                return int(line.partition("=")[2])
    return None


def _command_line(number: str) -> list[str]:
    try:
        with open(f"/proc/{number}/cmdline", "rb") as stream:
            return [word.decode("utf-8", "replace") for word in stream.read().split(b"\0") if word]
    except OSError:
        return []


def _state(directory: DataDirectory) -> dict[str, t.Any]:
    if not directory.exists or directory.empty:
        return {"state": "empty"}
    return {
        "state": "half restored" if directory.half_restored else "cluster",
        "version": directory.version,
        "system_id": str(directory.system_id) if directory.system_id is not None else None,
    }
