# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""The edge of a module: one result or one clear failure, for modules that need no server connection too."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.printable import printable

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def finish(module: AnsibleModule, work: t.Callable[[], dict[str, t.Any]]) -> None:
    """End the module with the result of ``work``, or with the one sentence of its MultimasterError."""
    try:
        result = work()
    except MultimasterError as error:
        module.fail_json(msg=printable(str(error)), **error.details)
    module.exit_json(**result)
