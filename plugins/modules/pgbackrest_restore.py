#!/usr/bin/python
# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_restore
short_description: Restore a pgBackRest backup, guarded
description:
  - Restores a stanza's cluster into a directory, to its latest state, to the end of a backup, or to a point in time. The
    server is not
    started.
  - Before a file is touched it refuses what would go wrong - a running server, a directory with something else in it,
    another restore into
    it, a backup that does not exist, a target before the first backup, in the future or after the end of the archive, a gap
    in the
    archive on the way there.
  - The restored server is silent by default. It archives nothing (O(archive)), and it applies nothing from peers
    (O(subscriptions)).
  - PostgreSQL takes any failure to read the archive for its end and opens the server without what comes later. Here it stops
    instead
    (the C(restore_command) that is written tells it apart), and each WAL segment is compared with its checksum first
    (O(verify_archive)).
  - A copy has nothing of a live server. A directory, a link or a tablespace that is one's is refused before anything is written.
    A tablespace that is younger than the backup, which recovery would make where the live node has it, is kept inside the copy,
    in C(pg_tblspc) - the C(restore_command) looks through each WAL segment for it, also one that is archived after the restore.
  - Restoring a mesh member in place loses rows silently and is refused, see O(force_mesh_member).
version_added: 0.1.0
author:
  - multimaster.postgresql contributors (@multimaster)
attributes:
  idempotent:
    support: none
    details: Each run restores. With O(delta) only files that differ are written.
options:
  stanza:
    required: true
  pg_path:
    description:
      - The directory to restore into. It is made where there is none.
      - By default C(pg1-path) of pgBackRest's configuration, which is restoring in place.
      - Where the repository is on another host, its name may not have a space, which pgBackRest does not get across.
    type: path
  type:
    description:
      - V(latest) - all that is archived.
      - V(set) - exactly the backup in O(set), to the moment it was complete.
      - V(immediate) - the same with the newest backup, or the one in O(set), chosen as it says.
      - V(time), V(xid), V(lsn), V(name) - to O(target), a time, a transaction, an LSN, or a restore point.
    type: str
    choices: [latest, set, time, xid, lsn, name, immediate]
    default: latest
  target:
    description:
      - For V(time) a time with its zone, for example V(2026-11-24T04:05:06.789+00). A space in place of the T is as good.
      - For V(xid) the 32-bit transaction id, for V(lsn) an LSN, for V(name) the name of a restore point.
    type: str
  set:
    description:
      - Label of the backup to start from.
      - By default the newest that is complete before the target. One without pages with wrong checksums is preferred where the
        archive leads from it to the target; a warning says so.
      - Where the stanza was upgraded to another cluster, only O(type=time) and a label lead to a backup of the former one.
      - Where a transaction or a restore point is cannot be known
        from outside, so
        for V(type=xid) and V(type=name) before the newest backup state the set; else the restored server stops with a
        message that the
        target was not reached.
    type: str
  target_exclusive:
    description: Stop just before the target, not after it. For types V(time), V(xid) and V(lsn).
    type: bool
    default: false
  target_action:
    description: What the server does when the target is reached. V(promote) opens it, V(pause) leaves it readable,
      V(shutdown) stops it.
    type: str
    choices: [promote, pause, shutdown]
    default: promote
  target_timeline:
    description: Recover along this timeline - V(latest), V(current) or the number of one that branched off the backup's. By
      default the latest.
    type: str
  delta:
    description: Replace a cluster of this stanza that is in the directory, writing only what differs. Without it the
      directory must be empty.
    type: bool
    default: false
  delta_by:
    description:
      - What tells O(delta) that a file is as in the backup. A file with another size is written in either case.
      - V(checksum) reads every file in the directory and is always right.
      - V(time) reads none. It keeps a file whose size and time of change are those in the backup, so it cannot see damage
        that left both as they were. M(multimaster.postgresql.pgbackrest_prove) finds it where the cluster has data checksums.
      - V(time) is refused in place, and for a directory that is only half restored.
      - Without O(delta) it means nothing.
    type: str
    choices: [checksum, time]
    default: checksum
  stop_copy:
    description:
      - Stop the server that M(multimaster.postgresql.pgbackrest_prove) left running in the directory, when all the checks
        are passed. A C(postmaster.pid) that a crash left there goes.
      - Only a process that works in that directory is stopped, whatever its C(postmaster.pid) says, and never a server that was
        started otherwise.
      - One that was left running on purpose needs O(replace_kept) as well.
    type: bool
    default: false
  replace_kept:
    description: With O(stop_copy), stop and replace also a copy that M(multimaster.postgresql.pgbackrest_prove) was told to
      leave running (its option C(keep_running)) and that runs still. Somebody may be copying rows out of it.
    type: bool
    default: false
  require_programs:
    description: Refuse where this host has no programs of the backup's PostgreSQL version in Debian's place for them, so that the
      restored directory could not be started here.
    type: bool
    default: false
  check_free_space:
    description:
      - Refuse where the disk of the directory has less free than the restore needs - the size of the backup, less what is in
        the directory already, and room for WAL. A copy that fills the live node's disk would stop the live server.
      - Tablespaces are counted as if all were on that disk. Where they are not, or files are compressed there, set V(false).
    type: bool
    default: true
  archive:
    description:
      - Let the restored server archive as its configuration says.
      - By default V(archive_mode=off) is written into its C(postgresql.auto.conf), so that it cannot archive into the live
        stanza.
    type: bool
    default: false
  subscriptions:
    description:
      - Let the restored server's subscriptions work.
      - By default V(max_logical_replication_workers=0) is written, since they would start at once, take the place of the
        live node's at its
        peers, and lose rows. When it is safe, C(ALTER SYSTEM RESET max_logical_replication_workers) and a restart lift it.
    type: bool
    default: false
  recovery_options:
    description: Further settings to write into the restored server's C(postgresql.auto.conf). What another option decides
      (C(archive_mode), C(max_logical_replication_workers), C(data_directory), recovery's target), and C(restore_command), are
      refused here, and so is what the server's programs do not take, where they are on the host.
    type: dict
    default: {}
  tablespace_map:
    description:
      - Directories for tablespaces by name. A copy beside the live node must have its own, each apart from the others, from the
        copy's data directory and from what is a tablespace of somebody else already.
      - A name that the backup does not have is refused.
    type: dict
    default: {}
  tablespace_map_all:
    description: A directory under which all tablespaces are restored.
    type: path
  verify_archive:
    description:
      - After the restore, read the WAL that recovery may need and compare each segment with its checksum.
      - Where one is damaged the task fails and the directory is left so that no server starts in it.
      - For types V(time), V(xid) and V(name) the target may be before the damage. Unless the backup itself needs the segment it
        is a warning then, since PostgreSQL 13 and newer stop where they do not reach such a target.
    type: bool
    default: true
  force_mesh_member:
    description:
      - Restore in place although the node replicates with others, or over the directory of another node that does.
      - Found out from the directory's replication slots and subscription positions, and from the backup's. On a spare host
        whose
        configuration has the live node's path, this says that it is no member.
    type: bool
    default: false
extends_documentation_fragment:
  - multimaster.postgresql.attributes
  - multimaster.postgresql.pgbackrest
seealso:
  - module: multimaster.postgresql.pgbackrest_info
"""

EXAMPLES = r"""
- name: A copy of pg1 as it was before the accident, beside the live node
  multimaster.postgresql.pgbackrest_restore:
    stanza: pg1
    pg_path: /var/lib/postgresql/16/copy
    type: time
    target: "2026-11-24T04:05:00+00"
  become: true
  become_user: postgres

- name: Exactly what one backup holds
  multimaster.postgresql.pgbackrest_restore:
    stanza: pg1
    pg_path: /var/lib/postgresql/16/copy
    type: set
    set: 20261124-040003F_20261124-040005I
    delta: true
  become: true
  become_user: postgres

- name: A stand-alone server in place, which archives again
  multimaster.postgresql.pgbackrest_restore:
    stanza: alone
    delta: true
    archive: true
  become: true
  become_user: postgres
"""

RETURN = r"""
commands:
  description: The pgBackRest command that ran, or would run in check mode.
  returned: always
  type: list
  elements: str
before:
  description: What the directory held.
  returned: always
  type: dict
  sample: {state: empty}
restored:
  description: What was restored, or would be.
  returned: always
  type: dict
  contains:
    set:
      description: Label of the backup it starts from.
      type: str
    backup:
      description: That backup, as M(multimaster.postgresql.pgbackrest_backup) returns it.
      type: dict
    repo:
      description: Key of the repository.
      type: int
    type:
      description: Kind of target.
      type: str
    target:
      description: The target as the server gets it.
      type: str
    pg_path:
      description: The directory.
      type: str
    in_place:
      description: Whether it is the directory that the stanza is configured for.
      type: bool
    recovery:
      description: Settings written into the server's C(postgresql.auto.conf).
      type: dict
    wal_segments_verified:
      description: How many WAL segments were read and are sound.
      type: int
    tablespaces_inside:
      description: Tablespaces of which the WAL that was verified says that they were made after the backup. The copy keeps them
        in C(pg_tblspc/OID).
      type: list
      elements: dict
      sample: [{oid: 16412, directory: /srv/late, wal: "00000001000000000000000E"}]
    damaged_wal:
      description: The damaged segment after them, which the target may be before; null where there is none.
      type: str
"""

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.module import Module
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.program import PGBACKREST_SPEC
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore.restore import manage_restore

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **PGBACKREST_SPEC,
    "pg_path": {"type": "path"},
    "type": {
        "type": "str",
        "choices": ["latest", "set", "time", "xid", "lsn", "name", "immediate"],
        "default": "latest",
    },
    "target": {"type": "str"},
    "set": {"type": "str"},
    "target_exclusive": {"type": "bool", "default": False},
    "target_action": {"type": "str", "choices": ["promote", "pause", "shutdown"], "default": "promote"},
    "target_timeline": {"type": "str"},
    "delta": {"type": "bool", "default": False},
    "delta_by": {"type": "str", "choices": ["checksum", "time"], "default": "checksum"},
    "stop_copy": {"type": "bool", "default": False},
    "replace_kept": {"type": "bool", "default": False},
    "require_programs": {"type": "bool", "default": False},
    "check_free_space": {"type": "bool", "default": True},
    "archive": {"type": "bool", "default": False},
    "subscriptions": {"type": "bool", "default": False},
    "recovery_options": {"type": "dict", "default": {}},
    "tablespace_map": {"type": "dict", "default": {}},
    "tablespace_map_all": {"type": "path"},
    "verify_archive": {"type": "bool", "default": True},
    "force_mesh_member": {"type": "bool", "default": False},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, lambda: manage_restore(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
