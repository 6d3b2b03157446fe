"""Several runs at once: one per job goes ahead, and the others name it."""

import threading
from contextlib import ExitStack
from datetime import UTC

import pytest
from commands import assert_log_tells, assert_nothing_is_left, at_once, jobs
from tables import NOW, differences, expected, stored

from dbt_project import run_log
from dbt_project.database import connect
from dbt_project.url import parse_url
from dbt_project.window import Window

WINDOW = Window(NOW.replace(tzinfo=UTC), 14)


def together(count, work):
    """Call `work(nth)` in `count` threads at the same moment; return the errors."""

    def one(nth):
        barrier.wait()
        try:
            work(nth)
        except Exception as error:
            failures.append(error)

    barrier, failures = threading.Barrier(count), []
    threads = [threading.Thread(target=one, args=(nth,)) for nth in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_first_runs_may_create_the_schema_and_the_log_together(source, database_url):
    with ExitStack() as stack:
        conninfo = parse_url(database_url)
        conns = [stack.enter_context(connect(conninfo, autocommit=True)) for _ in range(8)]
        for nth in range(20):
            schema = f"round {nth}"
            assert together(8, lambda n, schema=schema: run_log.create(conns[n], schema)) == []
            count = f'select count(*) from "{schema}".rollup_runs'
            assert source.conn.execute(count).fetchone() == (0,)


def test_a_job_is_free_when_its_run_has_ended(source, database_url):
    conninfo = parse_url(database_url)
    with connect(conninfo, autocommit=True) as conn:
        run_log.create(conn, "analytics")
        for _ in range(50):
            with run_log.held(conninfo, conn, "analytics", ["daily"], WINDOW):
                assert run_log.is_locked(conn, "analytics", "daily")
            assert not run_log.is_locked(conn, "analytics", "daily")
    assert_nothing_is_left(source.conn)


def test_a_refused_run_names_the_lock_holder(source, database_url):
    conninfo, refusals = parse_url(database_url), []
    with connect(conninfo, autocommit=True) as conn:
        run_log.create(conn, "analytics")

    def work(nth):
        with connect(conninfo, autocommit=True) as conn:
            for _ in range(10):
                try:
                    with run_log.held(conninfo, conn, "analytics", ["daily", "funnel"], WINDOW):
                        pass
                except run_log.JobHeld as refusal:
                    refusals.append(str(refusal))

    assert together(8, work) == []
    assert [told for told in refusals if "already running: process " not in told] == []
    assert_nothing_is_left(source.conn)


@pytest.mark.chaos
def test_failing_the_rows_of_dead_runs_blocks_no_other_run(source, database_url):
    conninfo = parse_url(database_url)
    dead = """
        insert into analytics.rollup_runs (job_name, status, window_start, window_end)
        values ('funnel', 'RUNNING', '2026-11-22', '2026-11-24')
    """
    ended = threading.Event()

    def work(nth):
        with connect(conninfo, autocommit=True) as conn:
            if nth:
                while not ended.is_set():
                    run_log.recent(conn, "analytics", 1)
                return
            try:
                for _ in range(100):
                    conn.execute(dead)
                    with run_log.held(conninfo, conn, "analytics", ["funnel"], WINDOW):
                        pass
            finally:
                ended.set()

    with connect(conninfo, autocommit=True) as conn:
        run_log.create(conn, "analytics")
    assert together(5, work) == []
    query = "select status, count(*) from analytics.rollup_runs group by 1 order by 1"
    assert source.conn.execute(query).fetchall() == [("FAILED", 100), ("SUCCESS", 100)]
    assert_nothing_is_left(source.conn)


@pytest.mark.chaos
def test_of_two_first_runs_one_wins(lively, database_url):
    runs = at_once(database_url, jobs(), jobs())
    assert sorted(run.exit_code for run in runs) == [0, 3], runs
    assert_log_tells(lively.conn, runs)
    assert_nothing_is_left(lively.conn)
    assert differences(stored(lively.conn), expected(lively.rows(), NOW, 14)) == []
