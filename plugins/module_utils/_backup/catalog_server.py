# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""One Redis server of the catalogue. What goes wrong with it is said in words and is no reason to stop for the others."""

from __future__ import annotations

import inspect
import typing as t
from dataclasses import dataclass

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup.catalog import (
    STANZAS_KEY,
    Change,
    Entries,
    backup_key,
    history_key,
    latest_key,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.info import TYPES

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:  # reported by the module; the import must succeed without it
    redis = None  # type: ignore[assignment]


class CatalogUnavailable(Exception):
    """This server cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Address:
    host: str
    port: int = 6379
    user: str | None = None
    password: str | None = None
    tls: bool = True
    validate_certs: bool = True
    ca_certs: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    timeout: float = 3.0

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


def _without_name() -> dict[str, None]:
    """What keeps the client from telling its name. Clients from 7.1 on have one option for it and warn of the older two."""
    if "driver_info" in inspect.signature(redis.Redis.__init__).parameters:
        return {"driver_info": None}
    return {"lib_name": None, "lib_version": None}


class CatalogServer:
    """A connection that is made when it is first used."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = address.name
        options: dict[str, t.Any] = {
            "host": address.host,
            "port": address.port,
            "username": address.user,
            "password": address.password,
            "socket_timeout": address.timeout,
            "socket_connect_timeout": address.timeout,
            "decode_responses": True,
            # A server that does not answer is left to the next rebuild.
            "retry": Retry(NoBackoff(), 0),
            # The user may have no right to CLIENT SETINFO.
            **_without_name(),
        }
        if address.tls:
            options.update(
                ssl=True,
                ssl_cert_reqs="required" if address.validate_certs else "none",
                ssl_check_hostname=address.validate_certs,
                ssl_ca_certs=address.ca_certs,
                ssl_certfile=address.client_cert_file,
                ssl_keyfile=address.client_key_file,
            )
        self._client: t.Any = redis.Redis(**options)

    def entries(self, stanza: str) -> Entries:
        """All that the server has of one stanza."""
        with _Words(self):
            first = self._client.pipeline(transaction=True)
            first.zrange(history_key(stanza), 0, -1, withscores=True)
            first.mget([latest_key(stanza, kind) for kind in TYPES])
            first.sismember(STANZAS_KEY, stanza)
            history, latest, listed = first.execute()
            labels = [label for label, _score in history]
            values = self._client.mget([backup_key(stanza, label) for label in labels]) if labels else []
            return Entries(
                records={label: value for label, value in zip(labels, values) if value is not None},
                latest={kind: label for kind, label in zip(TYPES, latest) if label is not None},
                history=dict(history),
                listed=bool(listed),
            )

    def stanzas(self) -> list[str]:
        """Names of the stanzas that the server knows."""
        with _Words(self):
            return sorted(self._client.smembers(STANZAS_KEY))

    def apply(self, stanza: str, change: Change) -> None:
        """All of the change or nothing of it."""
        with _Words(self):
            pipeline = self._client.pipeline(transaction=True)
            if change.put:
                pipeline.mset(change.put)
            if change.delete:
                pipeline.delete(*change.delete)
            if change.history_remove:
                pipeline.zrem(history_key(stanza), *change.history_remove)
            if change.history_add:
                pipeline.zadd(history_key(stanza), change.history_add)
            if change.listed is not None:
                (pipeline.sadd if change.listed else pipeline.srem)(STANZAS_KEY, stanza)
            pipeline.execute()

    def close(self) -> None:
        self._client.close()


class _Words:
    """Turns the client's exceptions into one sentence without credentials."""

    def __init__(self, server: CatalogServer) -> None:
        self._server = server

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        if kind is None:
            return
        name, user = self._server.name, self._server.address.user or "default"
        if issubclass(kind, (redis.AuthenticationError, redis.exceptions.NoPermissionError)):
            reason = (
                f"Redis on {name} does not let user {user} in, or not at the catalogue's keys: {self._clean(error)}. "
                "Check login_user, login_password and its ACL (~pgbackrest:*)."
            )
        elif issubclass(kind, redis.TimeoutError):
            reason = f"Redis on {name} did not answer within {self._server.address.timeout:g} s."
        elif "CERTIFICATE_VERIFY_FAILED" in str(error):
            reason = (
                f"Redis on {name} has a certificate that is not trusted: {self._clean(error)}. "
                "Check ca_certs, and that the certificate is issued for that name."
            )
        elif issubclass(kind, redis.ConnectionError):
            reason = f"Redis on {name} cannot be reached: {self._clean(error)}."
        elif issubclass(kind, redis.RedisError):
            reason = f"Redis on {name} refused: {self._clean(error)}."
        elif issubclass(kind, OSError):
            reason = f"Redis on {name} cannot be used: {self._clean(error)}. Check the certificate files and the address."
        else:
            return
        raise CatalogUnavailable(reason) from None

    def _clean(self, error: BaseException) -> str:
        text = " ".join(str(error).split()).rstrip(".")
        password = self._server.address.password
        return text.replace(password, "********") if password else text
