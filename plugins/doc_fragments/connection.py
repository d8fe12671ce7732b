# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The server that the task connects to; names as in community.postgresql.
    DOCUMENTATION = r"""
options:
  login_user:
    description: The role to connect as.
    type: str
    default: postgres
  login_password:
    description: The password of O(login_user). It is never logged or returned.
    type: str
    default: ''
  login_host:
    description: Host of the server. Empty for a Unix socket.
    type: str
    default: ''
  login_unix_socket:
    description: Directory of the Unix socket. Empty for the client library's default.
    type: str
    default: ''
  login_port:
    description: Port of the server.
    type: int
    default: 5432
  login_db:
    description: The database to connect to.
    type: str
    default: postgres
  ssl_mode:
    description: Whether and how TLS is negotiated, as in libpq's C(sslmode).
    type: str
    default: prefer
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
  ca_cert:
    description: File with the certificates of the authorities that the server's certificate is verified against.
    type: str
  ssl_cert:
    description: File with the client certificate.
    type: path
  ssl_key:
    description: File with the client certificate's key.
    type: path
  ssl_password:
    description: The passphrase of the key in O(ssl_key). It is never logged or returned.
    type: str
  connect_params:
    description: Further libpq connection parameters. They take precedence, and hold no secret.
    type: dict
    default: {}
requirements:
  - psycopg2 on the host that runs the module (Debian's package python3-psycopg2)
"""

    # The other node of a pair.
    PEER = r"""
options:
  peer:
    description: The other node, as this node reaches it. The same parameters make the subscription's connection string.
    type: dict
    required: true
    suboptions:
      host:
        description: Host name or address of the peer.
        type: str
        required: true
      port:
        description: Port of the peer.
        type: int
        default: 5432
      user:
        description: The role to connect as. It needs C(LOGIN) and C(REPLICATION), and C(SELECT) on the tables that are copied.
        type: str
        required: true
      db:
        description: Database of the peer. By default the database of O(login_db).
        type: str
      ssl_mode:
        description: Whether and how TLS is negotiated, as in libpq's C(sslmode).
        type: str
        default: verify-full
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: File with the authorities' certificates. The server's operating system user must be able to read it.
        type: path
      ssl_cert:
        description: File with the client certificate. The server's operating system user must be able to read it.
        type: path
      ssl_key:
        description: File with the client certificate's key. The server's operating system user must be able to read it.
        type: path
      connect_timeout:
        description:
          - Seconds to wait for the peer to answer, and for it to acknowledge what it is sent (C(tcp_user_timeout)).
            0 waits for ever.
          - The second ends an apply worker's attempt to reach a host that is away, so that it finds it soon after it is back.
        type: int
        default: 5
      connect_params:
        description: Further libpq connection parameters. They take precedence, and hold no secret.
        type: dict
        default: {}
  peer_password:
    description: The password of O(peer.user). It is never logged or returned.
    type: str
  peer_ssl_password:
    description: The passphrase of the key in O(peer.ssl_key). It is never logged or returned.
    type: str
"""
