# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service's two files: what it does, and its secrets."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from multimaster_failover import NodeSettings, Settings

from .checked import Invalid, Section

# Times of the failover class that the file may set, all in seconds
_TIMES = (
    "probe_interval",
    "probe_timeout",
    "connect_timeout",
    "deadline",
    "budget",
    "statement_timeout",
    "behind_after",
    "stale_wait",
    "switch_wait",
    "failback_after",
)


@dataclass(frozen=True)
class Listen:
    host: str
    port: int
    tls_certificate_file: str
    tls_key_file: str
    # Whether the administrators' token is taken where it came without TLS
    plain_token: bool


@dataclass(frozen=True)
class Limits:
    """``requests``: handled at the same time, more are turned away; ``body_bytes``: of one request.

    ``connections``: open at the same time, in all and from one address. ``head_seconds``: until a connection has agreed on TLS,
    and until a request's line and headers have arrived; ``body_seconds``: until its body has. ``stop_seconds``: for requests
    under way, when the service ends.
    """

    requests: int
    connections: int
    connections_per_address: int
    body_bytes: int
    head_seconds: float
    body_seconds: float
    stop_seconds: float


@dataclass(frozen=True)
class Configuration:
    instance: str
    listen: Listen
    limits: Limits
    failover: Settings
    # Keyword arguments of a Redis client, one for each server
    redis: t.Sequence[t.Mapping[str, t.Any]] = field(repr=False)
    stanzas: t.Sequence[str]
    switch_token: str = field(repr=False)
    log_level: str


def load(path: str) -> Configuration:
    """Read the file and the secrets that it names. Raises Invalid."""
    root = Section(_read(path), path)
    secrets_file = root.text("secrets_file")
    secrets = Section(_read(secrets_file), secrets_file)
    listen, limits, failover = root.section("listen"), root.section("limits"), root.section("failover")
    configuration = Configuration(
        instance=root.text("instance"),
        listen=Listen(
            listen.text("host", "0.0.0.0"),  # noqa: S104 - who may connect is the firewall's
            listen.whole("port", 5000, high=65535),
            listen.text("tls_certificate_file", ""),
            listen.text("tls_key_file", ""),
            listen.flag("plain_token", False),
        ),
        limits=Limits(
            limits.whole("requests", 1000),
            limits.whole("connections", 4000),
            limits.whole("connections_per_address", 1000),
            limits.whole("body_bytes", 16384),
            limits.seconds("head_seconds", 10.0),
            limits.seconds("body_seconds", 10.0),
            limits.seconds("stop_seconds", 10.0),
        ),
        failover=_failover(root, failover, secrets.text("database_password")),
        redis=_redis(root.section("redis"), secrets.text("redis_password", "")),
        stanzas=_texts(root, "stanzas"),
        # A header cannot begin or end with spaces.
        switch_token=secrets.text("switch_token").strip(" \t"),
        log_level=root.text("log_level", "info").upper(),
    )
    if len(configuration.switch_token) < 16:
        raise Invalid(f"{secrets_file}.switch_token must have at least 16 characters.")
    if any(character < " " or character == "\x7f" for character in configuration.switch_token):
        raise Invalid(f"{secrets_file}.switch_token holds a line break or another control character, which no header can.")
    if configuration.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise Invalid(f"{path}.log_level must be debug, info, warning or error.")
    for section in (root, listen, limits, secrets):
        section.done()
    return configuration


def _read(path: str) -> t.Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Invalid(f"{path} is no JSON: {error}.") from None


def _texts(section: Section, key: str) -> list[str]:
    values = section.items(key, [])
    if not all(isinstance(value, str) for value in values):
        raise Invalid(f"{key} must be a list of strings.")
    return values


def _failover(root: Section, failover: Section, password: str) -> Settings:
    connection = root.section("database")
    shared = {
        "dbname": connection.text("name"),
        "user": connection.text("user"),
        "password": password,
        "sslmode": connection.text("sslmode", "verify-full"),
    }
    # Read anew by each new connection.
    files = {"sslrootcert": connection.text("ca_file", ""), "sslcrl": connection.text("crl_file", "")}
    shared |= {name: file for name, file in files.items() if file}
    connection.done()
    nodes: list[NodeSettings] = []
    for index, values in enumerate(root.items("nodes")):
        node = Section(values, f"nodes[{index}]")
        address = {"host": node.text("address"), "port": node.whole("port", 5432, high=65535)}
        nodes.append(NodeSettings(node.text("name"), node.whole("node_id"), {**shared, **address}))
        node.done()
    defaults = Settings(nodes=[NodeSettings("x", 1, {})])
    times: dict[str, t.Any] = {name: failover.seconds(name, getattr(defaults, name)) for name in _TIMES}
    try:
        settings = Settings(
            nodes=nodes,
            slot_name=root.text("slot_name", defaults.slot_name),
            pool_min=failover.whole("pool_min", defaults.pool_min, high=1000),
            pool_max=failover.whole("pool_max", defaults.pool_max, high=1000),
            auto_failback=failover.flag("auto_failback", False),
            **times,
        )
        settings.slot_name.format(publisher=1, subscriber=2)
    except (ValueError, KeyError, IndexError) as error:
        raise Invalid(f"The nodes or the failover settings cannot be used: {error}.") from None
    failover.done()
    return settings


def _redis(section: Section, password: str) -> list[dict[str, t.Any]]:
    shared: dict[str, t.Any] = {"ssl": section.flag("tls", True)}
    username, ca_file = section.text("username", ""), section.text("ca_file", "")
    certificate, key = section.text("certificate_file", ""), section.text("key_file", "")
    if username:
        shared["username"] = username
    if password:
        shared["password"] = password
    if shared["ssl"]:
        shared.update({name: value for name, value in _tls(ca_file, certificate, key).items() if value})
    servers: list[dict[str, t.Any]] = []
    for index, values in enumerate(section.items("servers", [])):
        server = Section(values, f"redis.servers[{index}]")
        servers.append({**shared, "host": server.text("host"), "port": server.whole("port", 6379, high=65535)})
        server.done()
    section.done()
    return servers


def _tls(ca_file: str, certificate: str, key: str) -> dict[str, str]:
    return {"ssl_ca_certs": ca_file, "ssl_certfile": certificate, "ssl_keyfile": key}
