# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one definition of how a session begins, in each of its forms."""

from __future__ import annotations

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import (
    KINDS,
    options,
    preamble,
    psql_preamble,
    settings,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_session_has_what_keeps_a_database_s_owner_out(kind: str) -> None:
    chosen = settings(kind)
    assert chosen["search_path"] == ""
    assert chosen["row_security"] == "off"
    assert chosen["role"] == "none"
    assert chosen["standard_conforming_strings"] == "on"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"apply"}))
def test_every_session_ends_by_itself_what_others_hold_up(kind: str) -> None:
    chosen = settings(kind)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert chosen[name] not in ("", "0")


def test_what_only_reads_cannot_write() -> None:
    assert {kind for kind in KINDS if settings(kind)["default_transaction_read_only"] == "on"} == {"look", "compare"}


def test_a_space_in_a_value_ends_no_option() -> None:
    assert " -c default_transaction_isolation=read\\ committed -c " in options("look")
    assert options("look", more={"application_name": "a\\b c"}).endswith(" -c application_name=a\\\\b\\ c")


def test_a_setting_of_one_session_counts_before_the_definition_s() -> None:
    assert " -c lock_timeout=5s" in options("look", more={"lock_timeout": "5s"})
    assert options("look", more={"lock_timeout": "5s"}).count("lock_timeout") == 1


def test_what_a_server_does_not_know_is_not_asked_of_it() -> None:
    assert "-c transaction_timeout=" not in options("look")
    assert " -c transaction_timeout=0" in options("load", 17)
    assert "restrict_nonsystem_relation_kind" not in options("load", 16)
    assert preamble(160003) == ""
    assert preamble(160004) == "SET restrict_nonsystem_relation_kind = ''"
    assert "transaction_timeout" in preamble(170000)


def test_psql_asks_the_server_s_version_itself() -> None:
    assert psql_preamble().splitlines()[:4] == [
        "SELECT :SERVER_VERSION_NUM OPERATOR(pg_catalog.>=) 160004 AS known \\gset",
        "\\if :known",
        "SET restrict_nonsystem_relation_kind = '';",
        "\\endif",
    ]
