# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""How tables of a node are emptied without emptying them on its peers, said in the messages that ask for it."""

from __future__ import annotations

# An origin of the session marks what it writes as coming from elsewhere: subscriptions with origin = none are not sent it.
# session_replication_role = replica stops no publishing. All in one session: the origin ends with it.
ORIGIN = "emptied_by_hand"
STATEMENTS = (
    f"SELECT pg_replication_origin_create('{ORIGIN}'); "
    f"SELECT pg_replication_origin_session_setup('{ORIGIN}'); "
    "TRUNCATE {tables}; "
    "SELECT pg_replication_origin_session_reset(); "
    f"SELECT pg_replication_origin_drop('{ORIGIN}');"
)


def emptying(tables: str = "<tables>") -> str:
    """Sentences on how to empty these tables here, and nowhere else. ``tables`` as they stand in a message."""
    return (
        "A plain TRUNCATE or DELETE is sent to every node that subscribes to this one, and empties its tables too. To empty "
        f"them here only, run as a superuser, in one session: {STATEMENTS.format(tables=tables)} Subscriptions with origin = any "
        "are sent it all the same: disable these first."
    )
