#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_sequence_mm
short_description: Set the sequences of a multi-master node so that no two nodes yield the same value
version_added: 0.1.0
description:
  - Sets start, increment and current value of every sequence of a database (identity columns, serial columns and
    sequences of their own), so that this node yields only values that are congruent to O(node_id) modulo
    O(max_nodes). Two nodes with different ids can then never yield the same value, without talking to each other.
  - Existing data is respected. A sequence that is set goes on beyond its own last value and beyond the largest
    value in the columns that it feeds (the smallest for a descending one). Values that sessions have cached count
    as yielded.
  - A sequence that yields this node's values already is left where it is, however far other nodes' values are ahead
    of it, unless rows ahead hold values that it would yield itself (inserted by hand, or from before a restore).
  - The start value is set too, because C(TRUNCATE .. RESTART IDENTITY) replicates and takes every node back to its
    start.
  - With O(cover_new_tables) an event trigger sets sequences in the moment in which a table or a sequence is created
    or altered.
  - C(UNLOGGED) and temporary sequences, and those that belong to an extension, are skipped.
author:
  - multimaster.postgresql contributors (@multimaster)
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.connection
attributes:
  idempotent:
    details: Values that are drawn between two runs change nothing.
options:
  state:
    description:
      - V(present) sets the sequences.
      - V(absent) removes the event trigger, its function and, where nothing else is in it, the schema
        C(multimaster). The sequences keep their stride, since other nodes may still hold values between those of
        this one.
    type: str
    choices: [present, absent]
    default: present
  node_id:
    description:
      - This node's number, another one on every node, from 1 to O(max_nodes). It must never change while the node
        lives.
      - Required with O(state=present).
    type: int
  max_nodes:
    description:
      - The stride, which is how many nodes there can ever be. The same on all nodes. A wide stride wastes the
        values of C(integer) and C(smallint) columns.
      - It can be doubled with all nodes writing, as each keeps a part of its own values. Nodes with new ids may
        only yield values after all others have the new stride, and their own sequences must have been set after
        everything was replicated. Any other new stride needs all nodes at rest until the last of them is set.
    type: int
    default: 8
  include:
    description:
      - Sequences to set, as C(schema.sequence) without quotes. V(*) stands for any text, V(?) for any character.
      - A name without these that no sequence has is an error.
    type: list
    elements: str
    default: ['*']
  exclude:
    description:
      - Sequences to leave as they are, in the form of O(include). Nothing keeps them from yielding what other nodes
        yield.
      - A name without wildcards that no sequence has gives a warning.
    type: list
    elements: str
    default: []
  cover_new_tables:
    description:
      - Whether an event trigger sets sequences as soon as they are created or altered, so that no run of this
        module is needed between C(CREATE TABLE) and the first C(INSERT). V(false) removes it.
      - Making it takes a superuser; being covered by it does not. It lives in the schema C(multimaster) and does
        not fire in apply workers.
      - It cannot see C(setval), with which C(pg_dump) restores positions. A whole dump alters its tables afterwards, and so is
        set right; run this module after one of data alone. C(playbooks/status.yml) tells of sequences that are moved.
    type: bool
    default: true
  headroom:
    description:
      - How many values to leave free when a sequence's increment is changed.
      - A node whose sequences are not set yet can yield any value, also those of this node. Where such a node goes
        on writing meanwhile, set this to more values than it can draw until it is set itself. With no node writing,
        or all of them set before any writes, V(0) is right.
    type: int
    default: 0
  warn_below_percent:
    description:
      - A sequence with less than this share of its values left to this node is named in RV(running_short) and in a
        warning. The type of a column that it feeds counts as well. Cycling sequences never run short.
    type: float
    default: 10
  unindexed_limit_mb:
    description:
      - To find the largest value of a column that no index begins with, the whole table is read. Where that is
        more than so many megabytes the column is not read. It is then named in RV(data_not_read), and in a warning
        when its sequence is set. Columns of foreign tables are never read.
    type: int
    default: 64
  lock_timeout:
    description:
      - Seconds to wait for sequences that an open transaction has drawn from, and for tables that are locked against
        readers. All other sequences are set first.
      - Each attempt waits 0.3 seconds at most, because nobody can draw a value from the sequence meanwhile.
    type: float
    default: 30
notes:
  - Run it on every node before the nodes are opened for writes, and again after a restore and after a node was
    rebuilt from a copy of another one.
  - Sequences are set in transactions of at most 100, each sequence under its lock, so a run that was interrupted is
    completed by the next one.
  - Where other nodes' rows lie ahead of a sequence, the next 200 values that it would yield are looked for among
    them, and the last 200 up to the end of the data, so that a node that was idle for long is checked quickly.
  - A cycling sequence starts again at its C(MINVALUE) (C(MAXVALUE) when descending), so that is set as well. Data
    is not considered, as old values come round by design.
  - A sequence whose whole range holds no value for this node is an error. Exclude it or widen it.
  - Applications that take a block of values per value drawn, such as Hibernate with an C(allocationSize) above 1,
    need blocks of 1.
seealso:
  - module: multimaster.postgresql.pg_subscription_mm
  - module: community.postgresql.postgresql_sequence
"""

EXAMPLES = r"""
- name: Give every sequence of the database this node's share of the values
  multimaster.postgresql.pg_sequence_mm:
    login_db: imdb
    node_id: 1

- name: Leave the invoice numbers and an old schema as they are
  multimaster.postgresql.pg_sequence_mm:
    login_db: shop
    node_id: "{{ multimaster_node_id }}"
    max_nodes: 4
    exclude:
      - public.invoice_number_seq
      - archive.*

- name: Set a pair of nodes one after the other while both are written
  multimaster.postgresql.pg_sequence_mm:
    login_db: shop
    node_id: 2
    headroom: 100000

- name: Remove the event trigger
  multimaster.postgresql.pg_sequence_mm:
    login_db: shop
    state: absent
"""

RETURN = r"""
queries:
  description: The statements that ran, or would run in check mode, in order.
  returned: success
  type: list
  elements: str
  sample:
    - ALTER SEQUENCE "public"."t_id_seq" INCREMENT BY 8
    - ALTER SEQUENCE "public"."t_id_seq" START WITH 2 RESTART WITH 106
sequences:
  description: Every sequence that was changed, or would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: The sequence as C(schema.sequence).
      type: str
      returned: always
    before:
      description: The sequence as it was.
      type: dict
      returned: always
    after:
      description: The sequence as it is.
      type: dict
      returned: always
  sample:
    - name: public.t_id_seq
      before: {increment: 1, start: 1, min_value: 1, max_value: 2147483647, next_value: 101}
      after: {increment: 8, start: 2, min_value: 1, max_value: 2147483647, next_value: 106}
running_short:
  description: Sequences with less than O(warn_below_percent) of their values left to this node.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{name: public.t_id_seq, left: 120, total: 4096, left_percent: 2.93, limit: 32767}]
skipped:
  description: Sequences that are left as they are, and why.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{name: public.scratch_id_seq, reason: unlogged}]
data_not_read:
  description: Columns whose largest value was not read, because of O(unindexed_limit_mb).
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{name: public.log_id_seq, column: public.log.id}]
counts:
  description: How many sequences are to be this node's, how many of them changed, and how many were skipped.
  returned: when O(state=present)
  type: dict
  sample: {sequences: 250, changed: 3, skipped: 1}
cover:
  description: The event trigger with its function before and after, V(present), V(absent) or V(altered).
  returned: success
  type: dict
  sample: {before: absent, after: present}
"""

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import run_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import (
    SEQUENCE_REQUIRED_IF,
    SEQUENCE_SPEC,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.manager import SequenceManager


def main() -> None:
    run_module(
        lambda module, connection: SequenceManager(module.params, connection),
        SEQUENCE_SPEC,
        required_if=SEQUENCE_REQUIRED_IF,
    )


if __name__ == "__main__":
    main()
