# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""From what is and what is wanted to the fewest statements. Pure: no server is asked."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.names import QualifiedName, shown
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.runner import Plan
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import (
    Statement,
    compose,
    joined,
    sql,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._publication.model import (
    Identity,
    Publication,
    Relation,
    State,
    Table,
    Wanted,
    in_order,
    parenthesised,
)

UNPUBLISHABLE_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}
UNPUBLISHABLE_PERSISTENCE = {"u": "an unlogged table", "t": "a temporary table"}
# attgenerated -> the first version in which a column list may name such a column.
GENERATED_SINCE = {"s": 180000}
NEVER = 10**9
IDENTITY_KINDS = {"d": "default", "n": "nothing", "i": "index", "f": "full"}


def plan(wanted: Wanted, state: State) -> Plan:
    if not wanted.present:
        return _plan_absent(wanted, state)
    _check_server(state)
    after = _described(wanted, state)
    shortcomings = _shortcomings(wanted, state)
    if shortcomings and wanted.replica_identity_missing == "fail":
        raise _identity_error(shortcomings)
    made_full = _made_full(wanted, shortcomings)
    before = state.publication
    result = Plan()
    result.statements += [Statement(compose("ALTER TABLE {} REPLICA IDENTITY FULL", identity.table)) for identity in made_full]
    recreated = before is not None and before.all_tables != after.all_tables
    if before is None:
        result.statements += _created(wanted.name, after, state)
    elif recreated:
        result.statements.append(Statement(compose("DROP PUBLICATION {}", wanted.name)))
        result.statements += _created(wanted.name, after, state)
        result.warnings.append(_recreated_warning(wanted.name, before))
    else:
        result.statements += _altered(wanted.name, before, after, state)
    if result.statements:
        _check_privileges(wanted, state, after, recreated, made_full)
    _compare(result, wanted.name, before, after)
    for identity in made_full:
        result.differences.add(f"replica_identity of {identity.table}", "full", IDENTITY_KINDS[identity.kind])
    if shortcomings and wanted.replica_identity_missing == "warn":
        result.warnings.append(_shortcomings_sentence(shortcomings))
    result.results["recreated"] = recreated
    result.results["subscribers_must_refresh"] = before is not None and _other_tables(before, after, state)
    result.results["without_replica_identity"] = sorted(map(str, shortcomings))
    return result


def _plan_absent(wanted: Wanted, state: State) -> Plan:
    result = Plan()
    before = state.publication
    if before is not None:
        if not state.owns_publication:
            raise _not_the_owner(wanted.name, before.owner, state)
        _check_writable(state)
        result.statements.append(Statement(compose("DROP PUBLICATION {}", wanted.name)))
    _compare(result, wanted.name, before, None)
    return result


def _compare(result: Plan, name: str, before: Publication | None, after: Publication | None) -> None:
    """The differences and the results that follow from the two descriptions alone."""
    old = before.properties() if before else {}
    new = old if after == before else after.properties() if after else {}
    result.differences.add("state", "present" if after else "absent", "present" if before else "absent")
    for key in old or new:
        result.differences.add(key, new.get(key), old.get(key))
    result.results = {
        "publication": after and {"name": name, **new},
        "publication_before": before and {"name": name, **old},
        "recreated": False,
        "subscribers_must_refresh": False,
        "without_replica_identity": [],
    }


# What the publication shall be


def _described(wanted: Wanted, state: State) -> Publication:
    """The wanted publication in the server's terms, after everything that it names was found."""
    _check_names(wanted, state)
    before = state.publication
    owner = wanted.owner or (before.owner if before else state.user)
    comment = wanted.comment if wanted.comment is not None else (before.comment if before else "")
    return Publication(
        owner=owner,
        comment=comment,
        all_tables=wanted.all_tables,
        tables=_described_tables(wanted, state),
        schemas=wanted.schemas,
        operations=wanted.operations,
        via_root=wanted.via_root,
    )


def _described_tables(wanted: Wanted, state: State) -> tuple[Table, ...]:
    stored = {table.name: table.where for table in (state.publication.tables if state.publication else ())}
    tables = []
    for position, table in enumerate(wanted.tables):
        relation = state.relations[position]
        name = relation.qualified_name
        where = table.where
        if where and state.row_filters[position].same:
            where = stored.get(name)
        tables.append(Table(name, _in_table_order(table.columns, relation), where))
    return in_order(tables)


def _in_table_order(columns: tuple[str, ...] | None, relation: Relation) -> tuple[str, ...] | None:
    """PostgreSQL stores a column list as a set."""
    return None if columns is None else tuple(name for name in relation.columns if name in columns)


def _check_server(state: State) -> None:
    if state.wal_level != "logical":
        raise MultimasterError(
            f"wal_level of this server is {state.wal_level}: nothing it publishes could be decoded. "
            "Set wal_level = logical and restart the server first."
        )


def _check_names(wanted: Wanted, state: State) -> None:
    """Everything that the description names exists and can be published; nothing was changed yet."""
    missing = [str(table.name) for position, table in enumerate(wanted.tables) if position not in state.relations]
    if missing:
        raise MultimasterError(
            f'There is no table {", ".join(missing)} in database "{state.database}". '
            "Names are taken exactly as they are written, upper and lower case included."
        )
    missing = [shown(schema) for schema in wanted.schemas if schema not in state.existing_schemas]
    if missing:
        raise MultimasterError(f'There is no schema {", ".join(missing)} of users in database "{state.database}".')
    if wanted.owner is not None and state.wanted_owner is None:
        raise MultimasterError(f"The owner of the publication, role {shown(wanted.owner)}, does not exist.")
    found: set[QualifiedName] = set()
    for position, table in enumerate(wanted.tables):
        relation = state.relations[position]
        _check_relation(table, relation)
        _check_columns(table, relation, state.version)
        _check_row_filter(wanted, position, relation, state)
        if table.columns and relation.partitioned and not wanted.via_root:
            raise MultimasterError(
                f"{relation.qualified_name} is a partitioned table: its column list needs publish_via_partition_root: true."
            )
        if relation.qualified_name in found:
            raise MultimasterError(f"{relation.qualified_name} is listed twice in tables.")
        found.add(relation.qualified_name)


def _check_relation(table: Table, relation: Relation) -> None:
    if relation.candidates > 1 and relation.schema != "public":
        raise MultimasterError(f"Several schemas have a table {table.name} and public is not among them: write schema.table.")
    what = UNPUBLISHABLE_KINDS.get(relation.kind) or UNPUBLISHABLE_PERSISTENCE.get(relation.persistence)
    if relation.system:
        what = "a part of the system catalog"
    if what:
        raise MultimasterError(f"{relation.qualified_name} cannot be published: it is {what}.")


def _check_columns(table: Table, relation: Relation, version: int) -> None:
    columns = table.columns or ()
    missing = [shown(column) for column in columns if column not in relation.columns]
    if missing:
        raise MultimasterError(f"Table {relation.qualified_name} has no column {', '.join(missing)}.")
    generated = [
        shown(column)
        for column in columns
        if relation.columns[column] and version < GENERATED_SINCE.get(relation.columns[column], NEVER)
    ]
    if generated:
        raise MultimasterError(
            f"Column {', '.join(generated)} of table {relation.qualified_name} is generated and "
            "cannot be in a column list on this server: the subscriber generates it itself."
        )


def _check_row_filter(wanted: Wanted, position: int, relation: Relation, state: State) -> None:
    where = wanted.tables[position].where
    if not where:
        return
    name = relation.qualified_name
    error = state.row_filters[position].error
    if error:
        raise MultimasterError(f"The server refuses the row filter of table {name}, ({where}): {error}.")
    if relation.schema in wanted.schemas:
        raise MultimasterError(
            f"The row filter of table {name} would have no effect, since tables_in_schema publishes its schema whole."
        )
    if relation.partitioned and not wanted.via_root:
        raise MultimasterError(f"{name} is a partitioned table: its row filter needs publish_via_partition_root: true.")


# Statements


def _created(name: str, after: Publication, state: State) -> list[Statement]:
    options: list[sql.Composable] = [
        compose("publish = {}", sql.Literal(", ".join(after.operations))),
        compose("publish_via_partition_root = {}", _boolean(after.via_root)),
    ]
    if state.generated_columns == "s":
        options.append(sql.SQL("publish_generated_columns = stored"))
    what = sql.SQL("ALL TABLES") if after.all_tables else _objects(after.tables, after.schemas, state)
    statements = [Statement(compose("CREATE PUBLICATION {} FOR {} WITH ({})", name, what, joined(options)))]
    if after.comment:
        statements.append(_comment(name, after.comment))
    if after.owner != state.user:
        statements.append(_owner(name, after.owner))
    return statements


def _altered(name: str, before: Publication, after: Publication, state: State) -> list[Statement]:
    statements = []
    old, new = set(before.tables), set(after.tables)
    # An entry whose columns or row filter differ is dropped and added: subscribers see the commit only.
    dropped = [Table(table.name) for table in before.tables if table not in new]
    added = [table for table in after.tables if table not in old]
    schemas_dropped = [schema for schema in before.schemas if schema not in after.schemas]
    schemas_added = [schema for schema in after.schemas if schema not in before.schemas]
    if dropped or schemas_dropped:
        objects = _objects(dropped, schemas_dropped, state)
        statements.append(Statement(compose("ALTER PUBLICATION {} DROP {}", name, objects)))
    if added or schemas_added:
        objects = _objects(added, schemas_added, state)
        statements.append(Statement(compose("ALTER PUBLICATION {} ADD {}", name, objects)))
    options = _changed_options(before, after)
    if options:
        # Row filters and column lists of partitioned tables exist only while publish_via_partition_root is on.
        first = after.via_root
        statements.insert(0 if first else len(statements), Statement(compose("ALTER PUBLICATION {} SET ({})", name, options)))
    if before.comment != after.comment:
        statements.append(_comment(name, after.comment))
    if before.owner != after.owner:
        statements.append(_owner(name, after.owner))
    return statements


def _changed_options(before: Publication, after: Publication) -> sql.Composable | None:
    options = []
    if before.operations != after.operations:
        options.append(compose("publish = {}", sql.Literal(", ".join(after.operations))))
    if before.via_root != after.via_root:
        options.append(compose("publish_via_partition_root = {}", _boolean(after.via_root)))
    return joined(options) if options else None


def _objects(tables: t.Sequence[Table], schemas: t.Sequence[str], state: State) -> sql.Composable:
    parts = []
    if tables:
        parts.append(compose("TABLE {}", joined(_entry(table, state) for table in tables)))
    if schemas:
        parts.append(compose("TABLES IN SCHEMA {}", joined(compose("{}", schema) for schema in schemas)))
    return joined(parts)


def _entry(table: Table, state: State) -> sql.Composable:
    # Without ONLY the tables that inherit from this one would come along.
    parts = [compose("ONLY {}" if table.name in state.parents else "{}", table.name)]
    if table.columns is not None:
        parts.append(compose("({})", joined(compose("{}", column) for column in table.columns)))
    if table.where is not None:
        parts.append(compose("WHERE {}", parenthesised(table.where)))
    return joined(parts, " ")


def _comment(name: str, comment: str) -> Statement:
    value = sql.Literal(comment) if comment else sql.SQL("NULL")
    return Statement(compose("COMMENT ON PUBLICATION {} IS {}", name, value))


def _owner(name: str, owner: str) -> Statement:
    return Statement(compose("ALTER PUBLICATION {} OWNER TO {}", name, owner))


def _boolean(value: bool) -> sql.SQL:
    return sql.SQL("true" if value else "false")


def _recreated_warning(name: str, before: Publication) -> str:
    way = "all tables to a list" if before.all_tables else "a list to all tables"
    return (
        f"PostgreSQL cannot alter a publication from {way}: {shown(name)} is dropped and created again in one "
        "transaction. No change is lost, but every subscriber keeps its own list of tables "
        "until it runs ALTER SUBSCRIPTION .. REFRESH PUBLICATION."
    )


def _other_tables(before: Publication, after: Publication, state: State) -> bool:
    """Whether subscribers know of other tables than those that will be published."""

    def names(publication: Publication) -> tuple[t.Any, ...]:
        return publication.all_tables, {table.name for table in publication.tables}, publication.schemas

    if names(before) != names(after):
        return True
    if before.via_root == after.via_root:
        return False
    # Partitions are published under their own names or under that of their root.
    if after.all_tables or after.schemas:
        return state.has_partitions
    return bool(state.partitioned)


# Replica identity


class _Shortcoming(t.NamedTuple):
    identity: Identity
    sentence: str
    # REPLICA IDENTITY FULL would do.
    curable: bool


def _shortcomings(wanted: Wanted, state: State) -> dict[QualifiedName, _Shortcoming]:
    """Published tables on which UPDATE and DELETE would fail."""
    found: dict[QualifiedName, _Shortcoming] = {}
    for identity in state.identities if wanted.needs_identity else ():
        reason = _shortcoming(wanted, state, identity)
        # A table that is listed and also published by its schema comes twice: keep the one with its columns.
        if reason and (identity.table not in found or identity.position is not None):
            found[identity.table] = reason
    return found


def _shortcoming(wanted: Wanted, state: State, identity: Identity) -> _Shortcoming | None:
    table = wanted.tables[identity.position] if identity.position is not None else None
    listed = table.columns if table else None
    if identity.full:
        if listed:
            return _Shortcoming(identity, "has a column list, which REPLICA IDENTITY FULL does not permit", False)
        return _Shortcoming(identity, f"has no key and {_not_compared(identity)}", False) if identity.incomparable else None
    if identity.columns is None:
        sentence = {
            "n": "has REPLICA IDENTITY NOTHING",
            "i": "has lost the index of its replica identity",
        }.get(identity.kind, "has no primary key and no other replica identity")
        if identity.incomparable:
            return _Shortcoming(identity, f"{sentence}, and {_not_compared(identity)}", False)
        return _Shortcoming(identity, sentence, curable=not listed)
    key = f"its replica identity ({', '.join(map(shown, identity.columns))})"
    if listed and not set(identity.columns) <= set(listed):
        return _Shortcoming(identity, f"has a column list that lacks columns of {key}", False)
    row_filter = None if identity.position is None else state.row_filters.get(identity.position)
    if row_filter and identity.table in row_filter.uncovered:
        return _Shortcoming(identity, f"has a row filter over columns outside {key}", curable=not listed)
    return None


def _not_compared(identity: Identity) -> str:
    return (
        f"columns whose types have no equality: {', '.join(identity.incomparable)}; "
        "with REPLICA IDENTITY FULL the subscriptions to it stop at the first UPDATE or DELETE"
    )


def _made_full(wanted: Wanted, shortcomings: dict[QualifiedName, _Shortcoming]) -> list[Identity]:
    if wanted.replica_identity_missing != "full":
        return []
    incurable = {table: each for table, each in shortcomings.items() if not each.curable}
    if incurable:
        raise MultimasterError(
            f"{_shortcomings_sentence(incurable)} REPLICA IDENTITY FULL does not cure this: "
            "give the table a primary key, and a column list every column of it.",
            without_replica_identity=sorted(map(str, shortcomings)),
        )
    return [each.identity for _table, each in sorted(shortcomings.items(), key=lambda pair: str(pair[0]))]


def _identity_error(shortcomings: dict[QualifiedName, _Shortcoming]) -> MultimasterError:
    return MultimasterError(
        f"{_shortcomings_sentence(shortcomings)} Give the table a primary key that its row filter and column list "
        "keep to, leave update and delete out of operations, or set replica_identity_missing to full or warn.",
        without_replica_identity=sorted(map(str, shortcomings)),
    )


def _shortcomings_sentence(shortcomings: dict[QualifiedName, _Shortcoming]) -> str:
    tables = "; ".join(sorted(f"{table} {each.sentence}" for table, each in shortcomings.items()))
    return f"Once published, UPDATE and DELETE fail on: {tables}."


# Privileges


def _check_privileges(wanted: Wanted, state: State, after: Publication, recreated: bool, made_full: list[Identity]) -> None:
    """Everything that the statements need, so that none of them fails half way."""
    _check_writable(state)
    before = state.publication
    name = shown(wanted.name)
    if (before is None or recreated) and not state.may_create:
        raise MultimasterError(
            f'Role {shown(state.user)} may not create publications in database "{state.database}": '
            "it needs the privilege CREATE on that database."
        )
    if before is not None and before != after and not state.owns_publication:
        raise _not_the_owner(wanted.name, before.owner, state)
    new = set(after.tables) - set(before.tables if before and not recreated else ())
    foreign = sorted(
        str(relation.qualified_name)
        for relation in state.relations.values()
        if not relation.owned and any(table.name == relation.qualified_name for table in new)
    )
    foreign += [str(identity.table) for identity in made_full if not identity.owned]
    if foreign:
        raise MultimasterError(f"Role {shown(state.user)} is not the owner of table {', '.join(foreign)}: {_AS_OWNER}.")
    wide = after.all_tables or bool(after.schemas)
    widened = before is None or recreated or not set(after.schemas) <= set(before.schemas)
    if wide and widened and not state.superuser:
        raise MultimasterError(
            f"Role {shown(state.user)} is not a superuser: only a superuser may publish all tables or whole schemas."
        )
    _check_owner(wanted, state, after, wide)
    if before is not None and recreated and wide and wanted.owner is None and not state.owner_is_superuser:
        raise MultimasterError(
            f"Publication {name} belongs to {shown(before.owner)}, which is not a superuser and so cannot own "
            "a publication of all tables or whole schemas: give it another owner."
        )


def _check_owner(wanted: Wanted, state: State, after: Publication, wide: bool) -> None:
    owner, now = state.wanted_owner, state.publication.owner if state.publication else state.user
    if owner is None or wanted.owner == now:
        return
    role = shown(after.owner)
    if wide and not owner.superuser:
        raise MultimasterError(f"Role {role} is not a superuser and so cannot own a publication of all tables or whole schemas.")
    if not owner.may_create:
        raise MultimasterError(
            f'Role {role} cannot own a publication: it needs the privilege CREATE on database "{state.database}".'
        )
    if not owner.reachable:
        raise MultimasterError(
            f"Role {shown(state.user)} may not hand the publication to {role}: it is not a member of that role."
        )


_AS_OWNER = "connect as its owner or as a superuser"


def _not_the_owner(name: str, owner: str, state: State) -> MultimasterError:
    return MultimasterError(f"Publication {shown(name)} belongs to {shown(owner)}, not to role {shown(state.user)}: {_AS_OWNER}.")


def _check_writable(state: State) -> None:
    if state.standby:
        raise MultimasterError("This server is a standby, which is read-only: publications are made on its primary.")
