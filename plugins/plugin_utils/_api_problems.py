# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What keeps the hosts of an inventory from serving the API, said before anything changes."""

from __future__ import annotations

import typing as t

Mapping = t.Mapping[str, t.Any]

# As what the API comes to the servers is the same on all its hosts.
_SHARED = ("database", "database_user", "database_password", "redis_user", "redis_password")


def api_problems(groups: t.Mapping[str, t.Sequence[str]], hostvars: t.Mapping[str, Mapping]) -> list[str]:
    """One sentence for each problem; none without a group api. Shows no value of a host but its database's name."""
    hosts = groups.get("api") or ()
    if not hosts:
        return []
    nodes = groups.get("postgresql") or ()
    database = hostvars[hosts[0]].get("failover_api_database", "imdb")
    shared = [entry["name"] for node in nodes[:1] for entry in hostvars[node].get("multimaster_databases") or ()]
    problems = []
    if database not in shared:
        problems.append(f"failover_api_database is {database}, which multimaster_databases does not have.")
    problems += _schema_problems(database, nodes, groups.get("imdb") or (), hostvars)
    for name in _SHARED:
        if len({str(hostvars[host].get(f"failover_api_{name}", "")) for host in hosts}) > 1:
            problems.append(f"failover_api_{name} is not the same for all of {', '.join(hosts)}.")
    return problems


def _schema_problems(
    database: str, nodes: t.Sequence[str], imdb: t.Sequence[str], hostvars: t.Mapping[str, Mapping]
) -> t.Iterator[str]:
    without = [node for node in nodes if node not in imdb]
    if without:
        yield (
            f"The API of group api serves the tables of the IMDB schema, which {', '.join(without)} would not get: have the "
            "group imdb hold all nodes, or take the hosts out of the group api."
        )
    for node in nodes:
        theirs = hostvars[node].get("imdb_database", "imdb")
        if node in imdb and theirs != database:
            yield (
                f"The API serves the database {database} (failover_api_database), but the IMDB schema of {node} is in the "
                f"database {theirs} (imdb_database): give both the same."
            )
            return
