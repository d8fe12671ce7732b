# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Publications, conflict policies, sequences and subscriptions of a node compared with their descriptions, in one task."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.multimaster.postgresql.plugins.module_utils._conflict.manager import ConflictManager
from ansible_collections.multimaster.postgresql.plugins.module_utils._core import specs as _specs
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import (
    CONNECTION_SPEC,
    Connection,
    login_parameters,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.manager import PublicationManager
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.manager import SequenceManager
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.manager import Task

# Each comparison has a session of its own on the node.
SESSIONS = 4


@dataclass(frozen=True)
class Kind:
    """A module whose work is compared: its name, its options, and what it makes of a description."""

    module: str
    spec: dict[str, dict[str, t.Any]]
    compare: t.Callable[[Description], Plan]
    required_if: t.Sequence[t.Any] = ()
    mutually_exclusive: t.Sequence[t.Any] = ()


@dataclass
class Description:
    """One description, in the place of the AnsibleModule that the single module would have."""

    kind: Kind
    params: dict[str, t.Any]
    warnings: list[str] = field(default_factory=list)
    no_log_values: set[str] = field(default_factory=set)
    # Of a subscription: whether it is there, and whether the peer ever sent it a change; None where that is not known.
    exists: bool | None = None
    received: bool | None = None

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def connect(self) -> Connection:
        return Connection(login_parameters(self.params), self.warn, "look")


def _by(manager: t.Callable[[dict[str, t.Any], Connection], t.Any]) -> t.Callable[[Description], Plan]:
    """A comparison by a manager that needs its options and the node's connection only."""

    def compare(description: Description) -> Plan:
        connection = description.connect()
        try:
            this = manager(description.params, connection)
            return this.plan(this.read())
        finally:
            connection.close()

    return compare


def _subscription(description: Description) -> Plan:
    # It asks for what AnsibleModule and a description both have: params, warn and no_log_values.
    task = Task(t.cast("t.Any", description))
    connection = description.connect()
    try:
        manager = task.manager(connection)
        state = manager.read()
        subscription = state.local.subscription
        description.exists = subscription is not None
        description.received = subscription is not None and subscription.remote_lsn is not None
        plan = manager.plan(state)
    finally:
        connection.close()
        task.peer.close()
    if task.wanted.present and task.wanted.wait and subscription is not None and not subscription.works:
        plan.warnings.append("it does not replicate yet")
    return plan


KINDS: dict[str, Kind] = {
    "publications": Kind("pg_publication", _specs.PUBLICATION_SPEC, _by(PublicationManager)),
    "conflict_policies": Kind(
        "pg_conflict_policy",
        _specs.CONFLICT_POLICY_SPEC,
        _by(ConflictManager),
        _specs.CONFLICT_POLICY_REQUIRED_IF,
        _specs.CONFLICT_POLICY_EXCLUSIVE,
    ),
    "sequences": Kind("pg_sequence_mm", _specs.SEQUENCE_SPEC, _by(SequenceManager), _specs.SEQUENCE_REQUIRED_IF),
    "subscriptions": Kind(
        "pg_subscription_mm", _specs.SUBSCRIPTION_SPEC, _subscription, _specs.SUBSCRIPTION_REQUIRED_IF
    ),
}


def described(
    kind: Kind, options: dict[str, t.Any], login: dict[str, t.Any], secrets: dict[str, str | None]
) -> Description:
    """A description with all its options. ``login`` holds the connection options that it does not state itself,
    ``secrets`` those that no description may hold: ``peer_password`` and ``peer_ssl_password``."""
    stated = {**{key: value for key, value in login.items() if value is not None}, **options}
    if held := sorted(secrets.keys() & options.keys()):
        raise MultimasterError(
            f"A description for {kind.module} holds {held[0]}, and a secret in a dict can get into logs. Give it as {held[0]}."
        )
    if kind is KINDS["subscriptions"]:
        stated.update(secrets)
    checked = ArgumentSpecValidator(
        {**CONNECTION_SPEC, **kind.spec}, required_if=kind.required_if, mutually_exclusive=kind.mutually_exclusive
    ).validate(stated)
    if checked.error_messages:
        raise MultimasterError(f"A description for {kind.module} is wrong: {'. '.join(checked.error_messages)}.")
    return Description(kind, checked.validated_parameters)


def differences(descriptions: t.Sequence[Description]) -> list[dict[str, t.Any]]:
    """What differs or cannot be compared, in the order of ``descriptions``: module, login_db, name, why in words, and whether
    it is refused because the peer's rows would never come."""
    with ThreadPoolExecutor(SESSIONS) as pool:
        found = list(pool.map(_difference, descriptions))
    return [difference for difference in found if difference is not None]


def subscriptions(descriptions: t.Sequence[Description]) -> list[dict[str, t.Any]]:
    """Of the descriptions of subscriptions, once they were compared: login_db, name, exists, received."""
    return [
        {
            "login_db": description.params["login_db"],
            "name": description.params["name"],
            "exists": description.exists,
            "received": description.received,
        }
        for description in descriptions
        if description.kind is KINDS["subscriptions"]
    ]


def _difference(description: Description) -> dict[str, t.Any] | None:
    try:
        plan = description.kind.compare(description)
    except MultimasterError as error:
        reasons, loses_rows, changes = [str(error)], "rows_left_behind" in error.details, []
    else:
        diff = plan.differences
        changes = [{"what": name, "current": diff.before[name], "wanted": diff.after[name]} for name in diff.names]
        reasons, loses_rows = [*plan.differences.names, *plan.warnings, *description.warnings], False
    if not reasons:
        return None
    return {
        "module": description.kind.module,
        "login_db": description.params["login_db"],
        "name": description.params.get("name"),
        "why": reasons,
        "changes": changes,
        "loses_rows": loses_rows,
    }
