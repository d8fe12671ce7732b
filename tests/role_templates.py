# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles' templates make of variables, with Ansible's own templating.

In a process of its own: where Ansible's controller is imported, modules that run in the same process lose their warnings.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

ROLES = pathlib.Path(__file__).parents[1] / "roles"


def rendered(role: str, template: str, variables: t.Mapping[str, t.Any]) -> str:
    """The file that the role would write. Its defaults and variables are there, as text that was not templated."""
    asked = json.dumps({"role": role, "template": template, "variables": variables})
    done = subprocess.run([sys.executable, __file__], input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def redis_users(users: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    return rendered("redis", "users.acl.j2", {"redis_users": list(users), "redis_mesh_users": []})


def main() -> None:
    import yaml
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar, trust_as_template

    asked = json.load(sys.stdin)
    role = ROLES / asked["role"]
    values: dict[str, t.Any] = {}
    for folder in ("defaults", "vars"):
        values.update(yaml.safe_load((role / folder / "main.yml").read_text()))
    text = (role / "templates" / asked["template"]).read_text()
    sys.stdout.write(str(Templar(DataLoader(), {**values, **asked["variables"]}).template(trust_as_template(text))))


if __name__ == "__main__":
    main()
