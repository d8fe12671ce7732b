# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names in a certificate: spelt as the certificate gives them back, each once, nothing that cannot be one."""

from __future__ import annotations

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._subject_alt_names import subject_alt_names


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("pg1", "DNS:pg1"),
        ("PG1.Example.ORG.", "DNS:pg1.example.org"),
        ("my_host", "DNS:my_host"),
        ("*.example.org", "DNS:*.example.org"),
        ("bücher.example", "DNS:xn--bcher-kva.example"),
        ("192.0.2.1", "IP:192.0.2.1"),
        (" 192.0.2.1 ", "IP:192.0.2.1"),
        ("2001:DB8:0:0::1", "IP:2001:db8::1"),
    ],
)
def test_spelling(name: str, entry: str) -> None:
    assert subject_alt_names([name]) == [entry]


def test_each_once_in_the_order_given() -> None:
    assert subject_alt_names(["b", "A", "a", "::1", "0::1"]) == ["DNS:b", "DNS:a", "IP:::1"]


@pytest.mark.parametrize("name", ["", "a b", "a,DNS:evil", "-a", "a..b", "x" * 64, "a/24", "\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(MultimasterError, match="neither a host name nor an address"):
        subject_alt_names([name])
