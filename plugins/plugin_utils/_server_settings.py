# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""The settings that role postgresql writes, and what is wrong with those that a user asks for.

``known`` says of each setting what the running server answered: type, context and choices, or None for one that it does not have.
It is empty while no server answers.
"""

from __future__ import annotations

import typing as t

Mapping = t.Mapping[str, t.Any]

# While no server answers: the last of an order of preference, which any build accepts; and not yet what only some versions have.
_PREFERENCES = ("wal_compression", "default_toast_compression")
_OF_SOME_VERSIONS = ("max_active_replication_origins",)
_BOOLEANS = ("on", "off", "true", "false", "yes", "no", "1", "0")


def settings_written(settings: Mapping, known: Mapping) -> list[dict[str, str]]:
    """The lines of the settings file: name and value as text, by name. None, and what this server lacks, is left out."""
    return [
        {"name": name, "value": _text(name, value, known)}
        for name, value in sorted(settings.items())
        if value is not None and _is_known(name, known)
    ]


def _is_known(name: str, known: Mapping) -> bool:
    return bool(known.get(name) or "." in name) if known else name not in _OF_SOME_VERSIONS


def _text(name: str, value: t.Any, known: Mapping) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (str, int, float)):
        return str(value)
    choices = (known.get(name) or {}).get("choices") or []
    if choices:
        return str(next((choice for choice in value if choice in choices), value[-1]))
    if name in _PREFERENCES:
        return str(value[-1])
    return ", ".join(str(item) for item in value)


def settings_problems(
    settings: Mapping, known: Mapping, elsewhere: Mapping, names: t.Container[str], version: t.Any
) -> list[str]:
    """One sentence for each setting of a user that cannot be written.

    ``elsewhere`` says of a setting what sets it instead; ``names`` are those that this version has, where they are known
    and no server answers yet.
    """
    found = (
        _setting_problem(name, value, known, elsewhere, () if known else names, version)
        for name, value in settings.items()
        if value is not None
    )
    return [problem for problem in found if problem]


def _setting_problem(
    name: str, value: t.Any, known: Mapping, elsewhere: Mapping, names: t.Container[str], version: t.Any
) -> str:
    setting = known.get(name) or {}
    if name in elsewhere:
        return f"postgresql_settings cannot hold {name}: {elsewhere[name]}."
    if "." in name:
        return ""
    if (known and not setting) or (names and name not in names):
        return f"postgresql_settings has {name}, which PostgreSQL {version} does not know. Correct its spelling or take it out."
    if setting.get("context") == "internal":
        return f"postgresql_settings has {name}, which only shows how the server was built or made and cannot be set."
    if setting.get("type") == "enum" and not _is_a_choice(value, setting["choices"]):
        return f"postgresql_settings.{name} is {value}, but this server accepts {', '.join(setting['choices'])}."
    if setting.get("type") == "bool" and str(value).lower() not in _BOOLEANS:
        return f"postgresql_settings.{name} is {value}, but it is either on or off."
    return ""


def _is_a_choice(value: t.Any, choices: t.Sequence[str]) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, t.Sequence) and not isinstance(value, str):
        return any(item in choices for item in value)
    return str(value).lower() in choices
