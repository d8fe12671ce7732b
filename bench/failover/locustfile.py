# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of the API, for Locust: each knows both instances, reads and writes, and notes every answer in the journal.

From the environment: FAILOVER_INSTANCES (addresses), FAILOVER_CA (the authority's certificate), FAILOVER_JOURNAL (file),
FAILOVER_RUN (part of every name that is written), FAILOVER_RATE (requests per second of all users together), FAILOVER_USERS,
FAILOVER_PATIENCE (seconds).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import typing as t
import uuid

import gevent
import gevent.ssl
from geventhttpclient import HTTPClient
from journal import Entry, Writer
from locust import User, events, task

PORT = 5000
INSTANCES = os.environ["FAILOVER_INSTANCES"].split(",")
RUN = os.environ["FAILOVER_RUN"]
# A user thinks so long between two requests, give or take a half.
THINKS = int(os.environ["FAILOVER_USERS"]) / float(os.environ["FAILOVER_RATE"])

# An instance answers in time or is left for the other one, at once; whoever answers is asked again. The time is beyond what an
# instance needs to leave a node that hangs.
CONNECT_SECONDS, ANSWER_SECONDS, BUDGET_SECONDS = 0.3, 0.6, 5.0
# Where everything is slow and nothing is broken, an answer is waited for so long and nobody is asked again.
PATIENCE = float(os.environ.get("FAILOVER_PATIENCE", "0"))
if PATIENCE:
    CONNECT_SECONDS = ANSWER_SECONDS = BUDGET_SECONDS = PATIENCE

TLS = gevent.ssl.create_default_context(cafile=os.environ["FAILOVER_CA"])

writer = Writer(os.environ["FAILOVER_JOURNAL"])
numbers = itertools.count()


@events.quitting.add_listener
def _close(**_: t.Any) -> None:
    writer.close()


class Refused(Exception):
    """An answer that another attempt can better."""


class ApiUser(User):
    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        first = next(numbers)
        self._order = [INSTANCES[(first + turn) % len(INSTANCES)] for turn in range(len(INSTANCES))]
        self._clients: dict[str, HTTPClient] = {}

    def wait_time(self) -> float:
        return random.uniform(0.5, 1.5) * THINKS

    @task(3)
    def write(self) -> None:
        name = f"{RUN} {uuid.uuid4().hex}"
        body = json.dumps({"genero": name})
        # The same key with every attempt: the row is stored once, whoever is asked.
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        self._request("write", "POST", "/generos", 201, body, headers, name)

    @task(1)
    def read_genres(self) -> None:
        self._request("read", "GET", "/generos?limit=20", 200)

    @task(1)
    def read_title(self) -> None:
        self._request("read", "GET", f"/titles/tt{random.randint(1, 2000):07d}", 200)

    def _request(
        self, kind: str, method: str, path: str, expected: int, body: str = "", headers: t.Any = None, name: str = ""
    ) -> None:
        started, attempts, refused, problem = time.monotonic(), 0, 0, ""
        while time.monotonic() - started < BUDGET_SECONDS:
            instance = self._order[0]
            attempts += 1
            try:
                answer = self._send(instance, method, path, expected, body, headers)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other instance is asked
                problem = f"{type(error).__name__}: {error}"[:120]
                refused += isinstance(error, Refused)
                self._give_up(instance)
                if attempts % len(INSTANCES) == 0:
                    gevent.sleep(0.05)
                continue
            key = answer["data"]["id_genero"] if kind == "write" else None
            self._note(Entry(kind, started, time.monotonic(), "", instance, attempts, key, name, refused))
            return
        self._note(Entry(kind, started, time.monotonic(), problem or "no time", "", attempts, None, name, refused))

    def _send(self, instance: str, method: str, path: str, expected: int, body: str, headers: t.Any) -> t.Any:
        client = self._clients.get(instance)
        if client is None:
            client = HTTPClient(
                instance, PORT, connection_timeout=CONNECT_SECONDS, network_timeout=ANSWER_SECONDS, concurrency=1,
                ssl=True, ssl_context_factory=lambda: TLS,
            )  # fmt: skip
            self._clients[instance] = client
        answer = client.request(method, path, body=body.encode(), headers=headers or {})
        content = answer.read()
        if answer.status_code != expected:
            raise Refused(f"{answer.status_code} {bytes(content)[:80].decode(errors='replace')}")
        return json.loads(bytes(content))

    def _give_up(self, instance: str) -> None:
        self._order.append(self._order.pop(0))
        client = self._clients.pop(instance, None)
        if client is not None:
            client.close()

    def _note(self, entry: Entry) -> None:
        writer.add(entry)
        self.environment.events.request.fire(
            request_type=entry.kind, name=entry.kind, response_time=entry.seconds * 1000, response_length=0,
            exception=Refused(entry.error) if entry.error else None, context={},
        )  # fmt: skip
