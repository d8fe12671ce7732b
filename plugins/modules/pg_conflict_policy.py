#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_conflict_policy
short_description: Decide how replicated rows that conflict are resolved and recorded
version_added: 0.1.0
description:
  - Sets, per database or per table, what happens when two nodes write the same row at the same time.
  - With V(last_update_wins) all nodes end up with the version that was written last. Every row carries its version, which is
    the time of the write and the node. Times never run backwards for a row, whatever the nodes' clocks say, and the higher
    node id wins a tie. A delete wins against an update. Each version that loses is kept in a history on the node where it
    lost.
  - Without it, PostgreSQL stops applying changes at an insert of a key that exists, and lets two updates of one row swap
    places without a word.
author:
  - multimaster.postgresql contributors (@multimaster)
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.connection
options:
  policy:
    description:
      - V(last_update_wins) adds two columns, a default and triggers to each table, and makes the schema C(multimaster) with
        the history and the functions.
      - V(error) is PostgreSQL's own behaviour. It removes all that was added. When no table is left with the other policy, the
        history goes too.
    type: str
    choices: [last_update_wins, error]
    required: true
  node_id:
    description:
      - This node's number, another one on every node, from 1 to 1023. It must never change while the node lives.
      - Run this module on a node that was rebuilt from another node's copy before it is written to, since it has the other
        node's number until then.
      - Required with O(policy=last_update_wins).
    type: int
  tables:
    description:
      - Set the policy on these tables and leave all others alone.
      - A name without a schema is a table of the schema C(public). Names are taken as they are written, nothing is folded. One
        that holds a dot or a double quote needs double quotes around it.
      - Without O(tables) and O(schemas) every published table of the database is meant.
    type: list
    elements: str
  schemas:
    description: Set the policy on every published table of these schemas.
    type: list
    elements: str
  exclude:
    description:
      - Tables that are to have PostgreSQL's own behaviour. The policy is removed from those that have it.
      - With O(policy=error), tables that are to be left as they are.
      - Does not go together with O(tables).
    type: list
    elements: str
    default: []
  history_days:
    description:
      - For how many days a version that lost is kept. Older entries are no longer shown or counted, and they are deleted, a
        hundred at a time, when further conflicts are recorded.
    type: int
    default: 30
  pending_owner:
    description: In check mode, whether the same run makes the role O(history_owner) before this task.
    type: bool
    default: false
  history_owner:
    description:
      - The role that owns the history, and with whose rights it is written. A name that holds a double quote is written in double
        quotes, with that one doubled, as all names here.
      - The history is part of a publication of all tables, though nothing of it is ever replicated. The owner of the
        subscriptions must be able to act as its owner, and should not be a superuser. The subscriptions' owner itself is a
        good choice.
      - By default it belongs to O(login_user).
    type: str
    default: ''
  history_readers:
    description:
      - Roles that may read the history. With a publication of all tables the role as which the peers connect must be able to,
        since a new subscription reads every table, and keeps nothing of this one.
    type: list
    elements: str
    default: []
  delete_window:
    description:
      - A delete arrives without the version that it deleted. So that none is missed, every delete of a row which this node
        updated within so many seconds is recorded, though the deleting node may have seen the update.
      - V(0) records none of them.
    type: int
    default: 3600
  lock_timeout:
    description:
      - Seconds to wait for a table that others hold a lock on. Each attempt waits 0.3 seconds at most, because everybody else
        who wants the table waits behind it.
    type: float
    default: 30
  drain_timeout:
    description:
      - Seconds to wait, before columns are dropped, until all subscribers have received what was written to them. Fails
        without a change when they have not.
    type: float
    default: 30
notes:
  - With a superuser as O(login_user), an event trigger keeps the triggers as they have to be when tables are altered, and so
    through C(ALTER TABLE .. DISABLE TRIGGER ALL) and C(ENABLE TRIGGER ALL), which C(pg_dump --disable-triggers) writes. Without
    it these leave conflicts of applied changes undecided until this module has run.
  - Run it on all nodes. It can be run while they are written to. From the first node that has the columns to the last one,
    those that do not have them cannot apply that node's changes to these tables. They try again by themselves, and nothing is
    lost, unless a subscription has C(disable_on_error) set.
  - To remove it, let nobody write to the tables until the last node is done. A node without the columns cannot apply changes
    from a node that still has them. Set the policy there again if that has happened.
  - The columns are C(_mm_version) and C(_mm_base). C(SELECT *) shows them, and C(COPY) into the table without a list of columns
    has to name the others. C(INSERT) without a list of columns works as before.
  - A new partition has the policy at once, a new table with the next run. A table that was renamed, or whose key
    has other columns, needs a run as well. Until then apply workers stop with an error rather than lose anything. Other columns
    may come and go without one. Where a table is partitioned or has generated columns, rows are then applied more slowly until
    the next run.
  - The history is the view C(multimaster.conflict_history), and C(multimaster.conflict_summary) counts it. It is never
    replicated. C(TRUNCATE) of its table would be, and is refused. C(DELETE) empties this node's.
  - A table that inherits from another one or is inherited (C(INHERITS), other than partitions) cannot have the policy.
  - An update that reaches a row which was deleted on this node leaves no trace here. It is recorded on the node where it was
    made, when the delete arrives there.
  - A delete that arrives is recorded only where it removes a row that was updated here. A row with the same key that was
    deleted and inserted again here, while another node deleted the old one, goes with that delete and leaves no trace.
  - With three nodes or more, changes of one row that were made on different nodes can arrive in another order than they were
    made in. An update that arrives before the insert of its row is dropped, and leaves no trace. The insert then arrives with
    the old values, and this node keeps them until the row is updated again. Have rows updated on the node that inserted
    them, or write on one node at a time.
  - These conflicts are not resolved. A key that is inserted again after it was deleted, or while another node deletes it, can
    end up on one node only. Where all nodes insert, update and delete the same keys, these keys can differ in the end, until
    they are deleted everywhere. A second unique index that two nodes give the same value still stops the apply worker.
    C(TRUNCATE) that meets an insert leaves the nodes with different rows.
  - A changed key that meets a delete of the row, or another change of its key, leaves the nodes with different rows, since the
    update finds no row where it arrives. It is recorded as C(update_key) with the winner C(undecided), and the row that was to
    be there, on each node where that happens. On the node that changed the key, every change of one is in the history as
    C(key_change), which C(multimaster.conflict_summary) does not count. This needs a publication that the history is in, as one
    of all tables. Keys of partitioned tables are not watched. Whoever may write to a table can write such notes.
  - Foreign keys are not checked where changes are applied. A row that is inserted on one node while another node deletes the row
    that it refers to becomes an orphan on both. RV(unchecked_foreign_keys) names the keys.
  - Triggers that are enabled C(ALWAYS) or C(REPLICA) fire in apply workers as well. One that changes the row makes the nodes
    differ without a conflict. The task warns of those that could.
  - A row that arrives while a local transaction has inserted the same key and not yet committed stops the apply worker once. It
    tries again by itself, and then the policy decides.
  - Large values (C(TOAST)) are written and replicated again with every update of their row, since the row is replaced as a
    whole.
  - Bulk inserts in ascending order of the key are applied at about 0.6 of the plain speed, others at 0.3 to 0.5. The faster way
    needs a subscription that has C(run_as_owner) set, whose owner is the tables' owner, or whose owner's rights the tables'
    owner has too. Where the subscription's owner only acts as the tables' owner, all inserts go the slower way.
seealso:
  - module: multimaster.postgresql.pg_publication
  - module: multimaster.postgresql.pg_subscription_mm
  - module: multimaster.postgresql.pg_multimaster_info
"""

EXAMPLES = r"""
- name: The last update wins in every published table of the database
  multimaster.postgresql.pg_conflict_policy:
    login_db: imdb
    policy: last_update_wins
    node_id: "{{ multimaster_node_id }}"

- name: The same, without the audit trail, and with a year of history
  multimaster.postgresql.pg_conflict_policy:
    login_db: shop
    policy: last_update_wins
    node_id: 1
    exclude:
      - audit.log
    history_days: 365

- name: Only in two tables
  multimaster.postgresql.pg_conflict_policy:
    login_db: shop
    policy: last_update_wins
    node_id: 2
    tables:
      - orders
      - '"odd.schema"."Order Lines"'

- name: Remove it everywhere
  multimaster.postgresql.pg_conflict_policy:
    login_db: shop
    policy: error
"""

RETURN = r"""
queries:
  description: The statements that were run, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: ['ALTER TABLE "public"."t" ADD COLUMN "_mm_version" bigint, ADD COLUMN "_mm_base" bigint']
tables:
  description: The tables that were changed, with their policy before and after, and what of it was altered.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The table, with its schema.
      type: str
    before:
      description: V(error), or V(last_update_wins) followed by what was wrong with it.
      type: str
    after:
      description: The policy that the table has now.
      type: str
  sample:
    - name: public.titles
      before: 'last_update_wins, altered: trigger 00_multimaster_update is disabled'
      after: last_update_wins
unchecked_foreign_keys:
  description:
    - The foreign keys of the tables with V(last_update_wins). Nodes do not check them where they apply changes, so that orphans
      can arise on all nodes. M(multimaster.postgresql.pg_multimaster_info) counts these on request.
  returned: success
  type: list
  elements: dict
  sample: [{table: public.title_generos, constraint: title_generos_id_genero_fkey}]
counts:
  description: How many tables of the database have V(last_update_wins) now, and how many were changed.
  returned: success
  type: dict
  sample: {last_update_wins: 12, changed: 1}
"""

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.manager import ConflictManager
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import run_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import (
    CONFLICT_POLICY_EXCLUSIVE,
    CONFLICT_POLICY_REQUIRED_IF,
    CONFLICT_POLICY_SPEC,
)


def main() -> None:
    run_module(
        lambda module, connection: ConflictManager(module.params, connection),
        CONFLICT_POLICY_SPEC,
        required_if=CONFLICT_POLICY_REQUIRED_IF,
        mutually_exclusive=CONFLICT_POLICY_EXCLUSIVE,
    )


if __name__ == "__main__":
    main()
