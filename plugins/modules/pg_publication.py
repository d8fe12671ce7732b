#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_publication
short_description: A PostgreSQL publication is exactly as described
description:
  - Creates, repairs in place and removes publications of PostgreSQL's logical replication.
  - The publication holds what the task describes and nothing else. What differs, by whomever it was changed, is
    repaired with the fewest statements in one transaction, so that no table is absent from it at any moment.
  - Everything that the task names is looked up before anything changes.
options:
  name:
    description: Name of the publication.
    type: str
    required: true
  state:
    description: Whether the publication shall exist.
    type: str
    choices: [present, absent]
    default: present
  all_tables:
    description:
      - Publish all tables of the database, those that do not exist yet included.
      - PostgreSQL cannot alter a publication from all tables to a list or back. It is then dropped and created again in
        one transaction, its owner and comment kept, and the task warns that subscribers must refresh.
    type: bool
    default: false
  tables:
    description:
      - The tables to publish. Each is a name or a dictionary.
      - A dictionary has the keys C(name); C(columns), a list of the columns to publish, all of them when left out; and
        C(where), the row filter, an SQL condition over the table's columns.
      - A name without a schema is a table of the schema C(public), or else of the only schema that has such a table.
      - Column lists are compared as sets. Row filters are compared by what the server makes of them, so that
        C(id>5) and C(id > 5) are the same.
      - Tables that inherit from a listed one are published only if they are listed too; partitions always come along.
      - An empty list is an error.
    type: list
    elements: raw
  tables_in_schema:
    description:
      - Publish all tables of these schemas, those that do not exist yet included. Goes together with O(tables).
      - An empty list is an error.
    type: list
    elements: str
    aliases: [schemas]
  operations:
    description: The operations to publish.
    type: list
    elements: str
    choices: [insert, update, delete, truncate]
    default: [insert, update, delete, truncate]
    aliases: [publish]
  publish_via_partition_root:
    description:
      - Publish changes of partitions as changes of the partitioned table that they belong to.
      - Row filters and column lists of partitioned tables need this.
    type: bool
    default: false
  owner:
    description:
      - The role that owns the publication. When left out, a new publication belongs to O(login_user) and an existing one
        keeps its owner.
      - A publication of all tables or of whole schemas can only belong to a superuser.
    type: str
  comment:
    description: The publication's comment. An empty string removes it. When left out, it stays as it is.
    type: str
  replica_identity_missing:
    description:
      - What to do about published tables on which C(UPDATE) and C(DELETE) would fail, because they have no replica
        identity (a primary key, mostly) or because their row filter or column list does not keep to it.
        RV(without_replica_identity) names them.
      - With V(fail), the task fails before it changes anything.
      - With V(warn), they are published and the task warns.
      - With V(full), they are given C(REPLICA IDENTITY FULL). The subscriber's tables need it too.
        A table without a key is refused all the same where a column has a type without equality, such as C(json) or
        C(point), since subscribers cannot find its rows, and stop at its first update.
      - Tables are examined only if O(operations) has V(update) or V(delete).
    type: str
    choices: [fail, warn, full]
    default: fail
notes:
  - Needs PostgreSQL 15 or later with C(wal_level = logical).
  - Names are taken exactly as they are written; upper and lower case differ. Double quotes are needed only around a
    name that holds a double quote, which is doubled inside, and around a table's or schema's name that holds a dot.
  - In check mode a row filter's syntax and columns are checked. That PostgreSQL permits only built-in immutable
    functions in row filters shows when the publication is changed.
  - Changes wait for locks like any other session's. To give up after a while, give libpq's
    C(options) the value C(-c lock_timeout=5s) in O(connect_params).
seealso:
  - name: Publications
    description: PostgreSQL's documentation of publications, row filters and column lists.
    link: https://www.postgresql.org/docs/current/logical-replication-publication.html
  - module: community.postgresql.postgresql_publication
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.connection
author:
  - multimaster.postgresql contributors (@multimaster)
"""

EXAMPLES = r"""
- name: Publish all tables of a database
  multimaster.postgresql.pg_publication:
    login_db: imdb
    name: pub_imdb
    all_tables: true
    replica_identity_missing: full

- name: Publish two tables, one of them in part, and a schema
  multimaster.postgresql.pg_publication:
    login_db: shop
    name: pub_shop
    tables:
      - public.customers
      - name: public."Order Items"
        where: status <> 'draft' AND id > 1000
    tables_in_schema:
      - catalogue

- name: Publish some columns, and nothing but inserts
  multimaster.postgresql.pg_publication:
    login_db: shop
    name: pub_audit
    tables:
      - name: audit.events
        columns: [id, at, what]
    operations: [insert]
    owner: auditor
    comment: For the archive

- name: Publish a partitioned table under its own name
  multimaster.postgresql.pg_publication:
    login_db: shop
    name: pub_measurements
    tables:
      - measurements
    publish_via_partition_root: true

- name: Remove a publication
  multimaster.postgresql.pg_publication:
    login_db: shop
    name: pub_audit
    state: absent
"""

RETURN = r"""
publication:
  description: The publication as it is now, or as it would be in check mode. V(null) when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: success
    all_tables:
      description: Whether all tables are published.
      type: bool
      returned: success
    tables:
      description: The tables that it lists, each with C(name), C(columns) and C(where). A row filter is in the server's words.
      type: list
      elements: dict
      returned: success
    tables_in_schema:
      description: The schemas that it publishes whole.
      type: list
      elements: str
      returned: success
    operations:
      description: The operations that it publishes.
      type: list
      elements: str
      returned: success
    publish_via_partition_root:
      description: Whether partitions are published under the name of the partitioned table.
      type: bool
      returned: success
    owner:
      description: The role that owns it.
      type: str
      returned: success
    comment:
      description: Its comment, empty when there is none.
      type: str
      returned: success
  sample:
    name: pub_shop
    all_tables: false
    tables:
      - name: public."Order Items"
        columns: null
        where: ((status <> 'draft'::text) AND (id > 1000))
    tables_in_schema: [catalogue]
    operations: [insert, update, delete, truncate]
    publish_via_partition_root: false
    owner: postgres
    comment: ''
publication_before:
  description: The publication as the task found it, like RV(publication).
  returned: success
  type: dict
  sample: null
recreated:
  description: Whether the publication had to be dropped and created again, from all tables to a list or back.
  returned: success
  type: bool
  sample: false
subscribers_must_refresh:
  description:
    - Whether an existing publication now covers other tables than before, so that every subscriber has to run
      C(ALTER SUBSCRIPTION .. REFRESH PUBLICATION).
  returned: success
  type: bool
  sample: false
without_replica_identity:
  description:
    - Published tables on which C(UPDATE) and C(DELETE) fail, or did until the task set C(REPLICA IDENTITY FULL)
      (O(replica_identity_missing=full)). A partitioned table's leaf partitions are named.
  returned: always, except after failures of another kind
  type: list
  elements: str
  sample: [public.log_lines]
queries:
  description: The statements in their order; in check mode those that would be run.
  returned: success
  type: list
  elements: str
  sample: ['ALTER PUBLICATION "pub_shop" ADD TABLE "public"."customers"']
"""

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import run_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.specs import PUBLICATION_SPEC
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.manager import PublicationManager


def main() -> None:
    run_module(lambda module, connection: PublicationManager(module.params, connection), PUBLICATION_SPEC)


if __name__ == "__main__":
    main()
