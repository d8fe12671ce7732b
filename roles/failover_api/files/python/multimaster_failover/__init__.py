# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements on several PostgreSQL masters that replicate to each other, none of which may fail a request. See README.md."""

from __future__ import annotations

from .agreement import Agreement, Record
from .client import FailoverClient
from .errors import FailoverError, NoNode, OutOfTime, SwitchRefused, TooSlow, Unavailable, UnknownNode
from .execution import Attempt
from .keys import KeyStock, derived_key
from .settings import NodeSettings, Settings

__all__ = [
    "Agreement",
    "Attempt",
    "FailoverClient",
    "FailoverError",
    "KeyStock",
    "NoNode",
    "NodeSettings",
    "OutOfTime",
    "Record",
    "Settings",
    "SwitchRefused",
    "TooSlow",
    "Unavailable",
    "UnknownNode",
    "derived_key",
]
