# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the commit on one host to the row on another: logical replication beside a physical standby, in one run."""

from __future__ import annotations

import time
import typing as t

from deployment import session
from timing import say, summary

INSERT = "INSERT INTO titles (tconst, title_type, primary_title, original_title) VALUES (%s, 'movie', 'x', 'x')"


def commit_to_visible(samples: int) -> dict[str, t.Any]:
    """Seconds from the return of COMMIT on the first node until a row is seen by polling the other host.

    The two hosts take turns, row by row, so that what else the machine does meets both alike. Polling over TLS from the same
    process is part of both figures.
    """
    writer = session("mm-bench-1")
    readers = {"peer": session("mm-bench-2"), "physical standby": session("mm-bench-3")}
    taken: dict[str, list[float]] = {name: [] for name in readers}
    write, polls = writer.cursor(), {name: reader.cursor() for name, reader in readers.items()}
    for number in range(samples * 2 + 200):
        name = list(readers)[number % 2]
        key = f"tt6{number:07}"
        write.execute(INSERT, [key])
        started = time.perf_counter()
        poll = polls[name]
        while True:
            poll.execute("SELECT 1 FROM titles WHERE tconst = %s", [key])
            if poll.fetchone():
                break
            if time.perf_counter() - started > 10:
                raise SystemExit(f"a row did not reach the {name} within 10 s")
        # The first rows warm up sessions and caches.
        if number >= 200:
            taken[name].append(time.perf_counter() - started)
        if number % 1000 == 0:
            say(f"  row {number} of {samples * 2 + 200}")
        time.sleep(0.001)
    write.execute("DELETE FROM titles WHERE tconst >= 'tt6' AND tconst < 'tt7'")
    sides = {name: summary(values) for name, values in taken.items()}
    return {
        "title": "commit on one host until it is visible on the other, over TLS (p99)",
        "unit": "s",
        "sides": sides,
        "ratio": sides["peer"]["p99"] / sides["physical standby"]["p99"],
        "asked": 1.5,
    }
