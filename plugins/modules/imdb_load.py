#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imdb_load
short_description: Load IMDb's data files into the IMDB database of one node
description:
  - Loads IMDb's TSV files, gzip or plain, into the schema of the role P(multimaster.postgresql.imdb#role).
    The rows reach the other nodes by replication, so load on one node only.
  - A file is read in blocks and loaded in batches, each in a transaction of its own, so that memory and
    transactions stay small whatever the size of the file.
  - Rows are inserted, or updated where they differ. Lists within a line (genres, professions, directors ...) become exactly
    what the line says. Rows whose line is no longer in a file are left alone.
  - The table C(imdb_load_journal) records what was loaded. The journal replicates with the rows,
    and so the same content is not loaded again, on whichever node. An interrupted load starts again at the top and leaves
    alone what is right already.
  - While a load runs, its progress is in C(imdb_load_journal), on every node.
  - Lines that cannot be loaded (wrong number of columns, no number, no valid UTF-8, a repeated key, too long, a
    reference to a title or person that is not there) are kept aside in a file, with line number and reason.
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.connection
options:
  directory:
    description:
      - Directory on the host with the files, named as IMDb names them, such as C(title.basics.tsv.gz) or C(title.basics.tsv).
    type: path
    required: true
  kinds:
    description:
      - The files to load; each must be there. By default those that are there.
      - Whatever the order here, what is referred to is loaded first.
    type: list
    elements: str
    choices: [title.basics, name.basics, title.ratings, title.episode, title.akas, title.crew, title.principals]
    default: []
  rejects_directory:
    description:
      - Directory on the host for the files of rejected lines, such as C(title.akas.rejected.tsv).
        By default C(rejected) within O(directory).
    type: path
  batch_lines:
    description: Lines per transaction, between 100 and 200000.
    type: int
    default: 10000
  max_bad_lines:
    description:
      - A file may have this many rejected lines and dropped references, or O(max_bad_percent) of its lines,
        whichever is more. The load ends with an error beyond that.
    type: int
    default: 1000
  max_bad_percent:
    description: See O(max_bad_lines).
    type: float
    default: 5
  force:
    description: Load also what the journal says is loaded. Rows that are right already are not written again.
    type: bool
    default: false
  node_name:
    description: What the journal calls this node. By default the name of the host.
    type: str
  run_id:
    description: A UUID that marks this run in the journal, for whoever watches it. By default a random one.
    type: str
author:
  - multimaster.postgresql contributors (@multimaster)
"""

EXAMPLES = r"""
- name: Load the files that are there
  multimaster.postgresql.imdb_load:
    login_unix_socket: /var/run/postgresql
    login_db: imdb
    directory: /var/lib/postgresql/imdb_load
  become: true
  become_user: postgres

- name: See what would be loaded
  multimaster.postgresql.imdb_load:
    login_unix_socket: /var/run/postgresql
    login_db: imdb
    directory: /var/lib/postgresql/imdb_load
    kinds: [title.basics, title.ratings]
  become: true
  become_user: postgres
  check_mode: true
"""

RETURN = r"""
queries:
  description:
    - The statements that each batch of the files to be loaded runs, in order. A placeholder such as C(%(known_for)s) stands for
      the references that lead nowhere.
  type: list
  elements: str
  returned: always
run_id:
  description: What marks this run in the journal.
  type: str
  returned: success
files:
  description: One entry per file, in the order of loading.
  type: list
  elements: dict
  returned: always once the files are found
  contains:
    kind:
      description: Kind of file.
      type: str
      sample: title.basics
    path:
      description: Where it was found.
      type: str
    size_bytes:
      description: Its size on disk.
      type: int
    sha256:
      description: Checksum of the file, if it was loaded.
      type: str
    status:
      description: V(unchanged), V(due) (in check mode, or not reached after an error), V(loaded) or V(failed).
      type: str
    reason:
      description: Why it is to be loaded, or why not.
      type: str
      sample: not loaded yet
    lines:
      description: Lines read, without the header.
      type: int
    inserted:
      description: Rows inserted into all tables that the file fills.
      type: int
    updated:
      description: Rows updated.
      type: int
    deleted:
      description: Rows deleted because a line no longer lists them.
      type: int
    rejected:
      description: Lines kept aside.
      type: int
    dropped_references:
      description: Items of lists left out because they refer to nothing; their lines were loaded.
      type: int
    rejects_file:
      description: The file with the rejected lines and dropped references; empty when there are none.
      type: str
    seconds:
      description: Time taken.
      type: float
    lines_per_second:
      description: Speed.
      type: int
"""

import os
import platform
import typing as t
import uuid

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan, run_module
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.files import FORMATS, find_files
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.load import (
    FileLoad,
    Loader,
    Options,
    State,
    checked_options,
    decide,
    warnings_about,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._imdb.tables import TARGETS

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "directory": {"type": "path", "required": True},
    "kinds": {"type": "list", "elements": "str", "choices": list(FORMATS), "default": []},
    "rejects_directory": {"type": "path"},
    "batch_lines": {"type": "int", "default": 10000},
    "max_bad_lines": {"type": "int", "default": 1000},
    "max_bad_percent": {"type": "float", "default": 5},
    "force": {"type": "bool", "default": False},
    "node_name": {"type": "str"},
    "run_id": {"type": "str"},
}


class ImdbLoad:
    def __init__(self, module: AnsibleModule, connection: Connection) -> None:
        self._module = module
        params = module.params
        self._options = checked_options(
            Options(
                node=params["node_name"] or platform.node(),
                rejects_directory=params["rejects_directory"] or os.path.join(params["directory"], "rejected"),
                batch_lines=params["batch_lines"],
                max_bad_lines=params["max_bad_lines"],
                max_bad_percent=params["max_bad_percent"],
                force=params["force"],
                run_id=params["run_id"] or str(uuid.uuid4()),
            )
        )
        self._files = find_files(params["directory"], params["kinds"])
        self._loader = Loader(connection, self._options)
        self._loads: list[FileLoad] = []

    def read(self) -> State:
        return self._loader.read(self._files)

    def plan(self, state: State) -> Plan:
        self._loads = decide(self._files, state, self._options.force)
        plan = Plan(results={"run_id": self._options.run_id, "files": [load.as_result() for load in self._loads]})
        for load in self._loads:
            if load.due:
                last = state.last.get(load.file.kind)
                plan.differences.add(
                    load.file.kind,
                    f"{load.file.path}, {load.file.size} bytes: {load.reason}",
                    f"{last['path']}, {last['size_bytes']} bytes, {last['status']} on {last['node']}" if last else None,
                )
                target = TARGETS[load.file.kind]
                for command in (target.copy(), *target.take_orphans(), *target.find_dropped().values(), *target.steps):
                    plan.statements.append(Statement(sql.SQL(" ".join(command.split()))))
        return plan

    def apply(self, plan: Plan) -> None:
        try:
            self._loader.load(self._loads)
        except MultimasterError as error:
            error.details["files"] = [load.as_result() for load in self._loads]
            raise
        plan.results["files"] = [load.as_result() for load in self._loads]
        for warning in warnings_about(self._loads):
            self._module.warn(warning)


def main() -> None:
    run_module(ImdbLoad, ARGUMENT_SPEC, session="load")


if __name__ == "__main__":
    main()
