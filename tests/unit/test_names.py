# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names as users write them: every name can be written, is read back unchanged, and is never cut short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import (
    MAX_BYTES,
    QualifiedName,
    identifier,
    qualified,
    shown,
)

# Every text that PostgreSQL takes as a name.
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("\".' %{}\\$é名"), min_size=1
).filter(lambda name: len(name.encode()) <= MAX_BYTES)


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("films", None, "films"),
        ("public.films", "public", "films"),
        ("public.Films", "public", "Films"),
        ('public."Films"', "public", "Films"),
        ('"My Schema"."Ta ble"', "My Schema", "Ta ble"),
        ("My Schema.Ta ble", "My Schema", "Ta ble"),
        ('"a.b"', None, "a.b"),
        ('"a.b".c', "a.b", "c"),
        ('a."b.c"', "a", "b.c"),
        ('"say ""hi"""', None, 'say "hi"'),
        ("übersicht.名前", "übersicht", "名前"),
        ("it's; DROP TABLE x --", None, "it's; DROP TABLE x --"),
        ("select.table", "select", "table"),
        ("two\nlines", None, "two\nlines"),
    ],
)
def test_qualified(text: str, schema: str | None, name: str) -> None:
    assert qualified(text, "The table's name") == (schema, name)


@pytest.mark.parametrize("text", ["a.b.c", '"a', 'a"', 'a"b', '"a"b', '"a"."b"."c"', '"""', '"a".b"'])
def test_badly_quoted(text: str) -> None:
    with pytest.raises(MultimasterError, match="double quotes around a name that holds a double quote") as caught:
        qualified(text, "The table's name")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", '""', '"".a', 'a.""'])
def test_empty(text: str) -> None:
    with pytest.raises(MultimasterError, match="is empty"):
        qualified(text, "The table's name")


@pytest.mark.parametrize("value", [None, 5, True, ["a"], {"name": "a"}])
def test_no_text(value: object) -> None:
    with pytest.raises(MultimasterError, match="The table's name must be a string, not"):
        qualified(value, "The table's name")
    with pytest.raises(MultimasterError, match="must be a string"):
        identifier(value, "The publication's name")


@pytest.mark.parametrize(
    ("text", "name"),
    [("pub", "pub"), ("Pub.2", "Pub.2"), ('"Pub.2"', "Pub.2"), ('"a""b"', 'a"b'), (" ", " "), ("a b", "a b")],
)
def test_identifier(text: str, name: str) -> None:
    assert identifier(text, "The publication's name") == name


@pytest.mark.parametrize("text", ['a"b', '"a', '"a"b"', '"a" '])
def test_identifier_badly_quoted(text: str) -> None:
    with pytest.raises(MultimasterError, match="is badly quoted"):
        identifier(text, "The publication's name")


@pytest.mark.parametrize("letter", ["a", "é", "名", "😀"])
def test_the_limit_is_in_bytes(letter: str) -> None:
    size = len(letter.encode())
    longest = letter * (MAX_BYTES // size)
    assert identifier(longest, "The name") == longest
    assert qualified(f"{longest}.{longest}", "The name") == (longest, longest)
    too_long = longest + letter
    for read in (
        lambda: identifier(too_long, "The name"),
        lambda: qualified(f"public.{too_long}", "The name"),
        lambda: qualified(f"{too_long}.films", "The name"),
        lambda: qualified(f'"{too_long}"', "The name"),
    ):
        with pytest.raises(MultimasterError, match=f"has {len(too_long.encode())} bytes; PostgreSQL permits 63"):
            read()


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_no_server_can_store(text: str) -> None:
    with pytest.raises(MultimasterError, match=r"NUL|not valid Unicode"):
        identifier(text, "The name")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("public", "films"), "public.films"),
        (("public", "Films"), 'public."Films"'),
        (("a.b", 'c"d'), '"a.b"."c""d"'),
        (("f_1$",), "f_1$"),
        (("1f",), '"1f"'),
        (("é",), '"é"'),
        (("films\n",), '"films\n"'),
    ],
)
def test_shown(parts: tuple[str, ...], text: str) -> None:
    assert shown(*parts) == text


def test_a_name_without_schema_is_shown_alone() -> None:
    assert str(QualifiedName(None, "Films")) == '"Films"'


@given(names, names)
def test_what_is_shown_can_be_read_back(schema: str, name: str) -> None:
    assert qualified(shown(schema, name), "The name") == (schema, name)
    assert qualified(shown(name), "The name") == (None, name)
    assert identifier(shown(name), "The name") == name


@given(st.text())
def test_any_text_is_a_name_or_a_clear_error(text: str) -> None:
    sentence = ""
    parts: tuple[str | None, ...] = ()
    try:
        parts = qualified(text, "The name")
    except MultimasterError as error:
        sentence = str(error)
    assert parts or sentence.startswith(("The name", "the schema in The name"))
    assert all(1 <= len(part.encode()) <= MAX_BYTES for part in parts if part is not None)
