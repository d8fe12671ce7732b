# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection strings come back as they went in, whatever is in them, and never show a secret."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg2 import extensions, sql
from rendering import render

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import conninfo as _conninfo
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import masked, secret

values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.sampled_from(["host", "port", "user", "dbname", "sslmode", "sslrootcert", "application_name", "options"])


@given(st.dictionaries(names, values), values)
@example({"host": "a b"}, 'it\'s \\ "quoted" = x')
@example({"dbname": "host=elsewhere port=1"}, "' password='x")
@example({"user": "ü€𝄞"}, " ")
@example({"user": "\\"}, "'")
def test_what_goes_in_comes_back(parameters: dict[str, str], password: str) -> None:
    wanted = {**parameters, "password": password}
    assert _conninfo.parse(_conninfo.build(wanted)) == wanted


@given(st.dictionaries(names, values))
def test_an_empty_value_stays_one(parameters: dict[str, str]) -> None:
    """It overrides the server's environment: it is not the same as no value."""
    assert _conninfo.parse(_conninfo.build({**parameters, "password": ""})) == {**parameters, "password": ""}


@given(st.dictionaries(names, st.sampled_from(["a", "b c"])), values)
def test_the_masked_string_differs_in_nothing_but_the_secret(parameters: dict[str, str], password: str) -> None:
    text = _conninfo.masked({**parameters, "password": password, "sslpassword": password})
    shown = _conninfo.parse(text)
    assert {name: value for name, value in shown.items() if name not in _conninfo.SECRETS} == parameters
    assert shown["password"] == shown["sslpassword"] == "********"


@given(st.dictionaries(names, values), values)
def test_results_hold_no_secret(parameters: dict[str, str], password: str) -> None:
    wanted = {**parameters, "password": password}
    assert _conninfo.without_secrets(wanted) == parameters
    assert _conninfo.secrets(wanted) == [password]


@given(values)
def test_a_statement_sends_the_whole_and_shows_the_rest(password: str) -> None:
    parameters = {"host": "h", "password": password}
    literal = secret(_conninfo.build(parameters), _conninfo.masked(parameters))
    assert isinstance(literal, sql.Literal)
    assert extensions.parse_dsn(literal.wrapped)["password"] == password
    assert render(masked(literal)) == "'host=h password=********'"


@pytest.mark.parametrize("name", ["sslmood", "Host", "a b", "pass word"])
def test_an_unknown_parameter_is_named_and_its_value_is_not(name: str) -> None:
    with pytest.raises(MultimasterError) as error:
        _conninfo.build({"host": "h", "password": "s3cret", name: "v4lue"})
    assert name in str(error.value)
    assert "s3cret" not in str(error.value)
    assert "v4lue" not in str(error.value)


def test_a_nul_is_refused_without_showing_the_value() -> None:
    with pytest.raises(MultimasterError) as error:
        _conninfo.build({"password": "s3cret\0"})
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("text", ["host", "host='", "= x", "sslmood=x"])
def test_an_unreadable_string_has_no_parameters(text: str) -> None:
    assert _conninfo.parse(text) == {}
