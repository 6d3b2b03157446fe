"""The command line in other processes, and what must hold when all of them have ended."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from tables import NOW

from dbt_project import ROOT

HELD = re.compile(
    r"Error: Job (\w+) is already running: process (\d+) on \S+, database .+"
    r" since [\d-]{10} [\d:]{8} UTC\."
)
# Locks of this database, and sessions of it that do nothing but keep a transaction open.
LEFT_OVER = """
    select 'advisory lock of ' || pid from pg_locks
    where
        locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())
    union all
    select 'idle transaction of ' || pid || ': ' || query from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'
"""
OVERLAPS = """
    select one.job_name, one.holder, other.holder
    from analytics.rollup_runs as one
    join analytics.rollup_runs as other on other.job_name = one.job_name and other.id > one.id
    where
        'plain dbt' not in (one.holder, other.holder)  -- which takes no job's lock
        and tstzrange(one.started_at, one.finished_at)
        && tstzrange(other.started_at, other.finished_at)
"""


class Ended(NamedTuple):
    """A process that has ended."""

    pid: int
    exit_code: int
    stdout: str
    stderr: str


def start(
    url: str, *arguments: object, prefix: Sequence[str] = (), **environment: str
) -> subprocess.Popen:
    """Start `python cli.py` with these arguments, below the command `prefix`; return at once."""
    return subprocess.Popen(
        [*prefix, sys.executable, ROOT / "cli.py", *map(str, arguments)],
        env={**os.environ, "DATABASE_URL": url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen, seconds: float = 300) -> Ended:
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"{process.args} hangs:\n{stdout}\n{stderr}") from None
    return Ended(process.pid, process.returncode, stdout, stderr)


def jobs(*names: str, as_of: object = NOW, window_days: int = 14) -> list[str]:
    """The arguments of a run of these jobs, or of all."""
    given = ["--as-of", f"{as_of}", "--window-days", f"{window_days}"]
    return given + [part for name in names for part in ("--job", name)]


def at_once(url: str, *commands: list[str]) -> list[Ended]:
    """Start a process for each command, all at once; return how they ended."""
    return [end(process) for process in [start(url, *command) for command in commands]]


@contextmanager
def stuck(direct: str, url: str, *arguments: object) -> Iterator[subprocess.Popen]:
    """Start a run whose queries of the events block until the end; yield it when one does."""
    waiting = (
        "select count(*) from pg_locks where relation = 'event_logs'::regclass and not granted"
    )
    with psycopg.connect(direct) as blocker, psycopg.connect(direct, autocommit=True) as conn:
        blocker.execute("lock table event_logs")
        process = start(url, *arguments)
        try:
            wait_until(lambda: process.poll() or conn.execute(waiting).fetchone()[0])
            yield process
        finally:
            blocker.rollback()
            process.kill()
            process.communicate()


def wait_until(found: Callable[[], Any], seconds: float = 60) -> Any:
    """Poll until there is an answer; return it."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        if answer := found():
            return answer
        time.sleep(0.02)
    raise AssertionError("timed out")


def assert_nothing_is_left(conn: psycopg.Connection) -> None:
    """No lock, no open transaction, no row RUNNING, and no job that ran twice at a time."""
    # A server needs a moment to notice that a client is gone.
    wait_until(lambda: not conn.execute(LEFT_OVER).fetchall(), 10)
    running = "select * from analytics.rollup_runs where status = 'RUNNING' or finished_at is null"
    assert conn.execute(running).fetchall() == []
    assert conn.execute(OVERLAPS).fetchall() == []


def assert_log_tells(conn: psycopg.Connection, runs: list[Ended]) -> None:
    """Winners are in the log as SUCCESS; losers are not in it, and name a winner."""
    winners = {run.pid for run in runs if run.exit_code == 0}
    query = "select distinct holder, status from analytics.rollup_runs where holder ~ '^process'"
    logged = {(int(holder.split()[1]), status) for holder, status in conn.execute(query)}
    assert logged >= {(pid, "SUCCESS") for pid in winners}
    for run in runs:
        if run.exit_code != 0:
            told = HELD.match(run.stderr)
            assert run.exit_code == 3 and told, run
            assert int(told[2]) in winners, (run, winners)
            assert run.pid not in {pid for pid, _ in logged}
