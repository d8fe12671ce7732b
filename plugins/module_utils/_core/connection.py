# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""One connection per task: batched reads, statements of a plan, errors as sentences."""

from __future__ import annotations

import typing as t

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.conninfo import SECRETS
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.session import options, preamble
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.statements import MASK, Statement
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import require_number

try:
    import psycopg2
    from psycopg2 import extensions
except ImportError:  # reported by _runner.run_module; the import must succeed without it
    psycopg2 = None  # type: ignore[assignment]

# Where the text of a statement would stay on the server: its log, pg_stat_activity, pg_stat_statements.
_QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "track_activities": "off",
    "pg_stat_statements.track_utility": "off",
    "pgaudit.log": "none",
}

SSL_MODES = ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"]

# Parameter names are those of community.postgresql, so that module_defaults serve both.
CONNECTION_SPEC: dict[str, dict[str, t.Any]] = {
    "login_user": {"type": "str", "default": "postgres"},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "login_host": {"type": "str", "default": ""},
    "login_unix_socket": {"type": "str", "default": ""},
    "login_port": {"type": "int", "default": 5432},
    "login_db": {"type": "str", "default": "postgres"},
    "ssl_mode": {"type": "str", "default": "prefer", "choices": SSL_MODES},
    "ca_cert": {"type": "str"},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path"},
    "ssl_password": {"type": "str", "no_log": True},
    "connect_params": {"type": "dict", "default": {}},
}

# Beside ``peer``, not in it: Ansible notes a dict as Python writes it, where a quote or a backslash hides a secret from its mask.
PEER_SECRETS_SPEC: dict[str, dict[str, t.Any]] = {
    "peer_password": {"type": "str", "no_log": True},
    "peer_ssl_password": {"type": "str", "no_log": True},
}

PEER_SPEC: dict[str, dict[str, t.Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    "db": {"type": "str"},
    "ssl_mode": {"type": "str", "default": "verify-full", "choices": SSL_MODES},
    "ca_cert": {"type": "path"},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path"},
    "connect_timeout": {"type": "int", "default": 5},
    "connect_params": {"type": "dict", "default": {}},
}


def login_parameters(params: dict[str, t.Any]) -> dict[str, str]:
    """libpq parameters of the node that the task runs on, from the ``login_*`` options."""
    require_number("login_port", params["login_port"], 1, 65535)
    host = params["login_host"] or params["login_unix_socket"]
    wanted = {
        "host": host,
        "port": params["login_port"],
        "user": params["login_user"],
        "password": params["login_password"],
        "dbname": params["login_db"],
        "sslmode": params["ssl_mode"],
        "sslrootcert": params["ca_cert"],
        "sslcert": params["ssl_cert"],
        "sslkey": params["ssl_key"],
        "sslpassword": params["ssl_password"],
        "connect_timeout": 10,
        **_without_secrets_in(params["connect_params"], "connect_params", "login_password", "ssl_password"),
    }
    return _without_empty(wanted)


def peer_parameters(params: dict[str, t.Any]) -> dict[str, str]:
    """libpq parameters of the other node, from the options ``peer``, ``peer_password`` and ``peer_ssl_password``.

    An apply worker does not heed ``connect_timeout``: what it sends to a host that is away is repeated at ever longer intervals,
    for two minutes, and so it notices late that the host is back. ``tcp_user_timeout`` makes it begin anew.
    """
    peer = params["peer"]
    require_number("peer.port", peer["port"], 1, 65535)
    require_number("peer.connect_timeout", peer["connect_timeout"], 0, 86400)
    wanted = {
        "host": peer["host"],
        "port": peer["port"],
        "user": peer["user"],
        "password": params["peer_password"],
        "dbname": peer["db"] or params["login_db"],
        "sslmode": peer["ssl_mode"],
        "sslrootcert": peer["ca_cert"],
        "sslcert": peer["ssl_cert"],
        "sslkey": peer["ssl_key"],
        "sslpassword": params["peer_ssl_password"],
        "connect_timeout": peer["connect_timeout"],
        "tcp_user_timeout": peer["connect_timeout"] * 1000 or None,
        **_without_secrets_in(peer["connect_params"], "peer.connect_params", "peer_password", "peer_ssl_password"),
    }
    return _without_empty(wanted)


def _without_secrets_in(parameters: dict[str, t.Any], option: str, password: str, ssl_password: str) -> dict[str, t.Any]:
    held = sorted(SECRETS & parameters.keys())
    if held:
        instead = {"password": f" Give it as {password}.", "sslpassword": f" Give it as {ssl_password}."}
        raise MultimasterError(f"{option} holds {held[0]}, and a secret in a dict can get into logs.{instead.get(held[0], '')}")
    return parameters


def _without_empty(parameters: dict[str, t.Any]) -> dict[str, str]:
    return {key: str(value) for key, value in parameters.items() if value not in (None, "")}


class Connection:
    """A session with one server. Every error leaves it as a MultimasterError without secrets."""

    def __init__(
        self, parameters: dict[str, str], warn: t.Callable[[str], None] | None = None, kind: str = "change"
    ) -> None:
        """``kind``: what the session is for, see _core.session."""
        self._parameters, self._kind = parameters, kind
        self._warn = warn or (lambda message: None)
        self._expected: list[str] = []
        self._secrets = [parameters[key] for key in ("password", "sslpassword") if parameters.get(key)]
        try:
            self._session = _begin(parameters, kind)
        except psycopg2.Error as error:
            raise MultimasterError(f"Cannot connect to {self.where}: {self._sentence(error)}") from None

    def another(self) -> Connection:
        """A second session, which begins as this one did."""
        session = Connection(self._parameters, self._warn, self._kind)
        session.hide(*self._secrets)
        return session

    @property
    def where(self) -> str:
        """The server in the words of an error message: database, host, port and user."""
        p = self._parameters
        return (
            f'database "{p.get("dbname", "")}" on {p.get("host") or "the local socket"} '
            f'port {p.get("port", "5432")} as user "{p.get("user", "")}"'
        )

    @property
    def server_version(self) -> int:
        """As PostgreSQL counts: 160014 is 16.14."""
        return self._session.server_version

    def hide(self, *secrets: str | None) -> None:
        """Never show these strings in a message of this connection."""
        self._secrets.extend(value for value in secrets if value)

    def expect(self, warning: str) -> None:
        """Do not pass on the server's warnings that hold these words: what they warn of is meant."""
        self._expected.append(warning)

    def fetch(self, query: t.Any, parameters: t.Any = None) -> list[dict[str, t.Any]]:
        """Rows of a query as dicts."""
        return self._run(query, parameters, returns_rows=True)

    def fetch_one(self, query: t.Any, parameters: t.Any = None) -> dict[str, t.Any]:
        return self.fetch(query, parameters)[0]

    def fetch_value(self, query: t.Any, parameters: t.Any = None) -> t.Any:
        return next(iter(self.fetch_one(query, parameters).values()))

    def execute(self, command: t.Any, parameters: t.Any = None) -> None:
        """Run one command in a transaction of its own (or in the one that is open)."""
        self._run(command, parameters, returns_rows=False)

    def copy_in(self, command: str, data: t.IO[bytes]) -> None:
        """COPY .. FROM STDIN, read from a file object."""
        try:
            with self._session.cursor() as cursor:
                cursor.copy_expert(command, data)
        except psycopg2.Error as error:
            raise MultimasterError(
                f"{self._sentence(error)} (on {self.where})", sqlstate=error.pgcode
            ) from None
        finally:
            self._pass_on_notices()

    def copy_out(self, command: t.Any, rows: t.Any) -> None:
        """COPY .. TO STDOUT: ``rows.write`` gets each row as bytes."""
        try:
            with self._session.cursor() as cursor:
                cursor.copy_expert(command, rows)
        except psycopg2.Error as error:
            raise MultimasterError(
                f"{self._sentence(error)} (on {self.where})", sqlstate=error.pgcode
            ) from None
        finally:
            self._pass_on_notices()

    def apply(self, statements: t.Sequence[Statement]) -> None:
        """Run the statements of a plan: together in one transaction, where PostgreSQL permits it.

        A statement with a secret runs with all that would keep its text on the server off, so that the
        secret reaches neither log nor statistics nor process list, even when the statement fails.
        """
        for batch in _batches(statements):
            if batch[0].own_transaction:
                self._apply_alone(batch[0])
            else:
                with self.transaction():
                    for statement in batch:
                        if statement.is_secret:
                            self.execute("; ".join(f"SET LOCAL {name} = {value}" for name, value in _QUIET.items()))
                        self.execute(statement.command)

    def _apply_alone(self, statement: Statement) -> None:
        if statement.is_secret:
            self.execute("; ".join(f"SET {name} = {value}" for name, value in _QUIET.items()))
        try:
            self.execute(statement.command)
        finally:
            if statement.is_secret:
                self.execute("; ".join(f"RESET {name}" for name in _QUIET))

    @property
    def in_transaction(self) -> bool:
        return bool(self._session.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE)

    def transaction(self) -> _Transaction:
        """A context manager: all or nothing."""
        return _Transaction(self)

    def show(self, command: t.Any) -> str:
        """A composed command as text, quoted as this server would need it."""
        return command if isinstance(command, str) else command.as_string(self._session)

    def quoted(self, *names: str) -> str:
        """A (qualified) name, quoted by the driver: for long queries that would be slow to compose."""
        return ".".join(extensions.quote_ident(name, self._session) for name in names)

    def close(self) -> None:
        self._session.close()

    def _run(self, query: t.Any, parameters: t.Any, returns_rows: bool) -> list[dict[str, t.Any]]:
        try:
            with self._session.cursor() as cursor:
                cursor.execute(query, parameters)
                if not returns_rows:
                    return []
                names = [column.name for column in cursor.description]
                return [dict(zip(names, row)) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            raise MultimasterError(
                f"{self._sentence(error)} (on {self.where})", sqlstate=error.pgcode
            ) from None
        finally:
            self._pass_on_notices()

    def _pass_on_notices(self) -> None:
        for notice in self._session.notices:
            severity, _colon, message = notice.partition(":")
            if severity == "WARNING" and not any(words in message for words in self._expected):
                self._warn(self._without_secrets(" ".join(message.split())))
        del self._session.notices[:]

    def _sentence(self, error: t.Any) -> str:
        """The server's or the driver's message on one line, with detail and hint, without secrets."""
        diag = getattr(error, "diag", None)
        if diag is not None and diag.message_primary:
            parts = [diag.message_primary, diag.message_detail, diag.message_hint]
        else:
            parts = [str(error)]
        return self._without_secrets(". ".join(" ".join(part.split()).rstrip(".") for part in parts if part))

    def _without_secrets(self, message: str) -> str:
        for value in self._secrets:
            message = message.replace(value, MASK)
        return message


def _begin(parameters: dict[str, str], kind: str) -> t.Any:
    """A session that begins as _core.session has it. Options of the task count before the definition's."""

    def connect(major: int = 0) -> t.Any:
        wanted = " ".join(filter(None, [options(kind, major), parameters.get("options")]))
        names = {"application_name": "multimaster", "client_encoding": "UTF8"}
        arguments: dict[str, t.Any] = {**names, **parameters, "options": wanted}
        session = psycopg2.connect(**arguments)
        session.autocommit = True
        return session

    session = connect()
    if statement := preamble(session.server_version):
        try:
            with session.cursor() as cursor:
                cursor.execute(statement)
        except psycopg2.OperationalError:
            # The database ends every transaction before it does anything: now the version is known.
            session.close()
            session = connect(session.server_version // 10000)
            with session.cursor() as cursor:
                cursor.execute(statement)
    return session


class _Transaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        session = self._connection._session
        if kind is None:
            self._connection.execute("COMMIT")
        elif session.closed == 0 and session.info.transaction_status != extensions.TRANSACTION_STATUS_UNKNOWN:
            self._connection.execute("ROLLBACK")


def _batches(statements: t.Sequence[Statement]) -> t.Iterator[list[Statement]]:
    """Runs of statements that may share a transaction; the others one by one."""
    batch: list[Statement] = []
    for statement in statements:
        if statement.own_transaction:
            if batch:
                yield batch
            yield [statement]
            batch = []
        else:
            batch.append(statement)
    if batch:
        yield batch
