# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the API while masters and instances are killed and frozen: no request fails, every row is there once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import httpx
import pytest
from api_process import TOKEN, Api
from failover_mesh import FailoverMesh, allowed_gap, freeze, kill, longest_gap, start_again, thaw
from relay import relay_in_thread
from servers import Server, wait_until


class Users:
    """Threads that write and read all the time. With several instances a user goes to the next one when one does not answer."""

    def __init__(self, instances: t.Sequence[Api], count: int = 6) -> None:
        self._bases = [str(instance.http.base_url) for instance in instances]
        self._going = True
        self._threads = [threading.Thread(target=self._use, args=(number,)) for number in range(count)]
        self.acknowledged: list[tuple[int, float]] = []
        self.failed: list[str] = []

    def __enter__(self) -> Users:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()

    def _use(self, user: int) -> None:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(httpx.Client(base_url=base, timeout=30)) for base in self._bases]
            number = 0
            while self._going:
                number += 1
                headers = {"Idempotency-Key": f"user-{user}-{number}"} if number % 2 else {}
                answer = self._ask(clients, "POST", "/generos", headers, {"genero": f"User {user} number {number}"})
                if answer is None or answer.status_code != 201:
                    self.failed.append("no answer" if answer is None else answer.text)
                else:
                    self.acknowledged.append((answer.json()["data"]["id_genero"], time.monotonic()))
                read = self._ask(clients, "GET", "/generos?limit=5", {}, None)
                if read is None or read.status_code != 200:
                    self.failed.append("no answer" if read is None else read.text)
                time.sleep(0.005)

    def _ask(
        self, clients: list[httpx.Client], method: str, path: str, headers: dict[str, str], body: t.Any
    ) -> httpx.Response | None:
        # Only what can be repeated safely is sent to another instance.
        for client in clients if method == "GET" or headers else clients[-1:]:
            with contextlib.suppress(httpx.TransportError):
                return client.request(method, path, headers=headers, json=body)
        return None

    @property
    def keys(self) -> list[int]:
        return [key for key, _ignored in self.acknowledged]

    def longest_gap(self) -> float:
        return longest_gap(sorted(at for _ignored, at in self.acknowledged))


QUICK = {"failover": {"switch_wait": 20}}


@pytest.mark.quiet
@pytest.mark.parametrize("api", [QUICK], indirect=True)
@pytest.mark.parametrize(
    ("fault", "heal", "bound"),
    [
        pytest.param(kill, start_again, 0.3, id="kill"),
        pytest.param(freeze, thaw, 0.7, id="freeze"),
    ],
)
def test_users_notice_no_failed_request(
    api: Api, imdb: FailoverMesh, fault: t.Callable[[Server], None], heal: t.Callable[[Server], None], bound: float
) -> None:
    with Users([api]) as users:
        wait_until(lambda: len(users.keys) > 200, what="writes")
        quiet_gap = users.longest_gap()
        fault(imdb.a)
        count = len(users.keys)
        wait_until(lambda: len(users.keys) > count + 200, what="writes afterwards")
        heal(imdb.a)
        api.wait_until_up()
        assert api.switch("-primary").status_code == 200
        count = len(users.keys)
        wait_until(lambda: len(users.keys) > count + 100, what="writes after the way back")
    assert users.failed == []
    imdb.assert_all_there_once(users.keys, "generos", "id_genero")
    assert users.longest_gap() < allowed_gap(bound, quiet_gap)
    print(f"longest gap {users.longest_gap() * 1000:.0f} ms of {len(users.keys)} writes")


@pytest.mark.parametrize("given", [{}, {"id_genero": 4711}], ids=["sequence", "caller"])
def test_a_lost_acknowledgement_is_one_row_and_no_error(tmp_path: Path, imdb: FailoverMesh, given: dict[str, int]) -> None:
    with relay_in_thread(imdb.a.port) as relay:
        # Without TLS, so that the relay can tell the insert from the rest.
        database = {"name": imdb.db, "user": "failover_api", "sslmode": "disable"}
        api = Api(tmp_path / "api", imdb, ports={"pg1": relay.port}, database=database)
        try:
            api.start().wait_until_up()
            # What was committed on the first node does not reach the second before the repetition does.
            imdb.pause()
            relay.lose_answer_to = b"Lost and found"
            answer = api.http.post("/generos", json={"genero": "Lost and found", **given})
            assert relay.lost == 1
            assert (answer.status_code, answer.json()["node_used"]) == (201, "secondary"), answer.text
        finally:
            api.stop()
    key = answer.json()["data"]["id_genero"]
    assert imdb.ids(imdb.a, "generos", "id_genero") == imdb.ids(imdb.b, "generos", "id_genero") == [key]
    imdb.go_on()
    imdb.assert_all_there_once([key], "generos", "id_genero")


def test_one_name_on_two_nodes_is_repaired_as_the_readme_says(imdb: FailoverMesh) -> None:
    """What no policy resolves: the second unique key. It stops both directions until the name is deleted on both nodes."""
    imdb.pause()
    for node in imdb.nodes:
        node.query("INSERT INTO generos (genero) VALUES ('Twice')", db=imdb.db)
    imdb.go_on()
    errors = "SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = %s"
    for node in imdb.nodes:
        name = imdb.subscription(imdb.other(node))

        def stands_still(node: Server = node, name: str = name) -> bool:
            return node.value(errors, [name]) > 0

        wait_until(stands_still, what="both stand still")
    for node in imdb.nodes:
        node.query("DELETE FROM generos WHERE genero = 'Twice'", db=imdb.db)
    imdb.meet()
    imdb.a.query("INSERT INTO generos (genero) VALUES ('Twice')", db=imdb.db)
    assert imdb.value_of_both("SELECT count(*) FROM generos WHERE genero = 'Twice'") == 1


def test_who_switched_is_shown_by_all_instances_and_from_which_address_by_none(api: Api, second_api: Api) -> None:
    assert api.switch("/pg2").status_code == 200
    wait_until(lambda: second_api.http.get("/active-node").json()["node"] == "pg2", what="followed")
    who = "administrator via failover_api@api1"
    for instance in (api, second_api):
        status = instance.http.get("/status")
        assert status.json()["agreed"]["by"] == instance.http.get("/active-node").json()["by"] == who
        assert who in [event["by"] for event in status.json()["events"]]
        assert "127.0.0.1" not in status.text
    assert [audit["from"] for audit in api.audits()] == ["127.0.0.1"]


@pytest.mark.quiet
@pytest.mark.parametrize("api", [QUICK], indirect=True)
def test_an_instance_that_is_killed_costs_no_row_and_makes_none_twice(api: Api, second_api: Api, imdb: FailoverMesh) -> None:
    with Users([api, second_api]) as users:
        wait_until(lambda: len(users.keys) > 200, what="writes")
        api.stop(signal.SIGKILL)
        kill(imdb.a)
        count = len(users.keys)
        wait_until(lambda: len(users.keys) > count + 200, what="writes afterwards")
    assert users.failed == []
    start_again(imdb.a)
    imdb.assert_all_there_once(users.keys, "generos", "id_genero")
    names = [name for (name,) in imdb.a.query("SELECT genero FROM generos", db=imdb.db)]
    assert len(names) == len(set(names)) == len(users.keys)


def test_the_description_holds_for_whatever_is_sent(api: Api, tmp_path: Path) -> None:
    """Requests made from the OpenAPI description, right and wrong ones: none of them breaks the service."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"), "run", f"{api.http.base_url}/openapi.json",
            "--checks", "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance",
            "--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "25",
            "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--no-color",
        ],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert api.http.get("/health").json()["status"] == "ok"
    assert not [line for line in api.log_lines() if line["level"] == "error"]
