#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_subscription_mm
short_description: This node subscribes to that peer
version_added: 0.1.0
description:
  - Makes, repairs and removes one direction of a multi-master pair, a subscription of the server that the task connects to.
  - The replication slot is made on the peer first, and the subscription with C(create_slot = false), so that both nodes of
    a pair can run this module at the same moment. PostgreSQL's own way, each C(CREATE SUBSCRIPTION) making its slot,
    blocks both nodes for ever then.
  - All options that PostgreSQL can alter are compared with the description and repaired by the fewest statements. The
    tables are refreshed exactly when those that the peer publishes and those of the subscription differ.
  - Whatever would stop replication, as far as it can be seen, fails the task before anything changes.
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.connection
  - multimaster.postgresql.connection.peer
options:
  name:
    description: Name of the subscription. It is taken as it is written, case included.
    type: str
    required: true
  state:
    description:
      - V(absent) removes the subscription, and its slot on the peer. Where the peer does not answer, the subscription is
        detached, and the result names the slot that stays. It also removes a slot that an earlier removal left, unless it is
        in use.
    type: str
    choices: [present, absent]
    default: present
  publications:
    description: The peer's publications to subscribe to. Required with O(state=present). Their order is of no account.
    type: list
    elements: str
  slot_name:
    description:
      - Name of the replication slot on the peer, by default the subscription's. It is unique on the whole server of the peer,
        across its databases.
      - Changing it makes the new slot as a copy of the old one, so that no change is lost in between.
    type: str
  owner:
    description:
      - The subscription's owner, as which the apply worker logs in. Required with O(state=present).
      - A role that is not a superuser, has C(LOGIN), is a member of C(pg_create_subscription) and has C(CREATE) on the
        database. Unless O(run_as_owner) is set, it must be able to act as the tables' owners.
    type: str
  enabled:
    description: Whether the subscription replicates.
    type: bool
    default: true
  comment:
    description: A comment on the subscription. An empty one removes it; without this option it is left as it is.
    type: str
  record_publisher:
    description:
      - Whether the comment names the peer's system identifier and timeline, once, where it does not yet. Ignored with O(comment).
      - A peer that is another server than the recorded one, or has been restored or promoted since, is warned of. To accept
        it, remove the subscription's comment.
    type: bool
    default: false
  binary:
    description: Whether the peer sends values in binary form.
    type: bool
    default: false
  streaming:
    description: Whether large transactions are sent while they run, and applied in parallel.
    type: str
    choices: ['off', 'on', parallel]
    default: 'off'
  synchronous_commit:
    description: C(synchronous_commit) of the apply workers.
    type: str
    choices: ['off', local, remote_write, 'on', remote_apply]
    default: 'off'
  disable_on_error:
    description: Whether an error disables the subscription instead of being tried again.
    type: bool
    default: false
  password_required:
    description: Whether a connection to the peer must use a password, for an owner that is not a superuser.
    type: bool
    default: true
  run_as_owner:
    description: Whether changes are applied as the subscription's owner, and not as the owner of each table.
    type: bool
    default: false
  origin:
    description:
      - V(none) asks the peer for its own changes only. Nodes that subscribe to each other need that, or changes go round
        for ever.
    type: str
    choices: [none, any]
    default: none
  two_phase:
    description:
      - Whether prepared transactions are sent when they are prepared. It can only be set when the subscription is made;
        a subscription that differs is kept and named in a warning.
    type: bool
  failover:
    description:
      - Whether the slot is synchronized to the peer's standbys (PostgreSQL 17 and later, on both nodes). It is only set when
        the subscription is made; a subscription that differs is kept and named in a warning.
    type: bool
  copy_data:
    description:
      - Whether rows that the peer already has are copied, when the subscription is made and into tables that a refresh
        adds. Of the two directions of a pair, one copies, the other does not.
      - Until the copy is done, nothing should write to these tables on this node. What is written to them here reaches the peer,
        and can come back with the copy.
      - It is not an option that is kept, so changing it later changes nothing.
      - A table with a row filter is copied by a query, as is a partitioned one that is published as a whole. It is refused
        where an index, a statistic, a check or a partition of it on the peer has a function of a role that is no superuser. The
        peer's server would run that as the user of the subscription.
    type: bool
    default: false
  copy_into_nonempty:
    description:
      - Whether O(copy_data) may copy into tables that hold rows. A row that is on both nodes then stops the copy with a
        duplicate key, unless a conflict policy merges it.
      - Without it, a new subscription fails, and a refresh adds the tables without copying them and warns.
    type: bool
    default: false
  uncopied_rows:
    description:
      - What to do when a new subscription copies nothing, although all tables here are empty, the peer's hold rows, and this
        database has no other subscription. A node that is new or was rebuilt empty would never get these rows.
      - V(elsewhere) says that another subscription of this database, which is yet to be made, copies them.
    type: str
    choices: [fail, warn, elsewhere]
    default: fail
  start_lsn:
    description:
      - The position in the peer's WAL up to which this node has the peer's changes, such as the RV(applied_lsn) that
        the removal of an earlier subscription returned. A new subscription goes on exactly from there, with the slot that
        was kept.
      - It counts when the subscription is made, and excludes O(copy_data).
    type: str
  leftover_slot:
    description:
      - What to do when the slot exists and nothing uses it, although the subscription does not exist here.
      - A slot that an interrupted run of this module made is always adopted. One that holds no change is adopted too.
        With O(copy_data), and with nothing of it to keep, the slot is dropped and made anew, since the copy brings
        what it held. For the remaining case, a slot with changes and no copy, this option decides. Adopting such a slot
        can send rows again that are here already; replacing it loses those that are not.
      - A slot that is active, that another subscription of this server names, or that is of another kind is never touched.
    type: str
    choices: [fail, adopt, replace]
    default: fail
  lost_slot:
    description:
      - What to do when the subscription's slot is gone from the peer, or has lost the WAL that it needs. Rows that the peer
        wrote in the meantime are lost on their way in that case, and the tables have to be brought level.
      - V(recreate) makes the slot anew and goes on without these rows.
    type: str
    choices: [fail, recreate]
    default: fail
  peer_unreachable:
    description:
      - What to do when the peer does not resolve, refuses the connection or does not answer, and the subscription exists.
      - V(warn) repairs what this node can repair by itself, and says in a warning what was not looked at. The connection
        string, the publications and the slot are never changed to something that could not be tried.
      - A new subscription always needs its peer. A peer that answers and rejects the login always fails the task.
    type: str
    choices: [fail, warn]
    default: warn
  detach:
    description:
      - With O(state=absent), removes the subscription without connecting to the peer, and leaves the slot there.
    type: bool
    default: false
  pending_publications:
    description:
      - In check mode, the publications that the same run makes on the peer before this task. Where one is missing, a warning says
        that it would be made, and the task does not fail. Without check mode this counts for nothing.
    type: list
    elements: str
    default: []
  pending_owner:
    description:
      - In check mode, whether the same run makes the owner, or gives it what it lacks, before this task. As
        O(pending_publications).
    type: bool
    default: false
  wait:
    description: Whether to wait until every table is ready and the subscription streams.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for that. The task fails then, and says what is known of the cause.
    type: int
    default: 300
  slot_timeout:
    description:
      - Seconds that one step on the peer may take. Making a slot waits for all transactions that run there; when it takes
        longer, the task fails, names them, and leaves nothing behind.
    type: int
    default: 30
notes:
  - O(login_user) must be a superuser. The subscription is then given to O(owner).
  - In the list of statements, those that make, copy and drop slots ran on the peer.
  - While a slot is made, a replication origin C(multimaster_slot_of_<name>_in_<database>) marks it on this node as one that no
    subscription has used yet. The statement that makes the subscription removes it.
seealso:
  - module: multimaster.postgresql.pg_publication
  - module: multimaster.postgresql.pg_multimaster_info
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Subscribe to the other node and copy what it has
  multimaster.postgresql.pg_subscription_mm:
    login_unix_socket: /run/postgresql
    login_db: imdb
    name: sub_from_pg1
    slot_name: slot_1_to_2
    publications: [pub_imdb]
    owner: subscription_owner
    copy_data: true
    peer:
      host: pg1.example.org
      user: replicator
      ca_cert: /etc/multimaster/tls/ca.crt
      ssl_cert: /etc/multimaster/tls/replicator.crt
      ssl_key: /etc/multimaster/tls/replicator.key
    peer_password: "{{ replicator_password }}"

- name: Remove the subscription, whether the peer is up or not
  multimaster.postgresql.pg_subscription_mm:
    login_unix_socket: /run/postgresql
    login_db: imdb
    name: sub_from_pg1
    slot_name: slot_1_to_2
    state: absent
    peer:
      host: pg1.example.org
      user: replicator
      ca_cert: /etc/multimaster/tls/ca.crt
      ssl_cert: /etc/multimaster/tls/replicator.crt
      ssl_key: /etc/multimaster/tls/replicator.key
    peer_password: "{{ replicator_password }}"
"""

RETURN = r"""
queries:
  description: The statements, in order, without secrets. In check mode those that would run.
  returned: success
  type: list
  elements: str
  sample: ['ALTER SUBSCRIPTION "sub_from_pg1" ENABLE']
name:
  description: Name of the subscription.
  returned: success
  type: str
  sample: sub_from_pg1
exists:
  description: Whether the subscription exists at the end.
  returned: success
  type: bool
  sample: true
initial_state:
  description: The subscription as it was, without secrets. Empty where there was none.
  returned: success
  type: dict
  sample: {}
final_state:
  description: The subscription as it is now, or would be in check mode.
  returned: success
  type: dict
  sample:
    name: sub_from_pg1
    enabled: true
    conninfo: {host: pg1.example.org, port: '5432', user: replicator, dbname: imdb, sslmode: verify-full}
    slot_name: slot_1_to_2
    publications: [pub_imdb]
    owner: subscription_owner
    comment: ''
    binary: false
    streaming: 'off'
    synchronous_commit: 'off'
    disable_on_error: false
    password_required: true
    run_as_owner: false
    origin: none
    two_phase: false
    failover: null
slot:
  description:
    - What became of the slot on the peer. V(kept), V(created), V(adopted), V(replaced), V(copied) or V(recreated) with
      O(state=present); V(dropped), V(absent), V(left) or V(unknown) with O(state=absent).
  returned: success
  type: str
  sample: created
slot_left:
  description: Name of the slot that stays on the peer, or null.
  returned: with O(state=absent)
  type: str
  sample: slot_1_to_2
copy_slots_left:
  description:
    - Names of slots of unfinished initial copies that stay on the peer. While the peer does not answer, a pattern for C(LIKE)
      that they match, where the removed subscription had tables that were not ready.
  returned: with O(state=absent)
  type: list
  elements: str
  sample: []
applied_lsn:
  description: The position in the peer's WAL up to which the removed subscription had applied the peer's changes, or null.
  returned: with O(state=absent)
  type: str
  sample: 16/B374D848
peer_reachable:
  description: Whether the peer answered; null where it was not asked.
  returned: success
  type: bool
  sample: true
blockers:
  description: The transactions on the peer that held up the making of the slot.
  returned: when that is why the task fails
  type: list
  elements: dict
  sample:
    - {pid: 4711, user: app, database: imdb, application: psql, seconds: 3600, state: idle in transaction, query: null}
"""

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import run_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import (
    SUBSCRIPTION_REQUIRED_IF,
    SUBSCRIPTION_SPEC,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.manager import Task


def main() -> None:
    run_module(
        lambda _module, connection, task: task.manager(connection),
        SUBSCRIPTION_SPEC,
        prepare=Task,
        required_if=SUBSCRIPTION_REQUIRED_IF,
    )


if __name__ == "__main__":
    main()
