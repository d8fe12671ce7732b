# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and values that a real server reads back as they were written."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from servers import Server

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection, login_parameters
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import MAX_BYTES, qualified, shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import compose, secret

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("\"'\\%{}$;\n é"))
names = texts.filter(lambda name: 0 < len(name.encode()) <= MAX_BYTES)

DEFAULTS: dict[str, t.Any] = {
    "login_unix_socket": "",
    "login_password": "",
    "ssl_password": None,
    "ssl_mode": "prefer",
    "ca_cert": None,
    "ssl_cert": None,
    "ssl_key": None,
    "connect_params": {},
}


@pytest.fixture(scope="module")
def connection(servers: tuple[Server, Server]) -> t.Iterator[Connection]:
    connection = Connection(login_parameters({**DEFAULTS, **servers[0].login()}))
    yield connection
    connection.close()


@settings(max_examples=200)
@given(name=names, value=texts)
def test_names_and_values(connection: Connection, name: str, value: str) -> None:
    assert connection.fetch(compose("SELECT {} AS {}", sql.Literal(value), name)) == [{name: value}]
    assert connection.fetch(compose("SELECT {} AS {}", secret(value), name)) == [{name: value}]


@settings(max_examples=100)
@given(schema=names, name=names)
def test_shown_names_are_what_the_server_would_take(connection: Connection, schema: str, name: str) -> None:
    """Read back by this collection and, where they are quoted, by PostgreSQL too."""
    assert qualified(shown(schema, name), "A name") == (schema, name)
    assert connection.fetch_value("SELECT parse_ident(%s)", [shown(schema, name)]) == [schema, name]
