"""A small app with two states, command lines to disturb, and what must hold afterwards."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import commands
import psycopg
from psycopg.rows import dict_row
from tables import JOB_OF, NOTHING, NOW, App, Rollups, differences, event, expected, stored

DAY = timedelta(days=1)
JOURNEY = ("app_opened", "workout_started", "exercise_logged", "session_submitted")
EXTRA = "an event that comes and goes"


def fill(source: App) -> None:
    """Add users a to h of two variants, first seen 13, 12, … days ago, who come back every day."""
    source.experiment("x", ("A", "B"))
    source.experiment("over", ("A",), status="ENDED", end_at=datetime(2026, 11, 20))
    for nth, user in enumerate("abcdefgh"):
        variant = "AB"[nth % 2]
        first = datetime(2026, 11, 10, 9 + nth) + nth * DAY
        source.assign(user, "x", variant, first)
        for day in range(14 - nth):
            for step, name in enumerate(JOURNEY):
                moment = first + day * DAY + step * timedelta(minutes=1)
                source.event(moment, name, user, mapping={"x": variant})


class Sway:
    """An app whose source swings between two states, each with rollups that differ in all tables.

    `wanted` is what a run from scratch makes of the present state.
    """

    def __init__(self, source: App):
        self.source, self.conn = source, source.conn
        fill(source)
        self._wanted: dict[bool, Rollups] = {}
        self.swung = False

    def swing(self) -> None:
        if self.swung:
            self.source.do("delete from event_logs where session_id = %s", EXTRA)
        else:
            row = event(datetime(2026, 11, 12, 17), "session_submitted", "a", mapping={"x": "A"})
            self.source.events(row | {"session_id": EXTRA})
        self.swung = not self.swung

    @property
    def wanted(self) -> Rollups:
        if self.swung not in self._wanted:
            self._wanted[self.swung] = expected(self.source.rows(), NOW, 14)
        return self._wanted[self.swung]

    def assert_built(self) -> None:
        """Each table is what a run from scratch makes of the present state."""
        assert differences(stored(self.conn), self.wanted) == []

    def assert_whole(self, before: Rollups, successes: set[str]) -> None:
        """Each table is as it was before or, as it must after a success, built from scratch."""
        found = zip(Rollups._fields, stored(self.conn), before, self.wanted, strict=True)
        for table, rows, old, new in found:
            built = (NOTHING._replace(**{table: each}) for each in (rows, new))
            is_as_it_was = rows == old and JOB_OF[table] not in successes
            assert is_as_it_was or not differences(*built), table


def log(conn: Any, pid: int | None = None) -> list[dict[str, Any]]:
    """The run log, oldest first, or those of its rows that one process wrote."""
    if not conn.execute("select to_regclass('analytics.rollup_runs')").fetchone()[0]:
        return []
    query = """
        select * from analytics.rollup_runs
        where %s::text is null or holder like 'process ' || %s::text || ' on %%'
        order by started_at, job_name
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [pid, pid]).fetchall()


def successes(rows: list[dict[str, Any]]) -> set[str]:
    return {row["job_name"] for row in rows if row["status"] == "SUCCESS"}


def start(url: str, *arguments: object, **options: Any) -> subprocess.Popen:
    """Start the command line as of the tests' moment, for a summary in JSON."""
    return commands.start(url, "--json", "--as-of", NOW, *arguments, **options)


def succeed(url: str, *arguments: object, **environment: str) -> str:
    """Run the command line undisturbed; return what it said on stderr."""
    process = start(url, *arguments, **environment)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stdout + stderr
    return stderr


@contextmanager
def blocked(watch: Any, url: str) -> Iterator[Callable[[], list[int]]]:
    """Block queries of the events; yield a function that returns the waiting backends.

    `watch` is in autocommit: a transaction sees others' activity as it first looked.
    """
    waiting = """
        select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
    """
    with psycopg.connect(url) as conn:
        conn.execute("lock table event_logs in access exclusive mode")
        yield lambda: [pid for (pid,) in watch.execute(waiting)]
        conn.rollback()


def terminate(conn: Any, pids: Iterable[int]) -> int:
    query = "select count(pg_terminate_backend(pid)) from unnest(%s::int[]) as pid"
    return conn.execute(query, [[*pids]]).fetchone()[0]


def others(conn: Any) -> list[int]:
    """The backends of all other connections to the database."""
    query = """
        select pid from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'
        order by pid
    """
    return [pid for (pid,) in conn.execute(query)]


def lock_holder(conn: Any) -> list[int]:
    """The backend that holds the run's locks, as opposed to a model's."""
    query = """
        select distinct pid from pg_stat_activity join pg_locks using (pid)
        where datname = current_database() and application_name = 'analytics-rollups'
            and locktype = 'advisory' and granted
    """
    return [pid for (pid,) in conn.execute(query)]


def assert_gone(conn: Any, seconds: float = 60) -> None:
    """No connection but the test's own is left in its database, and no lock of a run."""
    commands.wait_until(lambda: not others(conn), seconds)
    locks = """
        select * from pg_locks where locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())
    """
    assert conn.execute(locks).fetchall() == []
