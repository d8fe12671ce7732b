# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The checked arguments of a task, and the peer, which is asked while everything else begins."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection, peer_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.session import Peer

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.multimaster.postgresql.plugins.module_utils._core.background import Job
    from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.manager import SubscriptionManager
    from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import PeerFacts


class Task:
    def __init__(self, module: AnsibleModule) -> None:
        params = module.params
        conninfo = peer_parameters(params)
        self.secrets = _conninfo.secrets(conninfo)
        module.no_log_values.update(self.secrets)
        _conninfo.build(conninfo)
        # What compares without a module of its own has no check mode, and changes nothing.
        self.peer = Peer(conninfo, module.warn, "look" if getattr(module, "check_mode", True) else "change")
        if not params["detach"]:
            self.peer.begin()
        # Loaded while both nodes are on their way to answer.
        from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.manager import SubscriptionManager
        from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import wanted_from

        # A description that is only compared has no such mode: what is missing differs.
        self.wanted = wanted_from(params, conninfo, getattr(module, "check_mode", False))
        self.job: Job[PeerFacts] | None = None if self.wanted.detach else self.peer.start(self.look)
        self._manager = SubscriptionManager

    def manager(self, connection: Connection) -> SubscriptionManager:
        return self._manager(connection, self)

    def look(self, connection: Connection) -> PeerFacts:
        from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.peer import read

        return read(connection, self.wanted.publications)

    def ask_peer(self) -> PeerFacts:
        return self.peer.run(self.look, self.wanted.slot_timeout)
