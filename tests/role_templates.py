# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles' templates make of variables, with Ansible's own templating."""

from __future__ import annotations

import pathlib
import typing as t

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = pathlib.Path(__file__).parents[1] / "roles"


def rendered(role: str, template: str, variables: t.Mapping[str, t.Any]) -> str:
    """The file that the role would write. Its defaults and variables are there, as text that was not templated."""
    values: dict[str, t.Any] = {}
    for folder in ("defaults", "vars"):
        values.update(yaml.safe_load((ROLES / role / folder / "main.yml").read_text()))
    text = (ROLES / role / "templates" / template).read_text()
    return str(Templar(DataLoader(), {**values, **variables}).template(trust_as_template(text)))


def redis_users(users: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    return rendered("redis", "users.acl.j2", {"redis_users": list(users), "redis_mesh_users": []})
