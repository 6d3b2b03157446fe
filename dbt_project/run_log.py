"""The run log `rollup_runs`: which runs of which jobs there are, and how they ended.

A run holds one transaction open from its start to its end, and in it a lock per job. A row that
says RUNNING while nobody holds its lock is what a killed run left behind.
"""

import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dbt_project import locks
from dbt_project.database import DatabaseError, Statement, connect, only_row
from dbt_project.window import Window

ORPHANED = "The process was killed or lost its connection; the next run found that out."
PATIENCE_S = 2.0
DDL = Path(__file__).with_name("run_log.sql")


class JobHeld(Exception):
    """Another run has the job; the message says who, and since when."""


@dataclass
class JobRun:
    """What is known about one run of one job. The counts are of rows and of events.

    `lasting` says that one of the errors would be met again by the same work.
    """

    job_name: str
    id: str = ""
    rollup_ended: bool = False
    rows_written: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    lasting: bool = False
    seconds: float = 0.0
    invocation_id: str | None = None

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def is_transient(self) -> bool:
        return not (self.ok or self.lasting)

    @property
    def ignored_count(self) -> int:
        return sum(self.ignored.values())


def create(conn: psycopg.Connection, schema: str) -> None:
    """Create the schema and the run log, or what they lack. `conn` must be in autocommit."""
    if _is_complete(conn, schema):
        return
    with conn.transaction():
        # The lock goes before everything else in the transaction. What was read in it before
        # the wait stays in a cache, from which a schema made since is missing.
        locks.lock_creation(conn, schema)
        for statement in missing(conn, schema):
            conn.execute(statement)


def missing(conn: psycopg.Connection, schema: str) -> list[Statement]:
    """Return what one transaction has to execute to create what `create` does; often nothing."""
    if _is_complete(conn, schema):
        return []
    name = sql.Identifier(schema)
    there = only_row(conn, "select to_regnamespace(quote_ident(%s))", [schema])[0]
    return [
        *([] if there else [sql.SQL("create schema {}").format(name)]),
        sql.SQL(DDL.read_text().strip().removesuffix(";")).format(schema=name),
    ]


def _is_complete(conn: psycopg.Connection, schema: str) -> bool:
    # Not information_schema, which hides what the role may not touch.
    query = """
        select count(*) = 1
        from pg_attribute
        where
            attrelid = to_regclass(quote_ident(%s) || '.rollup_runs')
            and attname = 'holder'
            and not attisdropped
    """
    return only_row(conn, query, [schema])[0]


@contextmanager
def held(
    conninfo: str, conn: psycopg.Connection, schema: str, jobs: Collection[str], window: Window
) -> Iterator[list[JobRun]]:
    """Hold the jobs' locks, log them as RUNNING, and log how they ended on the way out.

    Yields one JobRun per job for the caller to fill in. An exception that leaves the block
    fails every job that had not failed yet. Raises JobHeld, with nothing logged, when another
    run has one of the jobs. `conn` must be in autocommit.
    """
    with closing(connect(conninfo)) as lock:
        session = locks.stay_open(lock)
        for job in jobs:
            _lock(lock, schema, job)
        fail_orphans(conn, schema, mine=jobs)
        runs: list[JobRun] = []
        # What a run is taken for that ends before anything is known of it.
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
                for run in runs:
                    run.errors = run.errors or [_reason(problem)]
            try:
                _finish(conninfo, conn, schema, runs, session)
            finally:
                # Closing the connection would free the jobs too, but a moment after this run has
                # ended. Where the network is gone nothing would answer.
                if not conn.closed:
                    with suppress(psycopg.Error):
                        lock.rollback()


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Stopped before the end by a signal."
    return f"{type(error).__name__}: {error}".rstrip(": ")


def fail_orphans(conn: psycopg.Connection, schema: str, mine: Collection[str] = ()) -> None:
    """Log the runs that a dead process left RUNNING as FAILED, of whatever job they are.

    A run is on record only while its lock is held, so one that was on record before nobody held
    its lock is dead. The caller holds the locks of `mine`. No lock is taken to find out, for a
    run that starts at that moment would be refused it.
    """
    running = sql.SQL("select id, job_name from {} where status = 'RUNNING'")
    orphaned = sql.SQL(
        "update {} set status = 'FAILED', finished_at = clock_timestamp(), error_text = %s"
        " where id = %s and status = 'RUNNING'"
    )
    for run, job in conn.execute(running.format(_table(schema))).fetchall():
        if job in mine or not locks.is_locked(conn, schema, job):
            conn.execute(orphaned.format(_table(schema)), [ORPHANED, run])


def _lock(lock: psycopg.Connection, schema: str, job: str) -> None:
    """Take the lock of a job. Raises JobHeld, which tells who has it.

    Asks over the same connection. With another one, runs that meet in a pooler could have all
    of its connections and each wait for one more.
    """
    patience = time.monotonic() + PATIENCE_S
    while not locks.try_lock(lock, schema, job):
        who = _holder(lock, schema, job)
        # A run is on record a moment after it has the lock, if it is not refused another one.
        if who or time.monotonic() > patience:
            who = who or "a run that just started"
            raise JobHeld(f"Job {job} is already running: {who}. Wait for it to end, or stop it.")
        time.sleep(0.02)


def _holder(conn: psycopg.Connection, schema: str, job: str) -> str | None:
    """Return who runs the job, and since when, as far as the log knows."""
    query = sql.SQL(
        "select holder, to_char(started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from {}"
        " where job_name = %s and status = 'RUNNING' order by started_at desc limit 1"
    ).format(_table(schema))
    row = conn.execute(query, [job]).fetchone()
    return f"{row[0]} since {row[1]} UTC" if row else None


def _start(conn: psycopg.Connection, schema: str, job: str, window: Window) -> JobRun:
    query = sql.SQL(
        "insert into {} (id, job_name, status, window_start, window_end, as_of, holder)"
        " values (%s, %s, 'RUNNING', %s, %s, %s, %s)"
    ).format(_table(schema))
    # The id is made here because a table that came from another system may have no default.
    run = JobRun(job, str(uuid4()))
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    conn.execute(query, [run.id, job, window.start, window.end, window.as_of, holder])
    return run


def _finish(
    conninfo: str,
    conn: psycopg.Connection,
    schema: str,
    runs: list[JobRun],
    session: locks.Session,
) -> None:
    update = sql.SQL(
        "update {} set status = %s, finished_at = clock_timestamp(), rows_written = %s,"
        " ignored_count = %s, ignored_by_rule = %s, error_text = %s, dbt_invocation_id = %s"
        " where id = %s and status = 'RUNNING'"
    ).format(_table(schema))
    values = [
        (
            "SUCCESS" if run.ok else "FAILED",
            run.rows_written,
            run.ignored_count,
            Jsonb(run.ignored),
            "\n\n".join(run.errors) or None,
            run.invocation_id,
            run.id,
        )
        for run in runs
    ]
    try:
        written = _write(conn, update, values)
    except psycopg.OperationalError:
        # The server went away in the meantime; perhaps it is back.
        with connect(conninfo, autocommit=True) as fresh:
            written = _write(fresh, update, values)
            locks.end(fresh, session)  # or it would keep out the next run
    if written < len(runs):
        raise DatabaseError(
            "This run lost its lock and another run took over; see `python cli.py runs`."
        )


def _write(conn: psycopg.Connection, update: sql.Composed, values: list[tuple]) -> int:
    with conn.transaction():
        return sum(conn.execute(update, row).rowcount for row in values)


def recent(conn: psycopg.Connection, schema: str, limit: int) -> list[dict[str, Any]]:
    """Return the latest runs, newest first, as dicts of columns; none when nothing ever ran."""
    if not _is_complete(conn, schema):
        return []
    fail_orphans(conn, schema)
    query = sql.SQL("select * from {} order by started_at desc, job_name limit %s")
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        # psycopg reads no other style; `set local` because a pooler may stand in between.
        cursor.execute("set local datestyle = 'ISO'")
        return cursor.execute(query.format(_table(schema)), [limit]).fetchall()


def _table(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "rollup_runs")
