"""The connection pool, and how the statements of a request run on a connection."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import ClientCursor, sql
from psycopg.errors import InsufficientPrivilege, SyntaxError, UndefinedTable
from psycopg_pool import ConnectionPool, PoolTimeout

from api.queries import MADE_BY, NAMES, TABLES
from api.settings import Settings
from dbt_project import our_tables
from dbt_project.messages import DatabaseError

PAUSE_S = 1.0
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
MISSING = """
    select name
    from unnest(cast(%(tables)s as text [])) as name
    where to_regclass(quote_ident(%(schema)s) || '.' || name) is null
"""
SUCCEEDED = """
    select 1 from {schema}.rollup_runs
    where status = 'SUCCESS' and job_name = any(%(names)s)
"""
SINCE = "and finished_at > (select min(computed_at) from {schema}.{table})"
UNREADABLE = (
    "The API's role may not read the tables in schema {}. Let `python cli.py init --reader ROLE`"
    " grant it what it needs."
)
UNLIKE_OURS = (
    "The tables in schema {} are not as this version reads them. `python cli.py` mends them, or"
    " says why it cannot."
)

Row = tuple[Any, ...]
Found = list[list[Row]]  # by statement


class Unavailable(Exception):
    """The database cannot answer now."""


class TooSlow(Unavailable):
    """A query took longer than the statement timeout."""


class Database:
    """A connection pool. It opens on first use, and again after an outage of the server.

    All statements of a request are sent as one message, with their values bound by psycopg: one
    round trip and one transaction, so `set local` applies to all of them. Nothing depends on the
    session, so a pooler in transaction mode may stand in between.
    """

    def __init__(self, settings: Settings):
        self.pool = ConnectionPool(
            settings.conninfo,
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "cursor_factory": ClientCursor,
                "application_name": "analytics-rollups-api",
            },
            min_size=0,
            max_size=settings.pool_size,
            timeout=settings.pool_timeout_s,
            # Short, because psycopg doubles the pause between attempts until this is over.
            reconnect_timeout=PAUSE_S,
            open=False,
            name="api",
        )
        self.preamble = (
            # Otherwise functions and operators in `public`, which the app's role may own, would run
            # as the API's role. pg_temp is named because it would come first otherwise.
            "set local search_path = pg_catalog, pg_temp;\n"
            f"set local statement_timeout = {int(settings.statement_timeout_s * 1000)};\n"
            "set local extra_float_digits = 1;\n"
            "set local work_mem = '32MB';\n"
        )
        self.schema = settings.schema
        self._away_until = 0.0
        self._checked = False

    def rows(self, statements: Sequence[str], values: Mapping[str, Any]) -> Found:
        """Return the rows of each statement.

        Raises Unavailable, UndefinedTable, or DatabaseError where the tables are not ours.
        """
        message = self.preamble + ";\n".join(statements)
        with _failures():
            try:
                return self._rows(message, values)
            except psycopg.errors.QueryCanceled:
                raise
            except LOST:
                # The server restarted or closed an idle connection. Others may be dead too.
                self.pool.check()
            return self._rows(message, values)

    def rows_if_there(
        self, statements: Sequence[str], values: Mapping[str, Any], jobs: Sequence[str] = ()
    ) -> Found:
        """Return what `rows` does, with no rows for a statement whose tables do not exist yet.

        Raises DatabaseError if they are gone, though one of `jobs`, which make them, has run.
        """
        try:
            return self.rows(statements, values)
        except UndefinedTable:
            self.check_tables(jobs)
            if len(statements) == 1:
                return [[]]
            return [rows for one in statements for rows in self.rows_if_there([one], values)]

    def check_tables(self, jobs: Sequence[str]) -> None:
        """Raise DatabaseError if a job has run and lacks a table all the same."""
        for job in jobs:
            asked = {"schema": self.schema, "tables": [*TABLES[job]]}
            missing = [name for (name,) in self.rows([MISSING], asked)[0]]
            if missing and self._has_made(job, missing):
                name = MADE_BY[job][0]
                raise DatabaseError(
                    f"Schema {self.schema} lacks {', '.join(missing)}, although job {name} has run."
                    f" Run `python cli.py --job {name}`, or restore a backup: days that the source"
                    " has purged cannot be computed again."
                )

    def _has_made(self, job: str, missing: Sequence[str]) -> bool:
        """Return whether a run that makes the tables succeeded.

        For tables that older versions did not make it is one after a table beside them was filled.
        """
        evidence = [SUCCEEDED]
        if job not in NAMES:
            there = (table for table in TABLES[job] if table not in missing)
            evidence = [SUCCEEDED + SINCE.replace("{table}", table) for table in there]
        schema = sql.Identifier(self.schema).as_string().replace("%", "%%")
        statements = [statement.format(schema=schema) for statement in evidence]
        names = {"names": MADE_BY[job]}
        return any(rows for one in statements for rows in self.rows_if_there([one], names))

    @contextmanager
    def cursor(self, statement: str, values: Mapping[str, Any]) -> Iterator[psycopg.ServerCursor]:
        """Yield a cursor of the server's over one statement, in a transaction of its own."""
        with _failures(), self._connection() as conn, conn.transaction():
            conn.execute(self.preamble)
            with conn.cursor(name="answer") as cursor:
                cursor.execute(statement, values)
                yield cursor

    def close(self) -> None:
        self.pool.close()

    def _rows(self, message: str, values: Mapping[str, Any]) -> Found:
        with self._connection() as conn, conn.cursor() as cursor:
            cursor.execute(message, values)
            # The settings of the preamble have no columns.
            return [result.fetchall() for result in cursor.results() if result.description]

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        self.pool.open()
        # During an outage only one request per second waits for the server.
        if time.monotonic() < self._away_until and not self.pool.get_stats()["pool_available"]:
            raise Unavailable("The database is away.")
        try:
            conn = self.pool.getconn()
        except PoolTimeout as error:
            self._away_until = time.monotonic() + PAUSE_S
            raise Unavailable(str(error)) from None
        try:
            if not self._checked:
                self._check(conn)
            yield conn
        except (UndefinedTable, SyntaxError):
            raise
        except psycopg.ProgrammingError as error:
            if isinstance(error, InsufficientPrivilege):
                raise DatabaseError(UNREADABLE.format(self.schema)) from error
            self._check(conn)
            raise DatabaseError(UNLIKE_OURS.format(self.schema)) from error
        finally:
            self.pool.putconn(conn)

    def _check(self, conn: psycopg.Connection) -> None:
        """Raise DatabaseError if another system made the tables, as a run does.

        Not every difference is an error in SQL: a `day` of type timestamp only prints differently.
        """
        with conn.transaction():
            conn.execute(self.preamble)
            our_tables.check_schema(conn, self.schema, writes=False)
        self._checked = True


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise TooSlow(str(error).strip()) from None
    except LOST as error:
        raise Unavailable(str(error).strip()) from None
