# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Ansible's module, which notes nothing in the host's journal that it cannot mask."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.conninfo import SECRETS
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.printable import printable


class Module(AnsibleModule):
    params: dict[str, t.Any]

    def __init__(self, **options: t.Any) -> None:
        super().__init__(**options)
        self.no_log_values.update(_misplaced(self.params))

    def warn(self, warning: str, **options: t.Any) -> None:
        super().warn(printable(warning), **options)

    def _log_invocation(self) -> None:
        """Note the options, but nothing of what lists and dicts hold.

        Ansible masks a secret as it is, and notes lists and dicts as Python writes them: with a quote, a backslash or a
        line break in it the secret is there in other words.
        """
        whole = self.params
        self.params = {name: _shown(value) for name, value in whole.items()}
        try:
            super()._log_invocation()
        finally:
            self.params = whole


def _misplaced(value: t.Any, name: str = "") -> t.Iterator[str]:
    """Secrets in dicts, where they are refused: the refusal must not show them."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from _misplaced(held, str(key))
    elif isinstance(value, list):
        for held in value:
            yield from _misplaced(held)
    elif isinstance(value, str) and value and (name in SECRETS or name.endswith("password")):
        yield value


def _shown(value: t.Any) -> t.Any:
    if isinstance(value, (list, tuple, dict)):
        return f"({len(value)} {'entry' if len(value) == 1 else 'entries'})"
    return value
