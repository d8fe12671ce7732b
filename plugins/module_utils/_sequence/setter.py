# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""Setting sequences under their locks, in few transactions, without holding up applications for long."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.connection import Connection
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import Statement, compose, joined, sql
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.cover import BEING_SET
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.locks import (
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    LOCK_TIMEOUT_MS,
    PAUSE_SECONDS,
    UNDEFINED_TABLE,
    holder,
)
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.model import Change, Sequence, Target
from ansible_collections.multimaster.postgresql.plugins.module_utils._sequence.reader import SequenceReader, in_parts

# Each part is one transaction: its sequences yield nothing to anyone until it commits. While it holds
# locks on many it waits for none: what is in use is set alone, with one lock held at a time.
SEQUENCES_PER_TRANSACTION = 100
LOCKS_PER_TRANSACTION = 1000
LOCK_TIMEOUT_OF_MANY_MS = 10


def lock_statement(change: Change) -> Statement:
    """Sets the stride and takes the lock that holds off nextval() in all other sessions.

    PostgreSQL has no LOCK for sequences. Values that other sessions have cached count as yielded
    (last_value lies beyond them) and are discarded there.
    """
    return Statement(
        compose(
            "ALTER SEQUENCE {} INCREMENT BY {}",
            (change.before.schema, change.before.name),
            sql.Literal(change.target.increment),
        )
    )


def position_statement(change: Change) -> Statement | None:
    """Sets all else; None where the stride was all."""
    before, target = change.before, change.target
    clauses = [
        (f"START WITH {target.start}", target.start != before.start),
        (f"MINVALUE {target.minimum}", target.minimum != before.minimum),
        (f"MAXVALUE {target.maximum}", target.maximum != before.maximum),
        (f"RESTART WITH {target.restart}", target.restart is not None),
    ]
    wanted = " ".join(clause for clause, is_wanted in clauses if is_wanted)
    if not wanted:
        return None
    return Statement(compose("ALTER SEQUENCE {} " + wanted, (before.schema, before.name)))


def statements(changes: t.Iterable[Change]) -> list[Statement]:
    """What setting them runs, in order of the sequences."""
    pairs = ((lock_statement(change), position_statement(change)) for change in changes)
    return [statement for pair in pairs for statement in pair if statement is not None]


class SequenceSetter:
    """Sets sequences. What a sequence yields next is computed after its lock has been taken.

    ``decide`` says how a sequence, as it is, has to be set.
    """

    def __init__(
        self,
        connection: Connection,
        reader: SequenceReader,
        decide: t.Callable[[Sequence], Target],
        patience: float,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._decide = decide
        self._patience = patience
        self.done: list[Change] = []
        # A table or a sequence was dropped meanwhile: what is left has to be read anew.
        self.has_missed = False

    def set_all(self, changes: t.Sequence[Change]) -> None:
        """Set every sequence. What is in use is put off until all others are set."""
        targets = {change.before.oid: change for change in changes}
        busy: list[Change] = []
        for part in in_parts([change.before for change in changes], LOCKS_PER_TRANSACTION, SEQUENCES_PER_TRANSACTION):
            wanted = [targets[sequence.oid] for sequence in part]
            if not self._try(wanted):
                busy.extend(change for change in wanted if len(wanted) == 1 or not self._try([change]))
        if busy:
            self._wait_for(busy)

    def _wait_for(self, busy: list[Change]) -> None:
        limit = time.monotonic() + self._patience
        while True:
            busy = [change for change in busy if not self._try([change])]
            if not busy:
                return
            if time.monotonic() > limit:
                raise self._in_use(busy)
            time.sleep(PAUSE_SECONDS)

    def _try(self, changes: list[Change]) -> bool:
        """Set these in one transaction, or none of them: False where one is in use."""
        try:
            with self._connection.transaction():
                done = self._set(changes)
        except MultimasterError as error:
            sqlstate = error.details.get("sqlstate")
            if sqlstate in (LOCK_NOT_AVAILABLE, DEADLOCK):
                return False
            if sqlstate != UNDEFINED_TABLE:
                raise
            if len(changes) > 1:
                return False
            self.has_missed = True
            return True
        self.done.extend(done)
        return True

    def _set(self, changes: list[Change]) -> list[Change]:
        timeout = LOCK_TIMEOUT_MS if len(changes) == 1 else LOCK_TIMEOUT_OF_MANY_MS
        # Read committed: what is read once the locks are held must see all that was committed until then.
        opening = sql.SQL(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
            f"SET LOCAL lock_timeout = {timeout}; SET LOCAL {BEING_SET} = 'on'"
        )
        locks = [lock_statement(change).command for change in changes]
        self._connection.execute(joined([opening, *locks], "; "))

        positioned = self._reader.positions([change.before for change in changes])
        decided = [Change(sequence, self._decide(sequence)) for sequence in positioned]
        done = [change for change in decided if change.is_needed]
        commands = [statement.command for statement in map(position_statement, done) if statement is not None]
        if commands:
            self._connection.execute(joined(commands, "; "))
        return done

    def _in_use(self, busy: list[Change]) -> MultimasterError:
        first = busy[0].before
        by = holder(self._connection, [first.oid])
        others = f" and {len(busy) - 1} more" if len(busy) > 1 else ""
        return MultimasterError(
            f'Sequence {first.shown}{others} cannot be set: {by} uses it, for longer than lock_timeout '
            f"({self._patience:g} s). {len(self.done)} sequences have been set. End that transaction or raise "
            "lock_timeout, then run the task again; it sets what is left.",
            in_use=[change.before.shown for change in busy],
        )
