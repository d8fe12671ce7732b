# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that say why a node must not be taken back."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._failback import (
    applied_positions,
    failback_at_work,
    failback_broken,
    failback_differences,
    failback_last_good,
    failback_options_problem,
    failback_problems,
    failback_sound_pairs,
    failback_unproven,
)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "applied_positions": applied_positions,
            "failback_at_work": failback_at_work,
            "failback_broken": failback_broken,
            "failback_differences": failback_differences,
            "failback_last_good": failback_last_good,
            "failback_options_problem": lambda options: failback_options_problem(**options),
            "failback_problems": failback_problems,
            "failback_sound_pairs": failback_sound_pairs,
            "failback_unproven": failback_unproven,
        }
