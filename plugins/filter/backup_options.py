# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that check what was asked of the playbooks for backups."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._restore_options import (
    RESTORE_OPTIONS,
    restore_option_problems,
    unknown_options,
)


def misspelt_options(known: t.Sequence[str], prefix: str = "") -> list[str]:
    """Of the names that this run states with -e."""
    return unknown_options(_stated(), known, prefix)


def restore_problems(given: t.Mapping[str, t.Any], nodes: t.Sequence[str], hosts: t.Sequence[str]) -> list[str]:
    """First what is misspelt, since all else follows from it."""
    return misspelt_options(RESTORE_OPTIONS, "restore_") or restore_option_problems(given, nodes, hosts)


def _stated() -> list[str]:
    return [str(name) for name in load_extra_vars(DataLoader())] if context.CLIARGS.get("extra_vars") else []


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"misspelt_options": misspelt_options, "restore_problems": restore_problems}
