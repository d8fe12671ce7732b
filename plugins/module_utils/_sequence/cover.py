# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The event trigger that sets a sequence as soon as it is created or altered."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.differences import Differences
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.own_schema import require_own_schema
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement, compose, joined, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import Node
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.selection import Selection, as_like

SCHEMA = "multimaster"
FUNCTION = "set_new_sequences"
TRIGGER = "multimaster_set_new_sequences"
EVENT = "ddl_command_end"
SEARCH_PATH = "search_path=pg_catalog, pg_temp"
# A session setting: while it is on, the event trigger leaves the session's sequences alone.
BEING_SET = "multimaster.sequences_being_set"

# What pg_event_trigger.evtenabled says; only the first is harmless to apply workers and covers all others.
FIRES = {"O": "enabled", "D": "disabled", "R": "enabled for replicas", "A": "enabled always"}

TAGS = [
    "ALTER FOREIGN TABLE",
    "ALTER SEQUENCE",
    "ALTER TABLE",
    "CREATE FOREIGN TABLE",
    "CREATE SCHEMA",
    "CREATE SEQUENCE",
    "CREATE TABLE",
]

# It runs as whoever creates the table, who owns the new sequence. It never makes their command
# fail over a sequence that it cannot set. As an ordinary (origin) trigger it does not fire in apply
# workers. A descending sequence is computed as an ascending one with all signs turned.
# Where a superuser alters what is another's, that one can have put a table of his in the sequence's place, whose code would run
# as the superuser: it is looked at by its number, which tells where it stands once it has yielded a value. One that is new, and
# so seen by nobody else, and one's own are read by name.
BODY = """
DECLARE
    stride CONSTANT numeric := {stride};
    node_id CONSTANT numeric := {node_id};
    included CONSTANT text[] := ARRAY[{include}]::text[];
    excluded CONSTANT text[] := ARRAY[{exclude}]::text[];
    s record;
    p record;
    direction numeric;
    own numeric;
    lowest numeric;
    highest numeric;
    first_own numeric;
    bottom numeric;
    start_at numeric;
    place numeric;
BEGIN
    IF current_setting('{being_set}', true) = 'on' THEN
        RETURN;
    END IF;
    FOR s IN
        SELECT DISTINCT n.nspname, c.relname, q.*,
            NOT (SELECT u.rolsuper FROM pg_roles u WHERE u.rolname = current_user)
            OR EXISTS (SELECT FROM pg_event_trigger_ddl_commands() m
                       WHERE m.classid = 'pg_class'::regclass AND m.objid = q.seqrelid AND m.command_tag = 'CREATE SEQUENCE')
            OR (SELECT bool_and(r.rolsuper) FROM pg_roles r
                WHERE r.oid IN (c.relowner, CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN
                    (SELECT b.datdba FROM pg_database b WHERE b.datname = current_database()) ELSE n.nspowner END)) AS by_name
        FROM pg_event_trigger_ddl_commands() d
        CROSS JOIN LATERAL (
            SELECT d.objid AS oid
            UNION ALL
            SELECT o.objid FROM pg_depend o
            WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass
              AND o.refobjid = d.objid AND o.refobjsubid > 0 AND o.deptype IN ('a', 'i')) touched
        JOIN pg_sequence q ON q.seqrelid = touched.oid
        JOIN pg_class c ON c.oid = q.seqrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE d.classid = 'pg_class'::regclass AND NOT d.in_extension AND c.relpersistence = 'p'
          AND NOT EXISTS (SELECT FROM pg_depend e
                          WHERE e.classid = 'pg_class'::regclass AND e.objid = q.seqrelid AND e.deptype = 'e')
          AND n.nspname || '.' || c.relname LIKE ANY (included)
          AND NOT n.nspname || '.' || c.relname LIKE ANY (excluded)
    LOOP
        IF s.by_name THEN
            EXECUTE format('SELECT last_value::numeric, is_called FROM %I.%I', s.nspname, s.relname) INTO p;
        ELSE
            BEGIN
                SELECT pg_sequence_last_value(s.seqrelid)::numeric AS last_value, true AS is_called INTO p;
            EXCEPTION WHEN OTHERS THEN  -- it was dropped meanwhile
                CONTINUE;
            END;
            CONTINUE WHEN p.last_value IS NULL;
        END IF;
        direction := sign(s.seqincrement);
        own := mod(direction * node_id, stride);
        lowest := least(direction * s.seqmin, direction * s.seqmax);
        highest := greatest(direction * s.seqmin, direction * s.seqmax);
        first_own := lowest + mod(mod(own - lowest, stride) + stride, stride);
        bottom := CASE WHEN s.seqcycle THEN first_own ELSE lowest END;
        start_at := greatest(direction * s.seqstart, bottom);
        start_at := start_at + mod(mod(own - start_at, stride) + stride, stride);
        IF start_at > highest THEN
            start_at := first_own;
        END IF;
        place := direction * p.last_value;
        IF s.seqincrement = direction * stride AND direction * s.seqstart = start_at AND lowest = bottom
           AND mod(place - own, stride) = 0 THEN
            CONTINUE;
        END IF;
        place := place + CASE WHEN p.is_called THEN 1 ELSE 0 END;
        place := place + mod(mod(own - place, stride) + stride, stride);
        IF place > highest AND s.seqcycle THEN
            place := first_own;
        END IF;
        IF first_own > highest OR s.seqcycle AND first_own = highest OR place > highest AND NOT p.is_called THEN
            RAISE WARNING 'sequence %.% is left as it is: no value from its range is left for node % of %',
                s.nspname, s.relname, node_id, stride
                USING HINT = 'Other nodes can yield the same values. Widen its range.';
            CONTINUE;
        END IF;
        PERFORM set_config('{being_set}', 'on', true);
        EXECUTE format('ALTER SEQUENCE %I.%I INCREMENT BY %s START WITH %s', s.nspname, s.relname,
                       direction * stride, direction * start_at)
            || CASE WHEN lowest = bottom THEN '' WHEN direction > 0 THEN format(' MINVALUE %s', bottom)
                    ELSE format(' MAXVALUE %s', -bottom) END
            || CASE WHEN place > highest THEN '' ELSE format(' RESTART WITH %s', direction * place) END;
        PERFORM set_config('{being_set}', '', true);
    END LOOP;
END
"""

READ = f"""
SELECT n.oid IS NOT NULL AS schema,
       EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
               AND (d.classid, d.objid) IS DISTINCT FROM ('pg_proc'::regclass::oid, f.oid)) AS shared,
       f.oid IS NOT NULL AS function, f.prosrc AS source, f.proconfig AS config, f.prosecdef AS definer,
       l.lanname AS language,
       e.oid IS NOT NULL AS trigger, e.evtevent AS event, e.evttags AS tags, e.evtenabled AS enabled,
       e.evtfoid = f.oid AS calls_function,
       EXISTS (SELECT FROM pg_roles r WHERE r.oid = f.proowner AND r.rolsuper) AS of_superuser,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
FROM (SELECT) one
LEFT JOIN pg_namespace n ON n.nspname = '{SCHEMA}'
LEFT JOIN pg_proc f ON f.pronamespace = n.oid AND f.proname = '{FUNCTION}' AND f.pronargs = 0
LEFT JOIN pg_language l ON l.oid = f.prolang
LEFT JOIN pg_event_trigger e ON e.evtname = '{TRIGGER}'
"""


@dataclass(frozen=True)
class Cover:
    """The event trigger, its function and their schema as they are."""

    schema: bool = False
    shared: bool = False
    function: bool = False
    source: str | None = None
    config: list[str] | None = None
    definer: bool | None = None
    language: str | None = None
    trigger: bool = False
    event: str | None = None
    tags: list[str] | None = None
    enabled: str | None = None
    calls_function: bool | None = None
    # The function's owner: it runs as whoever makes a table, superusers too.
    of_superuser: bool = True
    superuser: bool = True

    def function_is(self, source: str) -> bool:
        wanted = (source, [SEARCH_PATH], False, "plpgsql", True)
        return (self.source, self.config, self.definer, self.language, self.of_superuser) == wanted

    @property
    def trigger_is_right(self) -> bool:
        return bool(self.calls_function) and self.event == EVENT and sorted(self.tags or []) == TAGS

    @property
    def trigger_state(self) -> str:
        if not self.trigger:
            return "absent"
        return FIRES.get(self.enabled or "", "altered") if self.trigger_is_right else "altered"

    def state(self, source: str | None) -> str:
        """Against what is wanted; where nothing is wanted, whether anything is there."""
        if not (self.function or self.trigger):
            return "absent"
        is_as_wanted = source is not None and self.function_is(source) and self.trigger_is_right and self.enabled == "O"
        if source is None or is_as_wanted:
            return "present"
        return "altered"


def read_cover(connection: Connection) -> Cover:
    require_own_schema(connection)
    return Cover(**connection.fetch_one(READ))


def body(node: Node, selection: Selection) -> str:
    """The function's source for a node: everything that decides about a new sequence is in it."""
    return BODY.format(
        stride=node.stride,
        node_id=node.node_id,
        include=_texts(selection.include),
        exclude=_texts(selection.exclude),
        being_set=BEING_SET,
    )


def plan_cover(cover: Cover, source: str | None, differences: Differences) -> list[Statement]:
    """What makes the cover as wanted; ``source`` None: gone."""
    if source is None:
        return _plan_removal(cover, differences)
    commands: list[sql.Composable] = []
    function = (SCHEMA, FUNCTION)
    if differences.add(f"schema {SCHEMA}", "present", "present" if cover.schema else "absent"):
        commands.append(compose("CREATE SCHEMA {}", SCHEMA))
    is_right = "present" if cover.function_is(source) else "altered" if cover.function else "absent"
    if differences.add(f"function {SCHEMA}.{FUNCTION}", "present", is_right):
        commands.append(
            compose(
                "CREATE OR REPLACE FUNCTION {}() RETURNS event_trigger LANGUAGE plpgsql SECURITY INVOKER "
                "SET search_path = pg_catalog, pg_temp AS {}",
                function,
                sql.Literal(source),
            )
        )
        if cover.function and not cover.of_superuser:
            commands.append(compose("ALTER FUNCTION {}() OWNER TO CURRENT_USER", function))
    if differences.add(f"event trigger {TRIGGER}", "enabled", cover.trigger_state):
        if cover.trigger and cover.trigger_is_right:
            commands.append(compose("ALTER EVENT TRIGGER {} ENABLE", TRIGGER))
        else:
            if cover.trigger:
                commands.append(compose("DROP EVENT TRIGGER IF EXISTS {}", TRIGGER))
            commands.append(
                compose(
                    "CREATE EVENT TRIGGER {} ON {} WHEN TAG IN ({}) EXECUTE FUNCTION {}()",
                    TRIGGER,
                    EVENT,
                    joined(sql.Literal(tag) for tag in TAGS),
                    function,
                )
            )
    return [Statement(command) for command in commands]


def _plan_removal(cover: Cover, differences: Differences) -> list[Statement]:
    commands: list[sql.Composable] = []
    if differences.add(f"event trigger {TRIGGER}", "absent", "present" if cover.trigger else "absent"):
        commands.append(compose("DROP EVENT TRIGGER {}", TRIGGER))
    if differences.add(f"function {SCHEMA}.{FUNCTION}", "absent", "present" if cover.function else "absent"):
        commands.append(compose("DROP FUNCTION {}()", (SCHEMA, FUNCTION)))
        # Only together with what this module made in it: an empty schema may be the user's own.
        if not cover.shared:
            differences.add(f"schema {SCHEMA}", "absent", "present")
            commands.append(compose("DROP SCHEMA {}", SCHEMA))
    return [Statement(command) for command in commands]


def _texts(patterns: t.Iterable[str]) -> str:
    """LIKE patterns as literals that read the same under every setting of a session."""
    escaped = (as_like(pattern).replace("\\", "\\\\").replace("'", "''") for pattern in patterns)
    return ", ".join(f"E'{pattern}'" for pattern in escaped)
