# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The proof that a restored copy is whole: it starts, its tables and indexes are sound, and this is how many rows it has."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import psycopg2
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.checks import check_proof
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.copy import RestoredCopy
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.directory_lock import Alone

try:
    from psycopg2 import sql
except ImportError:  # reported by the module; the import must succeed without it
    sql = None  # type: ignore[assignment]

PROBLEMS_SHOWN = 20
# Classes of SQLSTATE that say that data is damaged or gone: what PostgreSQL finds wrong inside itself (amcheck's errors are among
# these), and errors of the disk. Any other failure of a check says nothing about the data.
DAMAGE = ("XX", "58")

_DATABASES = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
_STATE = """
SELECT pg_catalog.pg_last_wal_replay_lsn()::text, pg_catalog.pg_last_xact_replay_timestamp()::text,
       pg_catalog.current_setting('archive_mode'), pg_catalog.current_setting('max_logical_replication_workers'),
       pg_catalog.current_setting('listen_addresses'), pg_catalog.current_setting('data_directory')
"""
# All that may name a place: files, folders, and lists of folders.
_PATHS = """
SELECT name, pg_catalog.btrim(place) FROM pg_catalog.pg_settings, pg_catalog.regexp_split_to_table(setting, ',') AS place
WHERE vartype OPERATOR(pg_catalog.=) 'string' AND pg_catalog.btrim(place) OPERATOR(pg_catalog.~~) '/%'
"""
_SUBSCRIPTIONS = """
SELECT subname, subenabled, subslotname IS NOT NULL FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY subname
"""
_TABLES = """
SELECT n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), r.rolname, r.rolsuper,
       c.relrowsecurity AND c.relforcerowsecurity AND NOT r.rolbypassrls
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2
"""
# To plan a query runs code of the table's owner as whoever asks, who is a superuser here, on a host that is not the owner's. Only
# a function that runs with the rights of its owner cannot become anybody else again.
_COUNT_AS_OWNER = """
BEGIN READ WRITE;
CREATE FUNCTION pg_temp.multimaster_count() RETURNS pg_catalog.int8 LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS {body};
ALTER FUNCTION pg_temp.multimaster_count() OWNER TO {owner};
SELECT pg_temp.multimaster_count()
"""
_AMCHECK = """
SELECT nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'
"""
# With the types of the extension's own arguments, all of them: where it is in a schema of somebody else's, a function of that one
# could fit better otherwise, and would run as the superuser.
_VERIFY_HEAP = """
SELECT blkno, msg FROM {}.verify_heapam(%s::pg_catalog.oid::pg_catalog.regclass, false, false, 'none'::pg_catalog.text,
                                        NULL::pg_catalog.int8, NULL::pg_catalog.int8) LIMIT 3
"""
_CHECK_INDEX = "SELECT {}.bt_index_check(%s::pg_catalog.oid::pg_catalog.regclass, true)"
# Every heap, also of the catalogs; and every B-tree that is valid. Copies of unlogged tables are empty by nature.
_HEAPS = """
SELECT c.oid::pg_catalog.regclass::text, c.oid FROM pg_catalog.pg_class c
WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' ORDER BY c.oid
"""
_INDEXES = """
SELECT c.oid::pg_catalog.regclass::text, c.oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready ORDER BY c.oid
"""


def manage_proof(params: dict[str, t.Any], check_mode: bool, warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    check_proof(params)
    copy = RestoredCopy(
        params["pg_path"],
        params["port"],
        params["socket_directory"],
        params["bin_path"],
        {name: str(value) for name, value in params["settings"].items()},
    )
    # A restore would stop the server and replace its files in the middle of it.
    with Alone(copy.path) as alone:
        alone.take()
        directory = copy.require_restored()
        if check_mode:
            return {"changed": True, "databases": [], "problems": [], "recovered_to": None, "subscriptions": []}
        copy.start(directory, params["timeout"])
        copy.keep(params["keep_running"])
        try:
            result = _prove(copy, params)
        except psycopg2.Error as error:
            raise MultimasterError(
                f"The restored server in {copy.path} started but could not be examined: {' '.join(str(error).split())}"
            ) from None
        finally:
            if not params["keep_running"]:
                copy.stop()
    unchecked = result.pop("unchecked")
    if result["problems"]:
        found = " ".join(result["problems"][:PROBLEMS_SHOWN])
        raise MultimasterError(
            f"The restored copy in {copy.path} is damaged: {found} Restore an older backup.",
            **{key: value for key, value in result.items() if key != "changed"},
        )
    if unchecked:
        raise MultimasterError(
            f"The restored copy in {copy.path} could not be checked: {' '.join(unchecked[:PROBLEMS_SHOWN])} This says "
            f"nothing about the backup. Mend the cause and run this again.",
            **{key: value for key, value in result.items() if key != "changed"},
        )
    return result


def _prove(copy: RestoredCopy, params: dict[str, t.Any]) -> dict[str, t.Any]:
    with contextlib.closing(copy.session("postgres")) as session:
        lsn, moment, archive_mode, workers, listening, directory = _rows(session, _STATE)[0]
        if not copy.is_directory(directory):
            raise MultimasterError(f"The server on port {copy.port} is that of {directory}, not of {copy.path}. Stop it first.")
        if (archive_mode, workers, listening) != ("off", "0", ""):
            raise MultimasterError(f"The server in {copy.path} is not the silent one that this starts. Stop it first.")
        copy.require_apart(_rows(session, _PATHS))
        names = [name for (name,) in _rows(session, _DATABASES)]
    unknown = sorted(set(params["databases"]) - set(names))
    if unknown:
        raise MultimasterError(f"The restored copy has no database {', '.join(unknown)}; it has {', '.join(names)}.")
    result: dict[str, t.Any] = {
        "changed": True,
        "recovered_to": {"lsn": lsn, "last_transaction": moment},
        "databases": [],
        "subscriptions": [],
        "problems": [],
        "unchecked": [],
    }
    for name in names:
        with contextlib.closing(copy.session(name)) as session:
            result["subscriptions"] += [f"{name}: {each}" for each in _detach(session)]
            if params["databases"] and name not in params["databases"]:
                continue
            checked, problems, unchecked = _check(session) if params["amcheck"] else (0, [], [])
            # What is damaged cannot be counted.
            rows = _count(session) if params["count_rows"] and not problems and not unchecked else {}
            result["databases"].append({"name": name, "checked": checked, "rows": rows})
            result["problems"] += [f"{name}: {each}" for each in problems]
            result["unchecked"] += [f"{name}: {each}" for each in unchecked]
            if session.closed:  # the server ended; what was found until then is told
                break
    return result


def _detach(session: t.Any) -> list[str]:
    """Disable the copy's subscriptions and take their slots from them: dropping one would drop the live node's slot."""
    found = []
    for name, enabled, has_slot in _rows(session, _SUBSCRIPTIONS):
        identifier = sql.Identifier(name)
        if enabled:
            _run(session, sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(identifier))
        if has_slot:
            _run(session, sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(identifier))
        found.append(name)
    return found


def _check(session: t.Any) -> tuple[int, list[str], list[str]]:
    """How many relations were checked, what is wrong with them, and what kept others from being checked."""
    # Where there is none yet, out of the way of what users have.
    _run(session, "CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog")
    schema = sql.Identifier(_rows(session, _AMCHECK)[0][0])
    heap = sql.SQL(_VERIFY_HEAP).format(schema)
    index = sql.SQL(_CHECK_INDEX).format(schema)
    heaps, indexes = _rows(session, _HEAPS), _rows(session, _INDEXES)
    checked, problems, unchecked = 0, [], []
    for query, name, oid in [*((heap, *each) for each in heaps), *((index, *each) for each in indexes)]:
        try:
            found = _rows(session, query, [oid])
            # A B-tree's check has nothing to tell but an error.
            problems += [f"{name}, block {block}: {message}." for block, message in (found if query is heap else [])]
        except psycopg2.Error as error:
            if not is_damage(error):
                unchecked.append(f"{name}: {_first_line(error)}.")
                if session.closed:
                    break
                continue
            problems.append(f"{name}: {_first_line(error)}.")
        checked += 1
    return checked, problems, unchecked


def is_damage(error: psycopg2.Error) -> bool:
    """Whether a check that failed has found damage. A time limit or a missing right is none."""
    return (error.pgcode or "").startswith(DAMAGE)


def _count(session: t.Any) -> dict[str, int]:
    counted = {}
    for schema, table, shown, owner, is_superusers, hides in _rows(session, _TABLES):
        name = sql.Identifier(schema, table)
        query = sql.SQL("SELECT count(*) FROM ONLY {}").format(name)
        if is_superusers:
            counted[shown] = _rows(session, query)[0][0]
        elif hides:
            # From its owner, too. COPY runs no code of his.
            rows = _Rows()
            with session.cursor() as cursor:
                cursor.copy_expert(sql.SQL("COPY {} TO STDOUT").format(name), rows)
            counted[shown] = rows.count
        else:
            body = sql.Literal(query.as_string(session))
            try:
                counted[shown] = _rows(session, sql.SQL(_COUNT_AS_OWNER).format(body=body, owner=sql.Identifier(owner)))[0][0]
            finally:
                _run(session, "ROLLBACK")
    return counted


class _Rows:
    """What COPY writes to."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, _row: bytes) -> None:
        self.count += 1


def _rows(session: t.Any, query: t.Any, parameters: t.Sequence[t.Any] | None = None) -> list[tuple[t.Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _run(session: t.Any, query: t.Any, parameters: t.Sequence[t.Any] | None = None) -> None:
    with session.cursor() as cursor:
        cursor.execute(query, parameters)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
