#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_node_differences
short_description: What of a node's replication differs from its description
version_added: 0.1.0
description:
  - Compares publications, conflict policies, sequences and subscriptions of a node with their descriptions, all at once, and
    changes nothing.
    Where nothing differs, one task so takes the place of one for each publication, database and subscription.
  - What it finds to differ, or cannot compare, is left to the modules M(multimaster.postgresql.pg_publication),
    M(multimaster.postgresql.pg_conflict_policy), M(multimaster.postgresql.pg_sequence_mm) and
    M(multimaster.postgresql.pg_subscription_mm) with the same options. They repair it, or fail with the reason.
extends_documentation_fragment:
  - multimaster.postgresql.attributes.info
  - multimaster.postgresql.connection
options:
  publications:
    description:
      - Descriptions of publications. Each takes the options of M(multimaster.postgresql.pg_publication).
      - Connection options that a description does not state are those of this task.
    type: list
    elements: dict
    default: []
  conflict_policies:
    description:
      - Descriptions of conflict policies. Each takes the options of M(multimaster.postgresql.pg_conflict_policy).
    type: list
    elements: dict
    default: []
  sequences:
    description: Descriptions of the sequences of databases. Each takes the options of M(multimaster.postgresql.pg_sequence_mm).
    type: list
    elements: dict
    default: []
  subscriptions:
    description:
      - Descriptions of subscriptions. Each takes the options of M(multimaster.postgresql.pg_subscription_mm), but for those
        that hold secrets.
    type: list
    elements: dict
    default: []
  peer_password:
    description: The password of the peers' C(user), for all O(subscriptions). It is never logged or returned.
    type: str
  peer_ssl_password:
    description: The passphrase of the peers' C(ssl_key), for all O(subscriptions). It is never logged or returned.
    type: str
seealso:
  - module: multimaster.postgresql.pg_publication
  - module: multimaster.postgresql.pg_conflict_policy
  - module: multimaster.postgresql.pg_sequence_mm
  - module: multimaster.postgresql.pg_subscription_mm
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Compare what replicates the database imdb
  multimaster.postgresql.pg_node_differences:
    login_db: imdb
    publications:
      - {name: pub_imdb, all_tables: true}
    sequences:
      - {node_id: 2}
    subscriptions:
      - name: sub_from_pg1
        slot_name: slot_1_to_2
        publications: [pub_imdb]
        owner: subscription_owner
        peer: {host: pg1.example.org, user: replicator, ca_cert: /etc/multimaster/tls/ca.crt}
    peer_password: "{{ replicator_password }}"
  register: node
"""

RETURN = r"""
differences:
  description: What differs, or cannot be compared, without secrets.
  returned: success
  type: list
  elements: dict
  contains:
    module:
      description: The module that repairs it.
      type: str
      returned: always
    login_db:
      description: The database.
      type: str
      returned: always
    name:
      description: The name of the publication or the subscription.
      type: str
      returned: always
    why:
      description: What differs, or why it cannot be compared or is worth a warning.
      type: list
      elements: str
      returned: always
    changes:
      description: Each property that differs, with what it is and what is wanted. Empty where nothing could be compared.
      type: list
      elements: dict
      returned: always
    loses_rows:
      description:
        - Whether M(multimaster.postgresql.pg_subscription_mm) refuses to make the subscription, because the rows of the peer
          would never come to this node.
      type: bool
      returned: always
  sample:
    - module: pg_subscription_mm
      login_db: imdb
      name: sub_from_pg1
      why: [enabled]
      changes: [{what: enabled, current: false, wanted: true}]
      loses_rows: false
subscriptions:
  description: What is known of each of the O(subscriptions).
  returned: success
  type: list
  elements: dict
  contains:
    login_db:
      description: The database.
      type: str
      returned: always
    name:
      description: The name of the subscription.
      type: str
      returned: always
    exists:
      description: Whether it exists; null where that could not be read.
      type: bool
      returned: always
    received:
      description: Whether the peer ever sent it a change, the initial copy not counted; null where that could not be read.
      type: bool
      returned: always
  sample:
    - {login_db: imdb, name: sub_from_pg1, exists: true, received: true}
"""

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    PEER_SECRETS_SPEC,
    login_parameters,
    psycopg2,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._node.differences import (
    KINDS,
    described,
    differences,
    subscriptions,
)


def main() -> None:
    descriptions = {kind: {"type": "list", "elements": "dict", "default": []} for kind in KINDS}
    module = Module(
        argument_spec={**CONNECTION_SPEC, **descriptions, **PEER_SECRETS_SPEC},
        supports_check_mode=True,
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    params = module.params
    login = {option: params[option] for option in CONNECTION_SPEC}
    secrets = {option: params[option] for option in PEER_SECRETS_SPEC}

    def work() -> dict[str, object]:
        login_parameters(params)
        stated = [
            described(kind, options, login, secrets)
            for name, kind in KINDS.items()
            for options in params[name]
        ]
        return {"changed": False, "differences": differences(stated), "subscriptions": subscriptions(stated)}

    finish(module, work)


if __name__ == "__main__":
    main()
