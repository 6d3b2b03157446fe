"""The run log, for runs that overlap, are stopped or are killed."""

import os
import signal
from contextlib import contextmanager
from datetime import UTC

import psycopg
import pytest
import tables
from commands import start, wait_until
from psycopg.rows import dict_row
from tables import NOW, image

from dbt_project import run_log, runner
from dbt_project.database import connect
from dbt_project.url import parse_url
from dbt_project.window import JOBS, Window

GATE = 20_261_123  # key of an advisory lock


def log(source):
    """All of rollup_runs, oldest first."""
    query = "select * from analytics.rollup_runs order by started_at, job_name"
    with source.conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def statuses(source):
    return {row["job_name"]: row["status"] for row in log(source)}


@contextmanager
def held(url, *jobs, schema="analytics"):
    """Hold the locks of `jobs` and log them as running, as a run in another process would."""
    conninfo = parse_url(url)
    window = Window(NOW.replace(tzinfo=UTC), 14)
    with connect(conninfo, autocommit=True) as conn:
        run_log.create(conn, schema)
        with run_log.held(conninfo, conn, schema, jobs, window) as runs:
            yield runs


def test_a_run_is_logged_before_dbt_starts_and_after_it_ends(source, run, monkeypatch):
    seen = []

    def build(*arguments, real=runner.build, **options):
        seen.extend(log(source))
        real(*arguments, **options)

    monkeypatch.setattr(runner, "build", build)
    source.event("2026-11-22 10:00")
    source.event("2026-11-24 10:00")
    outcome = run("--window-days", 2)
    assert outcome.exit_code == 0
    assert [(row["job_name"], row["status"]) for row in seen] == [(j, "RUNNING") for j in JOBS]
    for row in seen:
        assert (row["finished_at"], row["error_text"]) == (None, None)
        assert f"process {os.getpid()} on " in row["holder"]

    for before, after in zip(seen, log(source), strict=True):
        assert before["id"] == after["id"] and after["status"] == "SUCCESS"
        assert after["started_at"] <= after["finished_at"] and after["error_text"] is None
        assert (after["window_start"], after["window_end"]) == (
            NOW.replace(day=22, hour=0, minute=0),
            NOW.replace(day=24, hour=0, minute=0),
        )
        assert after["as_of"] == NOW
        assert after["rows_written"] == outcome.of_jobs("rows_written")[after["job_name"]]
        assert after["ignored_count"] == sum(after["ignored_by_rule"].values()) == 0
        assert after["dbt_invocation_id"]


def test_a_second_run_is_refused_and_changes_nothing(source, run, database_url):
    source.event("2026-11-22 10:00")
    run("--job", "daily")
    with held(database_url, "experiment"):
        source.event("2026-11-23 10:00")
        before, logged = image(source.conn), log(source)
        refused = run()
        assert refused.exit_code == 3
        assert refused.summary["ok"] is False and refused.summary["error"] in refused.stderr
        assert "Job experiment is already running" in refused.stderr
        assert f"process {os.getpid()} on " in refused.stderr
        assert f"since {logged[-1]['started_at']:%Y-%m-%d %H:%M:%S} UTC" in refused.stderr
        assert (image(source.conn), log(source)) == (before, logged)
    assert run("--job", "experiment").exit_code == 0


def test_other_jobs_and_other_schemas_run_at_the_same_time(source, run, database_url):
    source.event("2026-11-22 10:00")
    with held(database_url, "funnel"), held(database_url, *JOBS, schema="elsewhere"):
        assert run("--job", "daily", "--job", "experiment").exit_code == 0
        assert statuses(source) == {
            "daily": "SUCCESS",
            "experiment": "SUCCESS",
            "funnel": "RUNNING",
        }


def test_a_row_of_a_dead_run_is_failed_by_any_run_and_by_runs(source, run, cli, database_url):
    with held(database_url, "daily"):
        pass
    for find in (lambda: cli("runs", "--json"), lambda: run("--job", "daily")):
        source.do("""
            insert into analytics.rollup_runs (job_name, status, window_start, window_end)
            values ('funnel', 'RUNNING', '2026-11-22', '2026-11-24')
        """)
        assert find().exit_code == 0
        assert statuses(source) == {"daily": "SUCCESS", "funnel": "FAILED"}


def test_an_error_outside_of_dbt_is_logged_and_raised(source, run, monkeypatch):
    def build(*arguments, **options):
        raise ZeroDivisionError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "build", build)
        with pytest.raises(ZeroDivisionError):
            run("--job", "funnel")
    (row,) = log(source)
    assert (row["status"], row["error_text"]) == ("FAILED", "ZeroDivisionError: no such luck")
    assert row["finished_at"]
    assert run("--job", "funnel").exit_code == 0


def test_the_end_is_logged_after_the_connection_was_lost(source, run, monkeypatch):
    def build(*arguments, real=runner.build, **options):
        real(*arguments, **options)
        source.do("select pg_terminate_backend(pid) from pg_stat_activity"
                  " where datname = current_database() and pid <> pg_backend_pid()")  # fmt: skip

    monkeypatch.setattr(runner, "build", build)
    outcome = run("--job", "daily")
    assert outcome.exit_code == 0
    assert statuses(source) == {"daily": "SUCCESS"}


def test_a_run_that_lost_its_lock_to_another_says_so(source, run, monkeypatch):
    def build(*arguments, real=runner.build, **options):
        real(*arguments, **options)
        source.do("update analytics.rollup_runs set status = 'FAILED', error_text = 'taken over'")

    monkeypatch.setattr(runner, "build", build)
    outcome = run("--job", "daily")
    assert outcome.exit_code == 1
    assert "another run took over" in outcome.summary["error"]
    assert [row["error_text"] for row in log(source)] == ["taken over"]


@pytest.mark.parametrize(
    "kind", ["uuid primary key default gen_random_uuid()", "text primary key"], ids=["uuid", "text"]
)
def test_a_run_log_of_the_agreed_columns_is_extended(source, run, kind):
    source.do("create schema analytics")
    source.do(f"""
        create table analytics.rollup_runs (
            id {kind}, job_name text not null, status text not null,
            started_at timestamptz not null default current_timestamp, finished_at timestamptz,
            window_start timestamptz not null, window_end timestamptz not null,
            rows_written int not null default 0, ignored_count int not null default 0,
            error_text text
        )
    """)
    source.do("""
        insert into analytics.rollup_runs
            (id, job_name, status, started_at, window_start, window_end)
        select gen_random_uuid(), job_name, status, moment, moment, moment
        from cast('2026-01-01' as timestamptz) as moment
        cross join (values ('daily', 'RUNNING'), ('funnel', 'SUCCESS')) as old (job_name, status)
    """)
    outcome = run("--job", "daily")
    assert outcome.exit_code == 0, outcome.stderr
    assert [(row["job_name"], row["status"]) for row in log(source)] == [
        ("daily", "FAILED"),
        ("funnel", "SUCCESS"),
        ("daily", "SUCCESS"),
    ]


@pytest.fixture
def gate(source, database_url):
    """Block every query of the events while the test keeps this gate closed."""
    source.do("alter table event_logs rename to raw")
    source.do(f"""
        create function passed() returns boolean language plpgsql volatile as
        $$ begin perform pg_advisory_xact_lock_shared({GATE}); return true; end $$
    """)
    source.do("create view event_logs as select * from raw where (select passed())")
    with psycopg.connect(database_url) as conn:

        @contextmanager
        def closed():
            conn.execute("select pg_advisory_lock(%s)", [GATE])
            conn.commit()
            try:
                yield
            finally:
                conn.rollback()
                conn.execute("select pg_advisory_unlock(%s)", [GATE])
                conn.commit()

        yield closed


@contextmanager
def started(source, database_url, *arguments, models=1):
    """Start the command line as a process; yield it when so many models wait at the gate."""
    process = start(database_url, "--as-of", NOW, *arguments)
    waiting = """
        select count(*) >= %s from pg_locks
        where locktype = 'advisory' and not granted and objid = %s
        and database = (select oid from pg_database where datname = current_database())
    """
    try:
        wait_until(
            lambda: process.poll() or source.conn.execute(waiting, [models, GATE]).fetchone()[0]
        )
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_run_is_taken_over_by_the_next(source, gate, run, database_url):
    source.event("2026-11-22 10:00")
    assert run("--job", "daily").exit_code == 0
    before = image(source.conn)
    source.do("update raw set event_name = 'tab_opened'")
    with gate(), started(source, database_url, "--job", "daily") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [row["status"] for row in log(source)] == ["SUCCESS", "RUNNING"]
        assert image(source.conn) == before
    assert run("--job", "daily").exit_code == 0
    first, killed, last = log(source)
    assert [row["status"] for row in (first, killed, last)] == ["SUCCESS", "FAILED", "SUCCESS"]
    assert killed["error_text"] == run_log.ORPHANED and killed["finished_at"]
    assert f"process {process.pid} on " in killed["holder"]
    assert image(source.conn) != before


@pytest.mark.parametrize(
    "stop", [pytest.param(signal.SIGTERM, marks=pytest.mark.chaos), signal.SIGINT]
)
def test_a_stopped_run_ends_as_failed_with_nothing_half_written(source, gate, database_url, stop):
    source.event("2026-11-22 10:00")
    source.experiment("x", ("A",))
    source.assign("u", "x", "A", "2026-11-22 10:00")  # without it the model reads no event
    # A model without a connection is not cancelled, and would wait at the gate.
    with gate(), started(source, database_url, models=4) as process:
        process.send_signal(stop)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "Stopped. The run log says FAILED" in stderr
        assert statuses(source) == dict.fromkeys(JOBS, "FAILED")
        assert all(row["finished_at"] for row in log(source))
        assert {row["error_text"] for row in log(source)} == {run_log.STOPPED}
        assert not any(tables.stored(source.conn))
