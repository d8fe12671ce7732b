# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of pg_conflict_policy share: two nodes that replicate to each other."""

from __future__ import annotations

import typing as t

from psycopg2 import sql
from servers import PATIENCE, Pair, Server, wait_until

NODE_IDS = {"a": 1, "b": 2}


class Mesh:
    """Both directions over a pair's database, all tables published, with or without the policy."""

    def __init__(self, pair: Pair, run_module: t.Callable[..., t.Any]) -> None:
        self.pair, self.a, self.b, self.db = pair, pair.a, pair.b, pair.db
        self.nodes = (pair.a, pair.b)
        self._run_module = run_module

    def other(self, node: Server) -> Server:
        return self.b if node is self.a else self.a

    def slot(self, publisher: Server) -> str:
        return f"slot_{self.db}_from_{publisher.name}"

    def subscription(self, publisher: Server) -> str:
        return f"sub_{self.db}_from_{publisher.name}"

    def publish(self, what: str = "FOR ALL TABLES") -> None:
        self.pair.both(f"CREATE PUBLICATION pub {what}")

    def subscribe(self, *publishers: Server, copy_data: bool = False, options: str = "") -> None:
        for publisher in publishers or self.nodes:
            subscriber = self.other(publisher)
            publisher.query("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [self.slot(publisher)], self.db)
            command = (
                "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION pub WITH (create_slot = false, slot_name = {}, "
                f"copy_data = {str(copy_data).lower()}, origin = none{options})"
            )
            conninfo = f"host=127.0.0.1 port={publisher.port} user=postgres dbname={self.db}"
            subscriber.query(
                sql.SQL(command).format(
                    sql.Identifier(self.subscription(publisher)), sql.Literal(conninfo), sql.Literal(self.slot(publisher))
                ),
                db=self.db,
            )

    def policy(self, node: Server, policy: str = "last_update_wins", **options: t.Any) -> t.Any:
        run = {name: options.pop(name) for name in ("check", "fails") if name in options}
        if policy == "last_update_wins":
            options.setdefault("node_id", NODE_IDS[node.name])
        return self._run_module("pg_conflict_policy", {**self.pair.login(node), "policy": policy, **options}, **run)

    def policies(self, policy: str = "last_update_wins", **options: t.Any) -> None:
        for node in self.nodes:
            self.policy(node, policy, **options)

    def pause(self, *publishers: Server) -> None:
        """What these publish does not arrive until ``go_on``."""
        for publisher in publishers or self.nodes:
            self._alter(publisher, "DISABLE")
            subscriber = self.other(publisher)

            def is_still(publisher: Server = publisher, subscriber: Server = subscriber) -> bool:
                return self.worker(subscriber, publisher) is None

            wait_until(is_still, what="end of the apply worker")

    def go_on(self, *publishers: Server) -> None:
        for publisher in publishers or self.nodes:
            self._alter(publisher, "ENABLE")

    def _alter(self, publisher: Server, what: str) -> None:
        self.other(publisher).query(
            sql.SQL(f"ALTER SUBSCRIPTION {{}} {what}").format(sql.Identifier(self.subscription(publisher))), db=self.db
        )

    def worker(self, subscriber: Server, publisher: Server) -> int | None:
        rows = subscriber.query(
            "SELECT pid FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL AND relid IS NULL",
            [self.subscription(publisher)],
            self.db,
        )
        return rows[0][0] if rows else None

    def meet(self, seconds: float = PATIENCE) -> None:
        """Until everything that was written on either node has reached the other one."""
        for publisher in self.nodes:
            # The end of what is inserted need never be confirmed: it can be behind a page's header.
            lsn = publisher.value("SELECT pg_logical_emit_message(true, 'test', '')::text", db=self.db)

            def has_arrived(p: Server = publisher, to: str = lsn) -> bool:
                return p.value(
                    "SELECT bool_and(confirmed_flush_lsn >= %s::pg_lsn) FROM pg_replication_slots WHERE slot_name = %s",
                    [to, self.slot(p)],
                    self.db,
                )

            try:
                wait_until(has_arrived, seconds)
            except AssertionError:
                raise AssertionError(
                    "\n".join([f"nothing more arrives from {publisher.name}", *self.worker_log(self.other(publisher))])
                ) from None

    def worker_log(self, node: Server, lines: int = 15) -> list[str]:
        """What the node's apply workers have said last, for the message of a test that fails."""
        said = [line for line in node.log_text().splitlines() if " LOG:  statement:" not in line]
        return [line[:300] for line in said if "ERROR" in line or "CONTEXT" in line or "DETAIL" in line][-lines:]

    def apply_errors(self) -> int:
        return sum(
            node.value(
                "SELECT coalesce(sum(apply_error_count), 0) FROM pg_stat_subscription_stats s "
                "JOIN pg_subscription p ON p.oid = s.subid WHERE p.subname LIKE %s",
                [f"sub_{self.db}_%"],
                self.db,
            )
            for node in self.nodes
        )

    def rows(self, node: Server, query: str = "SELECT * FROM t ORDER BY 1") -> list[tuple[t.Any, ...]]:
        return node.query(query, db=self.db)

    def same(self, query: str = "SELECT * FROM t ORDER BY 1") -> list[tuple[t.Any, ...]]:
        """What both nodes hold, once they have met and agree."""
        self.meet()
        first, second = (self.rows(node, query) for node in self.nodes)
        assert first == second
        return first

    def history(self, node: Server, columns: str = "kind, winner, key, local_row, remote_row") -> list[tuple[t.Any, ...]]:
        return self.rows(node, f"SELECT {columns} FROM multimaster.conflict_history ORDER BY id")
