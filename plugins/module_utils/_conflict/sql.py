# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The objects that last-update-wins consists of: their names, and the SQL of the shared ones.

A row carries its version in two columns. ``_mm_version`` is the time of the write in microseconds times
1024 plus the node's id, so that one comparison decides and the id breaks ties; ``_mm_base`` is the version
that an update replaced. A replicated update whose base is the local version conflicts with nothing.
A version of NULL is from before the policy: older than all others. A base of NULL: the row was never updated;
of 0: its update replaced a row from before the policy.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, sql

SCHEMA = "multimaster"
VERSION, BASE = "_mm_version", "_mm_base"
HISTORY = "conflict"
MAX_NODE_ID = 1023

# BEFORE triggers fire in the order of their names: a row's conflict is decided before the user's own
# triggers see it, and its version is set after they had their say.
INSERT_TRIGGER = "00_multimaster_insert"
UPDATE_TRIGGER = "00_multimaster_update"
DELETE_TRIGGER = "00_multimaster_delete"
STAMP_TRIGGER = "zz_multimaster_stamp"
KEY_TRIGGER = "zz_multimaster_stamp_key"
TRIGGERS = [INSERT_TRIGGER, UPDATE_TRIGGER, DELETE_TRIGGER, STAMP_TRIGGER, KEY_TRIGGER]
GUARD_TRIGGER = "multimaster_guard"
TRUNCATE_TRIGGER = "multimaster_guard_truncate"
KEEPER, KEEPER_FUNCTION = "multimaster_keep_policy", "keep_policy"

COLUMN_COMMENTS = {
    VERSION: "multimaster.postgresql: version of the row (microseconds * 1024 + node id)",
    BASE: "multimaster.postgresql: version that the last update replaced",
}

_NOW = "(pg_catalog.date_part('epoch', pg_catalog.{clock}()) * 1000000)::pg_catalog.int8"

# The default of the version column. The lock tells apply workers that a local insert is under way, see the fast path in
# _conflict.table. Anybody can take such a lock: so nothing waits for it, and who holds it keeps workers from the fast path alone.
# They take it for a moment themselves: after that it is there. Apply workers and restores give the row's version or have none.
_NEW_VERSION = """
SELECT CASE WHEN pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.=) 'replica'
              OR (pg_catalog.pg_try_advisory_xact_lock_shared($1) OR pg_catalog.pg_try_advisory_xact_lock_shared($1)) IS NULL
            THEN NULL ELSE ({now} OPERATOR(pg_catalog.<<) 10) OPERATOR(pg_catalog.|) {node_id} END
"""

# A version never runs backwards for a row, however far behind this node's clock is.
_STAMP = """
BEGIN
    new._mm_base := {base};
    new._mm_version := (greatest({now}, (old._mm_version >> 10) + 1) << 10) | {node_id};
    RETURN new;
END
"""

# Large values that an update does not touch are not replicated, so the node where this update wins would
# keep its own. Computing the size of the whole row fetches them into it, and they are written again. One
# expression for both, since each costs anew in every transaction.
_FETCH_LARGE_VALUES = "CASE WHEN pg_catalog.pg_column_size(new) > 0 THEN coalesce(old._mm_version, 0) END"

# A delete arrives with the key alone. That its node cannot have seen an update made here is known of none and
# ruled out for those that are old. Rows that were only inserted are not recorded: nearly always it deleted what it had, and to
# record them all would make every delete of a young row a conflict. So a row goes unrecorded where the key was deleted and
# inserted again here while the other node deleted the old row; the notes of pg_conflict_policy say so.
_DELETE = """
BEGIN
    IF old._mm_base IS NULL OR (old._mm_version & 1023) <> {node_id}
       OR (old._mm_version >> 10) < {now} - {delete_window} OR pg_catalog.pg_trigger_depth() > 1
    THEN
        RETURN old;
    END IF;
    PERFORM multimaster.record_conflict(tg_relid, tg_argv[0]::pg_catalog.text[], '{{}}', 'update_delete', 'remote',
        multimaster.row_as_json(old), NULL, old._mm_version, NULL);
    RETURN old;
END
"""

# The text of a value depends on settings of the session, and those of apply workers are their servers'. Rows are compared
# by it where neither has a version, and all nodes have to choose the same one.
_TEXT_FORMS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}

# An update whose row is not there makes no trigger fire where it arrives: deleted, or moved to another key on that node. So a
# changed key is noted in the history before it is written. The note arrives first, stays as a conflict that is not decided, and
# goes when the update finds its row.
_NOTE_KEY = """
DECLARE
    before pg_catalog.jsonb := multimaster.row_as_json(old);
BEGIN
    PERFORM multimaster.record_key(tg_relid,
        (SELECT pg_catalog.jsonb_object_agg(k, before -> k) FROM pg_catalog.unnest(tg_argv[0]::pg_catalog.text[]) k),
        multimaster.row_as_json(new), new._mm_version);
    RETURN new;
END
"""
_RECORD_KEY = """
BEGIN
    IF pg_catalog.pg_trigger_depth() = 0 THEN
        RAISE EXCEPTION 'multimaster.record_key is for the triggers of multimaster.postgresql';
    END IF;
    INSERT INTO multimaster.conflict (node, table_schema, table_name, key, kind, winner, local_row, local_version)
    SELECT {node_id}, n.nspname, r.relname, $2, 'key_change', 'local', $3 - '{{_mm_version,_mm_base}}'::pg_catalog.text[], $4
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = $1;
    DELETE FROM multimaster.conflict c
    WHERE c.node = {node_id} AND c.recorded_at < pg_catalog.clock_timestamp() - '{history_days} days'::pg_catalog.interval
      AND c.id IN (SELECT o.id FROM multimaster.conflict o WHERE o.node = {node_id} ORDER BY o.id LIMIT 2);
END
"""
# Nearly always it is the newest of all; parallel workers add some.
_KEY_ARRIVED = """
BEGIN
    IF pg_catalog.current_setting('session_replication_role') <> 'replica' OR pg_catalog.pg_trigger_depth() = 0 THEN
        RAISE EXCEPTION 'multimaster.key_arrived is for the triggers of multimaster.postgresql';
    END IF;
    DELETE FROM multimaster.conflict c
    WHERE c.node = {node_id} AND c.id =
        (SELECT o.id FROM (SELECT p.id, p.winner, p.remote_version FROM multimaster.conflict p WHERE p.node = {node_id}
                           ORDER BY p.id DESC LIMIT 1000) o
         WHERE o.winner = 'undecided' AND o.remote_version = $1 LIMIT 1);
END
"""

_ROW_AS_JSON = """
BEGIN
    RETURN pg_catalog.to_jsonb($1);
EXCEPTION WHEN program_limit_exceeded THEN
    RETURN '{"multimaster": "the row is too large to be kept"}';
END
"""

# For a table whose columns are not those that its trigger's function was written for: the list of now, at the price of a
# statement that is planned for each row. The table is a name, quoted where it needs it; so is the clause for conflicts whole.
_INSERT_ANEW = """
DECLARE
    columns pg_catalog.text;
    inserted pg_catalog.int8;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    EXECUTE pg_catalog.concat('INSERT INTO ', $1, ' (', columns, ') OVERRIDING SYSTEM VALUE SELECT ', columns,
        ' FROM (SELECT ($1).*) n ', $2) USING $3;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    RETURN inserted > 0;
END
"""
_HAS_GENERATED = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a
               WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
                 AND a.attgenerated OPERATOR(pg_catalog.<>) '')
"""

# Runs with the rights of its owner, for apply workers that act as the table's owner. Others are turned away.
# Old entries go a few at a time, here: what an apply worker deletes is not replicated.
_RECORD = """
DECLARE
    root pg_catalog.oid := coalesce(pg_catalog.pg_partition_root($1)::pg_catalog.oid, $1);
    hidden pg_catalog.text[] := $3 || '{{_mm_version,_mm_base}}'::pg_catalog.text[];
    local_json pg_catalog.jsonb := $6 - hidden;
    remote_json pg_catalog.jsonb := $7 - hidden;
BEGIN
    IF pg_catalog.current_setting('session_replication_role') <> 'replica' OR pg_catalog.pg_trigger_depth() = 0 THEN
        RAISE EXCEPTION 'multimaster.record_conflict is for the triggers of multimaster.postgresql';
    END IF;
    DELETE FROM multimaster.conflict c
    WHERE c.node = {node_id} AND c.recorded_at < pg_catalog.clock_timestamp() - '{history_days} days'::pg_catalog.interval
      AND c.id IN (SELECT o.id FROM multimaster.conflict o WHERE o.node = {node_id} ORDER BY o.id LIMIT 100);
    INSERT INTO multimaster.conflict
        (node, table_schema, table_name, key, kind, winner, local_row, remote_row, local_version, remote_version, subscription)
    SELECT {node_id}, n.nspname, r.relname,
           (SELECT pg_catalog.jsonb_object_agg(k, coalesce($6, $7) -> k) FROM pg_catalog.unnest($2) k),
           $4, $5, local_json, remote_json, $8, $9,
           (SELECT s.subname FROM pg_catalog.pg_stat_get_subscription(NULL) w
            JOIN pg_catalog.pg_subscription s ON s.oid = w.subid WHERE w.pid = pg_catalog.pg_backend_pid() LIMIT 1)
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = root;
END
"""

# The history is each node's own. With FOR ALL TABLES it is published: nothing that arrives gets in, but for notes of changed
# keys, as entries of this node's own, and not those that an initial copy brings. A TRUNCATE that arrives cannot be kept out: a
# trigger of a statement has no say in whether it is done, and an error would stop the apply worker for ever. So it is refused
# where it is made.
_GUARD = """
BEGIN
    IF tg_op = 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_subscription(NULL) w WHERE w.pid = pg_catalog.pg_backend_pid()) THEN
            RAISE EXCEPTION 'TRUNCATE of multimaster.conflict would empty the histories of all nodes'
                USING HINT = 'DELETE its rows instead: that is not replicated.';
        END IF;
        RETURN NULL;
    END IF;
    IF pg_catalog.pg_trigger_depth() > 1 THEN
        RETURN coalesce(new, old);
    END IF;
    IF tg_op = 'INSERT' AND new.kind = 'key_change' AND new.node <> {node_id} THEN
        SELECT s.subname INTO new.subscription FROM pg_catalog.pg_stat_get_subscription(NULL) w
        JOIN pg_catalog.pg_subscription s ON s.oid = w.subid
        WHERE w.pid = pg_catalog.pg_backend_pid() AND w.relid IS NULL LIMIT 1;
        IF new.subscription IS NOT NULL THEN
            new.node := {node_id};
            new.id := pg_catalog.nextval('multimaster.conflict_id_seq'::pg_catalog.regclass);
            new.recorded_at := pg_catalog.clock_timestamp();
            new.kind := 'update_key';
            new.winner := 'undecided';
            new.remote_row := new.local_row;
            new.remote_version := new.local_version;
            new.local_row := NULL;
            new.local_version := NULL;
            RETURN new;
        END IF;
    END IF;
    RETURN NULL;
END
"""

# ALTER TABLE .. DISABLE TRIGGER ALL and ENABLE TRIGGER ALL, as pg_dump and pg_restore --disable-triggers write them, would leave
# the policy's triggers firing for local writes and not for applied ones. So they are set right at once, by whoever altered the
# table and with that role's rights. As an ordinary event trigger it does not fire in apply workers. No command fails for it.
_KEEP_POLICY = """
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT DISTINCT n.nspname, c.relname, g.tgname, w.how
        FROM pg_event_trigger_ddl_commands() d
        JOIN pg_class c ON c.oid = d.objid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal
        JOIN pg_proc f ON f.oid = g.tgfoid
        JOIN pg_namespace o ON o.oid = f.pronamespace AND o.nspname = 'multimaster'
        JOIN (VALUES {triggers}) w (name, enabled, how) ON w.name = g.tgname::text
        WHERE d.classid = 'pg_class'::regclass AND g.tgenabled::text <> w.enabled
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %I.%I %s TRIGGER %I', t.nspname, t.relname, t.how, t.tgname);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'the trigger % of %.% is not in force: %', t.tgname, t.nspname, t.relname, sqlerrm
                USING HINT = 'Until pg_conflict_policy has run, conflicts of this table are not decided.';
        END;
    END LOOP;
END
"""
KEPT = {
    INSERT_TRIGGER: ("R", "ENABLE REPLICA"),
    UPDATE_TRIGGER: ("R", "ENABLE REPLICA"),
    DELETE_TRIGGER: ("R", "ENABLE REPLICA"),
    STAMP_TRIGGER: ("O", "ENABLE"),
    KEY_TRIGGER: ("O", "ENABLE"),
    GUARD_TRIGGER: ("R", "ENABLE REPLICA"),
    TRUNCATE_TRIGGER: ("A", "ENABLE ALWAYS"),
}

_SUMMARY = """
SELECT c.table_schema, c.table_name, c.kind, c.winner, pg_catalog.count(*), pg_catalog.max(c.recorded_at)
FROM multimaster.conflict c
WHERE c.node = {node_id} AND c.recorded_at >= pg_catalog.clock_timestamp() - '{history_days} days'::pg_catalog.interval
  AND c.kind <> 'key_change'
GROUP BY c.table_schema, c.table_name, c.kind, c.winner
ORDER BY c.table_schema, c.table_name, c.kind, c.winner
"""

HISTORY_COLUMNS = {
    "node": "smallint NOT NULL",
    "id": "bigint GENERATED ALWAYS AS IDENTITY",
    "recorded_at": "timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()",
    "table_schema": "text NOT NULL",
    "table_name": "text NOT NULL",
    "key": "jsonb",
    "kind": "text NOT NULL",
    "winner": "text NOT NULL",
    "local_row": "jsonb",
    "remote_row": "jsonb",
    "local_version": "bigint",
    "remote_version": "bigint",
    "subscription": "text",
}

# The time of a delete is that of its commit, which is known where commit timestamps are kept.
HISTORY_VIEW = """
CREATE OR REPLACE VIEW multimaster.conflict_history AS
SELECT c.id, c.node, c.recorded_at, c.table_schema, c.table_name, c.key, c.kind, c.winner,
       c.local_row, pg_catalog.to_timestamp((c.local_version >> 10) / 1000000.0::float8) AS local_time,
       (c.local_version & 1023)::smallint AS local_node,
       c.remote_row,
       CASE WHEN c.remote_version IS NOT NULL
            THEN pg_catalog.to_timestamp((c.remote_version >> 10) / 1000000.0::float8)
            WHEN c.kind = 'update_delete' AND pg_catalog.current_setting('track_commit_timestamp') = 'on'
            THEN pg_catalog.pg_xact_commit_timestamp(c.xmin) END AS remote_time,
       (c.remote_version & 1023)::smallint AS remote_node,
       c.local_version, c.remote_version, c.subscription
FROM multimaster.conflict c
WHERE c.recorded_at >= pg_catalog.clock_timestamp() - multimaster.history_kept()
"""


@dataclass(frozen=True)
class Settings:
    """What the shared functions are made for."""

    node_id: int
    history_days: int
    delete_window: int
    # Empty: whoever made it keeps it.
    history_owner: str = ""
    history_readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """A function as it has to be."""

    name: str
    body: str
    arguments: str = ""
    returns: str = "trigger"
    language: str = "plpgsql"
    volatility: str = "v"
    definer: bool = False
    # A search_path of its own, as every function has that runs with its owner's rights.
    own_path: bool = False
    settings: tuple[tuple[str, str], ...] = ()

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()

    @property
    def properties(self) -> tuple[t.Any, ...]:
        """What the catalogue says of it."""
        path = [("search_path", "pg_catalog, pg_temp")] if self.definer or self.own_path else []
        config = tuple(f"{name}={value}" for name, value in (*path, *self.settings))
        return (self.digest, self.language, self.volatility, self.definer, config)

    @property
    def signature(self) -> sql.Composed:
        return compose("{}({})", (SCHEMA, self.name), sql.SQL(self.arguments))

    @property
    def is_called(self) -> bool:
        """By whoever writes to the tables or reads the history. To fire as a trigger needs no right of theirs."""
        return self.returns not in ("trigger", "event_trigger")

    @property
    def create(self) -> sql.Composed:
        return compose(
            "CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {returns} "
            "LANGUAGE {language} {volatility}{definer}{settings} AS {body}",
            name=(SCHEMA, self.name),
            arguments=sql.SQL(self.arguments),
            returns=sql.SQL(self.returns),
            language=sql.SQL(self.language),
            volatility=sql.SQL({"v": "VOLATILE", "s": "STABLE", "i": "IMMUTABLE"}[self.volatility]),
            definer=sql.SQL(
                (" SECURITY DEFINER" if self.definer else "")
                + (" SET search_path = pg_catalog, pg_temp" if self.definer or self.own_path else "")
            ),
            settings=sql.SQL("").join(
                sql.SQL(" SET {} = {}").format(sql.SQL(name), sql.Literal(value)) for name, value in self.settings
            ),
            body=sql.Literal(self.body),
        )


RECORD_ARGUMENTS = "oid, text[], text[], text, text, jsonb, jsonb, bigint, bigint"
# Those that write to the history with its owner's rights, and their arguments.
RECORDERS = {"record_conflict": RECORD_ARGUMENTS, "record_key": "oid, jsonb, jsonb, bigint", "key_arrived": "bigint"}


def shared_functions(settings: Settings) -> list[Function]:
    """The functions that all tables of a database share, in the order in which they can be created."""
    values = {
        "node_id": settings.node_id,
        "history_days": settings.history_days,
        "delete_window": settings.delete_window * 1_000_000,
        "now": _NOW.format(clock="clock_timestamp"),
    }
    # One clock reading for a whole COPY; an insert replaces no version that it would have to exceed.
    new_version = _NEW_VERSION.format(**{**values, "now": _NOW.format(clock="statement_timestamp")})
    return [
        Function("node_id", f"SELECT {settings.node_id}", "", "integer", "sql", "i"),
        Function("history_kept", f"SELECT '{settings.history_days} days'::pg_catalog.interval", "", "interval", "sql", "i"),
        Function("new_version", new_version, "bigint", "bigint", "sql"),
        Function("has_generated", _HAS_GENERATED, "oid", "boolean", "sql", "s"),
        Function("insert_anew", _INSERT_ANEW, "text, text, record", "boolean"),
        Function("row_as_json", _ROW_AS_JSON, "record", "jsonb", settings=tuple(_TEXT_FORMS.items())),
        *(
            Function(name, body.format(**values), RECORDERS[name], "void", definer=True)
            for name, body in (("record_conflict", _RECORD), ("record_key", _RECORD_KEY), ("key_arrived", _KEY_ARRIVED))
        ),
        Function("note_key", _NOTE_KEY),
        Function("stamp", _STAMP.format(base="coalesce(old._mm_version, 0)", **values)),
        Function("stamp_whole", _STAMP.format(base=_FETCH_LARGE_VALUES, **values)),
        Function("resolve_delete", _DELETE.format(**values)),
        Function("guard", _GUARD.format(**values)),
        Function(
            KEEPER_FUNCTION,
            _KEEP_POLICY.format(triggers=", ".join(f"('{name}', '{how[0]}', '{how[1]}')" for name, how in KEPT.items())),
            returns="event_trigger",
            own_path=True,
        ),
        Function(
            "summarize_conflicts",
            _SUMMARY.format(**values),
            "",
            "TABLE(table_schema text, table_name text, kind text, winner text, count bigint, last timestamptz)",
            "sql",
            "s",
        ),
    ]


def create_keeper() -> list[sql.Composed]:
    """Its function belongs to a superuser: it runs as whoever alters a table, superusers too."""
    function = (SCHEMA, KEEPER_FUNCTION)
    return [
        compose("DROP EVENT TRIGGER IF EXISTS {}", KEEPER),
        compose("ALTER FUNCTION {}() OWNER TO CURRENT_USER", function),
        compose(
            "CREATE EVENT TRIGGER {} ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION {}()", KEEPER, function
        ),
    ]


def create_history() -> sql.Composed:
    """The table of what was lost. The node is part of the key, so that no node's entries can meet another's."""
    columns = ", ".join(f"{name} {definition}" for name, definition in HISTORY_COLUMNS.items())
    return compose("CREATE TABLE {} ({}, PRIMARY KEY (node, id))", (SCHEMA, HISTORY), sql.SQL(columns))


def give_history(owner: str) -> list[sql.Composed]:
    """The history, and what writes to it with its owner's rights, belong to one role: no other can lend itself those."""
    return [
        compose("ALTER TABLE {} OWNER TO {}", (SCHEMA, HISTORY), owner),
        *(
            compose("ALTER FUNCTION {}({}) OWNER TO {}", (SCHEMA, name), sql.SQL(arguments), owner)
            for name, arguments in RECORDERS.items()
        ),
    ]


SUMMARY_VIEW = "CREATE OR REPLACE VIEW multimaster.conflict_summary AS SELECT * FROM multimaster.summarize_conflicts()"
VIEWS = {"conflict_history": HISTORY_VIEW, "conflict_summary": SUMMARY_VIEW}

# What a view was made from, and what the server made of it: the text that it shows is its own.
_VIEW_MARK = "multimaster.postgresql: made from {} as {}"
_VIEW_TEXT = "pg_catalog.convert_to(pg_catalog.pg_get_viewdef({}), 'UTF8')"
VIEW_DIGEST = f"pg_catalog.left(pg_catalog.encode(pg_catalog.sha256({_VIEW_TEXT}), 'hex'), 16)"
_MARK_VIEW = """DO $$ BEGIN
    EXECUTE pg_catalog.format('COMMENT ON VIEW {view} IS %L', pg_catalog.format('{mark}', {digest}));
END $$"""


def view_mark(name: str, digest: str) -> str:
    """The comment of a view that is as described, where ``digest`` is that of the text that the server shows."""
    return _VIEW_MARK.format(hashlib.sha256(VIEWS[name].encode()).hexdigest()[:16], digest)


_REPLACE_VIEW = """DO $$ BEGIN
    {create};
EXCEPTION WHEN invalid_table_definition THEN
    DROP VIEW {view};
    {create};
END $$"""


def create_view(name: str) -> list[sql.Composable]:
    """One that is there is replaced, with all rights on it; made anew only where its columns do not allow that."""
    view = f"{SCHEMA}.{name}"
    digest = VIEW_DIGEST.format(f"'{view}'::pg_catalog.regclass")
    return [
        sql.SQL(_REPLACE_VIEW.format(create=VIEWS[name].strip(), view=view)),
        sql.SQL(_MARK_VIEW.format(view=view, mark=view_mark(name, "%s"), digest=digest)),
    ]
