"""Publishing what another engine computed: the same tables as dbt makes, all of a job or nothing.

What Spark would compute, PostgreSQL computes here in a schema of its own.
"""

import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from tables import NOW

from dbt_project import ROOT, database, publish, run_log
from dbt_project.messages import DatabaseError
from dbt_project.window import JOBS, Window

DAY = timedelta(days=1)
TABLES = [rollup.name for job in JOBS for rollup in publish.rollups(job)]
SEEDS = ["funnel_steps", "experiment_metrics"]
# They pool all stored days, and the schemas of single runs hold one window.
POOLED = {"experiment_health", "experiment_readouts"}
CATALOGUE = """
    select
        relname, attname, format_type(atttypid, atttypmod), attnotnull, attnum, atthasdef,
        obj_description(pg_class.oid, 'pg_class')
    from pg_attribute
    inner join pg_class on pg_class.oid = attrelid
    where relnamespace = to_regnamespace(%s) and relkind = 'r' and attnum > 0
    order by relname, attnum
"""
INDEXES = """
    select tablename, regexp_replace(indexdef, 'INDEX \\S+ ON \\w+[.]', '')
    from pg_indexes
    where schemaname = %s
    order by 1, 2
"""


def at(days_ago, hour=12):
    return datetime(2026, 11, 23, hour) - days_ago * DAY


@pytest.fixture
def app(source):
    """Users who come back, an experiment, and an event name on each day."""
    source.experiment("x", ("A", "B"), start_at=at(60), end_at="infinity")
    for nth in range(12):
        user, first = f"user {nth}", 11 - nth
        source.assign(user, "x", "AB"[nth % 2], at(first, 9))
        for ago in range(first, -1, -1 - nth % 3):
            source.event(at(ago, 10), "app_opened", user, received=at(ago, 11))
            source.event(at(ago, 11), f"name of {ago}", user, mapping={"x": "AB"[nth % 2]})
            source.event(at(ago, 13), "session_submitted", user, platform=("ios", "web")[ago % 2])
    return source


@pytest.fixture
def conn(database_url):
    with closing(database.connect(database_url, autocommit=True)) as conn:
        yield conn


@pytest.fixture
def compute(run, monkeypatch):
    """Run jobs by dbt in a schema; return the summary."""

    def run_in(schema, *arguments, as_of=NOW):
        with monkeypatch.context() as patch:
            patch.setenv("ANALYTICS_SCHEMA", schema)
            outcome = run(*arguments, as_of=as_of)
        assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
        return outcome

    return run_in


def reader(conn, schema):
    """What reads a schema's tables as PostgreSQL's text."""

    def read(table, columns):
        values = sql.SQL(", ").join(
            sql.SQL("cast({} as text)").format(sql.Identifier(column)) for column in columns
        )
        query = sql.SQL("select {} from {}").format(values, sql.Identifier(schema, table))
        with closing(database.connect(conn.info.dsn)) as other:
            other.execute("set local timezone = 'UTC'")
            return other.execute(query).fetchall()

    return read


def window(as_of=NOW, days=14, to=None):
    return Window(as_of.replace(tzinfo=UTC), days, to)


def begins(conn, as_of=NOW):
    query = "select min(occurred_at) from public.event_logs where occurred_at between %s and %s"
    [first] = conn.execute(query, [as_of - 180 * DAY, as_of + DAY / 288]).fetchone()
    return first and first.replace(tzinfo=UTC)


def published(conn, read, given, jobs=JOBS, schema="analytics", **options):
    """Publish jobs under their locks, as a run does; return the runs."""
    run_log.create(conn, schema)
    options = {"begins": begins(conn, given.as_of.replace(tzinfo=None))} | options
    with run_log.held(conn.info.dsn, conn, schema, jobs, given) as runs:
        publish.publish_runs(conn.info.dsn, schema, runs, read, given, **options)
    return runs


def contents(conn, schema, tables=TABLES, but=("computed_at",)):
    """All rows of the tables, as JSON, without some columns."""
    query = (
        "select cast(to_jsonb(rollup) - cast(%s as text[]) as text) from {} as rollup order by 1"
    )
    found = {}
    for table in tables:
        rows = conn.execute(sql.SQL(query).format(sql.Identifier(schema, table)), [list(but)])
        found[table] = rows.fetchall()
    return found


def test_tables_are_those_that_dbt_makes(app, conn, compute):
    summary = compute("computed").summary
    runs = published(conn, reader(conn, "computed"), window())
    assert [run.errors for run in runs] == [[]] * len(JOBS)
    names = TABLES + SEEDS
    assert contents(conn, "analytics", names, ()) == contents(conn, "computed", names, ())
    columns = conn.execute(CATALOGUE, ["computed"]).fetchall()
    assert conn.execute(CATALOGUE, ["analytics"]).fetchall() == columns
    assert {table for table, *_ in columns} == {*names, "rollup_runs"}
    indexes = conn.execute(INDEXES, ["computed"]).fetchall()
    assert conn.execute(INDEXES, ["analytics"]).fetchall() == indexes
    assert [run.rows_written for run in runs] == [job["rows_written"] for job in summary["jobs"]]
    with conn.cursor(row_factory=dict_row) as cursor:
        query = "select * from analytics.rollup_runs"
        logged = {row["job_name"]: row for row in cursor.execute(query)}
    assert {row["status"] for row in logged.values()} == {"SUCCESS"}
    assert {run.job_name: run.rows_written for run in runs} == {
        name: row["rows_written"] for name, row in logged.items()
    }


def test_next_runs_change_what_those_of_dbt_change(app, conn, compute):
    """Late and deleted events, a run as of the past, a purge, and consent to it."""
    steps = [
        (NOW, (), lambda: None),
        (NOW + DAY, (), lambda: app.event(at(5), "late", "user 1", received=NOW)),
        (NOW + DAY, ("--window-days", 3), lambda: app.do(
            "delete from event_logs where occurred_at = %s", at(1, 11))),
        (NOW - 3 * DAY, (), lambda: app.do(
            "delete from event_logs where event_name = 'name of 6'")),
        (NOW + 2 * DAY, (), lambda: app.do(
            "delete from event_logs where occurred_at < %s", at(4, 11))),
        (NOW - DAY, ("--window-days", 5), lambda: None),
        (NOW + 2 * DAY, ("--allow-purged", "--yes"), lambda: None),
        (NOW + 2 * DAY, (), lambda: app.do("delete from event_logs")),
    ]  # fmt: skip
    tables = [table for table in TABLES if table not in POOLED]
    told = []
    for nth, (as_of, options, change) in enumerate(steps):
        change()
        days = options[1] if "--window-days" in options else 14
        by_dbt = compute("by_dbt", *options, as_of=as_of).summary["jobs"]
        compute(f"step_{nth}", *options, as_of=as_of)
        runs = published(
            conn, reader(conn, f"step_{nth}"), window(as_of, days),
            allow_purged="--allow-purged" in options,
        )  # fmt: skip
        assert [run.errors for run in runs] == [[]] * len(JOBS)
        assert [run.rows_written for run in runs] == [job["rows_written"] for job in by_dbt], nth
        for run, job in zip(runs, by_dbt, strict=True):
            assert sorted(run.notes) == sorted(
                note for note in job["notes"] if "has no events" not in note and "empty" not in note
            )
            told += run.notes
        ours, theirs = contents(conn, "analytics", tables), contents(conn, "by_dbt", tables)
        for table in tables:
            assert ours[table] == theirs[table], (nth, table)
    for words in ("A run already computed", "So daily_metric_rollups keeps its final rows"):
        assert any(words in note for note in told)
    kept = "select job_name, kept_since from {}.rollup_runs order by started_at, job_name"
    assert conn.execute(kept.format("analytics")).fetchall() == (
        conn.execute(kept.format("by_dbt")).fetchall()
    )


def test_days_of_another_zone(app, conn, compute, monkeypatch):
    monkeypatch.setenv("ROLLUP_TIMEZONE", "Pacific/Chatham")
    compute("computed", "--job", "daily")
    [run] = published(conn, reader(conn, "computed"), window(), ["daily"])
    assert run.ok and contents(conn, "analytics", ["daily_metric_rollups"], ()) == (
        contents(conn, "computed", ["daily_metric_rollups"], ())
    )
    comments = [row[-1] for row in conn.execute(CATALOGUE, ["analytics"])]
    assert "Days are days of Pacific/Chatham." in comments
    publish.check_zones(conn, "analytics", "Pacific/Chatham")
    with pytest.raises(DatabaseError) as refused:
        publish.check_zones(conn, "analytics", "UTC")
    assert refused.match(
        "^daily_dimension_rollups in schema analytics has days of Pacific/Chatham,"
    )
    conn.execute("delete from analytics.daily_dimension_rollups")
    conn.execute("delete from analytics.daily_metric_rollups")
    publish.check_zones(conn, "analytics", "UTC")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("problem", [Killed, KeyboardInterrupt])
def test_run_that_ends_in_between_changes_nothing(app, conn, compute, problem):
    compute("computed", "--job", "experiment")
    published(conn, reader(conn, "computed"), window(), ["experiment"])
    before = contents(conn, "analytics", but=(), tables=_tables_of("experiment"))
    compute("later", "--job", "experiment", as_of=NOW + DAY)
    read = reader(conn, "later")

    def ends(table, columns):
        if table == "experiment_statistics":
            raise problem
        return read(table, columns)

    with pytest.raises(problem):
        published(conn, ends, window(NOW + DAY), ["experiment"])
    assert contents(conn, "analytics", but=(), tables=_tables_of("experiment")) == before
    query = (
        "select status, rows_written from analytics.rollup_runs order by started_at desc limit 1"
    )
    assert conn.execute(query).fetchone() == ("FAILED", 0)


KILLED = """
import sys, time
from datetime import datetime
from dbt_project import ROOT, database, publish, run_log
from dbt_project.window import Window

def read(table, columns):
    print(table, flush=True)
    time.sleep(600 if table == "daily_metric_rollups" else 0)
    return []

with database.connect(sys.argv[1], autocommit=True) as conn:
    window = Window(datetime.fromisoformat(sys.argv[2]), 14)
    with run_log.held(sys.argv[1], conn, "analytics", ["daily"], window) as runs:
        publish.publish_runs(sys.argv[1], "analytics", runs, read, window, begins=window.start)
"""


def test_killed_run_changes_nothing_and_blocks_nobody(app, conn, compute):
    compute("computed", "--job", "daily")
    published(conn, reader(conn, "computed"), window(), ["daily"])
    before = contents(conn, "analytics", _tables_of("daily"), ())
    arguments = [conn.info.dsn, f"{NOW + DAY}+00:00"]
    command = [sys.executable, "-c", KILLED, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "daily_dimension_rollups"
        assert process.stdout.readline().strip() == "daily_metric_rollups"
        assert contents(conn, "analytics", _tables_of("daily"), ()) == before
        process.kill()
    assert contents(conn, "analytics", _tables_of("daily"), ()) == before
    [run] = published(conn, reader(conn, "computed"), window(), ["daily"])
    assert run.ok and run.rows_written
    query = "select status, rows_written, error_text from analytics.rollup_runs order by started_at"
    assert [row[0] for row in conn.execute(query)] == ["SUCCESS", "FAILED", "SUCCESS"]
    assert conn.execute(query).fetchall()[1][1:] == (0, run_log.ORPHANED)


def _tables_of(job):
    return [rollup.name for rollup in publish.rollups(job)]


def test_rows_that_the_table_refuses_change_nothing(app, conn, compute):
    compute("computed", "--job", "daily", "--job", "funnel")
    read = reader(conn, "computed")

    def twice(table, columns):
        rows = read(table, columns)
        return rows + rows[:1] if table == "daily_metric_rollups" else rows

    daily, funnel = published(conn, twice, window(), ["daily", "funnel"])
    assert daily.errors[0].startswith("duplicate key value violates unique constraint")
    assert daily.errors[0].endswith(". Nothing of job daily was published to PostgreSQL.")
    assert daily.permanent and not daily.rows_written
    assert funnel.ok and funnel.rows_written
    assert conn.execute("select to_regclass('analytics.daily_metric_rollups')").fetchone() == (
        None,
    )
    query = "select job_name, status, error_text from analytics.rollup_runs order by 1"
    assert [row[:2] for row in conn.execute(query)] == [("daily", "FAILED"), ("funnel", "SUCCESS")]


def test_job_that_failed_on_spark_is_not_published(app, conn, compute):
    compute("computed", "--job", "daily", "--job", "funnel")
    run_log.create(conn, "analytics")
    with run_log.held(conn.info.dsn, conn, "analytics", ["daily", "funnel"], window()) as runs:
        runs[0].errors.append("test every_row_holds: fail")
        publish.publish_runs(
            conn.info.dsn,
            "analytics",
            runs,
            reader(conn, "computed"),
            window(),
            begins=begins(conn),
        )
    assert runs[0].errors[1:] == ["Nothing of job daily was published to PostgreSQL."]
    assert conn.execute("select to_regclass('analytics.daily_metric_rollups')").fetchone() == (
        None,
    )
    assert runs[1].ok


def test_readers_see_a_window_before_or_after(app, conn, compute, database_url):
    compute("computed", "--job", "daily")
    published(conn, reader(conn, "computed"), window(), ["daily"])
    read, seen = reader(conn, "computed"), []

    def looks(table, columns):
        with psycopg.connect(database_url) as other:
            seen.append(other.execute(
                "select count(*), count(distinct computed_at) from analytics.daily_metric_rollups"
            ).fetchone())  # fmt: skip
        return read(table, columns)

    [run] = published(conn, looks, window(), ["daily"])
    assert run.ok and len(seen) == 2
    assert seen[0] == seen[1] and seen[0][1] == 1


def test_new_column_is_added(app, conn, compute):
    compute("computed", "--job", "retention")
    published(conn, reader(conn, "computed"), window(), ["retention"])
    conn.execute("alter table analytics.retention_rollups drop column period_end")
    [run] = published(conn, reader(conn, "computed"), window(), ["retention"])
    assert run.errors  # the days of stored rows are unknown
    conn.execute("alter table analytics.active_user_rollups drop column computed_at")
    conn.execute("drop table analytics.retention_rollups")
    [run] = published(conn, reader(conn, "computed"), window(), ["retention"])
    assert run.ok
    query = "select computed_at from analytics.active_user_rollups where day >= '2026-11-13'"
    found = conn.execute(query).fetchall()
    assert found and all(at for (at,) in found)


def test_infinite_and_odd_values_arrive(app, conn, compute):
    app.experiment('"%; \\', ("Ä\n\t\\N",), weight=float("inf"))
    compute("computed", "--job", "experiment")
    published(conn, reader(conn, "computed"), window(), ["experiment"])
    tables = _tables_of("experiment")
    assert contents(conn, "analytics", tables, ()) == contents(conn, "computed", tables, ())
    query = "select count(*) from analytics.experiment_catalog where end_at = 'infinity'"
    assert conn.execute(query).fetchone() == (1,)
    assert re.search("Ä", str(contents(conn, "analytics", tables)))
