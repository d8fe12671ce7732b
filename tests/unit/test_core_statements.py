# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Composing of SQL: names and values stay what they are, secrets are shown nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import (
    MASK,
    Statement,
    compose,
    has_secret,
    joined,
    masked,
    secret,
)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("\"'\\%{}$; -"))


def unquoted(quoted: str, quote: str) -> str:
    """What a server reads between the quotes; fails where the quoted text ends early."""
    assert len(quoted) >= 2
    assert quoted[0] == quoted[-1] == quote
    inside = quoted[1:-1]
    assert quote not in inside.replace(quote * 2, "")
    return inside.replace(quote * 2, quote)


def test_strings_are_identifiers_and_tuples_are_qualified() -> None:
    command = compose("ALTER TABLE {} RENAME TO {}", ("public", 'a"b'), "it's {} 100%")
    assert render(command) == 'ALTER TABLE "public"."a""b" RENAME TO "it\'s {} 100%"'


def test_composables_stay_as_they_are() -> None:
    options = joined([compose("publish = {}", sql.Literal("a, b")), sql.SQL("x = true")])
    assert render(compose("SET ({options})", options=options)) == "SET (publish = 'a, b', x = true)"


def test_a_command_without_secrets_is_shown_whole() -> None:
    statement = Statement(compose("COMMENT ON PUBLICATION {} IS {}", "p", sql.Literal("text")))
    assert not statement.is_secret
    assert render(statement.shown) == render(statement.command)


@pytest.mark.parametrize("shown", [MASK, "host=pg2 password=********"])
def test_a_secret_is_sent_and_not_shown(shown: str) -> None:
    inner = compose("CONNECTION {}", secret("host=pg2 password=s3cret", shown))
    statement = Statement(compose("CREATE SUBSCRIPTION {} {} PUBLICATION {}", "s", inner, "p"))
    assert statement.is_secret
    assert render(statement.command) == ('CREATE SUBSCRIPTION "s" CONNECTION \'host=pg2 password=s3cret\' PUBLICATION "p"')
    assert render(statement.shown) == f'CREATE SUBSCRIPTION "s" CONNECTION \'{shown}\' PUBLICATION "p"'


@given(text.filter(bool))
def test_a_name_cannot_leave_its_quotes(name: str) -> None:
    assert unquoted(render(compose("{}", name)), '"') == name


@given(text.filter(bool), text.filter(bool))
def test_a_qualified_name_cannot_leave_its_quotes(schema: str, name: str) -> None:
    rendered = render(compose("{}", (schema, name)))
    head, tail = render(sql.Identifier(schema)), render(sql.Identifier(name))
    assert rendered == f"{head}.{tail}"
    assert (unquoted(head, '"'), unquoted(tail, '"')) == (schema, name)


# How a backslash is written depends on the server: tests/integration/test_quoting.py asks one.
@given(text.map(lambda value: value.replace("\\", "")))
def test_a_value_cannot_leave_its_quotes(value: str) -> None:
    assert unquoted(render(compose("{}", sql.Literal(value))), "'") == value


@given(text.filter(lambda value: len(value) > 8), text.filter(bool))
def test_no_secret_in_what_is_shown(value: str, name: str) -> None:
    marked = f"<{value}>"
    command = joined([compose("{} {}", name, secret(marked)), compose("{}", sql.Literal("open"))], " ")
    assert has_secret(command)
    assert not has_secret(masked(command))
    shown = render(masked(command))
    assert shown == f"{render(sql.Identifier(name))} '{MASK}' 'open'"
