"""One place that knows how to reach the database: DATABASE_URL, or an embedded PostgreSQL."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Cursor, sql
from psycopg.abc import Params
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, TransactionStatus

from dbt_project import embedded, home, retry
from dbt_project.messages import DatabaseError, echo
from dbt_project.settings import key_events, seeds, timezone
from dbt_project.url import TIMEOUTS, given_url, parse_url

SERVER_TIMEOUTS = {
    f"tcp_{name.removeprefix('tcp_')}": str(value)
    for name, value in TIMEOUTS.items()
    if name != "connect_timeout"
}

PINNED = "set local search_path = pg_catalog"

Statement = sql.SQL | sql.Composed  # what can be executed without values


def analytics_schema() -> str:
    """Return the schema of the rollups. Raises DatabaseError for a name that dbt cannot use."""
    return _schema("ANALYTICS_SCHEMA", "analytics")


def source_schema() -> str:
    """Return the schema of the app's tables. Raises DatabaseError as above."""
    return _schema("SOURCE_SCHEMA", "public")


def _schema(variable: str, default: str) -> str:
    name = os.environ.get(variable) or default
    # dbt quotes names without escaping them, its driver expands %, and PostgreSQL truncates.
    if re.search(r"""['"%\\{}\x00-\x1f\x7f]|^ | $""", name) or len(name.encode()) > 63:
        raise DatabaseError(
            f"{variable} names a schema that dbt cannot use: {name!r}. Use at most 63 bytes, no"
            " quotes, %, backslashes, braces and control characters, and no blanks at its ends."
        )
    return name


@contextmanager
def database(*, with_dbt: bool = False) -> Iterator[str]:
    """Yield the conninfo of the database; an embedded server runs at least until the exit.

    Raises Failure for a setting that cannot be used, before anything is started. With `with_dbt`
    that includes what dbt reads, and the folders that it writes to.
    """
    analytics_schema(), source_schema(), timezone(), key_events(), seeds()
    if with_dbt:
        _check_threads()
        home.check_dbt_folders()
        home.profiles()
    if url := given_url():
        yield parse_url(url)
    elif embedded.BIN is None:
        raise DatabaseError("Set DATABASE_URL: the embedded PostgreSQL is not installed here.")
    else:
        with embedded.server() as uri:
            yield parse_url(uri)


def _check_threads() -> None:
    threads = os.environ.get("DBT_THREADS", "4")
    if not re.fullmatch("[1-9][0-9]{0,2}", threads):
        raise DatabaseError(f"DBT_THREADS must be a whole number from 1 to 999, not {threads!r}.")


class Connection(psycopg.Connection):
    """A connection whose every transaction looks names up in pg_catalog alone.

    A role of the app may create functions and operators in `public` that fit our calls better
    than PostgreSQL's own, and they would run with our rights. The path is set per transaction,
    since a pooler may give each of them another session. What runs on a cursor outside of
    `transaction` keeps the session's path.
    """

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        with super().transaction(savepoint_name, force_rollback) as transaction:
            super().execute(PINNED)
            yield transaction

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Cursor:
        if self.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, params, **options)
        if self.autocommit:
            with self.transaction():
                return super().execute(query, params, **options)
        super().execute(PINNED)
        return super().execute(query, params, **options)


def only_row(
    conn: psycopg.Connection | Cursor, query: Statement | str, values: Params | None = None
) -> tuple:
    """Return the row of a query that always has exactly one."""
    row = conn.execute(query, values).fetchone()
    assert row is not None
    return row


def connect(conninfo: str, *, autocommit: bool = False) -> Connection:
    """Open a connection that also works through a transaction-mode pooler.

    Retries transient failures, and reports each on stderr. Raises DatabaseError, which says what
    to do.
    """
    for wait in (*retry.WAITS_S, None):
        try:
            # Behind a pooler the next transaction may get a session without the prepared statement.
            return Connection.connect(conninfo, autocommit=autocommit, prepare_threshold=None)
        except psycopg.OperationalError as error:
            message = _unreachable(conninfo, error)
            if wait is None or not retry.is_transient(error):
                raise DatabaseError(message) from None
        echo(f"{message} Trying again in {wait} s.", err=True)
        time.sleep(wait)
    raise AssertionError("unreachable")


def is_embedded(conn: psycopg.Connection) -> bool:
    """Return whether `conn` leads to the server of ROLLUP_HOME, even if DATABASE_URL names it."""
    # The socket lies in the data folder, or is reached by a symlink to it.
    return os.path.realpath(conn.info.host) == os.path.realpath(home.folder() / "postgres")


def database_name(conn: psycopg.Connection) -> str:
    """Return which database `conn` leads to, in words that hold no secret."""
    if not is_embedded(conn):
        return f"database {conn.info.dbname} at {conn.info.host}:{conn.info.port}"
    folder = home.folder()
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return f"database {conn.info.dbname} of the embedded PostgreSQL in {here}"


def dbt_environment(conn: psycopg.Connection) -> dict[str, str]:
    """Return the environment variables that `profiles.yml.example` and libpq read.

    They come from the open connection, which fills in libpq's defaults (socket folder, login
    name); dbt has none.
    """
    given = conninfo_to_dict(conn.info.dsn)
    environment = {
        option.envvar.decode(): str(given[option.keyword.decode()])
        for option in Conninfo.get_defaults()
        if option.envvar and given.get(option.keyword.decode()) is not None
    }
    environment |= {
        "PGHOST": conn.info.host,
        "PGPORT": str(conn.info.port),
        "PGUSER": conn.info.user,
        "PGDATABASE": conn.info.dbname,
        "PGPASSWORD": conn.info.password,
        "ANALYTICS_SCHEMA": analytics_schema(),
        "SOURCE_SCHEMA": source_schema(),
    }
    return environment


ADVICE = {
    "password authentication failed|no password supplied": (
        "Check the user and the password in DATABASE_URL (percent-encode / @ : % in it)."
    ),
    "no encryption|SSL required": (
        "The server may require TLS: put sslmode=require into DATABASE_URL."
    ),
    "root certificate|certificate verify failed": (
        "sslrootcert must name the certificate that signed the server's."
    ),
    "does not match host name": "Write the host as the server's certificate has it.",
    "does not exist": "Check the names in DATABASE_URL.",
    "": "Check that the server runs, that DATABASE_URL names it and that it lets you in.",
}


def _unreachable(conninfo: str, error: psycopg.OperationalError) -> str:
    given = conninfo_to_dict(conninfo)
    place = f"{given.get('host', 'the local socket')}:{given.get('port', 5432)}"
    reason = str(error).strip().splitlines()[0].removeprefix("connection failed: ").rstrip(".")
    advice = next(advice for words, advice in ADVICE.items() if re.search(words, reason))
    return f"Cannot connect to {place}: {reason}. {advice}"
