# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.selection import Selection, as_like, as_regex


def matches_like(pattern: str, text: str) -> bool:
    """SQL's LIKE, as PostgreSQL documents it."""
    parts, escaped = [], False
    for char in pattern:
        if escaped:
            parts.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            parts.append({"%": ".*", "_": "."}.get(char) or re.escape(char))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


TEXTS = st.text(alphabet="ab.*?%_\\'\"\nñ []", max_size=8)


@given(TEXTS, TEXTS)
def test_both_translations_mean_the_same(pattern: str, text: str) -> None:
    assert bool(as_regex(pattern).fullmatch(text)) == matches_like(as_like(pattern), text)


@given(st.text(max_size=20))
def test_every_name_matches_itself(name: str) -> None:
    assert as_regex(name).fullmatch(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("public.a_seq", None),
        ("public.invoice_no_seq", "excluded"),
        ("public.invoiceXno_seq", None),
        ("archive.x", "excluded"),
        ("archived.x", None),
        ("other.a_seq", "not included"),
    ],
)
def test_reasons(name: str, reason: str | None) -> None:
    selection = Selection(["public.*", "archive*"], ["public.invoice_no_seq", "archive.*"])
    assert selection.reason_to_skip(name) == reason


def test_unknown_names() -> None:
    assert Selection.unknown(["public.a", "public.b", "x.*"], {"public.a"}) == ["public.b"]
