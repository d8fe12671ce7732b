# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is back is taken back only when it is the node that left."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._failback import (
    applied_positions,
    failback_at_work,
    failback_broken,
    failback_differences,
    failback_last_good,
    failback_options_problem,
    failback_problems,
    failback_sound_pairs,
    failback_unproven,
    lsn,
)


def info(name: str, peer: str, *, end: str = "1/500", applied: str | None = "1/400", **changes: t.Any) -> dict[str, t.Any]:
    return {
        "node": {"current_lsn": end},
        "slots": [{"slot_name": f"slot_{name}_to_{peer}", "wal_status": "reserved"}],
        "subscriptions": [
            {"name": f"sub_from_{peer}", "database": "imdb", "slot_name": f"slot_{peer}_to_{name}", "applied_lsn": applied}
        ],
        **changes,
    }


def test_a_node_that_only_was_away_is_taken_back() -> None:
    assert failback_problems("a", {"a": info("a", "b"), "b": info("b", "a")}) == []
    assert failback_problems("a", {"a": info("a", "b", applied=None), "b": info("b", "a", applied=None)}) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"end": "1/3FF"}, {}, "a is an older copy of itself: b has its changes of database imdb up to 1/400"),
        ({"end": "0/FFFFFFFF"}, {}, "a is an older copy of itself"),
        ({"slots": []}, {}, "a has no slot slot_a_to_b"),
        ({}, {"end": "1/3FF"}, "b is an older copy of itself, and a is the one that has everything"),
        ({"subscriptions": []}, {}, "a does not subscribe to b"),
        ({}, {"subscriptions": []}, "b does not subscribe to a"),
    ],
)
def test_what_is_refused(a: dict[str, t.Any], b: dict[str, t.Any], expected: str) -> None:
    (problem,) = failback_problems("a", {"a": info("a", "b", **a), "b": info("b", "a", **b)})
    assert expected in problem


LOST = [{"slot_name": "slot_a_to_b", "wal_status": "lost"}]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({}, {}, None),
        ({"slots": LOST}, {}, "Database imdb: the slot slot_a_to_b of a has lost WAL that b needs."),
        ({}, {"slots": []}, "Database imdb: the slot slot_b_to_a of b is gone, and with it what it held that a needs."),
        ({}, {"slots": [{**LOST[0], "slot_name": "slot_b_to_a"}]}, "the slot slot_b_to_a of b has lost WAL that a needs."),
    ],
)
def test_one_database_that_cannot_get_on_holds_no_other(a: dict[str, t.Any], b: dict[str, t.Any], expected: str | None) -> None:
    infos = {"a": info("a", "b", **a), "b": info("b", "a", **b)}
    assert failback_problems("a", infos) == []
    broken = failback_broken("a", infos)
    assert [each["database"] for each in broken] == (["imdb"] if expected else [])
    assert expected is None or expected in broken[0]["why"]
    pairs = [{"login_db": name, "peer": {"host": "192.0.2.2", "port": 5432}} for name in ("imdb", "shop")]
    sound = failback_sound_pairs(pairs, broken, {"192.0.2.2:5432": "b"})
    assert [pair["login_db"] for pair in sound] == (["shop"] if expected else ["imdb", "shop"])


def known(name: str, peer: str, system: str, timeline: int) -> dict[str, t.Any]:
    """What a node says whose peer has noted which server it is."""
    answer = info(name, peer)
    answer["node"] |= {"system_identifier": "1", "timeline": 1}
    answer["subscriptions"][0]["publisher"] = {"system_identifier": system, "timeline": timeline}
    return answer


@pytest.mark.parametrize(
    ("system", "timeline", "expected"),
    [("1", 1, []), ("2", 1, ["its system identifier is 1, and b subscribed to 2"]), ("1", 2, ["is on timeline 1 and was on 2"])],
)
def test_it_is_the_server_that_its_peers_have_noted(system: str, timeline: int, expected: list[str]) -> None:
    problems = failback_problems("a", {"a": known("a", "b", "1", 1), "b": known("b", "a", system, timeline)})
    assert len(problems) == len(expected)
    assert all(part in problem for part, problem in zip(expected, problems))


@pytest.mark.parametrize(
    ("missing", "refused"),
    [
        ({"first": "1/100"}, False),
        ({"first": "1/100", "1/200": "10:00"}, True),
        # Before its oldest WAL, and without any: nobody knows.
        ({"first": "1/200", "1/200": "10:00"}, False),
        ({"1/200": "10:00"}, False),
        # What another node has is not looked at here.
        ({"first": "1/100", "1/250": "10:00"}, False),
    ],
)
def test_transactions_that_only_a_peer_has_are_proof_of_a_copy(missing: dict[str, str], refused: bool) -> None:
    infos = {"a": info("a", "b"), "b": info("b", "a")}
    applied = {"1/200": "10:00\tslot_a_to_b", "1/300": "11:00\tslot_a_to_b"}
    problems = failback_problems("a", infos, applied={"b": applied}, missing=missing)
    assert bool(problems) is refused
    if refused:
        assert "b has 1 transactions of it (database imdb) that its WAL does not have" in problems[0]
        assert "the last one of 10:00 UTC, up to 1/200" in problems[0]


def passive(applied: str | None, synced: str | None = None, confirmed: str = "1/450") -> dict[str, dict[str, t.Any]]:
    """a only ever applied rows; b knows that they are there up to a position."""
    infos = {"a": info("a", "b", applied=applied), "b": info("b", "a", applied=None)}
    infos["a"]["subscriptions"][0]["synced_lsn"] = synced
    infos["b"]["slots"][0]["confirmed_flush_lsn"] = confirmed
    return infos


SLOT = "slot_b_to_a"
SENT = {
    f"from:{SLOT}": "1/0",
    "1/430": f"{SLOT}\t11:00\tt",
    "1/410": f"{SLOT}\t10:00\tt",
    "1/300": f"{SLOT}\t09:00\tt",
    "1/440": "another\t12:00\tt",
}


@pytest.mark.parametrize(
    ("infos", "lacking"),
    [
        (passive("1/400"), 2),
        (passive("1/420"), 1),
        # A commit begins where the one before it ends.
        (passive("1/430"), 1),
        # Confirmed beyond what was applied: nothing that it got left a trace.
        (passive("1/431"), 0),
        (passive("1/400", synced="1/431"), 0),
        (passive(None, synced="1/420"), 1),
        # Nothing is known of what it had.
        (passive(None), 0),
    ],
)
def test_a_copy_that_never_wrote_is_known_by_what_it_was_sent(infos: dict[str, t.Any], lacking: int) -> None:
    problems = failback_problems("a", infos, unapplied=SENT)
    assert len(problems) == bool(lacking)
    if lacking:
        assert f"b has sent it {lacking} transactions with rows of database imdb that it had confirmed" in problems[0]
        assert "the last one of 11:00 UTC, at 1/430" in problems[0]
        assert "a is an older copy of itself" in problems[0]


@pytest.mark.parametrize(("first", "lacking"), [("1/301", 0), ("1/300", 1), ("1/2FF", 1)])
def test_a_copy_that_ran_before_it_was_looked_at_has_not_applied_what_came_in_between(first: str, lacking: int) -> None:
    """What came before the oldest transaction in its WAL says nothing."""
    unapplied = {f"first:{SLOT}": first, "1/300": f"{SLOT}\t09:00\tt"}
    assert len(failback_problems("a", passive("1/450"), unapplied=unapplied)) == lacking


@pytest.mark.parametrize(
    ("infos", "sent", "expected"),
    [
        (passive("1/400"), SENT, []),
        (passive("1/450"), {}, []),
        (passive("1/400"), {f"from:{SLOT}": "1/420"}, ["up to 1/450 cannot be told: the WAL of that time is gone"]),
        (passive("1/400"), {}, ["the WAL of that time is gone"]),
        (passive(None), SENT, ["nothing of it has arrived so far"]),
        (passive(None, synced="1/10"), SENT, []),
        # Nothing was ever sent.
        (passive(None), {f"from:{SLOT}": "1/0"}, []),
    ],
)
def test_what_cannot_be_told_is_said(infos: dict[str, t.Any], sent: dict[str, str], expected: list[str]) -> None:
    unproven = failback_unproven("a", infos, {"b": sent})
    assert len(unproven) == len(expected)
    assert all(part in each["why"] for part, each in zip(expected, unproven))
    assert all((each["peer"], each["database"]) == ("b", "imdb") for each in unproven)
    assert failback_unproven("c", infos, {}) == []


@pytest.mark.parametrize(
    ("position", "record", "is_the_node"),
    [
        ("1/400", "1/00000400 Transaction COMMIT", True),
        ("1/400", "1/00000400 Heap INSERT", False),
        ("1/400", "1/00000420 Transaction COMMIT", False),
        ("1/400", "1/00000418 Transaction COMMIT", False),
        ("1/2000", "1/00002018 Transaction COMMIT", True),
        ("1/2000", "1/00002020 Transaction COMMIT", False),
    ],
)
def test_the_wal_tells_a_copy_that_has_been_written_to(position: str, record: str, is_the_node: bool) -> None:
    infos = {"a": info("a", "b", end="2/0"), "b": info("b", "a", applied=position)}
    infos["a"]["subscriptions"][0]["applied_lsn"] = None
    problems = failback_problems("a", infos, {position: record})
    assert (problems == []) is is_the_node
    assert is_the_node or "where no transaction of a ends" in problems[0]
    assert applied_positions("a", infos) == [position]


def test_a_node_that_does_not_answer() -> None:
    assert "a does not answer" in failback_problems("a", {"b": info("b", "a")})[0]


def test_the_last_good_node() -> None:
    assert "the last good node" in failback_problems("a", {"a": info("a", "b")})[0]


def test_positions_are_numbers_and_not_text() -> None:
    assert lsn("0/FFFFFFFF") < lsn("1/0") < lsn("A/1") < lsn("10/0")


def running(name: str, peer: str, *, workers: str = "4", works: bool = True, **changes: t.Any) -> dict[str, t.Any]:
    answer = info(name, peer, **changes)
    answer["node"]["settings"] = {"max_logical_replication_workers": workers}
    for subscription in answer["subscriptions"]:
        subscription["worker_running"] = works
    return answer


@pytest.mark.parametrize(
    ("infos", "held", "expected"),
    [
        ({"a": running("a", "b"), "b": running("b", "a")}, [], ""),
        ({"b": running("b", "a")}, [], ""),
        # The node itself may be held, or not be at work: that is why it is taken back.
        ({"a": running("a", "b", workers="0", works=False), "b": running("b", "a")}, ["a"], ""),
        ({"a": running("a", "b")}, [], "b does not answer"),
        ({"a": running("a", "b"), "b": running("b", "a", workers="0")}, [], "The subscriptions of b are kept at rest"),
        # The file is there, and the server has not been restarted since.
        ({"a": running("a", "b"), "b": running("b", "a")}, ["b"], "The subscriptions of b are kept at rest"),
        ({"b": running("b", "a", workers="0")}, [], "take b back first"),
        ({"a": running("a", "b"), "b": running("b", "a", end="1/3FF")}, [], "b is an older copy of itself"),
    ],
)
def test_whether_another_node_is_good(infos: dict[str, t.Any], held: list[str], expected: str) -> None:
    problem = failback_last_good("a", infos, ["a", "b"], held)
    assert bool(problem) is bool(expected)
    assert expected in problem
    assert not problem or "so it is the last good node" in problem


def test_a_peer_that_was_restored_is_not_good() -> None:
    a, b = known("a", "b", "1", 1), known("b", "a", "1", 1)
    b["node"] |= {"timeline": 2, "settings": {"max_logical_replication_workers": "4"}}
    assert "b was restored or promoted since a subscribed to it" in failback_last_good("a", {"a": a, "b": b}, ["a", "b"])


def test_one_good_node_of_three_is_enough() -> None:
    infos = {"a": running("a", "b"), "b": running("b", "a", workers="0"), "c": running("c", "a")}
    assert failback_last_good("a", infos, ["a", "b", "c"], ["b"]) == ""


@pytest.mark.parametrize(
    ("a", "held", "expected"),
    [
        (running("a", "b"), [], True),
        (running("a", "b"), ["a"], False),
        (running("a", "b", workers="0"), [], False),
        (running("a", "b", works=False), [], False),
        (running("a", "b", subscriptions=[]), [], False),
    ],
)
def test_a_node_that_replicates_is_at_work(a: dict[str, t.Any], held: list[str], expected: bool) -> None:
    infos = {"a": a, "b": running("b", "a")}
    assert failback_at_work("a", infos, held) is expected
    assert not failback_at_work("c", infos)


def test_what_a_node_has_applied_meanwhile_is_no_sign_of_an_older_peer() -> None:
    infos = {"a": info("a", "b", applied="1/600"), "b": info("b", "a")}
    (problem,) = failback_problems("a", infos)
    assert "b is an older copy of itself" in problem
    assert failback_problems("a", infos, ends={"b": "1/600"}) == []
    assert failback_problems("a", infos, ends={"b": "1/5FF"}) != []


@pytest.mark.parametrize("value", ["abc", "nan", "inf", "-1", "1e30", "", True, None, [1]])
def test_seconds_that_are_none(value: t.Any) -> None:
    problem = failback_options_problem(compare_seconds="15", stall_seconds=value)
    assert problem.startswith(f"-e stall_seconds={value} is no number of seconds")
    assert failback_options_problem(compare_seconds="0.5", stall_seconds=30, timeout_seconds="2592000") == ""


def compared(missing_here: int | None, missing_there: int | None, database: str = "imdb") -> dict[str, t.Any]:
    table = {"table": "public.t", "rows_here": 1, "rows_there": 2, "missing_here": missing_here, "missing_there": missing_there}
    login = {"login_db": database, "peer": {"host": "192.0.2.2", "port": 5432}}
    return {"item": login, "differing": [table], "unread": []}


@pytest.mark.parametrize(
    ("result", "kind", "expected"),
    [
        (compared(1, 0), "doubtful", "database imdb, table public.t, with b: 1 rows of b are missing on a, and 0 the other way"),
        # What only the node has is no sign of a copy.
        (compared(0, 3), "old", "0 rows of b are missing on a, and 3 the other way"),
        # Of this database it is proven.
        (compared(1, 0, "shop"), "old", "database shop, table public.t"),
        (compared(0, 0), "moving", "1 rows on a, 2 on b"),
        (compared(None, None), "moving", "1 rows on a, 2 on b"),
    ],
)
def test_only_what_may_be_of_a_copy_is_held_against_a_node(result: dict[str, t.Any], kind: str, expected: str) -> None:
    unproven = [{"peer": "b", "database": "imdb", "why": "the WAL of that time is gone"}]
    found = failback_differences("a", [result], {"192.0.2.2:5432": "b"}, unproven)
    assert {name for name, sentences in found.items() if sentences} == {kind}
    assert expected in found[kind][0]


def test_a_table_that_could_not_be_read_is_named() -> None:
    result = {**compared(0, 0), "differing": [], "unread": [{"table": "public.secret", "why": "row-level security"}]}
    found = failback_differences("a", [result], {"192.0.2.2:5432": "b"})
    assert found["unread"] == ["database imdb, table public.secret, with b: row-level security"]
