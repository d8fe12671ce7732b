# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_utils file is private to the collection.

"""Whether a node that is back is the node that left, with all that it had: from what it and its peers know.

A node that was restored from a backup or from an older copy of its disk replicates without one error and loses rows in three
ways: the peers' rows since the copy do not come again, its own rows since the copy do not come back, and what it writes next does
not reach the peers until its WAL has passed the old position. So what its peers have of it decides, and what they have sent to it
and know to be there.
"""

from __future__ import annotations

import itertools
import math
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.printable import printable

Info = t.Mapping[str, t.Any]
Wal = t.Mapping[str, str]

# A page of WAL begins with a header of one of these sizes, and what follows it begins there.
_PAGE_BYTES, _HEADERS = 8192, (24, 40)
# Thirty days: more is a mistake.
_MOST_SECONDS = 30 * 24 * 3600
_REBUILD = "It must be rebuilt from another node and not taken back."


def failback_problems(
    node: str,
    infos: t.Mapping[str, Info],
    wal: Wal | None = None,
    applied: t.Mapping[str, Wal] | None = None,
    missing: Wal | None = None,
    unapplied: Wal | None = None,
    ends: Wal | None = None,
) -> list[str]:
    """Why ``node`` must not be taken back, one sentence each; nothing when it can be.

    ``infos`` are results of pg_multimaster_info by node, of those that answered. ``wal`` is what
    ``roles/postgresql/files/wal.sh`` says of the node's WAL at the positions that its peers have applied. ``applied`` is what
    ``applied_commits.sh`` says of each peer, ``missing`` what ``missing_commits.sh`` says of the node: positions and times
    of commits. ``unapplied`` is what ``unapplied_commits.sh`` says of the node, of the inserts that its peers have sent it.
    ``ends`` says where the WAL of each peer ended after the node was looked at: a node that replicates may have more than its
    peers had written when they were looked at.
    """
    if node not in infos:
        return [f"{node} does not answer, so nothing is known of it. Start its server first."]
    others = {name: info for name, info in infos.items() if name != node}
    if not others:
        return [f"No other node answers: {node} is the last good node, and there is nothing to compare it with."]
    problems: list[str] = []
    for peer, info in others.items():
        problems += _identity(node, infos[node], peer, info)
        outgoing = [*_outgoing(node, infos[node], peer, info, wal or {})]
        databases_of = {each["slot_name"]: each["database"] for each in _subscriptions(info, node)}
        problems += outgoing or _lost(node, peer, (applied or {}).get(peer) or {}, missing or {}, databases_of)
        end = (ends or {}).get(peer) or info["node"]["current_lsn"]
        problems += _incoming(node, infos[node], peer, info, unapplied or {}, end)
    return problems


def failback_last_good(node: str, infos: t.Mapping[str, Info], names: t.Sequence[str], held: t.Sequence[str] = ()) -> str:
    """That no other node is good, and why, as one text; empty where one is.

    ``names`` are all nodes, ``held`` those whose subscriptions are kept at rest by a file. What ``infos`` has of ``node`` was
    read before what it has of the others.
    """
    reasons = [_not_good(node, infos, peer, peer in held) for peer in names if peer != node]
    if not all(reasons):
        return ""
    return (
        f"No other node than {node} is good, so it is the last good node and there is nothing to compare it with. "
        f"{' '.join(reasons)}"
    )


def _not_good(node: str, infos: t.Mapping[str, Info], peer: str, held: bool) -> str:
    if peer not in infos:
        return f"{peer} does not answer: start it first."
    if held or _at_rest(infos[peer]):
        return (
            f"The subscriptions of {peer} are kept at rest, as failback leaves a node that it has not proven: "
            f"take {peer} back first, or rebuild it."
        )
    if node in infos:
        return next(
            itertools.chain(_identity(peer, infos[peer], node, infos[node]), _older(node, infos[node], peer, infos[peer])), ""
        )
    return ""


def failback_at_work(node: str, infos: t.Mapping[str, Info], held: t.Sequence[str] = ()) -> bool:
    """Whether ``node`` replicates from every node that answers: then it is used, and a restart would be felt."""
    if node not in infos or node in held or _at_rest(infos[node]):
        return False
    peers = [name for name in infos if name != node]
    found = [_subscriptions(infos[node], peer) for peer in peers]
    return all(found) and all(each["worker_running"] for each in itertools.chain(*found))


def _at_rest(info: Info) -> bool:
    return bool(info["node"]["settings"]["max_logical_replication_workers"] == "0")


def _older(node: str, here: Info, peer: str, there: Info, end: str | None = None) -> t.Iterator[str]:
    """Whether the peer lacks what the node has of it."""
    end = end or there["node"]["current_lsn"]
    for subscription in _subscriptions(here, peer):
        applied = subscription["applied_lsn"]
        if applied is not None and lsn(applied) > lsn(end):
            yield (
                f"{node} has changes of {peer} in database {subscription['database']} up to {applied}, "
                f"but the WAL of {peer} ends at {end}: "
                f"{peer} is an older copy of itself, and {node} is the one that has everything."
            )


def failback_unproven(
    node: str, infos: t.Mapping[str, Info], sent: t.Mapping[str, Wal] | None = None
) -> list[dict[str, str]]:
    """What the WAL of the peers does not tell: whether ``node`` has what they sent to it at a time of which they keep no WAL.

    Each with ``peer``, ``database`` and ``why``, a sentence.

    No reason to refuse it: a peer that rarely inserts anything has no WAL of the last time when it did.
    """
    unproven = []
    for peer, info in infos.items():
        if peer == node or node not in infos:
            continue
        confirmed = {slot["slot_name"]: slot.get("confirmed_flush_lsn") for slot in info["slots"]}
        for subscription in _subscriptions(infos[node], peer):
            database, slot, got = subscription["database"], subscription["slot_name"], _got(subscription)
            end, begin = confirmed.get(slot), ((sent or {}).get(peer) or {}).get(f"from:{slot}")
            if end is None or (got is not None and lsn(end) <= got):
                continue
            sends = any(entry.startswith(f"{slot}\t") for entry in ((sent or {}).get(peer) or {}).values())
            if begin is None or (sends if got is None else lsn(begin) > got):
                why = (
                    f"Whether {node} has all that {peer} sent to it of database {database} up to {end} cannot be told: "
                    f"{'nothing of it has arrived so far' if got is None else 'the WAL of that time is gone'}."
                )
                unproven.append({"peer": peer, "database": database, "why": why})
    return unproven


def failback_options_problem(**options: t.Any) -> str:
    """What is wrong with the options of the playbook that are numbers of seconds; empty where nothing is."""
    for name, value in options.items():
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = math.nan
        if isinstance(value, bool) or not 0 <= seconds <= _MOST_SECONDS:
            return f"-e {name}={value} is no number of seconds from 0 to {_MOST_SECONDS}."
    return ""


def failback_differences(
    node: str, results: t.Sequence[Info], names: t.Mapping[str, str], unproven: t.Sequence[Info] = ()
) -> dict[str, list[str]]:
    """What the comparison of rows has found, one sentence for each table, by what it means for the node:

    ``doubtful``: rows of the peer are missing on it, in a database of which the WAL does not tell that it had them.
    ``old``: rows differ, and that it is no copy is proven. ``moving``: the table was not equal while it was compared, and no row
    is known to be missing. ``unread``: it could not be read.

    ``results`` are those of pg_node_equal with each peer and database, in a loop; ``names`` says which node is at HOST:PORT.
    ``unproven`` is what failback_unproven says.
    """
    found: dict[str, list[str]] = {"doubtful": [], "old": [], "moving": [], "unread": []}
    in_doubt = {(each["peer"], each["database"]) for each in unproven}
    for result in results:
        database, peer_login = result["item"]["login_db"], result["item"]["peer"]
        address = f"{peer_login['host']}:{peer_login['port']}"
        peer = names.get(address, address)
        for each in result["differing"]:
            where = f"database {database}, table {each['table']}, with {peer}"
            here, there = each["missing_here"], each["missing_there"]
            if not here and not there:
                found["moving"].append(f"{where}: {each['rows_here']} rows on {node}, {each['rows_there']} on {peer}.")
                continue
            kind = "doubtful" if here and (peer, database) in in_doubt else "old"
            found[kind].append(f"{where}: {here} rows of {peer} are missing on {node}, and {there} the other way round.")
        for each in result.get("unread", []):
            found["unread"].append(f"database {database}, table {each['table']}, with {peer}: {each['why']}")
    # Tables have the names that their owners gave them.
    return {kind: [printable(sentence) for sentence in sentences] for kind, sentences in found.items()}


def _identity(node: str, here: Info, peer: str, there: Info) -> t.Iterator[str]:
    """Whether it is the server, and on the timeline, that the peer has subscribed to."""
    noted = [each.get("publisher") for each in there["subscriptions"] if each["name"] == f"sub_from_{node}"]
    known = next(filter(None, noted), None)
    if known is None:
        return
    system, timeline = here["node"]["system_identifier"], here["node"]["timeline"]
    if system != known["system_identifier"]:
        yield (
            f"{node} is another server than the one that left: its system identifier is {system}, and {peer} subscribed to "
            f"{known['system_identifier']}. {_REBUILD}"
        )
    elif timeline != known["timeline"]:
        yield (
            f"{node} was restored or promoted since {peer} subscribed to it: it is on timeline {timeline} and was on "
            f"{known['timeline']}. What it wrote in between may be gone from it. {_REBUILD}"
        )


def _lost(node: str, peer: str, applied: Wal, missing: Wal, databases_of: Wal) -> t.Iterator[str]:
    """Transactions that the peer has from the node, and that the node never made.

    Sure where both still have the WAL of that time. What came before the first commit in the node's WAL says nothing.
    """
    first = missing.get("first")
    lost = [position for position in applied if first and position in missing and lsn(position) > lsn(first)]
    if lost:
        last = max(lost, key=lsn)
        time = applied[last].partition("\t")[0]
        databases = sorted({databases_of.get(applied[each].partition("\t")[2], "?") for each in lost})
        yield (
            f"{node} is an older copy of itself that has been written to since: {peer} has {len(lost)} transactions of it "
            f"(database {', '.join(databases)}) that its WAL does not have, the last one of {time} UTC, up to "
            f"{last}. What it wrote since that copy is gone from it, and it may lack what {peer} wrote. {_REBUILD}"
        )


def applied_positions(node: str, infos: t.Mapping[str, Info]) -> list[str]:
    """Up to where in the WAL of ``node`` its peers have applied its changes."""
    found = {
        subscription["applied_lsn"]
        for name, info in infos.items()
        if name != node
        for subscription in info["subscriptions"]
        if subscription["name"] == f"sub_from_{node}" and subscription["applied_lsn"]
    }
    return sorted(found, key=lsn)


def _outgoing(node: str, here: Info, peer: str, there: Info, wal: Wal) -> t.Iterator[str]:
    """What the peer has of the node: it must not be more than the node has, and the node must have kept the peer's slot."""
    slots = {slot["slot_name"]: slot for slot in here["slots"]}
    subscriptions = [each for each in there["subscriptions"] if each["name"] == f"sub_from_{node}"]
    if not subscriptions:
        yield f"{peer} does not subscribe to {node}. Run site.yml to join {node} to the mesh."
    for subscription in subscriptions:
        name, database = subscription["slot_name"], subscription["database"]
        applied, end = subscription["applied_lsn"], here["node"]["current_lsn"]
        if applied is not None and lsn(applied) > lsn(end):
            yield (
                f"{node} is an older copy of itself: {peer} has its changes of database {database} up to {applied}, "
                f"but its WAL ends at {end}. What it wrote since that copy is gone from it, and what it would write next would "
                f"not reach {peer}. {_REBUILD}"
            )
        elif applied is not None and applied in wal and not _is_end_of_commit(applied, wal[applied]):
            yield (
                f"{node} is an older copy of itself that has been written to since: {peer} has its changes of database "
                f"{database} up to {applied}, where no transaction of {node} ends. What it wrote since that copy is gone from "
                f"it, and what it wrote instead did not reach {peer}. {_REBUILD}"
            )
        elif name not in slots:
            yield (
                f"{node} has no slot {name}, which {peer} reads database {database} from. A node that was restored from a backup "
                f"has lost its slots, and with them changes that {peer} never gets. {_REBUILD}"
            )


def failback_broken(node: str, infos: t.Mapping[str, Info]) -> list[dict[str, str]]:
    """Databases in which one of two nodes cannot get what it missed, though the other is the node that it was.

    No copy from the past does that: a slot that held too much, or was dropped. The other databases go on. Each with ``peer``,
    ``database`` and ``why``, a sentence.
    """
    broken = []
    for peer in infos:
        if peer == node or node not in infos:
            continue
        for subscriber, publisher in ((node, peer), (peer, node)):
            slots = {slot["slot_name"]: slot for slot in infos[publisher]["slots"]}
            for subscription in _subscriptions(infos[subscriber], publisher):
                name, database = subscription["slot_name"], subscription["database"]
                if name in slots and slots[name]["wal_status"] != "lost":
                    continue
                what = "has lost WAL" if name in slots else "is gone, and with it what it held"
                why = f"Database {database}: the slot {name} of {publisher} {what} that {subscriber} needs."
                broken.append({"peer": peer, "database": database, "why": why})
    return broken


def failback_sound_pairs(
    pairs: t.Sequence[Info], broken: t.Sequence[Info], names: t.Mapping[str, str]
) -> list[Info]:
    """The pairs (see node_pairs) of which failback_broken says nothing; ``names`` says which node is at HOST:PORT."""
    lost = {(each["peer"], each["database"]) for each in broken}
    return [each for each in pairs if (names.get(f"{each['peer']['host']}:{each['peer']['port']}"), each["login_db"]) not in lost]


def _subscriptions(here: Info, peer: str) -> list[t.Mapping[str, t.Any]]:
    return [each for each in here["subscriptions"] if each["name"] == f"sub_from_{peer}"]


def _got(subscription: t.Mapping[str, t.Any]) -> int | None:
    """Up to where in the publisher's WAL the subscriber has its changes for certain: what it applied, or copied at first."""
    known = [lsn(subscription[key]) for key in ("applied_lsn", "synced_lsn") if subscription.get(key)]
    return max(known, default=None)


def _incoming(node: str, here: Info, peer: str, there: Info, unapplied: Wal, end: str) -> t.Iterator[str]:
    """What the node has of the peer: all that the peer knows to be there, and the peer must have kept everything since.

    A slot is confirmed beyond what was applied where there was nothing to send. So what counts is what there was. And a copy that
    has run before it was looked at has got what came after; what it was sent before is not among what it has applied.
    """
    subscriptions = _subscriptions(here, peer)
    if not subscriptions:
        yield f"{node} does not subscribe to {peer}. Run site.yml to join {node} to the mesh."
    older = [*_older(node, here, peer, there, end)]
    yield from older
    for subscription in subscriptions:
        name, database = subscription["slot_name"], subscription["database"]
        got = _got(subscription)
        commits = {at: entry.split("\t") for at, entry in unapplied.items() if not at.startswith("first:")}
        first = unapplied.get(f"first:{name}")
        lacking = [
            at
            for at, entry in commits.items()
            if entry[0] == name and got is not None and (lsn(at) >= got or (first is not None and lsn(at) >= lsn(first)))
        ]
        if lacking and not older:
            last = max(lacking, key=lsn)
            yield (
                f"{node} is an older copy of itself: {peer} has sent it {len(lacking)} transactions with rows of database "
                f"{database} that it had confirmed and does not have, the last one of {commits[last][1]} UTC, at {last}. They "
                f"do not come again. {_REBUILD}"
            )


def _is_end_of_commit(position: str, record: str) -> bool:
    """Whether a record begins at the position (after a page's header, where that stands there), and a commit is before it."""
    begin, _space, before = record.partition(" ")
    skipped = lsn(begin) - lsn(position)
    on_page = lsn(position) % _PAGE_BYTES == 0 and skipped in _HEADERS
    return (skipped == 0 or on_page) and before.startswith("Transaction COMMIT")


def lsn(text: str) -> int:
    """A position in WAL as a number."""
    high, _slash, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)
