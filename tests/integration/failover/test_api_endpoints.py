# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's endpoints over real masters: what they store, show and refuse."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import signal
import socket
import time
import typing as t
from functools import partial

import httpx
import pytest
from api_process import PATIENCE, TOKEN, Api, RedisServer, assert_leaks_nothing
from failover_mesh import PATIENT, FailoverMesh, fastest, kill, start_again
from servers import wait_until

TITLES = """
INSERT INTO titles (tconst, title_type, primary_title, original_title, start_year, runtime_minutes)
VALUES ('tt0000001', 'short', 'Carmencita', 'Carmencita', 1894, 1), ('tt0000002', 'movie', '100% _pure_', 'Pure', 2001, 90);
INSERT INTO generos (id_genero, genero) VALUES (9001, 'Short');
INSERT INTO title_generos VALUES ('tt0000001', 9001);
INSERT INTO title_ratings VALUES ('tt0000001', 5.7, 2114);
INSERT INTO names VALUES ('nm0000001', 'Fred Astaire', 1899, 1987);
INSERT INTO name_professions VALUES ('nm0000001', 'actor');
INSERT INTO name_known_for VALUES ('nm0000001', 'tt0000001');
INSERT INTO title_principals VALUES ('tt0000001', 1, 'nm0000001', 'self', NULL);
"""


def test_genres_are_stored_once_and_listed(api: Api, imdb: FailoverMesh) -> None:
    created = api.http.post("/generos", json={"genero": "Drama"})
    assert created.status_code == 201
    body = created.json()
    number = body["data"]["id_genero"]
    assert body == {"ok": True, "data": {"id_genero": number, "genero": "Drama"}, "node_used": "primary"}
    assert number % 8 == 1

    again = api.http.post("/generos", json={"genero": "Drama"})
    assert again.status_code == 409
    assert again.json()["id_genero"] == number
    assert_leaks_nothing(again)

    own = {"genero": "Comedy ☕ \U0001f3ac 'x'", "id_genero": 70}
    assert api.http.post("/generos", json=own).json()["data"] == own
    assert api.http.post("/generos", json=own).status_code == 409
    taken = api.http.post("/generos", json={"genero": "Other", "id_genero": 70})
    assert taken.status_code == 409
    assert_leaks_nothing(taken)

    # A key that somebody else has taken before the sequence came to it
    imdb.a.query("INSERT INTO generos SELECT n, 'taken ' || n FROM generate_series(9, 40, 8) AS n", db=imdb.db)
    following = api.http.post("/generos", json={"genero": "Thriller"}).json()["data"]["id_genero"]
    assert following > 40
    listed = api.http.get("/generos", params={"limit": 2}).json()
    assert [row["genero"] for row in listed["data"]] == ["Drama", "taken 9"]
    rest = api.http.get("/generos", params={"after": listed["next_after"]}).json()
    assert "next_after" not in rest
    assert own in rest["data"]


def test_a_sequence_behind_its_table_is_said_and_passed(api: Api, imdb: FailoverMesh) -> None:
    # All keys that the instance has at hand
    imdb.a.query("INSERT INTO generos SELECT n, 'taken ' || n FROM generate_series(1, 8 * 256, 8) AS n", db=imdb.db)
    refused = api.http.post("/generos", json={"genero": "Drama"})
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["in_doubt"] is False
    assert_leaks_nothing(refused)
    said = [line["message"] for line in api.log_lines() if line["level"] == "error"]
    assert len(said) == 1
    for word in ("public.generos_id_genero_seq is behind its table", "pg_sequence_mm"):
        assert word in said[0]
    # The next keys of the sequence are free.
    assert api.http.post("/generos", json={"genero": "Drama"}).status_code == 201


def test_a_repeated_idempotency_key_is_one_row_everywhere(api: Api, second_api: Api, imdb: FailoverMesh) -> None:
    headers = {"Idempotency-Key": "9f2c-1"}
    first = api.http.post("/generos", json={"genero": "Noir"}, headers=headers)
    assert first.status_code == 201
    assert first.json()["data"]["id_genero"] < 0
    for instance in (api, second_api):
        again = instance.http.post("/generos", json={"genero": "Noir"}, headers=headers)
        assert (again.status_code, again.json()["data"]) == (201, first.json()["data"])
    other = api.http.post("/generos", json={"genero": "Western"}, headers=headers)
    assert other.status_code == 409
    assert_leaks_nothing(other)

    def post(number: int) -> int:
        instance = (api, second_api)[number % 2]
        answer = instance.http.post("/generos", json={"genero": "At once"}, headers={"Idempotency-Key": "at-once"})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id_genero"]

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(post, range(40)))) == 1
    imdb.meet()
    for node in imdb.nodes:
        assert node.query("SELECT genero FROM generos ORDER BY genero", db=imdb.db) == [("At once",), ("Noir",)]


def test_titles_and_names_are_found(api: Api, imdb: FailoverMesh) -> None:
    imdb.a.query(TITLES, db=imdb.db)
    assert [row["tconst"] for row in api.http.get("/titles", params={"q": "CARMEN"}).json()["data"]] == ["tt0000001"]
    assert [row["tconst"] for row in api.http.get("/titles", params={"q": "0% _p"}).json()["data"]] == ["tt0000002"]
    assert api.http.get("/titles", params={"q": "x_pure"}).json()["data"] == []
    assert len(api.http.get("/titles").json()["data"]) == 2
    title = api.http.get("/titles/tt0000001").json()
    assert title["node_used"] == "primary"
    assert title["data"]["generos"] == ["Short"]
    assert title["data"]["average_rating"] == 5.7
    assert title["data"]["principals"] == [{"nconst": "nm0000001", "name": "Fred Astaire", "category": "self", "job": None}]
    name = api.http.get("/names/nm0000001").json()["data"]
    assert (name["professions"], name["known_for"][0]["tconst"]) == (["actor"], "tt0000001")
    for path in ("/titles/tt9999999", "/names/nm9999999"):
        missing = api.http.get(path)
        assert missing.status_code == 404
        assert_leaks_nothing(missing)


FOUR = {**PATIENT, "statement_timeout": 60.0, "pool_min": 4, "pool_max": 4}


@pytest.mark.parametrize("api", [{"failover": FOUR}], indirect=True)
def test_searches_leave_connections_for_writes(api: Api, imdb: FailoverMesh) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def search(number: int) -> httpx.Response:
        return httpx.get(f"{api.http.base_url}/titles", params={"q": str(number)}, timeout=PATIENCE)

    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(10))
        for node in imdb.nodes:
            # Until the stack ends, before the threads are waited for
            session = stack.enter_context(contextlib.closing(node.session(imdb.db)))
            session.cursor().execute("BEGIN; LOCK TABLE titles IN ACCESS EXCLUSIVE MODE")
        searches = [pool.submit(search, number) for number in range(10)]
        wait_until(lambda: imdb.a.value(waiting, db=imdb.db) >= 2, what="searches wait for the lock")
        # They take all the places that searches have, and the others are turned away; who writes notices nothing.
        refused = [each.result() for each in itertools.islice(concurrent.futures.as_completed(searches, PATIENCE), 8)]
        assert {(answer.status_code, answer.json()["error"]) for answer in refused} == {(503, "Too many searches are under way.")}
        for answer in refused:
            assert int(answer.headers["Retry-After"]) >= 1
            assert_leaks_nothing(answer)
        assert api.http.post("/generos", json={"genero": "Meanwhile"}).status_code == 201
        assert sum(not each.done() for each in searches) == 2
    assert sorted(each.result().status_code for each in searches) == [200] * 2 + [503] * 8


BAD: list[tuple[str, str, dict[str, t.Any], int]] = [
    ("POST", "/generos", {"content": b""}, 400),
    ("POST", "/generos", {"content": b"{"}, 400),
    ("POST", "/generos", {"content": b'{"genero": "\xff\xfe"}'}, 400),
    ("POST", "/generos", {"content": b'{"genero": "\\u0000"}'}, 400),
    ("POST", "/generos", {"content": b'{"genero": "\\ud800"}'}, 400),
    ("POST", "/generos", {"content": b'{"genero": "x", "\\ud800": 1}'}, 400),
    ("POST", "/generos", {"content": b"[" * 16000}, 400),
    ("POST", "/generos", {"content": b'{"genero": ' + b"9" * 10000 + b"}"}, 400),
    ("POST", "/generos", {"content": b'{"genero": "' + b"x" * 20000 + b'"}'}, 413),
    ("POST", "/generos", {"content": iter([b'{"genero": "', b"x" * 20000, b'"}'])}, 413),
    ("POST", "/generos", {"json": []}, 400),
    ("POST", "/generos", {"json": {}}, 400),
    ("POST", "/generos", {"json": {"genero": None}}, 400),
    ("POST", "/generos", {"json": {"genero": 5}}, 400),
    ("POST", "/generos", {"json": {"genero": ""}}, 400),
    ("POST", "/generos", {"json": {"genero": "  "}}, 400),
    ("POST", "/generos", {"json": {"genero": "x" * 101}}, 400),
    ("POST", "/generos", {"json": {"genero": "x", "id_genero": "1"}}, 400),
    ("POST", "/generos", {"json": {"genero": "x", "id_genero": 2**31}}, 400),
    ("POST", "/generos", {"json": {"genero": "x", "id_genero": 0}}, 400),
    ("POST", "/generos", {"json": {"genero": "x", "nonsense": 1}}, 400),
    ("POST", "/generos", {"json": {"genero": "x"}, "headers": {"Idempotency-Key": ""}}, 400),
    ("POST", "/generos", {"json": {"genero": "x"}, "headers": {"Idempotency-Key": "x" * 300}}, 400),
    ("GET", "/generos?limit=0", {}, 400),
    ("GET", "/generos?limit=x", {}, 400),
    ("GET", "/generos?after=99999999999", {}, 400),
    ("GET", "/titles?q=%ff", {}, 400),
    ("GET", "/titles?q=%00", {}, 400),
    ("GET", "/titles?q=" + "x" * 300, {}, 400),
    ("GET", "/titles/tt1%27%20OR%201=1", {}, 400),
    ("GET", "/titles/%ff", {}, 400),
    ("GET", "/names/tt0000001", {}, 400),
    ("GET", "/nowhere", {}, 404),
    ("DELETE", "/generos", {}, 405),
    ("GET", "/switch-to-primary", {}, 405),
    ("POST", "/switch-to-primary", {}, 401),
    ("POST", "/switch-to-primary", {"headers": {"Authorization": "Bearer wrong"}}, 401),
    ("POST", "/switch-to-primary", {"headers": {"Authorization": f"Basic {TOKEN}"}}, 401),
    ("POST", "/switch-to-primary", {"headers": {"Authorization": "Bearer \u00e9".encode("latin-1")}}, 401),
    ("POST", "/switch-to/pg2", {}, 401),
    ("POST", "/switch-to/nowhere", {"headers": {"Authorization": f"Bearer {TOKEN}"}}, 404),
    ("POST", "/switch-to/pg2?force=perhaps", {"headers": {"Authorization": f"Bearer {TOKEN}"}}, 400),
]


def test_bad_input_is_refused_in_json_that_shows_nothing(api: Api, imdb: FailoverMesh) -> None:
    for method, path, options, status in BAD:
        answer = api.http.request(method, path, **{"headers": {"Content-Type": "application/json"}, **options})
        assert answer.status_code == status, (method, path, options, answer.text)
        assert_leaks_nothing(answer)
    for field in ("'; DROP TABLE generos; --", "%s %(x)s {}", "\\'; SELECT pg_sleep(10)"):
        assert api.http.post("/generos", json={"genero": field}).json()["data"]["genero"] == field
        assert api.http.get("/titles", params={"q": field}).json()["data"] == []
    assert api.http.get("/health").json()["status"] == "ok"
    assert imdb.value_of_both("SELECT count(*) FROM generos") == 3
    # Nobody has changed anything, and who tried to is known.
    assert api.http.get("/active-node").json()["node"] == "pg1"
    assert [(audit["to"], audit["done"], audit["from"]) for audit in api.audits()] == [
        *[("pg1", False, "127.0.0.1")] * 4, ("pg2", False, "127.0.0.1"), ("nowhere", False, "127.0.0.1"),
    ]  # fmt: skip
    assert TOKEN not in api.log.read_text()


NO_HTTP = [b"\x00\xff nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"]


def test_what_is_no_http_is_answered_in_json(api: Api) -> None:
    for sent in NO_HTTP:
        with api.connect(sent) as connection:
            head, body = _read_all(connection).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/json" in head
        assert json.loads(body) == {"ok": False, "error": "This is no HTTP request."}


HALF = b'POST /generos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"genero": '


@pytest.mark.parametrize("api", [{"limits": {"requests": 5, "body_seconds": 3600, "stop_seconds": 1}}], indirect=True)
def test_unfinished_requests_are_in_nobody_s_way(api: Api) -> None:
    halves = [api.connect(HALF) for _ignored in range(20)]
    try:
        assert api.http.post("/generos", json={"genero": "Whole"}).status_code == 201
        # Nor do they keep the service from ending.
        api.stop()
    finally:
        for half in halves:
            half.close()


@pytest.mark.parametrize("api", [{"limits": {"body_seconds": 0.2}}], indirect=True)
def test_an_unfinished_request_is_given_up(api: Api) -> None:
    with api.connect(HALF) as connection:
        head, body = _read_all(connection).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["ok"] is False


# A short wait for rows that do not come; those that do come get all the time they need from the second instance.
@pytest.mark.parametrize("api", [{"failover": {**PATIENT, "switch_wait": 0.5}}], indirect=True)
def test_a_switch_is_refused_while_the_target_lacks_rows(api: Api, second_api: Api, imdb: FailoverMesh) -> None:
    imdb.pause(imdb.a)
    for number in range(20):
        assert api.http.post("/generos", json={"genero": f"Before the switch {number}"}).status_code == 201
    refused = api.switch("-secondary")
    assert refused.status_code == 409, refused.text
    assert refused.json()["lag_bytes"] > 1000
    assert refused.json()["lag_seconds"] > 0
    assert_leaks_nothing(refused)
    assert api.http.get("/active-node").json()["active_node"] == "primary"

    forced = api.switch("/pg2", force="true")
    assert forced.status_code == 200
    assert forced.json()["active_node"] == "secondary"
    assert forced.json()["previous"] == "primary"
    epoch = forced.json()["epoch"]
    wait_until(lambda: second_api.http.get("/active-node").json()["node"] == "pg2", what="the other follows")
    assert second_api.http.get("/active-node").json()["epoch"] == epoch
    assert second_api.http.post("/generos", json={"genero": "After"}).json()["node_used"] == "secondary"

    imdb.go_on(imdb.a)
    imdb.meet()
    back = second_api.switch("-primary")
    assert (back.status_code, back.json()["changed"], back.json()["epoch"]) == (200, True, epoch + 1)
    assert second_api.switch("-primary").json()["changed"] is False
    assert [(audit["to"], audit["done"]) for audit in api.audits()] == [("pg2", False), ("pg2", True)]
    assert TOKEN not in api.log.read_text()


def test_a_forced_switch_is_followed_while_the_node_is_still_catching_up(api: Api, second_api: Api, imdb: FailoverMesh) -> None:
    imdb.pause(imdb.a)
    assert api.http.post("/generos", json={"genero": "Not there yet"}).status_code == 201
    imdb.b.stop("immediate")

    def both_say(state: str) -> bool:
        return all(instance.http.get("/health").json()["nodes"]["pg2"] == state for instance in (api, second_api))

    wait_until(lambda: both_say("aside"), what="pg2 aside")
    imdb.b.start()
    wait_until(lambda: both_say("catching_up"), what="pg2 catching_up")
    assert api.switch("/pg2", force="true").status_code == 200
    wait_until(lambda: second_api.http.get("/active-node").json()["node"] == "pg2", what="followed")
    # Nobody has brought the missing rows meanwhile.
    assert imdb.ids(imdb.b, "generos", "id_genero") == []
    imdb.go_on(imdb.a)
    assert second_api.http.post("/generos", json={"genero": "After"}).json()["node_used"] == "secondary"
    assert imdb.value_of_both("SELECT count(*) FROM generos") == 2


def test_both_masters_down_is_said_at_once_and_ends_by_itself(api: Api, imdb: FailoverMesh) -> None:
    answers = [api.http.post("/generos", json={"genero": f"Kept {number}"}) for number in range(5)]
    stored = [answer.json()["data"]["id_genero"] for answer in answers]
    for node in imdb.nodes:
        kill(node)
    wait_until(lambda: api.http.get("/health").status_code == 503, what="down")
    for method, path in (("GET", "/generos"), ("POST", "/generos"), ("GET", "/active-node")):
        body = {"genero": "x"} if method == "POST" else None
        # One that is waited for would take as long as an attempt may.
        assert fastest(partial(api.http.request, method, path, json=body)) < PATIENT["deadline"]
        answer = api.http.request(method, path, json=body)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert_leaks_nothing(answer)
    for node in imdb.nodes:
        start_again(node)
    wait_until(lambda: api.http.get("/generos").status_code == 200, what="reads again")
    assert api.http.post("/generos", json={"genero": "Later"}).status_code == 201
    api.wait_until_up()
    listed = {row["id_genero"] for row in api.http.get("/generos").json()["data"]}
    assert set(stored) < listed


def test_instances_go_on_without_redis_and_agree_again_with_it(
    api: Api, second_api: Api, imdb: FailoverMesh, redis_pair: list[RedisServer]
) -> None:
    record = json.loads(redis_pair[0].client().get("failover:active"))
    assert sorted(record) == ["by", "epoch", "node", "since"]

    def assert_followed(target: str) -> None:
        assert api.switch(f"/{target}").status_code == 200
        wait_until(lambda: second_api.http.get("/active-node").json()["node"] == target, what="followed through one server")

    # One that hangs, then one away: the other is enough.
    redis_pair[0].signal(signal.SIGSTOP)
    assert_followed("pg2")
    redis_pair[0].stop()
    assert_followed("pg1")
    assert second_api.switch("/pg2").status_code == 200
    wait_until(lambda: api.http.get("/active-node").json()["node"] == "pg2", what="followed the other way")
    # Both away: each by its own probes.
    redis_pair[1].stop()
    kill(imdb.b)
    for instance in (api, second_api):

        def is_over(instance: Api = instance) -> bool:
            return instance.http.get("/active-node").json().get("node") == "pg1"

        wait_until(is_over, what="failover without Redis")
        assert instance.http.post("/generos", json={"genero": f"Alone {instance.port}"}).status_code == 201
    start_again(imdb.b)
    for server in redis_pair:
        server.start()
    for server in redis_pair:
        with server.client() as client:

            def is_back(client: t.Any = client) -> bool:
                return "pg1" in (client.get("failover:active") or "")

            wait_until(is_back, what="the record is back")
    for instance in (api, second_api):
        instance.wait_until_up()
    epochs = {instance.http.get("/active-node").json()["epoch"] for instance in (api, second_api)}
    assert len(epochs) == 1


def test_backups_come_from_the_catalogue(api: Api, redis_pair: list[RedisServer]) -> None:
    assert api.http.get("/backups").json() == {"ok": True, "data": []}
    for number, server in enumerate(redis_pair):
        with server.client() as client:
            label = f"20261124-00000{number}F"
            record = {"timestamp": f"2026-11-24T00:00:0{number}Z", "type": "full", "stanza": "pg1", "label": label}
            client.set(f"pgbackrest:backup:pg1:{label}", json.dumps(record))
            client.zadd("pgbackrest:history:pg1", {label: number})
            client.sadd("pgbackrest:stanzas", "pg1")
    wait_until(lambda: len(api.http.get("/backups").json()["data"]) == 2, what="both servers' backups")
    assert [backup["label"][-2] for backup in api.http.get("/backups").json()["data"]] == ["1", "0"]
    for server in redis_pair:
        server.stop()
    wait_until(lambda: api.http.get("/backups").status_code == 503, what="the catalogue away")
    assert_leaks_nothing(api.http.get("/backups"))
    assert api.http.get("/status").json()["backups"] is None


def test_redis_servers_that_hang_hold_up_nobody(api: Api, redis_pair: list[RedisServer]) -> None:
    assert api.http.get("/backups").status_code == 200
    for server in redis_pair:
        server.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: api.http.get("/backups").status_code == 503, what="the catalogue away")
        for path, status in (("/status", 200), ("/backups", 503)):
            # One that waits for both servers again would take as long as an answer of theirs may, a second.
            assert fastest(partial(api.http.get, path)) < 1
            answer = api.http.get(path)
            assert answer.status_code == status
            assert status == 503 or answer.json()["backups"] is None
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        for server in redis_pair:
            server.signal(signal.SIGCONT)
    wait_until(lambda: api.http.get("/status").json()["backups"] == [], what="the catalogue is back")


def test_metrics_and_description(api: Api) -> None:
    api.http.post("/generos", json={"genero": "Counted"})
    metrics = api.http.get("/metrics").text
    assert 'failover_api_node_active{node="pg1"} 1.0' in metrics
    assert 'failover_api_node_up{node="pg2"} 1.0' in metrics
    assert 'failover_api_request_seconds_count{method="POST",route="/generos",status="201"} 1.0' in metrics
    assert 'failover_api_replication_lag_bytes{publisher="pg1",subscriber="pg2"}' in metrics
    paths = api.http.get("/openapi.json").json()["paths"]
    for path in ("/generos", "/titles/{tconst}", "/switch-to-primary", "/switch-to/{node}", "/health", "/backups"):
        assert path in paths
    assert not any("422" in operation["responses"] for path in paths.values() for operation in path.values())


def test_two_thousand_connections_at_once(api: Api) -> None:
    request = b"GET /generos?limit=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    sockets = [socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE) for _ignored in range(2000)]
    try:
        for each in sockets:
            each.sendall(request)
        statuses = [_read_all(each).split(b" ", 2)[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
    assert set(statuses) <= {b"200", b"503"}
    assert statuses.count(b"200") > 500
    assert api.http.get("/health").json()["status"] == "ok"


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_it_ends_in_order_and_fails_nobody_who_was_being_served(api: Api, imdb: FailoverMesh) -> None:
    outcomes: list[int] = []

    def post(number: int) -> None:
        try:
            with httpx.Client(base_url=api.http.base_url, timeout=PATIENCE) as client:
                outcomes.append(client.post("/generos", json={"genero": f"Last {number}"}).status_code)
        except httpx.ConnectError:
            outcomes.append(0)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number in range(60):
            pool.submit(post, number)
        time.sleep(0.1)
        api.stop(signal.SIGTERM)
    assert set(outcomes) <= {201, 0}
    lines = api.log_lines()
    assert "stopped" in [line["message"] for line in lines[-3:]]
    assert all(line["time"] and line["level"] for line in lines)
    assert imdb.value_of_both("SELECT count(*) FROM generos") == outcomes.count(201)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": [{"name": "pg1", "node_id": 1}]}, "nodes[0].address is missing."),
        ({"listen": {"port": "five"}}, "listen.port must be a whole number."),
        ({"limit": {}}, "has no key limit."),
        ({"failover": {"deadline": 5, "budget": 1}}, "deadline must be shorter than budget"),
        ({"slot_name": "{x}"}, "cannot be used"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_said_in_one_sentence(
    tmp_path: t.Any, imdb: FailoverMesh, change: dict[str, t.Any], said: str
) -> None:
    instance = Api(tmp_path / "wrong", imdb, **change)
    with pytest.raises(RuntimeError, match="the API has ended"):
        instance.start()
    text = instance.log.read_text()
    assert said in text
    assert len(text.splitlines()) == 1
    assert "s3cret" not in text
