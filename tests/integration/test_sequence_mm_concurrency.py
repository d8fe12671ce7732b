# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_sequence_mm while others draw values, hold locks, and while it is killed."""

from __future__ import annotations

import functools
import signal
import threading
import time
import typing as t
from collections import Counter

import psycopg2
import pytest
from sequences import draw, make_tables, start, state
from servers import wait_until

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Pair


@pytest.fixture
def module(pair: Pair, run_module: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def run(**arguments: t.Any) -> t.Any:
        options = {key: arguments.pop(key) for key in ("check", "fails") if key in arguments}
        wanted = {"node_id": 2, "cover_new_tables": False, **arguments}
        return run_module("pg_sequence_mm", {**pair.login(pair.a), **wanted}, **options)

    return run


def test_sessions_that_draw_meanwhile_get_no_value_twice(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """Before it is set any value may come, after it only own ones; none twice, cached ones included."""
    pair.a.query("CREATE SEQUENCE plain; CREATE SEQUENCE cached CACHE 50", db=pair.db)
    stop = threading.Event()
    drawn: list[list[tuple[str, int]]] = [[] for _each in range(4)]

    def work(values: list[tuple[str, int]]) -> None:
        session = pair.a.session(pair.db)
        with session.cursor() as cursor:
            while not stop.is_set():
                for name in ("plain", "cached"):
                    cursor.execute(f"SELECT nextval('{name}')")
                    values.append((name, cursor.fetchone()[0]))
                time.sleep(0.001)
        session.close()

    threads = [threading.Thread(target=work, args=[values]) for values in drawn]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: min(map(len, drawn)) > 20, what="values before")
        result = module()
        marks = [len(values) for values in drawn]
        wait_until(lambda: all(len(values) > mark + 20 for values, mark in zip(drawn, marks)), what="values afterwards")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert result["counts"]["changed"] == 2
    first = {each["name"].partition(".")[2]: each["after"]["next_value"] for each in result["sequences"]}
    counts = Counter(value for values in drawn for value in values)
    assert max(counts.values()) == 1
    for values, mark in zip(drawn, marks):
        # One value of each may have been on its way when the task ended.
        assert all(value % 8 == 2 for _name, value in values[mark + 2 :])
        assert len(values) > mark + 20
    # From where it was set on, every value is the node's own.
    assert all(value % 8 == 2 for name, value in counts if value >= first[name])
    assert not module()["changed"]


def test_values_cached_before_are_not_yielded_after(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query("CREATE SEQUENCE s CACHE 50", db=pair.db)
    assert draw(pair.a, pair.db, "public.s") == [1]
    module()
    assert draw(pair.a, pair.db, "public.s") == [58]


def test_a_long_transaction_is_named_and_all_others_are_set(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query("".join(f"CREATE SEQUENCE s{number};" for number in range(5)), db=pair.db)
    session = pair.a.session(pair.db, application_name="the holder")
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT nextval('s3')")
    failed = module(lock_timeout=1, fails=True)
    assert "Sequence public.s3 cannot be set" in failed["msg"]
    assert f"pid {session.info.backend_pid}" in failed["msg"]
    assert 'application "the holder"' in failed["msg"]
    assert "4 sequences have been set" in failed["msg"]
    assert failed["in_use"] == ["public.s3"]
    assert [state(pair.a, pair.db, f"public.s{n}")[0] for n in range(5)] == [8, 8, 8, 1, 8]

    threading.Timer(1, session.commit).start()
    assert module(lock_timeout=120)["counts"]["changed"] == 1
    session.close()
    assert draw(pair.a, pair.db, "public.s3") == [2]


def test_it_gives_way_to_transactions_that_lock_in_another_order(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query("CREATE SEQUENCE a; CREATE SEQUENCE b", db=pair.db)
    session = pair.a.session(pair.db)
    session.autocommit = False
    cursor = session.cursor()
    cursor.execute("SELECT nextval('b')")
    errors: list[Exception] = []

    def draw_a() -> None:
        time.sleep(0.5)  # the task holds "a" and waits for "b"
        try:
            cursor.execute("SELECT nextval('a')")
            time.sleep(1)
            session.commit()
        except psycopg2.Error as error:
            errors.append(error)

    thread = threading.Thread(target=draw_a)
    thread.start()
    assert module(lock_timeout=120)["counts"]["changed"] == 2
    thread.join()
    session.close()
    assert errors == []


def test_others_are_not_held_up(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """A transaction keeps one sequence in use: neither that one nor others stop yielding values for long."""
    pair.a.query("CREATE SEQUENCE a; CREATE SEQUENCE b; CREATE SEQUENCE c", db=pair.db)
    holder = pair.a.session(pair.db)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("SELECT nextval('b')")
    drawn = dict.fromkeys("abc", 0)
    stop = threading.Event()

    def work(name: str) -> None:
        session = pair.a.session(pair.db)
        with session.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(f"SELECT nextval('{name}')")
                drawn[name] += 1
                time.sleep(0.01)
        session.close()

    def went_on(before: dict[str, int]) -> bool:
        return all(drawn[name] > before[name] + 5 for name in drawn)

    def let_go() -> None:
        """Once the task has been waiting, and all three have yielded values meanwhile."""
        watch = pair.a.session(pair.db)
        with watch.cursor() as cursor:
            def waits() -> bool:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return bool(cursor.fetchone()[0])

            for _round in range(3):
                wait_until(waits, what="a task that waits")
                wait_until(functools.partial(went_on, dict(drawn)), what="values")
        watch.close()
        holder.commit()

    threads = [threading.Thread(target=work, args=[name]) for name in "abc"] + [threading.Thread(target=let_go)]
    for thread in threads:
        thread.start()
    try:
        assert module(lock_timeout=120)["counts"]["changed"] == 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    holder.close()


def test_truncate_restart_identity_meanwhile(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """It locks tables and then their sequences, several in one transaction."""
    make_tables(pair.a, pair.db, 20)
    stop = threading.Event()
    errors: list[Exception] = []

    def truncate() -> None:
        session = pair.a.session(pair.db)
        with session.cursor() as cursor:
            while not stop.is_set():
                try:
                    cursor.execute("TRUNCATE t3, t7, t2 RESTART IDENTITY; INSERT INTO t7 DEFAULT VALUES")
                except psycopg2.Error as error:
                    errors.append(error)
                time.sleep(0.005)
        session.close()

    thread = threading.Thread(target=truncate)
    thread.start()
    try:
        for node_id in (1, 2, 3, 2):
            module(node_id=node_id, lock_timeout=120)
    finally:
        stop.set()
        thread.join()
    assert errors == []
    assert not module()["changed"]
    pair.a.query("INSERT INTO t7 DEFAULT VALUES", db=pair.db)
    assert pair.a.value("SELECT max(id) % 8 FROM t7", db=pair.db) == 2


def test_tables_that_are_locked_or_dropped_meanwhile(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query("CREATE TABLE t (id serial PRIMARY KEY); CREATE TABLE u (id serial PRIMARY KEY)", db=pair.db)
    session = pair.a.session(pair.db)
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    failed = module(lock_timeout=0.5, fails=True)
    assert "cannot be read" in failed["msg"]
    assert f"pid {session.info.backend_pid}" in failed["msg"]
    with session.cursor() as cursor:
        cursor.execute("DROP TABLE t")
    threading.Timer(0.5, session.commit).start()
    assert module(lock_timeout=120)["counts"] == {"sequences": 1, "changed": 1, "skipped": 0}
    session.close()


def test_a_shared_sequence_one_of_whose_tables_is_dropped_meanwhile(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    pair.a.query(
        "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s')); CREATE TABLE u (id int DEFAULT nextval('s'))",
        db=pair.db,
    )
    session = pair.a.session(pair.db)
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT nextval('s')")
    threading.Timer(1, lambda: (pair.a.query("DROP TABLE u", db=pair.db), session.commit())).start()
    assert module(lock_timeout=120)["counts"]["changed"] == 1
    session.close()
    assert draw(pair.a, pair.db, "public.s") == [2]


def test_killed_half_way_and_run_again(pair: Pair, module: t.Callable[..., t.Any], tmp_path: Path) -> None:
    make_tables(pair.a, pair.db, 500)

    def count_set() -> int:
        return pair.a.value("SELECT count(*) FROM pg_sequence WHERE seqincrement = 8", db=pair.db)

    process = start(pair.login(pair.a), tmp_path, node_id=2, cover_new_tables=False)
    wait_until(lambda: count_set() > 0, what="the first sequences to be set")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(
        lambda: pair.a.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'multimaster'") == 0,
        what="the end of the killed run's session",
    )
    half = count_set()
    assert 0 < half < 500
    # What is half done is whole in itself: stride, start and position.
    wrong = "SELECT count(*) FROM pg_sequences WHERE increment_by = 8 AND start_value <> 2"
    assert pair.a.value(wrong, db=pair.db) == 0
    result = module()
    assert result["counts"]["changed"] == 500 - half
    assert not module()["changed"]
    pair.a.query("INSERT INTO t1 DEFAULT VALUES; INSERT INTO t500 DEFAULT VALUES", db=pair.db)
    assert pair.a.query("SELECT (SELECT max(id) FROM t1), (SELECT max(id) FROM t500)", db=pair.db) == [(10, 10)]


def test_two_runs_at_once(pair: Pair, tmp_path: Path, module: t.Callable[..., t.Any]) -> None:
    make_tables(pair.a, pair.db, 100)
    directories = [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
    processes = [
        start(pair.login(pair.a), directory, node_id=2, cover_new_tables=False) for directory in directories
    ]
    for process in processes:
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 0, output + errors
    assert not module()["changed"]


def test_check_mode_and_nothing_to_do_write_nothing(pair: Pair, module: t.Callable[..., t.Any]) -> None:
    """In a session in which PostgreSQL refuses every write."""
    make_tables(pair.a, pair.db, 20)
    read_only = {"connect_params": {"options": "-c default_transaction_read_only=on"}, "cover_new_tables": True}
    assert module(**read_only, check=True)["counts"]["changed"] == 20
    assert "read-only transaction" in module(**read_only, fails=True)["msg"]
    module(cover_new_tables=True)
    assert not module(**read_only)["changed"]
