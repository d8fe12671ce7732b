# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verifiers of passwords: the server would make the same, and nobody can read the password in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.plugin_utils._scram import is_verifier, scram_sha_256

# Made by PostgreSQL 16.14 itself, as pg_authid.rolpassword.
BY_THE_SERVER = [
    (
        "pencil",
        "SCRAM-SHA-256$4096:ZhJWPPzdUmn0l+tblIwrDQ==$"
        "8+AvvWzVPx6eRbpXGpERBgKcYpaD+WbEEMw9EwQ2opY=:5VbJNVnn0kjKxnJHs9/GqbaiZy+5fi6frvalkxlIXfk=",
    ),
    (
        "pä 'x",
        "SCRAM-SHA-256$4096:q/Sd8b+FhCVRVJLuPTVYpA==$"
        "J3t0SPKxlBAXX3nkx+u3mPuOYfohHA915GHxcbKpor4=:MfMuaCVRQEACSY6hhO/+GGpR+7pRJNAZ+kc/E6/X0mw=",
    ),
    # What SASLprep maps, and what it forbids
    (
        "p\u00adass\uff41",
        "SCRAM-SHA-256$4096:DT0QyVRn340FbzPO5WkwxA==$"
        "oTjs8nuqRssqkCLzbDjTShW4WHVuVR7vusvZK8F55nU=:r8KgfSppacV6itCQNfvBaEF21cl5rF5TSIe2CP2Gzic=",
    ),
    (
        "\u06271",
        "SCRAM-SHA-256$4096:QhM3d7hcOkZZofvdbTLoUg==$"
        "p63GWhH6ViJRvYmEiHDYEBh5id6dm4beEHoB2yXhQUs=:s/3Qgl7kr6ZRHolQ7/VJAG9z6GXK7WrNKhk/RClvCo0=",
    ),
    (
        "\u0627\u0628",
        "SCRAM-SHA-256$4096:FfJOUxHw4jBfbsG/Ir/YEA==$"
        "xwHvHEpJwM1tfnPialXDB7a0ZGZfRI+vuOH4PXfdN1w=:khZZuYI87fkecFWZqfpO7ENodhEentVR0KvLnle4ls8=",
    ),
    (
        "bell\u0007\u00e9",
        "SCRAM-SHA-256$4096:Cv/O5G6EbE+9bobeLIzDuw==$"
        "9FFzWcQ3Mc3F+5SBinD0yJD/fAANn5TQJf8DGqBwQGo=:b8M4i/B9jO+DWP4tso3bw2aaijQaUp4ARAH5brfvl+k=",
    ),
    (
        "a\u00a0b\u2168",
        "SCRAM-SHA-256$4096:veBVUtVsfzQnU2F3GvrX0Q==$"
        "ZjgA4ZW1sLGlaSXJJQUcKVexRUTwXuzf4XfrHBE3Jn8=:PyxDuwxEASyXyRePx9JTvcnavQi6K+egJdHNKKud38A=",
    ),
    (
        "\u0221x",
        "SCRAM-SHA-256$4096:T0a6MqzX5ZLDTIK41oa3CQ==$"
        "9bJZvemXd+OOTTVXazjbjD69Xuo5t8SEXIzIttGc+Jw=:R1Rzc8laWQnDqK9Irqjmg9dDJ25Apl4PgsA9iR4zHN0=",
    ),
]

passwords = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize(("password", "verifier"), BY_THE_SERVER)
def test_it_is_what_the_server_makes(password: str, verifier: str) -> None:
    head, salt = verifier.split("$")[1].split(":")
    assert scram_sha_256(password, salt, int(head)) == verifier


@given(passwords)
def test_every_password_has_a_verifier(password: str) -> None:
    verifier = scram_sha_256(password, iterations=1)
    assert is_verifier(verifier)
    assert scram_sha_256(verifier) == verifier
    salt = verifier.split("$")[1].split(":")[1]
    assert scram_sha_256(password, salt, 1) == verifier
    assert scram_sha_256(password + "x", salt, 1) != verifier


def test_each_call_draws_a_new_salt() -> None:
    assert scram_sha_256("a", iterations=1) != scram_sha_256("a", iterations=1)
