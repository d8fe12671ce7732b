# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the endpoints work with, started and ended together."""

from __future__ import annotations

import contextlib
import logging

import psycopg
from multimaster_failover import FailoverClient, KeyStock, Unavailable
from multimaster_failover.redis_agreement import RedisAgreement

from .attempts import Attempts
from .catalogue import Catalogue
from .configuration import Configuration
from .generos_sql import SEQUENCE, warm_up
from .idempotency import IdempotencyKeys
from .searches import Searches

log = logging.getLogger("failover_api")


class Service:
    """One instance of the API."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._agreement = RedisAgreement(configuration.redis) if configuration.redis else None
        self.client = FailoverClient(
            configuration.failover,
            name=f"failover_api@{configuration.instance}",
            agreement=self._agreement,
            warm_up=warm_up,
        )
        self.genero_keys = self.client.key_stock(SEQUENCE)
        self.attempts = Attempts()
        self.idempotency_keys = IdempotencyKeys()
        self.searches = Searches(configuration.failover.pool_max)
        self.catalogue = Catalogue(configuration.redis, configuration.stanzas)

    async def start(self) -> None:
        await self.client.start()
        # So that the first request after a start finds a key.
        with contextlib.suppress(Unavailable, psycopg.Error):
            await self.genero_keys.fill()
        log.info("started with %d nodes", len(self.client.nodes))

    async def stop(self) -> None:
        await self.client.stop()
        await self.catalogue.close()
        log.info("stopped")

    def drop_genero_keys(self, useless: KeyStock) -> None:
        """Go on with other keys than those of this stock."""
        if self.genero_keys is useless:
            self.genero_keys = self.client.key_stock(SEQUENCE)

    def redis_answering(self) -> list[bool]:
        return list(self._agreement.answering) if self._agreement else []
