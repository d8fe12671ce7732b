# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the owner of a table, a schema or a database has laid for those who look at it: it runs as nobody but him."""

from __future__ import annotations

import contextlib
import fnmatch
import threading
import typing as t

import pytest
import yaml
from servers import ROOT, Pair, Server
from subscriptions import SECRETS, Mesh

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options, settings

RunModule = t.Callable[..., t.Any]

# Told by the server's log, where a function of the role app ran as anybody else; pg_database_owner is nobody.
CODE = """
CREATE FUNCTION tell(what text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user NOT IN ('app', 'pg_database_owner') THEN
        RAISE LOG 'TRAPPED: % ran as % for %', what, current_user, session_user;
    END IF;
    RETURN 1;
END $$;
ALTER FUNCTION tell(text) OWNER TO app;
"""


def trapped(*servers: Server) -> list[str]:
    return [line for server in servers for line in server.log_text().splitlines() if "LOG:  TRAPPED" in line]


@pytest.fixture
def trapped_mesh(mesh: Mesh) -> Mesh:
    """The expressions of indexes and statistics are evaluated by whoever plans a query of their table."""
    mesh.pair.both(CODE)
    for table in ("t", "u"):
        mesh.pair.both(f"CREATE INDEX ON {table} ((tell('index')), id) WHERE id + tell('predicate') > 0")
        mesh.pair.both(f"CREATE STATISTICS s_{table} ON (id + tell('statistics')), id FROM {table}")
        for server in (mesh.a, mesh.b):
            # So that they take up space, whether they have rows or not.
            server.query(f"SET ROLE app; INSERT INTO {table} VALUES (0, ''); DELETE FROM {table}; RESET ROLE", db=mesh.db)
    return mesh


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ((), {}),
        ((), {"copy_data": True}),
        (("b",), {"copy_data": False}),
        (("a",), {"copy_data": False, "uncopied_rows": "warn"}),
    ],
)
def test_to_subscribe_runs_nothing_of_a_table_s_owner(
    run_module: RunModule, trapped_mesh: Mesh, rows: tuple[str, ...], options: dict[str, t.Any]
) -> None:
    mesh = trapped_mesh
    for name in rows:
        {"a": mesh.a, "b": mesh.b}[name].query("SET ROLE app; INSERT INTO t VALUES (1, ''); RESET ROLE", db=mesh.db)
    before = trapped(mesh.a, mesh.b)
    for check in (True, False):
        result = run_module("pg_subscription_mm", mesh.arguments(mesh.b, **options), check=check)
        assert result["changed"]
        assert ("stay there: public.t" in " ".join(result["warnings"])) is ("a" in rows)
    assert trapped(mesh.a, mesh.b) == before


def test_rows_are_seen_in_partitions_and_where_others_were_deleted(run_module: RunModule, mesh: Mesh) -> None:
    mesh.pair.both(
        "CREATE TABLE p (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY LIST (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (id);"
        "CREATE TABLE p11 PARTITION OF p1 DEFAULT; CREATE TABLE p2 PARTITION OF p DEFAULT;"
        "ALTER TABLE p OWNER TO app; ALTER TABLE p1 OWNER TO app; ALTER TABLE p11 OWNER TO app; ALTER TABLE p2 OWNER TO app;"
        "ALTER PUBLICATION pub SET (publish_via_partition_root)"
    )
    mesh.b.query("INSERT INTO p VALUES (1); INSERT INTO u SELECT generate_series(1, 9); DELETE FROM u", db=mesh.db)
    failed = run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True), fails=True)
    assert "tables that hold rows: public.p. " in failed["msg"]


class Held:
    """A transaction of a role that has put something else in a relation's place, and commits when somebody waits for it."""

    def __init__(self, server: Server, db: str, role: str, *commands: str) -> None:
        self._server, self._db = server, db
        self._session = server.session(db)
        self._cursor = self._session.cursor()
        self._pid = self._session.info.backend_pid
        self._cursor.execute(f"SET ROLE {role}; BEGIN")
        for command in commands:
            self._cursor.execute(command)
        self.met = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._commit_when_waited_for)

    def __enter__(self) -> Held:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._session.close()

    def _commit_when_waited_for(self) -> None:
        waits = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {self._pid} = ANY (pg_blocking_pids(pid)))"
        look = self._server.session()
        try:
            while not self.met and not self._ended.wait(0.02):
                cursor = look.cursor()
                cursor.execute(waits)
                self.met = cursor.fetchone()[0]
            self._cursor.execute("COMMIT")
        finally:
            look.close()


VIEW = (
    "CREATE VIEW {0} AS SELECT 5::bigint AS last_value, true AS is_called, tell('view') FROM generate_series(1, 1)"
    " WHERE tell('view') = 1"
)
# Where a view would be refused
TABLE = (
    "CREATE TABLE {0} AS SELECT 5::bigint AS last_value, true AS is_called, 7 AS id;"
    "CREATE INDEX ON {0} ((tell('table')), id); GRANT SELECT ON {0} TO PUBLIC"
)


@pytest.fixture
def owned(pair: Pair) -> Pair:
    """The schema is app's, and in it a sequence of each kind that has a column: of app, of a superuser, of an identity."""
    pair.a.query(CODE, db=pair.db)
    pair.a.query(
        "CREATE SCHEMA mine AUTHORIZATION app; GRANT USAGE ON SCHEMA public TO app;"
        "CREATE SEQUENCE mine.of_app; CREATE TABLE mine.of_app_used (id bigint DEFAULT nextval('mine.of_app'), v text);"
        "ALTER TABLE mine.of_app_used OWNER TO app; ALTER SEQUENCE mine.of_app OWNER TO app;"
        "CREATE SEQUENCE mine.of_super; CREATE TABLE mine.of_super_used (id bigint DEFAULT nextval('mine.of_super') PRIMARY KEY);"
        "INSERT INTO mine.of_super_used VALUES (41), (1000); ANALYZE",
        db=pair.db,
    )
    return pair


@pytest.mark.parametrize("is_check", [True, False])
@pytest.mark.parametrize("instead", [VIEW, TABLE])
@pytest.mark.parametrize("name", ["mine.of_app", "mine.of_super", "mine.of_super_used"])
def test_what_takes_a_sequence_s_or_a_table_s_place_runs_as_nobody_else(
    run_module: RunModule, owned: Pair, name: str, instead: str, is_check: bool
) -> None:
    """Its owner, or its schema's, has dropped it, and waits with the lock until the module has looked into the catalogue."""
    before = trapped(owned.a)
    options = {**owned.login(owned.a), "node_id": 2, "cover_new_tables": False}
    drop = f"DROP {'TABLE' if name.endswith('used') else 'SEQUENCE'} {name} CASCADE"
    held = Held(owned.a, owned.db, "app", drop, f"SET search_path = public; {instead.format(name)}")
    # Whatever it says: it may find no sequence there any more.
    with held, contextlib.suppress(AssertionError):
        run_module("pg_sequence_mm", options, check=is_check)
    assert held.met
    assert trapped(owned.a) == before


def test_superusers_sequences_in_others_schemas_are_read_as_they_are(run_module: RunModule, owned: Pair) -> None:
    owned.a.query("ALTER TABLE mine.of_super_used ENABLE ROW LEVEL SECURITY", db=owned.db)
    result = run_module("pg_sequence_mm", {**owned.login(owned.a), "node_id": 2, "max_nodes": 8, "cover_new_tables": False})
    found = {each["name"]: each["after"]["next_value"] for each in result["sequences"]}
    assert found == {"mine.of_app": 2, "mine.of_super": 1002}
    # Nothing of what was lent stays.
    assert owned.a.value("SELECT relacl::text FROM pg_class WHERE relname = 'of_super'", db=owned.db) is None
    assert owned.a.value("SELECT has_schema_privilege('pg_database_owner', 'mine', 'USAGE')", db=owned.db) is False


@pytest.mark.parametrize("instead", [VIEW, TABLE])
def test_whoever_alters_a_table_reads_no_sequence_by_its_name(run_module: RunModule, owned: Pair, instead: str) -> None:
    """The event trigger runs as a superuser, where a superuser alters a table: to set the policy of conflicts, say."""
    run_module("pg_sequence_mm", {**owned.login(owned.a), "node_id": 2, "max_nodes": 8})
    owned.a.query(
        "ALTER SEQUENCE mine.of_app OWNED BY mine.of_app_used.v; ALTER TABLE mine.of_app_used ALTER id DROP DEFAULT", db=owned.db
    )
    before = trapped(owned.a)
    with Held(owned.a, owned.db, "app", "DROP SEQUENCE mine.of_app",
              f"SET search_path = public; {instead.format('mine.of_app')}") as held:
        owned.a.query("ALTER TABLE mine.of_app_used ADD COLUMN w bigint", db=owned.db)
    assert held.met
    assert trapped(owned.a) == before


def test_a_superuser_s_changes_of_others_sequences_are_set_where_they_stand(run_module: RunModule, owned: Pair) -> None:
    run_module("pg_sequence_mm", {**owned.login(owned.a), "node_id": 2, "max_nodes": 8})
    owned.a.query("SELECT nextval('mine.of_app')", db=owned.db)
    owned.a.query("ALTER SEQUENCE mine.of_app INCREMENT BY 1", db=owned.db)
    assert owned.a.query("SELECT nextval('mine.of_app') FROM generate_series(1, 2)", db=owned.db) == [(10,), (18,)]
    owned.a.query("CREATE TABLE mine.later (id int GENERATED ALWAYS AS IDENTITY, v serial)", db=owned.db)
    assert owned.a.query("INSERT INTO mine.later DEFAULT VALUES RETURNING *", db=owned.db) == [(2, 2)]


def test_what_a_database_has_the_server_tell_of_statements_holds_no_secret(run_module: RunModule, mesh: Mesh) -> None:
    """Parsed statements, which no setting of ours for the log's statements keeps out of it."""
    for name in ("debug_print_parse", "debug_print_rewritten", "debug_print_plan"):
        mesh.b.query(f"ALTER DATABASE {mesh.db} SET {name} = on", db=mesh.db)
    begin = len(mesh.b.log_text())
    run_module("pg_subscription_mm", mesh.arguments(mesh.b))
    run_module("pg_subscription_mm", mesh.arguments(mesh.b, peer={"connect_timeout": 7}))
    told = mesh.b.log_text()[begin:]
    assert [secret for secret in SECRETS if secret in told] == []
    assert "parse tree" not in told


# What any user may set and our sessions leave as they find it, with the reason. A database's owner can set these for them.
LEFT_ALONE = {
    "how fast, not what": (
        "backend_flush_after commit_siblings constraint_exclusion cpu_* cursor_tuple_fraction debug_parallel_query"
        " default_statistics_target default_toast_compression effective_* enable_* from_collapse_limit geqo*"
        " gin_pending_list_limit hash_mem_multiplier jit* join_collapse_limit logical_decoding_work_mem"
        " debug_logical_replication_streaming maintenance_* max_parallel_* min_parallel_* parallel_* plan_cache_mode"
        " random_page_cost recursive_worktable_factor scram_iterations seq_page_cost"
        " synchronize_seqscans temp_buffers vacuum_* wal_skip_threshold work_mem"
    ),
    "each session states it": "application_name",
    "what the operator set for the server counts": (
        "synchronous_commit client_connection_check_interval tcp_keepalives_* wal_sender_timeout"
    ),
    "for the transaction in which a session begins": "transaction_deferrable transaction_isolation transaction_read_only",
    "makes lines in a log": "debug_pretty_print escape_string_warning log_parameter_max_length_on_error trace_notify trace_sort",
    "of what our statements do not use": (
        "createrole_self_grant default_text_search_config icu_validation_level stats_fetch_consistency timezone_abbreviations"
    ),
    "set after the beginning, by versions that have it": "restrict_nonsystem_relation_kind",
}


def test_what_any_user_may_set_is_stated_or_left_alone_for_a_reason(pair: Pair) -> None:
    patterns = " ".join(LEFT_ALONE.values()).split()
    stated = {name.lower() for name in settings("look")}
    # Without those of libraries that a session happens to have loaded.
    query = "SELECT lower(name) FROM pg_settings WHERE context = 'user' AND strpos(name, '.') = 0"
    names = [name for (name,) in pair.a.query(query)]
    assert [n for n in names if n not in stated and not any(fnmatch.fnmatch(n, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not fnmatch.filter(names, pattern)] == []
    assert [name for name in stated if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize(
    ("tables", "database", "expected"),
    [
        ("app", "app", "app"),
        ("app", "postgres", "app"),
        ("postgres", "app", "app"),
        ("postgres", "postgres", "postgres"),
        (None, "app", "app"),
    ],
)
def test_imdb_is_loaded_by_a_superuser_only_where_nobody_else_has_a_hand_in_it(
    pair: Pair, tables: str | None, database: str, expected: str
) -> None:
    """As whom role imdb logs in: whoever owns the database can put something of his in the place of a superuser's table."""
    pair.a.query(f"ALTER DATABASE {pair.db} OWNER TO {database}")
    if tables:
        pair.a.query(f"CREATE TABLE titles (); ALTER TABLE titles OWNER TO {tables}", db=pair.db)
    (task,) = yaml.safe_load((ROOT / "roles/imdb/tasks/owner.yml").read_text())
    with contextlib.closing(pair.a.session(pair.db, options=options("look"))) as session, session.cursor() as cursor:
        cursor.execute(task["community.postgresql.postgresql_query"]["query"])
        assert cursor.fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("publication", "table"),
    [("pub FOR TABLE t WHERE (id > 0), u", "public.t"), ("pub FOR TABLE p, u WITH (publish_via_partition_root)", "public.p")],
)
@pytest.mark.parametrize(
    "trap",
    [
        "CREATE INDEX trap ON {} ((tell('index')), id)",
        "CREATE STATISTICS trap ON (id + tell('statistics')), id FROM {}",
        "ALTER TABLE {} ADD CONSTRAINT trap CHECK (id > tell('check') - 100)",
    ],
)
def test_no_copy_is_begun_that_would_run_code_of_a_table_s_owner_on_the_peer(
    run_module: RunModule, mesh: Mesh, publication: str, table: str, trap: str
) -> None:
    mesh.pair.both(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "ALTER TABLE p OWNER TO app; ALTER TABLE p1 OWNER TO app; GRANT CREATE ON SCHEMA public TO app"
    )
    mesh.pair.both(f"DROP PUBLICATION pub; CREATE PUBLICATION {publication}")
    mesh.pair.both(CODE)
    mesh.a.query(trap.format(table), db=mesh.db)
    before = trapped(mesh.a, mesh.b)
    for check in (True, False):
        failed = run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True), check=check, fails=True)
        assert f"{table} has public.tell in an index" in failed["msg"]
    drop = {"INDEX": "DROP INDEX trap", "STATISTICS": "DROP STATISTICS trap"}.get(trap.split()[1])
    mesh.a.query(drop or f"ALTER TABLE {table} DROP CONSTRAINT trap", db=mesh.db)
    run_module("pg_subscription_mm", mesh.arguments(mesh.b, copy_data=True))
    assert trapped(mesh.a, mesh.b) == before
