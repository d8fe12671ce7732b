#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_node_equal
short_description: Whether a node and a peer have caught up and hold the same rows
version_added: 0.1.0
description:
  - Waits until each of two nodes has confirmed what the other had written when the task began, and then compares the rows
    of every published table, by their number and a hash over all of them. Changes nothing, but for one message in each node's
    WAL, which leaves no trace in any table.
  - The rows are read with C(COPY) and hashed on the host that the task runs on. No code of a table's owner runs meanwhile, as a
    query would make it. Tables of which a publication sends some rows only are not compared.
  - A table that is written to differs for as long as a change is on its way. It is read again, on both nodes at the same
    moment, until it is equal once.
  - Of tables that stay different it tells rows that one node lacks from those that are on their way.
extends_documentation_fragment:
  - multimaster.postgresql.attributes.info
  - multimaster.postgresql.connection
  - multimaster.postgresql.connection.peer
options:
  publications:
    description: The publications whose tables are compared.
    type: list
    elements: str
    required: true
  slot_here:
    description: The slot on this node that the peer reads from.
    type: str
    required: true
  slot_there:
    description: The slot on the peer that this node reads from.
    type: str
    required: true
  compare:
    description: Whether rows are compared, once the nodes have caught up.
    type: bool
    default: true
  catch_up_seconds:
    description: How long to wait for that. The task does not fail when it is not long enough, but says how much is left.
    type: float
    default: 10
  compare_seconds:
    description: For how long tables that differ are read again.
    type: float
    default: 15
  mark_file:
    description:
      - A file that says who is at work. While the task works, its time of change is kept fresh, as long as it holds O(mark_text).
    type: path
  mark_text:
    description: What O(mark_file) holds as long as it is the caller's.
    type: str
    default: ''
seealso:
  - module: multimaster.postgresql.pg_multimaster_info
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Compare with the other node
  multimaster.postgresql.pg_node_equal:
    login_db: imdb
    publications: [pub_imdb]
    slot_here: slot_1_to_2
    slot_there: slot_2_to_1
    peer: {host: pg2.example.org, user: replicator, ca_cert: /etc/multimaster/tls/ca.crt}
    peer_password: "{{ replicator_password }}"
"""

RETURN = r"""
caught_up:
  description: Whether each node has confirmed what the other had written.
  returned: success
  type: bool
  sample: true
left_bytes:
  description: Bytes of WAL that are not confirmed.
  returned: success
  type: int
  sample: 0
stalled:
  description:
    - Whether one of the two nodes got nothing of it while the task waited. A large transaction is confirmed at its end, but a
      node that receives and applies it gets on.
  returned: success
  type: bool
  sample: false
equal:
  description: Whether all tables are equal, and all could be read. Null where they were not compared.
  returned: success
  type: bool
  sample: true
tables:
  description: How many tables were compared.
  returned: success
  type: int
  sample: 14
rows:
  description: How many rows they have on this node.
  returned: success
  type: int
  sample: 351000
differing:
  description:
    - The tables that differ, with the number of their rows on both nodes.
    - C(missing_here) and C(missing_there) count rows that this node or the peer lacks, though the other
      one has had them, as they are, since before both caught up. A row that is older on one node than on the other counts in
      both. Zero means that the differences come and go with what is written, null that the nodes did not catch up again in
      O(catch_up_seconds). Of a table that differs a lot, not all rows are looked at.
  returned: success
  type: list
  elements: dict
  sample: [{table: public.titles, rows_here: 100, rows_there: 101, missing_here: 1, missing_there: 0}]
unread:
  description:
    - The tables that one of the two roles may not read as a whole, with the reason. One with row security can be read by a
      superuser and by a role with BYPASSRLS.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import contextlib
import os
import threading
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    PEER_SECRETS_SPEC,
    PEER_SPEC,
    Connection,
    login_parameters,
    peer_parameters,
    psycopg2,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.equal import (
    Direction,
    Side,
    catch_up,
    compare,
    count_missing,
    replicated,
)

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "peer": {"type": "dict", "required": True, "options": PEER_SPEC},
    **PEER_SECRETS_SPEC,
    "publications": {"type": "list", "elements": "str", "required": True},
    "slot_here": {"type": "str", "required": True},
    "slot_there": {"type": "str", "required": True},
    "compare": {"type": "bool", "default": True},
    "catch_up_seconds": {"type": "float", "default": 10},
    "compare_seconds": {"type": "float", "default": 15},
    "mark_file": {"type": "path"},
    "mark_text": {"type": "str", "default": ""},
}
# How often the mark is refreshed.
MARK_SECONDS = 5
# Thirty days: more is a mistake.
MAX_SECONDS = 30 * 24 * 3600


def main() -> None:
    module = Module(argument_spec={**CONNECTION_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    finish(module, lambda: _work(module))


def _work(module: Module) -> dict[str, t.Any]:
    params = module.params
    _check(params)
    there_parameters = peer_parameters(params)
    here = Connection(login_parameters(params), module.warn, "compare")
    try:
        there = Connection(there_parameters, module.warn, "compare")
        try:
            with _kept_fresh(params["mark_file"], params["mark_text"]):
                return _work_on(params, here, there)
        finally:
            there.close()
    finally:
        here.close()


def _check(params: dict[str, t.Any]) -> None:
    for name in ("catch_up_seconds", "compare_seconds"):
        if not 0 <= params[name] <= MAX_SECONDS:
            raise MultimasterError(f"{name} is {params[name]:g}: it must be a number of seconds from 0 to {MAX_SECONDS}.")


@contextlib.contextmanager
def _kept_fresh(path: str | None, text: str) -> t.Iterator[None]:
    """A thread of its own, since one query can take longer than the mark counts."""
    end = threading.Event()

    def refresh() -> None:
        while True:
            # Where it is another's, or gone, the caller finds out before its next step.
            with contextlib.suppress(OSError), open(path or "", encoding="utf-8") as file:
                if file.read() == text:
                    os.utime(path or "")
            if end.wait(MARK_SECONDS):
                return

    if path is None:
        yield
        return
    thread = threading.Thread(target=refresh, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _work_on(params: dict[str, t.Any], here: Connection, there: Connection) -> dict[str, t.Any]:
    directions = [Direction(here, there, params["slot_here"]), Direction(there, here, params["slot_there"])]
    left, stalled = catch_up(directions, params["catch_up_seconds"])
    compared = params["compare"] and not left
    tables = replicated(here, params["publications"]) if compared else []
    sides = Side.of(here, tables), Side.of(there, tables)
    found = compare(*sides, tables, params["compare_seconds"])
    if found.differences:
        count_missing(*sides, directions, found.differences, params["catch_up_seconds"])
    equal = not found.differences and not found.unread
    return {
        "changed": False,
        "caught_up": not left,
        "left_bytes": left,
        "stalled": stalled,
        "equal": equal if compared else None,
        "tables": len(found.rows),
        "rows": sum(found.rows.values()),
        "differing": [difference.result for difference in found.differences],
        "unread": [{"table": str(table), "why": why} for table, why in found.unread.items()],
    }


if __name__ == "__main__":
    main()
