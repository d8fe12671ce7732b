# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus is told."""

from __future__ import annotations

import typing as t

from multimaster_failover.events import Event
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from .service import Service

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0)


class Metrics:
    """Counters of what happened, and gauges read from the service when asked."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "failover_api_request_seconds",
            "Time to answer a request",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._events = Counter(
            "failover_api_events",
            "Failovers, switches, nodes set aside or up again, writes in doubt",
            ["kind", "node"],
            registry=self._registry,
        )
        self._registry.register(self)
        service.client.events.listeners.append(self._event)

    def request(self, scope: t.Mapping[str, t.Any], status: int, seconds: float) -> None:
        # The route, not the path: a label has few values.
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in {"GET", "POST", "HEAD"} else "other"
        self._requests.labels(method, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def _event(self, event: Event) -> None:
        self._events.labels(event.kind, event.node).inc()

    def collect(self) -> t.Iterator[GaugeMetricFamily]:
        """Called by the registry."""
        client = self._service.client
        nodes = client.nodes.values()
        up = [(node.name, node.state.value == "up") for node in nodes]
        yield self._gauge("node_up", "1 while the node can be used", ["node"], up)
        active = [(node.name, node is client.active) for node in nodes]
        yield self._gauge("node_active", "1 for the active node", ["node"], active)
        suspected = [(node.name, node.judged.verdict) for node in nodes]
        text = "Whether the node looks like a copy from the past: 1 for one look, 2 for sure; alert where an active node does"
        yield self._gauge("node_suspected", text, ["node"], suspected)
        probes = [(node.name, node.report.seconds) for node in nodes if node.report]
        yield self._gauge("probe_seconds", "Time of the last answered probe", ["node"], probes)
        for name, what in (("size", "open connections"), ("free", "idle connections"), ("waiting", "requests that wait for one")):
            pools = [(node.name, getattr(node.pool, name)) for node in nodes]
            yield self._gauge(f"pool_{name}", f"The pool's {what}", ["node"], pools)
        lags = client.lags()
        for unit in ("bytes", "seconds"):
            known = [(lag["publisher"], lag["subscriber"], lag[unit]) for lag in lags if lag[unit] is not None]
            text = "What the subscriber has not confirmed"
            yield self._gauge(f"replication_lag_{unit}", text, ["publisher", "subscriber"], known)
        yield self._gauge("epoch", "Epoch of the agreed active node", [], [(client.record.epoch if client.record else 0,)])
        servers = [(str(index), answers) for index, answers in enumerate(self._service.redis_answering())]
        yield self._gauge("redis_up", "1 while the server answers", ["server"], servers)

    def _gauge(self, name: str, text: str, labels: list[str], values: t.Iterable[tuple[t.Any, ...]]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"failover_api_{name}", text, labels=labels)
        for *names, value in values:
            family.add_metric(names, float(value))
        return family
