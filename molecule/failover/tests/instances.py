# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's instances as their clients reach them, clients that write all the time, and what must be true of their rows."""

from __future__ import annotations

import ssl
import threading
import time
import typing as t
from dataclasses import dataclass, field

import httpx
import psycopg2
from mesh import DEPLOYMENT, Node, eventually, secret

# Nothing here is about time: a limit that only a mesh which never gets there reaches.
PATIENCE = 120
# As many as a node has subscriptions, and slots.
DATABASES = "2"


@dataclass
class Instance:
    """One instance of the API."""

    name: str
    address: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.client(30)

    def client(self, timeout: float) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(DEPLOYMENT / "ca/ca.crt"))
        host = f"[{self.address}]" if ":" in self.address else self.address
        return httpx.Client(base_url=f"https://{host}:5000", timeout=timeout, verify=trusted)

    def get(self, path: str) -> dict[str, t.Any]:
        """What it answers; nothing while it does not."""
        try:
            return t.cast("dict[str, t.Any]", self.http.get(path).json())
        except httpx.TransportError:
            return {}

    def switch(self, node: str, token: str | None = None, **parameters: t.Any) -> httpx.Response:
        # Spaces around it do not count, and no client sends them.
        token = (token or secret("failover_api_switch_token")).strip()
        return self.http.post(f"/switch-to/{node}", headers={b"Authorization": f"Bearer {token}".encode()}, params=parameters)


@dataclass
class Mesh:
    """Two nodes, each with an instance on its host."""

    nodes: list[Node]
    instances: list[Instance]

    def active(self) -> Node:
        """The node that all instances use."""
        eventually(lambda: len(set(self._active())) == 1 and self._active()[0] != "", "one active node for both", PATIENCE)
        return next(node for node in self.nodes if node.name == self._active()[0])

    def other(self, node: Node) -> Node:
        return next(each for each in self.nodes if each is not node)

    def _active(self) -> list[str]:
        return [instance.get("/active-node").get("node") or "" for instance in self.instances]

    def wait_until_up(self) -> None:
        """Every instance finds every node up to date."""
        wanted = {node.name: "up" for node in self.nodes}
        eventually(lambda: all(i.get("/health").get("nodes") == wanted for i in self.instances), "nodes up", PATIENCE)

    def streams(self) -> bool:
        """Every subscription works, and every slot is read."""
        try:
            return all(
                node.admin("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND relid IS NULL") == DATABASES
                and node.admin("SELECT count(*) FROM pg_replication_slots WHERE active") == DATABASES
                for node in self.nodes
            )
        except AssertionError:
            return False

    def genres(self, node: Node) -> list[tuple[t.Any, ...]]:
        """Every row with all its columns, the versions included; nothing while the node does not answer."""
        try:
            return node.query("SELECT * FROM generos ORDER BY id_genero")
        except psycopg2.Error:
            node.close()
            return []

    def assert_each_once(self, acknowledged: t.Mapping[str, int]) -> None:
        """After healing: all rows that were acknowledged are on both nodes, once, and the tables are equal."""
        first, second = self.nodes
        eventually(self.streams, "subscriptions stream", PATIENCE)
        eventually(lambda: self.genres(first) == self.genres(second) != [], "equal tables", PATIENCE)
        for node in self.nodes:
            rows = node.query("SELECT genero, id_genero FROM generos")
            assert len(dict(rows)) == len(rows)
            there = dict(rows)
            assert {name: there.get(name) for name in acknowledged} == dict(acknowledged), node.name


class Writers:
    """Clients that add one genre after the other, each with an ``Idempotency-Key``, and go to the next instance when one is gone.

    ``acknowledged``: the genres that were confirmed with 201, and their keys. ``failed``: what was answered otherwise.
    """

    def __init__(self, instances: t.Sequence[Instance], story: str, count: int = 4) -> None:
        self.acknowledged: dict[str, int] = {}
        self.failed: list[str] = []
        # The host that is cut off: its own instance reaches no node, and says so once its answers come through again.
        self.cut_off = ""
        # Whether requests are repeated while no node is there, as Retry-After says.
        self.patient = False
        # Requests that two instances in a row did not take
        self.nowhere: list[str] = []
        self._story = story
        self._instances = list(instances)
        self._going = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(count)]

    def __enter__(self) -> Writers:
        self._going.set()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going.clear()
        for thread in self._threads:
            thread.join()

    def more(self, count: int = 60) -> None:
        """Returns when so many more genres have been acknowledged."""
        wanted = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= wanted or bool(self.failed), "more acknowledged writes", PATIENCE)
        assert not self.failed, f"{len(self.failed)} failed, first {self.failed[:3]}"

    def _write(self, writer: int) -> None:
        # Half of the clients prefer the one instance, half the other.
        order = self._instances[writer % len(self._instances) :] + self._instances[: writer % len(self._instances)]
        clients = [(instance.name, instance.client(5)) for instance in order]
        number = 0
        while self._going.is_set():
            number += 1
            name = f"{self._story}, writer {writer}, {number}"
            answer = self._ask(clients, name)
            if answer is not None and answer.status_code == 201:
                self.acknowledged[name] = answer.json()["data"]["id_genero"]
            else:
                said = "no instance answered" if answer is None else f"{answer.status_code} {answer.text}"
                self.failed.append(f"{name}: {said}")
            time.sleep(0.01)
        for _name, client in clients:
            client.close()

    def _ask(self, clients: list[tuple[str, httpx.Client]], name: str) -> httpx.Response | None:
        """The answer of the first instance that gives one: with its key a request can be repeated anywhere."""
        limit = time.monotonic() + PATIENCE
        tried = 0
        while time.monotonic() < limit:
            host, client = clients[0]
            try:
                answer = client.post("/generos", json={"genero": name}, headers={"Idempotency-Key": name.replace(" ", "_")})
            except httpx.TransportError:
                answer = None
            if tried == len(clients) - 1 and answer is None:
                self.nowhere.append(name)
            tried += 1
            if answer is not None and not (answer.status_code == 503 and (self.patient or host == self.cut_off)):
                return answer
            if self.patient:
                time.sleep(0.1)
            # The next one, also for the next request
            clients.append(clients.pop(0))
        return None
