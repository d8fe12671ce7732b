# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""What a node of a mesh publishes, numbers and subscribes to, as the options of the modules that make it so."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import MAX_BYTES

Mapping = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

LAST_UPDATE_WINS, ERROR = CONFLICT_POLICIES = ("last_update_wins", "error")
_SLOT_SUFFIX = re.compile("[a-z0-9_]{0,40}")
# Keys of a database's entry that are options of pg_publication of the same name.
_PUBLICATION_OPTIONS = ("tables", "tables_in_schema", "operations", "publish_via_partition_root", "replica_identity_missing")


def publication_name(database: Mapping) -> str:
    """The publication of a database: as stated, or named after it."""
    return database.get("publication") or f"pub_{database['name']}"


def subscription_name(peer: str) -> str:
    """The subscription to a peer, in each database."""
    return f"sub_from_{peer}"


def slot_suffixes(databases: t.Sequence[Mapping]) -> dict[str, str]:
    """What the slots of each database end with. Names are unique on a whole server: the first database has the plain one."""
    derived = {
        database["name"]: "_" + re.sub("[^a-z0-9_]", "_", database["name"].lower()) if index else ""
        for index, database in enumerate(databases)
    }
    return {database["name"]: database.get("slot_suffix", derived[database["name"]]) for database in databases}


def database_problems(databases: t.Sequence[Mapping], nodes: t.Sequence[Mapping] = ()) -> list[str]:
    """What is wrong with the list of databases, and with names made from it and from the nodes' names, one sentence each.

    That each entry has its options and their types is known.
    """
    names = [database["name"] for database in databases]
    if not names or len(set(names)) < len(names):
        listed = ", ".join(names) or "none"
        return [f"multimaster_databases must list each database that the nodes share once; it lists {listed}."]
    problems = _too_long(databases, nodes)
    suffixes = slot_suffixes(databases)
    if len(set(suffixes.values())) < len(names) or not all(_SLOT_SUFFIX.fullmatch(suffix) for suffix in suffixes.values()):
        problems.append(
            "The slots of each database need a name of their own, ending with at most 40 of a-z, 0-9 and _; now they end with "
            f"{suffixes}. State a slot_suffix in the entries of multimaster_databases."
        )
    for database in databases:
        if database.get("tables") == []:
            problems.append(
                f"The database {database['name']} has an empty list of tables. It never means all tables: leave tables out for "
                "these, or name some."
            )
        if not set(database.get("conflict_policy_tables", {}).values()) <= set(CONFLICT_POLICIES):
            problems.append(
                f"conflict_policy_tables of the database {database['name']} must give each table last_update_wins or error."
            )
    return problems


def _too_long(databases: t.Sequence[Mapping], nodes: t.Sequence[Mapping]) -> list[str]:
    """PostgreSQL cuts longer names off, and then does not find what it is asked for."""
    problems = []
    for database in databases:
        name, publication = database["name"], publication_name(database)
        if _bytes_over(name):
            problems.append(f"The database's name {name} has more than {MAX_BYTES} bytes, PostgreSQL's limit. Shorten it.")
        elif _bytes_over(publication):
            problems.append(
                f"The publication {publication} of the database {name} has a name of more than {MAX_BYTES} bytes, PostgreSQL's "
                "limit. State a shorter publication in its entry of multimaster_databases."
            )
    return problems + [
        f"The subscription {subscription_name(node['name'])} from the host {node['name']} would have a name of more than "
        f"{MAX_BYTES} bytes, PostgreSQL's limit. Give the host a shorter name in the inventory, and its address as ansible_host."
        for node in nodes
        if _bytes_over(subscription_name(node["name"]))
    ]


def _bytes_over(name: str) -> bool:
    return len(name.encode()) > MAX_BYTES


def publications(databases: t.Sequence[Mapping], replica_identity_missing: str) -> list[Options]:
    """The options of pg_publication for each database: all its tables, or those that its entry names."""
    return [
        {
            "login_db": database["name"],
            "name": publication_name(database),
            "all_tables": "tables" not in database and "tables_in_schema" not in database,
            "replica_identity_missing": replica_identity_missing,
            **{key: database[key] for key in _PUBLICATION_OPTIONS if key in database},
        }
        for database in databases
    ]


def conflict_policies(databases: t.Sequence[Mapping], node_id: int, policy: str, settings: Mapping) -> list[Options]:
    """The options of pg_conflict_policy: once for each database and policy that it has.

    ``policy`` is for databases that state none. ``settings`` are options of LAST_UPDATE_WINS, the same for all.
    """
    found = []
    for database in databases:
        base = database.get("conflict_policy", policy)
        other = next(each for each in CONFLICT_POLICIES if each != base)
        by_table = database.get("conflict_policy_tables") or {}
        exceptions = [table for table, each in by_table.items() if each == other]
        for each, tables in ((base, {"exclude": exceptions}), (other, {"tables": exceptions})):
            # What pg_conflict_policy excludes from LAST_UPDATE_WINS has PostgreSQL's own behaviour already.
            if each == base or (exceptions and each == LAST_UPDATE_WINS):
                more = {"node_id": node_id, **settings} if each == LAST_UPDATE_WINS else {}
                found.append({"login_db": database["name"], "policy": each, **tables, **more})
    return found


def sequences(databases: t.Sequence[Mapping], node_id: int, max_nodes: int, warn_below_percent: float) -> list[Options]:
    """The options of pg_sequence_mm for each database."""
    return [
        {
            "login_db": database["name"],
            "node_id": node_id,
            "max_nodes": max_nodes,
            "warn_below_percent": warn_below_percent,
        }
        for database in databases
    ]


def subscriptions(
    databases: t.Sequence[Mapping],
    peers: t.Sequence[Mapping],
    *,
    node_id: int,
    seed: str,
    user: str,
    tls_directory: str,
    suffixes: t.Mapping[str, str],
    options: Mapping,
    crl_file: str = "",
) -> list[Options]:
    """The options of pg_subscription_mm for each peer and database, without the password.

    The rows of the node ``seed`` are copied, once and first; from the others come those that are written from now on. ``options``
    are the same for all.
    """
    copies = any(peer["name"] == seed for peer in peers)
    return [
        {
            "login_db": database["name"],
            "name": subscription_name(peer["name"]),
            "slot_name": f"slot_{peer['node_id']}_to_{node_id}{suffixes[database['name']]}",
            "publications": [publication_name(database)],
            "copy_data": peer["name"] == seed,
            "peer": _peer(peer, user, tls_directory, crl_file),
            **options,
            **({"uncopied_rows": "elsewhere"} if copies and peer["name"] != seed else {}),
        }
        for peer in sorted(peers, key=lambda peer: peer["name"] != seed)
        for database in databases
    ]


def _peer(peer: Mapping, user: str, tls_directory: str, crl_file: str) -> Options:
    return {
        "host": peer["address"],
        "port": peer["port"],
        "user": user,
        "ssl_mode": "verify-full",
        "ca_cert": f"{tls_directory}/ca.crt",
        "ssl_cert": f"{tls_directory}/{user}.crt",
        "ssl_key": f"{tls_directory}/{user}.key",
        **({"connect_params": {"sslcrl": crl_file}} if crl_file else {}),
    }


def node_pairs(
    databases: t.Sequence[Mapping],
    nodes: t.Sequence[Mapping],
    name: str,
    *,
    user: str,
    tls_directory: str,
    crl_file: str = "",
    among: t.Collection[str] | None = None,
) -> list[Options]:
    """The options of pg_node_equal for the node ``name`` with each of the others and each database, without the password.

    ``among``: names of the others that count; all of them without it.
    """
    node = next(each for each in nodes if each["name"] == name)
    suffixes = slot_suffixes(databases)
    return [
        {
            "login_db": database["name"],
            "login_port": node["port"],
            "publications": [publication_name(database)],
            "slot_here": f"slot_{node['node_id']}_to_{peer['node_id']}{suffixes[database['name']]}",
            "slot_there": f"slot_{peer['node_id']}_to_{node['node_id']}{suffixes[database['name']]}",
            "peer": _peer(peer, user, tls_directory, crl_file),
        }
        for peer in nodes
        if peer["name"] != name and (among is None or peer["name"] in among)
        for database in databases
    ]


def node_descriptions(
    databases: t.Sequence[Mapping],
    peers: t.Sequence[Mapping],
    *,
    node_id: int,
    max_nodes: int,
    seed: str,
    user: str,
    tls_directory: str,
    replica_identity_missing: str,
    warn_below_percent: float,
    conflict_policy: str,
    conflict_settings: Mapping,
    subscription: Mapping,
    crl_file: str = "",
) -> dict[str, list[Options]]:
    """All of them: publications, conflict policies, sequences and subscriptions."""
    return {
        "publications": publications(databases, replica_identity_missing),
        "conflict_policies": conflict_policies(databases, int(node_id), conflict_policy, conflict_settings),
        "sequences": sequences(databases, int(node_id), int(max_nodes), float(warn_below_percent)),
        "subscriptions": subscriptions(
            databases,
            peers,
            node_id=int(node_id),
            seed=seed,
            user=user,
            tls_directory=tls_directory,
            crl_file=crl_file,
            suffixes=slot_suffixes(databases),
            options=subscription,
        ),
    }
