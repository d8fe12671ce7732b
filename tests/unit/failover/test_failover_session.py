# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the service's sessions begin: it is installed on hosts without the collection, and so has a copy of the definition."""

from __future__ import annotations

from multimaster_failover import connection
from psycopg.conninfo import conninfo_to_dict

from ansible_collections.multimaster.postgresql.plugins.module_utils._core import session as definition


def test_they_begin_as_all_others_do() -> None:
    assert connection.SETTINGS == {**definition.SETTINGS, "default_transaction_read_only": "off"}


def test_they_have_limits_of_their_own() -> None:
    text = connection.conninfo({"host": "pg1"}, application_name="test", statement_timeout=1.5)
    options = str(conninfo_to_dict(text)["options"])
    assert " -c statement_timeout=1500 " in options
    assert " -c default_transaction_isolation=read\\ committed " in options
