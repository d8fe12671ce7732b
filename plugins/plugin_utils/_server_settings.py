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


def settings_restarting(
    written: t.Sequence[Mapping], known: Mapping, pending: t.Sequence[str], dropped: t.Sequence[str]
) -> list[str]:
    """What a server that is to get the lines ``written`` would have to be restarted for, each with its old and new value.

    ``pending`` are those that its files ask for already, ``dropped`` those that go from its file.
    """
    changed = {
        line["name"]: f"{line['name']}: {known[line['name']]['current']} -> {line['value']}"
        for line in written
        if (known.get(line["name"]) or {}).get("context") == "postmaster" and known[line["name"]]["current"] != line["value"]
    }
    others = [name for name in dict.fromkeys((*pending, *dropped)) if name not in changed]
    return [*changed.values(), *others]


# What the nodes need of each other, whatever else a server is set to.
_NEEDED = {"wal_level": "logical", "session_replication_role": "origin", "default_transaction_read_only": "off"}
_LIMITS = ("max_replication_slots", "max_wal_senders", "max_logical_replication_workers", "max_worker_processes")


def replication_problems(settings: Mapping, subscriptions: int) -> list[str]:
    """One sentence for each setting of a user with which the nodes of a mesh could not replicate.

    ``subscriptions``: how many this node has, and all others have of it; 0 where it replicates with nobody.
    """
    if not subscriptions:
        return []
    found = []
    for name, needed in _NEEDED.items():
        value = settings.get(name)
        if value is not None and _as_text(value) != needed:
            found.append(
                f"postgresql_settings.{name} is {_as_text(value)}, but the nodes need {needed} to replicate. Take it out: "
                "without it, it is so."
            )
    for name in _LIMITS:
        value = settings.get(name)
        if value is not None and str(value).strip("'").isdecimal() and int(str(value).strip("'")) < subscriptions + 1:
            found.append(
                f"postgresql_settings.{name} is {value}, but {subscriptions} subscriptions between this node and the others need "
                f"{subscriptions + 1} at least. Raise it, or take it out to leave it to the role."
            )
    return found


def _as_text(value: t.Any) -> str:
    text = str(value).strip().lower()
    return {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}.get(text, text)


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
