# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How a module calls pgBackRest.
    DOCUMENTATION = r"""
options:
  stanza:
    description: The stanza, pgBackRest's name for one cluster's backups and archive.
    type: str
  repo:
    description:
      - Key of the repository, as in C(repo2-path), where more than one is configured.
      - By default every repository for what reads, and pgBackRest's own choice (the first) for what writes.
    type: int
  config:
    description:
      - pgBackRest's configuration file.
      - By default its own, V(/etc/pgbackrest/pgbackrest.conf) and the files of V(/etc/pgbackrest/conf.d).
    type: path
  options:
    description:
      - Further pgBackRest options by name without dashes, for example C(repo1-path). They take precedence over the
        configuration file.
      - They reach pgBackRest through its environment variables, so that a command which does not know one ignores it.
      - No secrets, see O(secrets).
    type: dict
    default: {}
  secrets:
    description:
      - Secret options by name, C(repo1-cipher-pass), C(repo1-s3-key), C(repo1-s3-key-secret) and the like, where they are
        not in the
        configuration file.
      - They reach pgBackRest through its environment variables and appear in no command line, result, message or log.
      - The server's own C(archive-push) and C(archive-get) do not see them, so keep them in the configuration file where the
        server
        archives into an encrypted repository.
    type: dict
    default: {}
  executable:
    description: The pgBackRest program.
    type: str
    default: pgbackrest
requirements:
  - pgBackRest 2.50 or newer on the host that runs the module (tried with 2.55.1)
notes:
  - What writes must run as the owner of the repository and of the server's files, usually with C(become_user=postgres), and
    is refused
    for root, whose files would stop the server's archiving.
  - With a repository host reached over TLS, tasks may run on the node or on that host. Where a task finds no data directory
    on its own host, it leaves the comparison of stanza and cluster to pgBackRest.
"""
