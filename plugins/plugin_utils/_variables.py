# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What is wrong with a role's variables that Ansible's own validation lets through.

``meta/argument_specs.yml`` says what a role takes. Ansible checks what it finds there, but it does not see a misspelt
variable, and it takes a string for a list and goes on with the string.
"""

from __future__ import annotations

import difflib
import typing as t

Options = t.Mapping[str, t.Mapping[str, t.Any]]

_BOOLEANS = frozenset({"yes", "no", "true", "false", "on", "off", "y", "n", "t", "f", "1", "0"})


def variable_problems(values: t.Mapping[str, t.Any], options: Options) -> list[str]:
    """One sentence for each variable that is misspelt, lacking, or not of its option's type or choices.

    Shows no value, except one that stands where a choice should.
    """
    problems = [f"{name} must be set." for name, option in options.items() if option.get("required") and name not in values]
    for name, value in values.items():
        if name in options:
            problems += _type_problems(name, value, options[name])
        else:
            problems.append(f"There is no variable {name}{_suggestion(name, options)}.")
    return problems


def _suggestion(name: str, options: Options) -> str:
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""


def _type_problems(name: str, value: t.Any, option: t.Mapping[str, t.Any]) -> list[str]:
    wanted = option.get("type", "str")
    described, fits = _TYPES.get(wanted, ("", _fits_anything))
    if not fits(value):
        return [f"{name} must be {described}, not {_kind(value)}."]
    choices = option.get("choices")
    if choices and wanted not in ("list", "dict") and str(value) not in map(str, choices):
        shown = "" if option.get("no_log") else f" is {value}, which it"
        return [f"{name}{shown} cannot be; there are {', '.join(map(str, choices))}."]
    problems: list[str] = []
    if wanted == "list":
        element = {**option, "type": option.get("elements", "raw")}
        for index, item in enumerate(value):
            problems += _type_problems(f"{name}[{index}]", item, element)
    elif wanted == "dict" and option.get("options"):
        suboptions = option["options"]
        for key, item in value.items():
            if key in suboptions:
                problems += _type_problems(f"{name}.{key}", item, suboptions[key])
            else:
                problems.append(f"{name} has no key {key}{_suggestion(str(key), suboptions)}.")
        problems += [
            f"{name} needs the key {key}."
            for key, suboption in suboptions.items()
            if suboption.get("required") and key not in value
        ]
    return problems


def _kind(value: t.Any) -> str:
    if value is None:
        return "empty"
    for kind, description in (
        (bool, "a boolean"),
        (str, "a string"),
        (int, "a whole number"),
        (float, "a number"),
        (t.Mapping, "a dictionary"),
        (t.Sequence, "a list"),
    ):
        if isinstance(value, kind):
            return description
    return type(value).__name__


def _fits_anything(value: t.Any) -> bool:
    return True


def _is_string(value: t.Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_boolean(value: t.Any) -> bool:
    return isinstance(value, bool) or str(value).lower() in _BOOLEANS


def _is_whole_number(value: t.Any) -> bool:
    if isinstance(value, str):
        return value.lstrip("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: t.Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_list(value: t.Any) -> bool:
    return isinstance(value, t.Sequence) and not isinstance(value, (str, bytes))


def _is_dictionary(value: t.Any) -> bool:
    return isinstance(value, t.Mapping)


_TYPES: dict[str, tuple[str, t.Callable[[t.Any], bool]]] = {
    "str": ("a string", _is_string),
    "path": ("a path", _is_string),
    "bool": ("a boolean", _is_boolean),
    "int": ("a whole number", _is_whole_number),
    "float": ("a number", _is_number),
    "list": ("a list", _is_list),
    "dict": ("a dictionary", _is_dictionary),
}
