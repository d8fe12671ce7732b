# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads values out of parsed JSON and says in one sentence what is wrong with them."""

from __future__ import annotations

import typing as t

_REQUIRED = object()


class Invalid(Exception):
    """A configuration that cannot be used: what, where, and what to do."""


class Section:
    """One object of the configuration. Every key has to be asked for: what is left at the end is a mistake."""

    def __init__(self, values: t.Any, where: str) -> None:
        if not isinstance(values, dict):
            raise Invalid(f"{where} must be an object.")
        self._values, self._where, self._asked = values, where, set[str]()

    def text(self, key: str, default: t.Any = _REQUIRED) -> str:
        return self._get(key, str, "a string", default)

    def flag(self, key: str, default: t.Any = _REQUIRED) -> bool:
        return self._get(key, bool, "true or false", default)

    def whole(self, key: str, default: t.Any = _REQUIRED, *, low: int = 1, high: int = 2**31 - 1) -> int:
        value = self._get(key, (int, str), "a whole number", default)
        # As an inventory may have it
        if isinstance(value, str):
            if not value.isdecimal():
                raise Invalid(f"{self._where}.{key} must be a whole number.")
            value = int(value)
        if not low <= value <= high:
            raise Invalid(f"{self._where}.{key} must be from {low} to {high}, not {value}.")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = float(self._get(key, (int, float), "a number of seconds", default))
        if not 0 < value <= 3600:
            raise Invalid(f"{self._where}.{key} must be a number of seconds from above 0 to 3600, not {value}.")
        return value

    def items(self, key: str, default: t.Any = _REQUIRED) -> list[t.Any]:
        return self._get(key, list, "a list", default)

    def section(self, key: str) -> Section:
        return Section(self._get(key, dict, "an object", {}), f"{self._where}.{key}")

    def done(self) -> None:
        unknown = sorted(set(self._values) - self._asked)
        if unknown:
            raise Invalid(f"{self._where} has no key {unknown[0]}. It has: {', '.join(sorted(self._asked))}.")

    def _get(self, key: str, kind: t.Any, described: str, default: t.Any) -> t.Any:
        self._asked.add(key)
        value = self._values.get(key, default)
        if value is _REQUIRED:
            raise Invalid(f"{self._where}.{key} is missing.")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Invalid(f"{self._where}.{key} must be {described}.")
        return value
