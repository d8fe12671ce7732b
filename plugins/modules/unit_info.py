#!/usr/bin/python

# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_info
short_description: Since when a systemd unit runs, and what of its files is newer
version_added: 1.0.0
description:
  - Tells whether a unit is there, whether it runs and since when, and which of some files were changed after it had started.
  - What a service reads only when it starts is not in force before it is started again. A run that was interrupted leaves that.
options:
  name:
    description: Name of the unit.
    type: str
    required: true
  files:
    description: Files that the unit reads when it starts.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Can run in check mode and returns the same as otherwise.
    support: full
  diff_mode:
    description: Returns details on what has changed when in diff mode.
    support: none
    details: Nothing changes.
author:
  - multimaster.postgresql contributors (@multimaster-postgresql)
"""

EXAMPLES = r"""
- name: Look at Redis
  multimaster.postgresql.unit_info:
    name: redis-server.service
    files: [/etc/redis/redis.conf]
  register: redis_unit
"""

RETURN = r"""
exists:
  description: Whether systemd knows the unit.
  returned: success
  type: bool
  sample: true
active:
  description: Whether it runs.
  returned: success
  type: bool
  sample: true
since:
  description: When it was started last, in seconds since 1970; null where it does not run.
  returned: success
  type: int
  sample: 1764424800
newer_files:
  description: Of the files, those that were changed since then. None where the unit does not run.
  returned: success
  type: list
  elements: str
  sample: []
missing_files:
  description: Of the files, those that are not there.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

_PROPERTIES = ("LoadState", "ActiveState", "ActiveEnterTimestamp")


def facts(shown: str, changed: t.Mapping[str, float | None]) -> dict[str, t.Any]:
    """From what C(systemctl show) prints and when each file was changed, None where it is not there. Pure."""
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    active = properties.get("ActiveState") in ("active", "reloading")
    since = int(properties["ActiveEnterTimestamp"].lstrip("@")) if active else None
    return {
        "exists": properties.get("LoadState") == "loaded",
        "active": active,
        "since": since,
        "newer_files": [path for path, time in changed.items() if since is not None and time is not None and time > since],
        "missing_files": [path for path, time in changed.items() if time is None],
    }


def changed_at(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def main() -> None:
    module = AnsibleModule(
        {"name": {"type": "str", "required": True}, "files": {"type": "list", "elements": "path", "default": []}},
        supports_check_mode=True,
    )
    # Seconds since 1970: the text of a time is in the host's own time zone, whose short name says nothing certain.
    command = ["systemctl", "show", "--timestamp=unix", "--property=" + ",".join(_PROPERTIES), "--", module.params["name"]]
    rc, shown, error = module.run_command(command, environ_update={"LC_ALL": "C.UTF-8"})
    if rc != 0:
        module.fail_json(msg=f"systemd does not say how {module.params['name']} is: {error.strip()}")
    module.exit_json(changed=False, **facts(shown, {path: changed_at(path) for path in module.params["files"]}))


if __name__ == "__main__":
    main()
