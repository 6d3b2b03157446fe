"""The run log `rollup_runs`, and the lock that a run of a job holds.

A run keeps one transaction open from its start to its end, and in it an advisory lock per job. The
lock works through a transaction-mode pooler, and ends with the process whatever ends it. A row that
says RUNNING while its lock is free is what a killed run left behind.
"""

import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dbt_project import ROOT, macros
from dbt_project.database import SERVER_TIMEOUTS, Statement, connect, database_name, only_row
from dbt_project.messages import HELD, DatabaseError, Failure
from dbt_project.window import Window

ORPHANED = "The process was killed or lost its connection; the next run found that out."
STOPPED = "Stopped before the end by a signal."
PATIENCE_S = 2.0
DDL = ROOT / "macros/run_log.sql"
# What a run writes when it starts.
STARTED = ("id", "job_name", "status", "window_start", "window_end", "as_of", "holder")
LOCK_KEY = "hashtextextended(%s, 0)"
# As a number, since psycopg reads no DateStyle but ISO.
SESSION = "pid, extract(epoch from backend_start)"


class JobHeld(Failure):
    """Another run holds the lock of the job; the message names it, and says since when."""

    status = HELD


@dataclass
class JobRun:
    """One run of one job. `rows_written` counts rows, `ignored` events by rule.

    `permanent`: a retry would not help with at least one of the errors. `idle`: the source lacks
    what the job reads, so its tables stay as they are.
    """

    job_name: str
    id: str = ""
    database: str = ""
    rollup_ended: bool = False
    rows_written: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept_since: str | None = None
    permanent: bool = False
    idle: bool = False
    seconds: float = 0.0
    invocation_id: str | None = None

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def is_transient(self) -> bool:
        return not (self.ok or self.permanent)

    @property
    def ignored_count(self) -> int:
        return sum(self.ignored.values())


def create(conn: psycopg.Connection, schema: str) -> None:
    """Create the schema and the run log, or what they lack. `conn` must be in autocommit."""
    if missing(conn, schema):
        with conn.transaction():
            lock_creation(conn, schema)
            for statement in missing(conn, schema):
                conn.execute(statement)


def lock_creation(conn: psycopg.Connection, schema: str) -> None:
    """Wait until no other transaction creates tables in `schema`: two first runs may coincide.

    Must be the first statement of its transaction: what was read before the wait is cached, and
    lacks a schema that was created meanwhile.
    """
    conn.execute(f"select pg_advisory_xact_lock({LOCK_KEY})", [_key(schema, "create")])


def missing(conn: psycopg.Connection, schema: str) -> list[Statement]:
    """Return the statements that create what the schema and the run log lack."""
    if _is_complete(conn, schema):
        return []
    name = sql.Identifier(schema)
    # "create schema if not exists" needs the right to create one even where it exists.
    exists = only_row(conn, "select to_regnamespace(quote_ident(%s))", [schema])[0]
    return [
        *([] if exists else [sql.SQL("create schema {}").format(name)]),
        sql.SQL(macros("run_log").run_log_ddl(name.as_string()).strip().removesuffix(";")),
    ]


def _is_complete(conn: psycopg.Connection, schema: str) -> bool:
    # Not information_schema, which hides what the role may not use.
    query = """
        select count(*) = 1
        from pg_attribute
        where
            attrelid = to_regclass(quote_ident(%s) || '.rollup_runs')
            and attname = 'kept_since'
            and not attisdropped
    """
    return only_row(conn, query, [schema])[0]


@contextmanager
def held(
    conninfo: str, conn: psycopg.Connection, schema: str, jobs: Collection[str], window: Window
) -> Iterator[list[JobRun]]:
    """Hold the jobs' locks, log them as RUNNING, and log at the end how they ended.

    Yields one JobRun per job for the caller to fill in. An exception that leaves the block fails
    every job that has no error yet. Raises JobHeld, with nothing logged, when another run holds
    one of the locks. `conn` must be in autocommit.
    """
    with closing(connect(conninfo)) as lock:
        session = _lock(lock, schema, jobs)
        fail_orphans(conn, schema, mine=jobs)
        runs: list[JobRun] = []
        # The result of a run that ends before anything else is known.
        problem: BaseException | None = KeyboardInterrupt()
        try:
            for job in jobs:
                runs.append(_start(conn, schema, job, window))
            yield runs
            problem = None
        except BaseException as error:
            problem = error
            raise
        finally:
            if problem is not None:
                signalled = isinstance(problem, KeyboardInterrupt)
                reason = f"{type(problem).__name__}: {problem}".rstrip(": ")
                for run in runs:
                    run.errors = run.errors or [STOPPED if signalled else reason]
            try:
                _finish(conninfo, conn, schema, runs, session)
            finally:
                # Closing the connection would free the jobs too, but only a moment after this run
                # has ended. Where the network is gone there is no answer to wait for.
                if not conn.closed:
                    with suppress(psycopg.Error):
                        lock.rollback()


def fail_orphans(conn: psycopg.Connection, schema: str, mine: Collection[str] = ()) -> None:
    """Log as FAILED the runs, of any job, that say RUNNING while no process holds their lock.

    The caller holds the locks of `mine`. The row is read before the lock, since a run has its lock
    before its row. Takes no lock to find out: a run that starts at that moment would be refused.
    """
    running = sql.SQL("select id, job_name from {} where status = 'RUNNING'")
    orphaned = sql.SQL(
        "update {} set status = 'FAILED', finished_at = clock_timestamp(), error_text = %s"
        " where id = %s and status = 'RUNNING'"
    )
    for run, job in conn.execute(running.format(_table(schema))).fetchall():
        if job in mine or not is_locked(conn, schema, job):
            conn.execute(orphaned.format(_table(schema)), [ORPHANED, run])


def keep_open(lock: psycopg.Connection) -> tuple[int, Any]:
    """Let a transaction idle without limit, but end it when its client is gone.

    Returns what identifies its session: the process's number, and when it began.
    """
    limits = {"idle_in_transaction_session_timeout": "0", "transaction_timeout": "0"}
    settings = limits | SERVER_TIMEOUTS
    # From pg_settings, since a version of PostgreSQL may lack one of them.
    query = (
        "select set_config(name, (%s::jsonb) ->> name, true) from pg_settings where name = any(%s)"
    )
    lock.execute(query, [Jsonb(settings), list(settings)])
    query = f"select {SESSION} from pg_stat_activity where pid = pg_backend_pid()"
    return only_row(lock, query)


def _lock(lock: psycopg.Connection, schema: str, jobs: Collection[str]) -> tuple[int, Any]:
    """Take the locks of the jobs until the transaction ends. Raises JobHeld.

    Asks for the holder over the same connection, and ends the transaction before each new attempt:
    runs that meet in a pooler could otherwise take all of its connections, and each wait for more.
    """
    deadline = time.monotonic() + PATIENCE_S
    query = f"select pg_try_advisory_xact_lock({LOCK_KEY})"
    while True:
        session = keep_open(lock)
        held = (job for job in jobs if not only_row(lock, query, [_key(schema, job)])[0])
        if (job := next(held, None)) is None:
            return session
        holder = _holder(lock, schema, job)
        lock.rollback()
        # A run's row appears a moment after its lock, unless it is refused the lock of another job.
        if holder or time.monotonic() > deadline:
            holder = holder or "a run that just started"
            raise JobHeld(
                f"Job {job} is already running: {holder}. Wait for it to end, or stop it."
            )
        time.sleep(0.02)


def is_locked(conn: psycopg.Connection, schema: str, job: str) -> bool:
    """Return whether any process holds the lock of a job, without taking it."""
    query = f"""
        select count(*) > 0
        from pg_locks
        where
            locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())
            and objsubid = 1
            and cast(classid as bigint) << 32 | cast(objid as bigint) = {LOCK_KEY}
    """
    return only_row(conn, query, [_key(schema, job)])[0]


def _key(schema: str, name: str) -> str:
    return f"{schema}:{name}"


def _holder(conn: psycopg.Connection, schema: str, job: str) -> str | None:
    """Return which process runs the job, and since when, as far as the log knows."""
    query = sql.SQL(
        "select holder, to_char(started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from {}"
        " where job_name = %s and status = 'RUNNING' order by started_at desc limit 1"
    ).format(_table(schema))
    row = conn.execute(query, [job]).fetchone()
    return f"{row[0]} since {row[1]} UTC" if row else None


def _start(conn: psycopg.Connection, schema: str, job: str, window: Window) -> JobRun:
    # The id is made here because a table that came from another system may have no default.
    run = JobRun(job, str(uuid4()), database=database_name(conn))
    holder = f"process {os.getpid()} on {socket.gethostname()}, {run.database}"
    values = (run.id, job, "RUNNING", window.start, window.end, window.as_of, holder)
    columns = sql.SQL(", ").join(map(sql.Identifier, STARTED))
    query = sql.SQL("insert into {} ({}) values (%s, %s, %s, %s, %s, %s, %s)")
    conn.execute(query.format(_table(schema), columns), values)
    return run


def _finish(
    conninfo: str,
    conn: psycopg.Connection,
    schema: str,
    runs: list[JobRun],
    session: tuple[int, Any],
) -> None:
    update = sql.SQL(
        "update {} set status = %s, finished_at = clock_timestamp(), rows_written = %s,"
        " ignored_count = %s, ignored_by_rule = %s, error_text = %s, dbt_invocation_id = %s,"
        " kept_since = %s"
        " where id = %s and status = 'RUNNING'"
    ).format(_table(schema))
    # A job without the tables that it reads computed nothing, so it did not run.
    remove = sql.SQL("delete from {} where id = %s and status = 'RUNNING'").format(_table(schema))
    ends = [
        (remove, (run.id,))
        if run.ok and run.idle
        else (
            update,
            (
                *("SUCCESS" if run.ok else "FAILED", run.rows_written, run.ignored_count),
                *(Jsonb(run.ignored), "\n\n".join(run.errors) or None, run.invocation_id),
                *(run.kept_since, run.id),
            ),
        )
        for run in runs
    ]
    try:
        written = _write(conn, ends)
    except psycopg.errors.QueryCanceled:
        raise  # the server is there, and a setting of the role does not let it finish
    except psycopg.OperationalError:
        # The server went away in the meantime; perhaps it is back.
        with connect(conninfo, autocommit=True) as fresh:
            written = _write(fresh, ends)
            # The lock's session may not know yet that its client is gone, and would block the
            # next run.
            end = "select pg_terminate_backend(pid) from pg_stat_activity where"
            fresh.execute(f"{end} ({SESSION}) = (%s, %s)", session)
    if written < len(runs):
        raise DatabaseError(
            "This run lost its lock and another run took over; see `python cli.py runs`."
        )


def _write(conn: psycopg.Connection, ends: list[tuple[sql.Composed, tuple]]) -> int:
    with conn.transaction():
        return sum(conn.execute(statement, values).rowcount for statement, values in ends)


def recent(conn: psycopg.Connection, schema: str, limit: int) -> list[dict[str, Any]]:
    """Return the latest runs, newest first, as dicts of columns; none when nothing ever ran."""
    if not _is_complete(conn, schema):
        return []
    fail_orphans(conn, schema)
    query = sql.SQL("select * from {} order by started_at desc, job_name limit %s")
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        # psycopg reads no other style; `set local` because of poolers.
        cursor.execute("set local datestyle = 'ISO'")
        return cursor.execute(query.format(_table(schema)), [limit]).fetchall()


def _table(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "rollup_runs")
